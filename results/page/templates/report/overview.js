// The overview: real faces first, a table for each kind of label, accuracy against memorised wrong labels; then generated faces.

const KINDS = [
  { metric: "accuracy", title: "Expressions", words: "accuracy", one: "expression" },
  { metric: "F1", title: "Action units", words: "mean F1", one: "action unit" },
];
const ROWS_SHOWN = 10;
const AGREEMENTS_SHOWN = 6;

function drawOverview(panel) {
  const columns = inOrder(DATA.protocols).flatMap((protocol) => protocol.blocks.map((block) => ({ protocol, block, place: protocol.blocks.indexOf(block) })));
  const parts = (source) => KINDS.map((kind) => ({ kind, columns: columns.filter(({ block }) => block.metric === kind.metric && block.source === source) })).filter((part) => part.columns.length);
  const others = columns.filter(({ block }) => !KINDS.some((kind) => kind.metric === block.metric));
  const [lead, ...facts] = DATA.about;
  const [real, generated] = [parts("real"), parts("generated")];
  const tables = [];
  const draw = (part) => kindSection(part, panel, tables);
  redraw = () => { panel.replaceChildren(); drawOverview(panel); };
  panel.append(
    el("h2", {}, "Overview"),
    lead ? el("p", { class: "statement" }, lead) : "",
    ...DATA.remarks.map((remark) => el("p", { class: "remark" }, remark)),
    agreementLead(),
    overviewTools(columns, tables),
    real.length ? el("section", { "aria-labelledby": "real" }, el("h3", { id: "real" }, "Real faces"), real.map(draw), agreementSection(panel)) : "",
    generated.length ? el("section", { "aria-labelledby": "generated", class: "generated" }, el("h3", { id: "generated" }, "Generated faces"),
      el("p", { class: "about" }, "Drawn faces that need no data set. They show that the methods run; a ranking on them says nothing about real faces."), generated.map(draw)) : "",
    others.length ? el("section", {}, el("h3", {}, "Not finished"), draw({ kind: { title: "", words: "score" }, columns: others })) : "",
    overviewNotes(columns, facts), addYours(), protocolTiles(columns));
}

// Whether studies of synthetic noise say anything about people's errors: in a line above the tables, as a chart below them.
const AGREEMENT = "Does synthetic noise rank methods as people's errors do?";

function agreementLead() {
  if (!DATA.agreement.length) return "";
  const first = DATA.agreement.find((each) => each.sure) || DATA.agreement[0];
  const go = () => document.getElementById("agreement").scrollIntoView({ behavior: "smooth" });
  return el("p", { class: "statement" }, el("button", { type: "button", class: "link", onclick: go }, AGREEMENT), ` ${first.synthetic} and ${first.real}: ${agreementWords(first).join(": ")}.`);
}

function agreementWords(each) {
  const interval = each.low === null ? "" : ` [${number(each.low, 2)}, ${number(each.high, 2)}]`;
  return [`τ ${number(each.tau, 2)}${interval}, ${plural(each.methods, "method")}`, each.answer.replace(/ \d+ methods$/, " so few methods")];
}

function agreementSection(panel) {
  if (!DATA.agreement.length) return "";
  const [most, left] = [DATA.agreement.slice(0, AGREEMENTS_SHOWN), DATA.agreement.length - AGREEMENTS_SHOWN];
  const rows = most.map((each) => ({ ...each, names: [each.synthetic, `and ${each.real}`], words: agreementWords(each) }));
  const chart = forest({ rows, width: (panel.clientWidth || 800) - 34, xLabel: "Kendall's τ of the methods' mean scores",
    title: "Rank correlation of methods under synthetic noise and under people's errors, with 95% intervals over methods. 1: the same order; 0: unrelated. Hollow: the interval contains 0, or too few methods or seeds to tell." });
  return el("section", { "aria-labelledby": "agreement" }, el("h4", { id: "agreement" }, AGREEMENT), chart,
    left > 0 ? el("p", {}, `${plural(left, "further comparison")}: in Ranks of each protocol.`) : "");
}

function overviewTools(columns, tables) {
  const all = { filter: (text) => total(tables.map((table) => table.filter(text))), csv: () => tables.map((table) => table.csv()).join("\n") };
  const labels = [...new Set(columns.flatMap(({ block }) => (block.rows.length > 1 ? block.rows.map((row) => row.label) : [])))].sort();
  const items = [{ value: "", words: "none: show the scores" }, ...labels.map((label) => ({ value: label, words: label }))];
  return toolbar([filterField(all), labels.length ? selection("Rival", items, state.rival || "", (value) => pickRival(value || null), "rival") : null, csvButton(all, "overview")].filter(Boolean));
}

