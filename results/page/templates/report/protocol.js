// A protocol's page: its settings, its views, the controls above them.

function drawProtocol(panel, protocol) {
  const place = Math.min(state.blocks[protocol.key] || 0, protocol.blocks.length - 1);
  const block = protocol.blocks[place];
  const views = VIEWS.filter((view) => !view.needs || view.needs(block));
  if (!views.some((view) => view.id === state.view)) state.view = "results";
  const content = el("div", { id: "view", role: "tabpanel" });
  const bar = el("div", {});
  redraw = (keep) => drawView({ protocol, block, content, bar, keep });
  const choose = (id) => { state.view = id; redraw(); keepAddress(); };
  const names = views.map((view) => ({ id: view.id, content: view.id === "labels" ? (block.metric === "F1" ? "By action unit" : "By class") : view.words }));
  panel.append(
    el("h2", {}, protocol.key), protocol.title ? el("p", { class: "about" }, protocol.title) : null,
    el("p", { class: "chips" }, chip(`${block.profile} profile`, block.profile === "paper" ? "" : "caution"), chip(`${block.source} faces`, block.source === "real" ? "" : "caution"),
      block.partial ? chip("partial copy of the data", "caution") : null, block.recipe === "protocol" ? null : chip(`${block.recipe} recipe`, "caution"),
      chip(plural(block.rows.length, "method")), chip(plural(Math.max(...block.levels.map((level) => level.pairs)), "(seed, draw) pair")), lone(block) ? chip(ONE_SEED, "caution") : null),
    protocol.blocks.length > 1 ? selection("Setting (each has its own tables)", protocol.blocks.map((each, at) => ({ value: String(at), words: each.words })), String(place),
      (value) => { state.blocks[protocol.key] = Number(value); openPage(state.page); }) : "",
    tabList({ label: `Views of ${protocol.key}`, prefix: "view", class: "views", controls: "view", items: names, chosen: state.view, onchoose: choose }).node,
    bar, content);
  redraw();
}

function drawView({ protocol, block, content, bar, keep }) {
  const view = VIEWS.find((each) => each.id === state.view);
  const key = `${protocol.key} ${block.words}`;
  if (!state.chosen.has(key)) state.chosen.set(key, strongest(block));
  const chosen = state.chosen.get(key);
  const context = {
    protocol, block, state: { ...state, printed: state.printed ?? showsPrinted(block) }, chosen, ruleWords: DATA.rules.find((rule) => rule.name === state.rule).words,
    width: content.clientWidth || 800, place: () => Math.min(state.levels[key] ?? hardest(block), hardest(block)),
    setting: () => Math.min(state.settings[key] ?? Infinity, block.diagrams.length - 1), // all levels together come last
    auditLevel: () => (state.audit[key] === undefined ? block.levels[hardest(block)].level : state.audit[key]),
    pick: (label) => { state.chosen.set(key, chosen.includes(label) ? chosen.filter((each) => each !== label) : [...chosen, label]); redraw(true); },
  };
  const drawn = view.draw(context);
  const focused = keep && document.activeElement?.textContent;
  content.setAttribute("aria-labelledby", `view-${view.id}`);
  content.replaceChildren(...[drawn.node].flat(Infinity).filter(Boolean));
  if (focused) [...content.querySelectorAll("button.pick")].find((each) => each.textContent === focused)?.focus();
  if (!keep) bar.replaceChildren(controls(view, context, key));
  bindTable(bar, drawn.table, `${protocol.key}-${view.id}`);
}

// By default the papers' numbers are shown where they can be compared with the measured ones, or take little room.
function showsPrinted(block) {
  return block.profile === "paper" || block.levels.length < 3;
}

let current = null;

function bindTable(bar, table, name) {
  current = table ? { table, name } : null;
  if (table && state.filter) table.filter(state.filter);
}

const RULE_BRIEF = { last: "last epoch", last_five: "last five", validation: "validation", oracle: "oracle" };

function controls(view, context, key) {
  const { block } = context;
  const parts = [];
  if (view.rule) parts.push(choice("Selection rule", "rule", DATA.rules.map((rule) => ({ value: rule.name, words: rule.words.replace(" epochs", "").replace("epoch best on ", "best on "), brief: RULE_BRIEF[rule.name] })), state.rule,
    (value) => { state.rule = value; redraw(true); keepAddress(); announce(`ranked by ${RULE_BRIEF[value]}`); }));
  if (view.rival && block.rows.length > 1) parts.push(rivalSelection(block));
  if (["labels", "training", "compute"].includes(view.id) && block.levels.length > 1) {
    parts.push(selection("Noise", block.levels.map((level, at) => ({ value: String(at), words: level.words })), String(context.place()), (value) => { state.levels[key] = Number(value); redraw(true); }));
  }
  if (view.id === "ranks" && block.diagrams.length > 1) {
    parts.push(selection("Setting", block.diagrams.map((each, at) => ({ value: String(at), words: each.setting })), String(context.setting()), (value) => { state.settings[key] = Number(value); redraw(true); }));
  }
  if (["audit", "calibration", "wrong"].includes(view.id) && block.levels.length > 1) {
    const items = [...block.levels.map((level) => ({ value: String(level.level), words: level.words })), { value: "null", words: "all levels" }];
    parts.push(selection("Noise", items, String(context.auditLevel()), (value) => { state.audit[key] = JSON.parse(value); redraw(true); }));
  }
  if ((view.id === "results" && hasPrinted(block)) || (view.id === "labels" && hasPrintedLabels(block))) parts.push(toggle("Papers' numbers", context.state.printed, (on) => { state.printed = on; redraw(true); }));
  if (view.id === "labels" && block.rows.length > 1) parts.push(toggle(`Difference from ${rivalOf(block) || "another"}`, state.heat === "difference", (on) => { state.heat = on ? "difference" : "value"; redraw(true); }));
  if (view.id !== "card") {
    parts.push(filterField({ filter: (text) => current && current.table.filter(text) }));
    parts.push(csvButton({ csv: () => current.table.csv() }, `${context.protocol.key}-${view.id}`));
  }
  return toolbar(parts);
}

function toolbar(parts) {
  return parts.length ? el("div", { class: "toolbar" }, parts) : "";
}

function filterField(table, label = "Filter methods", example = "filter by name") {
  const input = el("input", { type: "search", value: state.filter, placeholder: example, autocomplete: "off", oninput: () => { state.filter = input.value; announceRows(table.filter(input.value)); } });
  if (state.filter) table.filter(state.filter);
  return el("label", { class: "field" }, el("span", {}, label), input);
}

function announceRows(count) {
  if (count) announce(`${count.shown} of ${plural(count.all, "row")}`);
}

function csvButton(table, name) {
  return el("button", { type: "button", class: "csv", "aria-label": "Download CSV", onclick: () => download(`${name}.csv`, table.csv()) }, either("Download CSV", "CSV"));
}
