// The page: which pictures are shown, keys, and what happens when something is decided.

function decide(kind) {
  if (view.focus === null) return;
  const one = ROWS[view.focus];
  const decision = { keep: labelled(view.focus, one.given), fix: labelled(view.focus, one.suggested), unsure: UNSURE }[kind];
  if (kind === "fix" && one.given === one.suggested) announce("No other label is suggested.");
  else settle(decision);
}

function decideLabel(label) {
  if (view.focus !== null) settle(labelled(view.focus, label));
}

// decision: undefined clears it
function settle(decision) {
  const row = view.focus;
  if (!decision && !decided.has(row)) return;
  change([[row, decision]]);
  showChange([row]);
  const next = decision && advance ? neighbour(row, "ArrowRight") : undefined;
  focusOn(next === undefined ? row : next, inSheet());
  announce(`${said(decision)}. ${panel.progress.textContent}.`);
}

function inSheet() {
  return byId("sheet").contains(document.activeElement);
}

function undoLast() {
  const rows = undo();
  showChange(rows);
  const [row] = rows;
  if (rows.length === 1 && places.has(row)) focusOn(row, inSheet());
  else showPanel();
  announce(rows.length ? `Undone. ${panel.progress.textContent}.` : "Nothing to undo.");
}

function showChange(rows) {
  rows.forEach(refresh);
  for (const section of new Set(rows.filter((row) => places.has(row)).map((row) => places.get(row).section))) countGroup(section);
  showProgress();
  showStored();
  byId("again").hidden = !view.decision;
}

function showStored() {
  const remark = byId("remark");
  remark.hidden = stored;
  remark.textContent = stored ? "" : "This browser does not store anything for this page: download the decisions before you close it.";
}

// --- keys

const MOVES = new Set(["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End"]);
const DECISIONS = { k: "keep", f: "fix", u: "unsure", 0: "", Backspace: "" };

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("select")) return;
  const name = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (name === "z") undoLast();
  else if (view.focus === null) return;
  else if (MOVES.has(name)) {
    const next = neighbour(view.focus, name);
    focusOn(next === undefined ? view.focus : next, true);
  } else if (name in DECISIONS) decide(DECISIONS[name]);
  else if (/^[1-9]$/.test(name) && !ROWS[view.focus].unit && DATA.names[name - 1] !== undefined) decideLabel(DATA.names[name - 1]);
  else return;
  event.preventDefault();
}

const PLAIN = new Set([" – ", " or "]);

function showKeys() {
  const digits = Math.min(9, DATA.names.length);
  const some = [[["←", "→", "↑", "↓"], "move"], [["K"], "keep the given label"], [["F"], "fix: the suggested one"], [["U"], "unsure"],
    ROWS.some(({ unit }) => !unit) && digits && [digits > 1 ? ["1", " – ", String(digits)] : ["1"], "another label"],
    [["0", " or ", "Backspace"], "clear"], [["Z"], "undo"]];
  byId("keys").append(...some.filter(Boolean).map(([letters, what]) =>
    el("span", {}, letters.map((letter) => (PLAIN.has(letter) ? letter : el("kbd", {}, letter))), ` ${what}`)));
}

// --- the tools

function select(label, items, onchange) {
  const id = `select-${label.toLowerCase().replace(" ", "-")}`;
  const node = el("select", { id, onchange: (event) => { onchange(event.target.value); arrange(); showPanel(); byId("again").hidden = true; } },
    items.map(([value, text]) => el("option", { value }, text)));
  return el("div", { class: "field" }, el("label", { for: id }, label), node);
}

function groupItems() {
  const groups = inOrder(grouped(ROWS.map((_, row) => row)));
  return [["", `all (${groups.length})`], ...groups.map(([id, rows]) => [id, `${words(ROWS[rows[0]])} (${rows.length})`])];
}

function makeTools() {
  const reverse = el("button", { type: "button", class: "quiet", "aria-pressed": "false", "aria-label": "Reverse the order of the pictures", onclick: (event) => {
    view.reversed = !view.reversed;
    event.currentTarget.setAttribute("aria-pressed", String(view.reversed));
    arrange();
    showPanel();
  } }, "Reverse");
  const again = el("button", { type: "button", class: "quiet", id: "again", hidden: true, onclick: () => { arrange(); showPanel(); again.hidden = true; } }, "Filter again");
  const file = el("input", { type: "file", accept: ".csv,text/csv", class: "hidden", onchange: load });
  byId("tools").append(
    select("Group", groupItems(), (value) => { view.group = value; }),
    select("Decision", [["", "all"], ["undecided", "undecided"], ["keep", "keep"], ["fix", "fix"], ["unsure", "unsure"]], (value) => { view.decision = value; }),
    again,
    select("Groups first", [["number", "the largest"], ["suspicion", "the most suspicious"]], (value) => { view.groups = value; }),
    select("Pictures by", [["suspicion", "suspicion"], ["agreement", "models that agree"],
      ...DATA.scores.map((name, at) => [`score ${at}`, name]), ["key", "path"]], (value) => { view.sort = value; }),
    reverse,
    el("div", { class: "files" },
      el("button", { type: "button", class: "quiet", onclick: () => saveAs(false) }, "Download CSV"),
      el("button", { type: "button", class: "quiet", onclick: () => saveAs(true) }, "Download all rows"),
      el("label", { class: "quiet file" }, "Load CSV", file)));
}

function saveAs(all) {
  download(all ? DATA.file.replace(/(\.[^.]*)?$/, "-all$1") : DATA.file, decisionsCsv(all));
  unsaved = false;
}

async function load(event) {
  const [file] = event.target.files;
  event.target.value = "";
  if (!file) return;
  const sentence = takeOver(await file.text());
  byId("message").textContent = sentence;
  showAll();
}

function showAll() {
  showChange([...places.keys()]);
  showPanel();
}

// --- start

function start() {
  restore();
  save();
  makePanel();
  makeTools();
  showKeys();
  arrange();
  showPanel();
  showStored();
  document.addEventListener("keydown", onKey);
  window.addEventListener("storage", (event) => { if (event.key === STORE) { restore(); showAll(); } });
  window.addEventListener("beforeunload", (event) => { if (!stored && unsaved && decided.size) event.preventDefault(); });
  new ResizeObserver(() => {
    if (fitting() === columns) return;
    const within = inSheet();
    draw();
    if (view.focus !== null && within) focusOn(view.focus, true);
  }).observe(byId("sheet"));
}

start();