// The table of one kind of label, beside it the chart of the protocol with the most audited methods.
function kindSection({ kind, columns }, panel, tables) {
  const methods = [...new Set(columns.flatMap(({ block }) => block.rows.map((row) => row.label)))].sort();
  const rows = methods.map((method) => ({ name: method, marks: marksOver(columns, method), ...placeOf(marksOver(columns, method)), cells: [
    { text: method, marks: marksOver(columns, method), link: methodLink(columns.flatMap(({ block }) => block.rows).find((row) => row.label === method).method) },
    ...columns.map((column) => overviewCell(column, method))] }));
  const ranked = columns.some(({ block }) => rankable(block, hardest(block)));
  const what = state.rival ? `Difference in ${kind.words} from ${state.rival}, in points` : `${kind.words[0].toUpperCase()}${kind.words.slice(1)} in %`;
  const faces = [...new Set(columns.map(({ block }) => block.source))].join(" and ");
  const table = dataTable({
    caption: `${what} on ${faces} faces, last epoch, highest noise level of each protocol`, rows, sort: fullest(columns), ranked, class: "heat overview", limit: ROWS_SHOWN,
    columns: [{ label: "Method" }, ...columns.map((column) => overviewColumn(column))],
  });
  tables.push(table);
  if (state.filter) table.filter(state.filter);
  const charts = columns.filter(({ block }) => block.source === "real").map((column) => ({ column, points: memoryPoints(column.block) })).filter(({ points }) => points.length > 2);
  return el("div", { class: charts.length && !state.rival ? "kind charted" : "kind" }, kind.title ? el("h4", {}, kind.title) : "", el("div", { class: "beside" }, table.node, charts.length ? memoryCharts(charts, panel) : ""));
}

// One chart at a time, that of the protocol with the most audited methods first.
function memoryCharts(charts, panel) {
  const most = charts.reduce((best, each) => (each.points.length > best.points.length ? each : best));
  const holder = el("div", {}, memoryChart(most, panel));
  const items = charts.map(({ column }, at) => ({ value: String(at), words: chartWords(column) }));
  const choose = (value) => { holder.replaceChildren(memoryChart(charts[Number(value)], panel)); announce(`chart of ${items[Number(value)].words}`); };
  return el("div", { class: "charts" }, charts.length > 1 ? selection("Chart", items, String(charts.indexOf(most)), choose) : "", holder);
}

function chartWords({ protocol, block }) {
  return `${protocol.blocks.length > 1 ? `${protocol.name}, ${block.words}` : protocol.name}${levelSuffix(block, hardest(block))}`;
}

// Accuracy against the share of wrong training labels that the network has learnt, at the highest noise level.
function memoryPoints(block) {
  const level = block.levels[hardest(block)];
  const last = new Map(level.curves.map((curve) => [curve.label, curve.memorised.at(-1)]));
  return block.rows.map((row) => ({ row, x: last.get(row.label), cell: row.cells[hardest(block)].rules.last }))
    .filter(({ x, cell }) => typeof x === "number" && cell.value !== undefined && !cell.status)
    .map(({ row, x, cell }) => ({ label: marked(row.label, { ...marksOf(row), shipped: false }), x, y: cell.value, words: `${number(cell.value, block.decimals)} % ${block.metric}, ${number(x, 0)} % memorised` }));
}

function memoryChart({ column, points }, panel) {
  const { block } = column;
  for (const point of points) point.front = !points.some((each) => each.y > point.y && each.x <= point.x);
  const wide = panel.clientWidth || 800;
  const title = `${chartWords(column)}: ${block.metric} against memorised wrong labels`;
  const spoken = `Methods by ${block.metric}: ${[...points].sort((a, b) => b.y - a.y).map((point) => `${point.label} ${point.words}`).join("; ")}.`;
  const chart = scatter({ title, spoken, points, linear: true, width: wide > 1000 && !state.rival ? wide * 0.56 - 60 : wide - 34, xLabel: "wrong training labels memorised (%)", yLabel: `${block.metric} (%)`, xWords: (value) => number(value, 0), empty: "" });
  chart.querySelector("figcaption").append(" (%). Memorised: the network predicts the wrong label it was given. Filled: no method with as little memorised scores higher.");
  return chart;
}

function marksOver(columns, method) {
  // a method may be still rising in some columns only, so that its cells have that mark
  return { oracle: [...new Set(columns.flatMap(({ block }) => marksIn(block, method).oracle))], apart: columns.some(({ block }) => marksIn(block, method).apart), rising: false, shipped: columns.some(({ block }) => marksIn(block, method).shipped) };
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
  const apart = protocol.blocks.length > 1 ? block.words.split(", ").filter((part) => !shared(part)) : [];
  const level = block.levels[place].level === null ? [] : [block.levels[place].words];
  return { label: protocol.name, sub: [...level, ...apart, ...(rankable(block, place) ? [] : ["one seed"])].join(", ") || undefined, number: true, ranks: rankable(block, place), title: `${block.metric}, ${block.words}` };
}

