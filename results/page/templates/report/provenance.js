// Where a number comes from: its trials, their identity and environment, the command that reproduces it.

function openProvenance(protocol, block, row, place, rule) {
  const level = block.levels[place];
  const cell = row.cells[place];
  const words = DATA.rules.find((each) => each.name === rule).words;
  const title = [marked(row.label, marksOf(row)), level.level === null ? null : level.words, words].filter(Boolean).join(" · ");
  showDialog(title, [
    el("p", { class: "lead" }, el("strong", {}, cell.rules[rule].text), ` ${block.metric} in %, ${words}`),
    facts([
      ["Protocol", `${protocol.key}, fingerprint ${block.identity.protocol.fingerprint}`],
      ["Setting", block.words],
      ["Method", methodWords(row)],
      ["Oracle knowledge", row.oracle.join(", ") || "none"],
      ...(row.rising ? [["Still rising", "yes: more epochs might change its place"]] : []),
      ["Hyper-parameters stated by neither paper nor code", row.unstated.join(", ") || "none"],
    ]),
    printedSection(cell.printed, cell.rules[rule], block),
    el("h3", {}, "Command that reproduces it"), commandBox(cell.command),
    el("h3", {}, `Trials (${cell.trials.length})`), trialTable(cell.trials, block),
    cell.trials.length ? identitySection(block, row, level, cell.trials) : null,
  ]);
}

function methodWords(row) {
  return row.identity.digest ? `${row.method}, source digest ${row.identity.digest}` : `${row.method}, not run`;
}

function showDialog(title, content) {
  const dialog = document.getElementById("provenance");
  const close = el("button", { type: "button", class: "quiet", onclick: () => dialog.close() }, "Close");
  dialog.replaceChildren(
    el("div", { class: "dialog-head" }, el("h2", { id: "provenance-title" }, title), close),
    el("div", { class: "dialog-body" }, content));
  dialog.onclick = (event) => { if (event.target === dialog) dialog.close(); };
  dialog.showModal();
  dialog.scrollTop = 0;
}

function facts(pairs) {
  return el("dl", { class: "facts" }, pairs.map(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]));
}

function commandBox(command) {
  const code = el("code", {}, command);
  const button = el("button", { type: "button", onclick: () => copyText(command, code, button) }, "Copy");
  return el("div", { class: "command" }, el("pre", { tabindex: "0" }, code), button);
}

async function copyText(text, node, button) {
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
  } catch {
    getSelection().selectAllChildren(node); // the clipboard is not available: the selected text can be copied by hand
    button.textContent = "Selected";
  }
  announce(button.textContent);
}

function trialTable(trials, block) {
  if (!trials.length) return el("p", { class: "empty" }, "Not run.");
  const folds = trials.some((trial) => trial.fold !== null);
  const heading = ["Seed", "Draw", folds ? "Test fold" : null, "State", ...DATA.rules.map((rule) => rule.words), "Realised noise rate", "Seconds", "Trial"];
  const inOrder = [...trials].sort((a, b) => a.seed - b.seed || a.draw - b.draw || String(a.fold).localeCompare(String(b.fold)));
  const rows = inOrder.map((trial) => el("tr", {},
    el("th", { scope: "row" }, `seed ${trial.seed}`),
    [trial.draw, folds ? trial.fold : null, trial.reason ? `${trial.state}: ${trial.reason}` : trial.state,
      ...DATA.rules.map((_, at) => number(trial.scores[at], block.decimals)),
      trial.realised === null ? "–" : trial.realised, number(trial.seconds, 0), el("code", { title: trial.folder }, trial.folder.split("/").pop())]
      .filter((value, at) => at !== 1 || folds).map((value) => el("td", {}, value))));
  return scrolling("Trials", el("table", { class: "plain" }, el("thead", {}, el("tr", {}, heading.filter(Boolean).map((text) => el("th", { scope: "col" }, text)))), el("tbody", {}, rows)));
}

function identitySection(block, row, level, trials) {
  const trial = trials[0];
  const identity = {
    ...block.identity, ...trial.more, method: row.identity, level: level.level, fold: trial.fold, draw: trial.draw, seed: trial.seed,
  };
  const places = [...new Set(trials.map((each) => each.environment))];
  return [
    el("details", {}, el("summary", {}, "Identity of the first trial (hashed to form its name)"), jsonBox(identity)),
    el("details", {}, el("summary", {}, places.length === 1 ? "Environment" : `Environments (${places.length})`),
      places.map((place) => jsonBox(DATA.environments[place]))),
  ];
}

function jsonBox(value) {
  return el("pre", { class: "json", tabindex: "0" }, JSON.stringify(value, null, 1));
}

function printedSection(printed, measured, block) {
  const whole = printed.filter((each) => each.label === null);
  if (!whole.length) return null;
  return [el("h3", {}, "In the papers"), el("ul", { class: "notes" }, whole.map((each) => el("li", {},
    el("strong", {}, each.text), ` ${each.where}`,
    measured.value === undefined || measured.status ? "" : `; measured − reported: ${signed(measured.value - each.value, block.decimals)}`,
    each.remarks.length ? `. ${each.remarks.join(". ")}.` : ""))),
  el("p", { class: "count" }, caution(block))];
}

// How a difference from the papers' numbers is to be read at this setting.
function caution(block) {
  const whole = block.profile === "paper" && block.source === "real" && !block.partial;
  return whole ? "" : `Measured at the ${block.profile} profile on ${block.source} faces${block.partial ? ", a partial copy of the data" : ""}: a difference from a reported number does not test that number.`;
}

function openPrinted(title, printed) {
  showDialog(title, el("ul", { class: "notes" }, printed.map((each) => el("li", {},
    el("strong", {}, each.text), ` ${each.where}`, each.remarks.length ? `. ${each.remarks.join(". ")}.` : ""))));
}
