// Navigation: the overview, a tab for each protocol, the claims, how to read the page. The address holds page, view and selection rule.

const DATA = JSON.parse(document.getElementById("data").textContent);
const TITLE = document.title;
const PAGES = [
  { id: "overview", content: "Overview", draw: drawOverview },
  ...DATA.protocols.map((protocol, at) => ({ id: `p${at}`, key: protocol.key, content: tabContent(protocol), draw: (panel) => drawProtocol(panel, protocol) })),
  ...(DATA.claims.length ? [{ id: "claims", content: "Claims", draw: drawClaims }] : []),
  { id: "reading", content: "How to read this", draw: drawReading },
];
const state = { page: "overview", view: "results", rule: "last", printed: null, heat: "value", filter: "", blocks: {}, levels: {}, settings: {}, audit: {}, chosen: new Map() };
let redraw = () => {};

function tabContent(protocol) {
  const kinds = [...new Set(protocol.blocks.map((block) => `${block.profile}, ${block.source}`))];
  return [el("span", {}, protocol.key), el("small", {}, kinds.join(" · "))];
}

function openPage(id, focus) {
  if (id !== state.page) state.filter = "";
  state.page = id;
  const page = PAGES.find((each) => each.id === id);
  const panel = document.getElementById("page");
  panel.setAttribute("role", "tabpanel");
  panel.setAttribute("aria-labelledby", `tab-${id}`);
  redraw = () => {};
  panel.replaceChildren();
  page.draw(panel);
  document.title = page.key ? `${page.key} · ${TITLE}` : TITLE;
  keepAddress();
  if (focus) document.getElementById("main").focus();
}

function keepAddress() {
  const page = PAGES.find((each) => each.id === state.page);
  const words = new URLSearchParams({ page: page.key || page.id });
  if (page.key) words.set("view", state.view);
  if (page.key && state.rule !== "last") words.set("rule", state.rule);
  history.replaceState(null, "", `#${words}`);
}

function readAddress() {
  const words = new URLSearchParams(location.hash.slice(1));
  const page = PAGES.find((each) => words.get("page") === (each.key || each.id));
  if (page) state.page = page.id;
  if (VIEWS.some((view) => view.id === words.get("view"))) state.view = words.get("view");
  if (DATA.rules.some((rule) => rule.name === words.get("rule"))) state.rule = words.get("rule");
}

// --- the overview: a column for each block; columns are not comparable with each other

function drawOverview(panel) {
  const columns = DATA.protocols.flatMap((protocol, at) => protocol.blocks.map((block, place) => ({ protocol, block, at, place })));
  const methods = [...new Set(columns.flatMap(({ block }) => block.rows.map((row) => row.label)))].sort();
  // a method may be still rising in some columns only, so that its cells have that mark
  const marksBy = (method) => ({ oracle: [...new Set(columns.flatMap(({ block }) => marksIn(block, method).oracle))], rising: false, shipped: columns.some(({ block }) => marksIn(block, method).shipped) });
  const rows = methods.map((method) => ({ name: method, marks: marksBy(method), cells: [{ text: method, marks: marksBy(method) }, ...columns.map((column) => overviewCell(column, method))] }));
  const able = columns.some(({ block }) => rankable(block, hardest(block)));
  const table = dataTable({
    caption: "Last epoch, in %, at each protocol's highest noise level", rows, sort: fullest(columns), ranked: able, class: "heat overview",
    columns: [{ label: "Method" }, ...columns.map((column) => overviewColumn(column))],
  });
  const links = el("ul", { class: "cards" }, columns.map((column) => el("li", {}, protocolCard(column))));
  panel.append(
    el("h2", {}, "Overview"),
    ...DATA.about.map((sentence) => el("p", { class: "statement" }, sentence)),
    ...DATA.remarks.map((remark) => el("p", { class: "remark" }, remark)),
    links, toolbar([filterField(table), csvButton(table, "overview")]), table.node,
    notes(["Each column has its own data, noise, recipe and metric: compare methods within a column, not across columns.",
      `${able ? "Sort by a column to rank the methods in it." : "One seed: no ranking."} Colour: the darker, the higher, on a scale from the lowest to the highest mean of the column.`,
      rows.some((row) => row.marks.oracle.length) ? `${DAGGER} uses oracle knowledge: ${rows.filter((row) => row.marks.oracle.length).map((row) => `${row.name} (${row.marks.oracle.join(", ")})`).join("; ")}.` : null,
      columns.some(({ block }) => block.rows.some((row) => row.rising)) ? `${RISING} still rising: the last epoch is more than one point above the mean of the last five.` : null,
      rows.some((row) => row.marks.shipped) ? `${SHIPPED} from the results that ship with fernoise-bench, in a column at least.` : null].filter(Boolean)));
}