function overviewCell({ protocol, block }, method) {
  const at = block.rows.findIndex((each) => each.label === method);
  if (at < 0) return { text: "" };
  const [row, place] = [block.rows[at], hardest(block)];
  if (state.rival) return row.label === state.rival ? { text: "rival" } : rivalCell(block, place, at, state.rival);
  const cell = row.cells[place].rules.last;
  const able = block.rows.map((each) => each.cells[place].rules.last.value).filter((value) => value !== undefined);
  const [low, high] = [Math.min(...able), Math.max(...able)];
  const tint = cell.value === undefined ? null : (cell.value - low) / (high - low || 1);
  return { ...cell, mark: row.rising ? risingSign() : null, tint, best: isBest(block, row, cell, place, "last"), open: () => openProvenance(protocol, block, row, place, "last"), hint: `${method} on ${protocol.key}` };
}

function overviewNotes(columns, facts) {
  const rows = columns.flatMap(({ block }) => block.rows);
  const told = [...new Map(rows.filter((row) => row.oracle.length).map((row) => [row.label, row])).values()];
  const able = columns.some(({ block }) => rankable(block, hardest(block)));
  return notes(["Each column has its own data, noise, recipe and metric: compare methods within a column, not across columns.",
    state.rival ? `Differences from ${state.rival} over the (seed, draw) pairs that both have; p Holm-corrected over all rows and levels of the protocol.`
      : `${able ? "Sort by a column to rank the methods in it." : "One seed: no ranking."} Colour: the darker, the higher, on a scale from the lowest to the highest mean of the column.`,
    told.length ? `${DAGGER} uses oracle knowledge: ${told.map((row) => `${row.label} (${row.oracle.join(", ")})`).join("; ")}.` : null,
    rows.some((row) => row.apart) ? `${SEVERAL} ${SEVERAL_WORDS}: ${[...new Set(rows.filter((row) => row.apart).map((row) => row.label))].join(", ")}.` : null,
    rows.some((row) => row.rising) ? `${RISING} still rising: the last epoch is more than one point above the mean of the last five.` : null,
    rows.some((row) => row.shipped) ? `${SHIPPED} from the results that ship with fernoise-bench, in a column at least.` : null, ...facts].filter(Boolean));
}

// The commands that put a method of the reader's own beside these.
function addYours() {
  const real = DATA.protocols.find((protocol) => protocol.blocks.some((block) => block.source === "real"));
  const protocol = (real || DATA.protocols[0]);
  const block = protocol.blocks.find((each) => each.source === "real") || protocol.blocks[0];
  const first = block.rows.find((row) => row.shipped) || block.rows[0];
  const rival = block.rows.some((row) => row.label === block.baseline) ? block.baseline : first.label;
  const level = block.levels[hardest(block)].level;
  const seeds = Math.max(...block.levels.map((each) => each.pairs));
  const made = [`--protocol ${protocol.name}`, level === null ? "" : `--noise ${level}`, "--method mine.py:Mine", `--seeds ${seeds}`, `--profile ${block.profile}`, block.source === "real" ? "" : "--synthetic"].filter(Boolean).join(" ");
  const ships = DATA.protocols.some((each) => each.blocks.some((one) => one.rows.some((row) => row.shipped)));
  const shipped = ships ? " --with-reference" : "";
  return el("section", { class: "box", "aria-labelledby": "yours" }, el("h3", { id: "yours" }, "Add your method"),
    el("p", {}, "Write a class in mine.py, train it under the same settings, and make this page again: docs/writing-a-method.md and docs/beside-ours.md have the details."),
    commandBox(`fernoise-bench run ${made}`),
    /\s/.test(rival) ? null : commandBox(`fernoise-bench table ${protocol.name}${shipped} --against ${rival} --method mine.Mine`),
    commandBox(`fernoise-bench report --out site${shipped} --label mine.Mine=Ours`));
}

function protocolTiles(columns) {
  return el("section", { "aria-labelledby": "protocols" }, el("h3", { id: "protocols" }, "Protocols"), el("ul", { class: "cards" }, columns.map((column) => el("li", {}, protocolCard(column)))));
}

function protocolCard({ protocol, block, place }) {
  const best = block.rows.map((row) => ({ row, cell: row.cells[hardest(block)].rules.last })).filter(({ cell }) => cell.value !== undefined && !cell.status).sort((a, b) => b.cell.value - a.cell.value)[0];
  const id = PAGES.find((page) => page.key === protocol.key).id;
  const go = () => { state.blocks[protocol.key] = place; state.view = "results"; TABS.choose(id); openPage(id, { focus: true }); };
  return el("button", { type: "button", class: "tile", onclick: go },
    el("strong", {}, protocol.key), el("span", {}, protocol.title), el("small", {}, block.words),
    el("span", { class: "first" }, !best ? "no finished trials" : rankable(block, hardest(block)) ? [named(best.row.label, marksOf(best.row)), ` ${best.cell.text}`] : ONE_SEED));
}
