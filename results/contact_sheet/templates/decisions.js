// What was decided about each label: { kind: "keep" | "fix" | "unsure", label }. They are kept in the browser's storage, where
// the sheet's digest is their name, as far as the browser lets a page that is a file store anything.

const DATA = JSON.parse(byId("data").textContent);
const ROWS = DATA.rows.map(([key, unit, given, suggested, suspicion, agreement, scores], row) =>
  ({ key, unit, given, suggested, suspicion, agreement, scores, thumbnail: DATA.thumbnails[row] }));
const HEADER = ["path", "unit", "given", "suggested", "decision", "label", "suspicion"];
const STORE = `fernoise-bench contact sheet ${DATA.digest}`;
const MAX_NAMED = 5;

const decided = new Map(); // row -> decision
const past = []; // for undo: lists of [row, what was decided before]
let stored = true;
let unsaved = false;

function choices(row) {
  return ROWS[row].unit ? DATA.binary : DATA.names;
}

function labelled(row, label) {
  return { kind: label === ROWS[row].given ? "keep" : "fix", label };
}

const UNSURE = { kind: "unsure", label: "" };

// changes: list of [row, decision or undefined]
function change(changes) {
  past.push(changes.map(([row]) => [row, decided.get(row)]));
  apply(changes);
}

function apply(changes) {
  for (const [row, decision] of changes) {
    if (decision) decided.set(row, decision);
    else decided.delete(row);
  }
  unsaved = true;
  save();
}

// Returns the rows that changed.
function undo() {
  const changes = past.pop() || [];
  if (changes.length) apply(changes);
  return changes.map(([row]) => row);
}

function tally(rows) {
  const counts = { all: 0, decided: 0, keep: 0, fix: 0, unsure: 0 };
  for (const row of rows) {
    const decision = decided.get(row);
    counts.all += 1;
    if (decision) { counts.decided += 1; counts[decision.kind] += 1; }
  }
  return counts;
}

// --- the browser's storage

function save() {
  try {
    window.localStorage.setItem(STORE, JSON.stringify([...decided].map(([row, { kind, label }]) => [row, kind, label])));
    stored = true;
  } catch {
    stored = false; // blocked or full
  }
}

function restore() {
  let entries = [];
  try {
    entries = JSON.parse(window.localStorage.getItem(STORE) || "[]");
  } catch {
    stored = false;
  }
  decided.clear();
  for (const entry of Array.isArray(entries) ? entries : []) {
    const [row, kind, label] = Array.isArray(entry) ? entry : [];
    if (!Number.isInteger(row) || !ROWS[row]) continue;
    if (kind === "unsure") decided.set(row, UNSURE);
    else if (choices(row).includes(label)) decided.set(row, labelled(row, label));
  }
}

// --- as a file

function decisionsCsv(all) {
  const rows = ROWS.map((one, row) => [one, decided.get(row)]).filter(([, decision]) => all || decision);
  return csvText([HEADER, ...rows.map(([{ key, unit, given, suggested, suspicion }, decision]) =>
    [key, unit, given, suggested, decision ? decision.kind : "", decision ? decision.label : "", suspicion])]);
}

// Takes decisions over from a downloaded file, by path and unit. Returns a sentence about what happened.
function takeOver(text) {
  const [head, ...lines] = parseCsv(text);
  const places = Object.fromEntries(HEADER.map((name) => [name, (head || []).indexOf(name)]));
  const missing = ["path", "unit", "given", "decision", "label"].filter((name) => places[name] < 0);
  if (missing.length) return `No decisions were loaded: the file has no column ${missing.join(", ")}.`;
  const rows = new Map(ROWS.map(({ key, unit }, row) => [JSON.stringify([key, unit]), row]));
  const [changes, strangers, others, unreadable] = [new Map(), [], [], []];
  for (const line of lines) {
    const [path, unit, given, kind, label] = ["path", "unit", "given", "decision", "label"].map((name) => line[places[name]] || "");
    const name = `${path} ${unit}`.trim();
    const row = rows.get(JSON.stringify([path, unit]));
    if (row === undefined) strangers.push(name);
    else if (given !== ROWS[row].given) others.push(name);
    else if (kind === "") continue;
    else if (kind === "unsure") changes.set(row, UNSURE);
    else if (["keep", "fix"].includes(kind) && choices(row).includes(label)) changes.set(row, labelled(row, label));
    else unreadable.push(name);
  }
  if (changes.size) change([...changes]);
  return [`Loaded ${counted(changes.size, "decision")}.`,
    listed(strangers, "not on this sheet"),
    listed(others, "not matching, with another given label here"),
    listed(unreadable, "without a decision or a label that this sheet knows")].filter(Boolean).join(" ");
}

function listed(names, what) {
  if (!names.length) return "";
  const shown = names.slice(0, MAX_NAMED).join(", ");
  return `${counted(names.length, "row")} ${what}: ${shown}${names.length > MAX_NAMED ? ", …" : ""}.`;
}