// The position of the column with the most methods among those with a ranking; the column of names is position 0.
function fullest(columns) {
  const counts = columns.map(({ block }) => (rankable(block, hardest(block)) ? block.rows.length : 0));
  return Math.max(...counts) ? 1 + counts.indexOf(Math.max(...counts)) : null;
}

// The protocol, and below it what distinguishes this column from the protocol's other columns.
function overviewColumn({ protocol, block }) {
  const place = hardest(block);
  const shared = (part) => protocol.blocks.every((each) => each.words.split(", ").includes(part));
  const apart = protocol.blocks.length > 1 ? block.words.split(", ").filter((part) => !shared(part)) : block.source === "generated" ? ["generated faces"] : [];
  const level = block.levels[place].level === null ? [] : [block.levels[place].words];
  return { label: protocol.name, sub: [...level, ...apart, ...(rankable(block, place) ? [] : ["one seed"])].join(", ") || undefined, number: true, ranks: rankable(block, place), title: `${block.metric}, ${block.words}` };
}

function overviewCell({ protocol, block }, method) {
  const row = block.rows.find((each) => each.label === method);
  if (!row) return { text: "" };
  const place = hardest(block);
  const cell = row.cells[place].rules.last;
  const able = block.rows.map((each) => each.cells[place].rules.last.value).filter((value) => value !== undefined);
  const [low, high] = [Math.min(...able), Math.max(...able)];
  const tint = cell.value === undefined ? null : (cell.value - low) / (high - low || 1);
  return { ...cell, mark: row.rising ? risingSign() : null, tint, best: isBest(block, cell, place, "last"), open: () => openProvenance(protocol, block, row, place, "last"), hint: `${method} on ${protocol.key}` };
}

function protocolCard({ protocol, block, at, place }) {
  const best = block.rows.map((row) => ({ row, cell: row.cells[hardest(block)].rules.last })).filter(({ cell }) => cell.value !== undefined && !cell.status).sort((a, b) => b.cell.value - a.cell.value)[0];
  const go = () => { state.blocks[protocol.key] = place; TABS.choose(`p${at}`); openPage(`p${at}`, true); };
  return el("button", { type: "button", class: "tile", onclick: go },
    el("strong", {}, protocol.key), el("span", {}, protocol.title), el("small", {}, block.words),
    el("span", { class: "first" }, !best ? "no finished trials" : rankable(block, hardest(block)) ? [named(best.row.label, marksOf(best.row)), ` ${best.cell.text}`] : ONE_SEED));
}

// --- a protocol

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
      (value) => { state.blocks[protocol.key] = Number(value); openPage(state.page, false); }) : "",
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
  if (["labels", "training", "compute"].includes(view.id) && block.levels.length > 1) {
    parts.push(selection("Noise", block.levels.map((level, at) => ({ value: String(at), words: level.words })), String(context.place()), (value) => { state.levels[key] = Number(value); redraw(true); }));
  }
  if (view.id === "ranks" && block.diagrams.length > 1) {
    parts.push(selection("Setting", block.diagrams.map((each, at) => ({ value: String(at), words: each.setting })), String(context.setting()), (value) => { state.settings[key] = Number(value); redraw(true); }));
  }
  if (view.id === "audit" && block.levels.length > 1) {
    const items = [...block.levels.map((level) => ({ value: String(level.level), words: level.words })), { value: "null", words: "all levels" }];
    parts.push(selection("Noise", items, String(context.auditLevel()), (value) => { state.audit[key] = JSON.parse(value); redraw(true); }));
  }
  if ((view.id === "results" && hasPrinted(block)) || (view.id === "labels" && hasPrintedLabels(block))) parts.push(toggle("Papers' numbers", context.state.printed, (on) => { state.printed = on; redraw(true); }));
  if (view.id === "labels") parts.push(toggle("Difference from supervised", state.heat === "difference", (on) => { state.heat = on ? "difference" : "value"; redraw(true); }));
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
