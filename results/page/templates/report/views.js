// The views of one block: results, labels, noise levels, training, selection rules, ranks, audit, calibration, wrong labels found, compute, card.

const VIEWS = [
  { id: "results", words: "Results", draw: drawResults, rule: true, rival: true },
  { id: "labels", words: "By label", draw: drawLabels, rule: true, rival: true },
  { id: "levels", words: "Noise levels", draw: drawLevels, rule: true, needs: (block) => block.levels.length > 1 },
  { id: "training", words: "Training", draw: drawTraining },
  { id: "rules", words: "Selection rules", draw: drawRules },
  { id: "ranks", words: "Ranks", draw: drawRanks },
  { id: "audit", words: "Audit", draw: drawAudit },
  { id: "calibration", words: "Calibration", draw: drawCalibration, needs: (block) => block.calibration.length > 0 },
  { id: "wrong", words: "Wrong labels", draw: drawWrongLabels, needs: (block) => block.wrong_labels.length > 0 },
  { id: "compute", words: "Compute", draw: drawCompute },
  { id: "card", words: "Protocol card", draw: drawCard },
];

function hardest(block) {
  return block.levels.length - 1;
}

function scoreCell(block, row, place, rule) {
  return { ...row.cells[place].rules[rule] };
}

function plainNumber(value) {
  return value === null ? { text: "–" } : { text: String(value), value };
}

// --- by label: F1 of each AU, or recall of each class

function drawLabels(context) {
  const { block, state } = context;
  const place = context.place();
  const rival = rivalOf(block);
  const reference = block.rows.find((row) => row.label === rival);
  const base = state.heat === "difference" && reference ? reference.cells[place].rules[state.rule].labels : null;
  const scores = block.rows.map((row) => row.cells[place].rules[state.rule]);
  const shown = scores.map((score) => block.names.map((_, at) => labelValue(score, at, base)));
  const known = shown.flat().filter((value) => value !== null);
  const most = base ? Math.max(...known.map(Math.abs), 1e-9) : Math.max(...known);
  const least = base ? 0 : Math.min(...known);
  const tint = (value) => value === null ? null : base ? value / most : (value - least) / (most - least || 1);
  const what = block.metric === "F1" ? "F1 of each action unit" : "recall of each class";
  const columns = [{ label: "Method" }, { label: block.metric === "F1" ? "mean" : "accuracy", number: true }, ...block.names.map((name) => ({ label: name, number: true }))];
  const rows = block.rows.map((row, at) => ({ name: row.label, marks: marksOf(row), ...placeOf(row), cells: [
    nameCell(row),
    { ...scores[at], text: withoutSpread(scores[at], block), open: () => openProvenance(context.protocol, block, row, place, state.rule), hint: "trials and command" },
    ...shown[at].map((value) => value === null ? { text: "–" } : { text: base ? signed(value, 1) : number(value, 1), value, tint: tint(value) }),
  ] }));
  const printed = state.printed && !base ? printedLabels(block, place) : [];
  rows.push(...printed);
  const table = dataTable({ caption: `${what} in %, ${context.ruleWords}${levelSuffix(block, place)}${base ? ", difference from ${rival} in points" : ""}`, columns, rows, sort: rankable(block, place) ? 1 : null, class: "heat" });
  const note = ["Colour: " + (base ? `blue above ${rival}, orange below.` : "the darker, the higher."), ...printedLegend(printed.flatMap((row) => row.numbers)), "A class without test images shows –; an undefined F1 counts as 0."];
  return { node: [table.node, notes([...note, ...notesOnMarks(block)])], table };
}

// The mean without its spread, with the count of missing trials; that count alone where there is no mean.
function withoutSpread(score, block) {
  if (score.value === undefined) return score.text;
  return number(score.value, block.decimals) + (score.status ? ` (${score.status})` : "");
}

// The notes that name the marked methods.
function notesOnMarks(block) {
  return block.notes.filter((note) => [DAGGER, SEVERAL, RISING, SHIPPED].some((mark) => note.startsWith(mark)));
}

function marksIn(block, label) {
  const row = block.rows.find((each) => each.label === label);
  return row ? marksOf(row) : NO_MARKS;
}

function labelValue(score, at, base) {
  const value = score.labels[at];
  if (value === undefined || value === null) return null;
  if (!base) return value;
  return base[at] === undefined || base[at] === null ? null : value - base[at];
}

function levelSuffix(block, place) {
  return block.levels[place].level === null ? "" : `, ${block.levels[place].words}`;
}

// --- curves

function strongest(block) {
  const place = hardest(block);
  const ranked = rankedRows(block).filter((row) => row.cells[place].rules.last.value !== undefined)
    .sort((a, b) => b.cells[place].rules.last.value - a.cells[place].rules.last.value).map((row) => row.label);
  const named = ["supervised", "ensemble"].filter((name) => ranked.includes(name));
  return [...new Set([...ranked.slice(0, 5), ...named])];
}

function methodPicker(context) {
  const { block } = context;
  const chosen = context.chosen;
  const buttons = block.rows.map((row) => {
    const place = chosen.indexOf(row.label);
    const key = place < 0 ? null : svg("svg", { width: 18, height: 8, "aria-hidden": "true" },
      svg("line", { x1: 0, x2: 18, y1: 4, y2: 4, stroke: look(place).colour, "stroke-width": 3, "stroke-dasharray": look(place).dash || null }));
    return el("button", { type: "button", class: "pick", "aria-pressed": String(place >= 0), onclick: () => context.pick(row.label) }, key, named(row.label, marksOf(row)));
  });
  return el("div", { class: "picker", role: "group", "aria-label": "Methods drawn in colour" }, buttons);
}

function drawLevels(context) {
  const { block, state, chosen } = context;
  const series = block.rows.map((row) => ({
    label: marked(row.label, marksOf(row)), strong: chosen.includes(row.label) ? chosen.indexOf(row.label) : null,
    points: block.levels.map((level, at) => [level.level, row.cells[at].rules[state.rule]])
      .filter(([level, cell]) => level !== null && cell.value !== undefined && !cell.status).map(([level, cell]) => [level, cell.value]),
  }));
  const chart = lineChart({
    title: `${block.metric} in % by noise level, ${context.ruleWords}`, series, width: context.width, xLabel: "noise level", yLabel: `${block.metric} (%)`,
    xTicks: block.levels.map((level) => level.level).filter((level) => level !== null), xWords: (value) => value, empty: "No method has finished all pairs of a noise level.",
  });
  const table = resultsTable(context);
  return { node: [methodPicker(context), chart, el("h4", {}, "Data"), table.node], table };
}

function resultsTable(context) {
  return drawResults({ ...context, state: { ...context.state, printed: false } }).table;
}

function drawTraining(context) {
  const { block, chosen } = context;
  const place = context.place();
  const level = block.levels[place];
  const colour = (label) => { const found = chosen.findIndex((name) => label === name || label.startsWith(`${name} (`)); return found < 0 ? null : found; };
  const marksBy = (label) => marksIn(block, label.replace(/ \(\d+\/\d+\)$/, ""));
  const unmemorised = level.unmemorised ? el("p", { class: "empty" }, level.unmemorised) : null;
  const chart = (key, title) => {
    const series = level.curves.map((each) => ({ label: marked(each.label, marksBy(each.label)), strong: colour(each.label),
      points: each[key].map((value, at) => [at + 1, value]).filter((point) => point[1] !== null) }));
    const longest = Math.max(2, ...level.curves.map((each) => each[key].length));
    const width = context.width > 1000 && !unmemorised ? context.width / 2 - 48 : context.width - 34;
    return lineChart({ title, series, width, xLabel: "epoch", yLabel: key === "test" ? `${block.metric} (%)` : "memorised (%)", xTicks: ticks(1, longest, 8).filter((tick) => tick >= 1 && Number.isInteger(tick)), xWords: (value) => value, empty: level.unmemorised });
  };
  const columns = [{ label: "Method" }, { label: "test, first epoch", number: true }, { label: "test, maximum of the mean curve", number: true }, { label: "test, last epoch", number: true }, ...(unmemorised ? [] : [{ label: "memorised, last epoch", number: true }])];
  const values = (each) => [each.test[0], Math.max(...each.test), each.test.at(-1), ...(unmemorised ? [] : [each.memorised.at(-1)])];
  const rows = level.curves.map((each) => ({ name: each.label, marks: marksBy(each.label), cells: [{ text: each.label, marks: marksBy(each.label) },
    ...values(each).map((value) => value === null ? { text: "–" } : { text: number(value, 2), value })] }));
  const table = dataTable({ caption: `Training curves in numbers, %${levelSuffix(block, place)}`, columns, rows, sort: rankable(block, place) ? 3 : null, class: "plainly" });
  const missing = level.without_curve.length ? [`No finished (seed, draw) pair: ${level.without_curve.join(", ")}.`] : [];
  if (!rows.length) return { node: [unmemorised, notes(notesOnMarks(block))], table };
  const test = chart("test", `Test ${block.metric} by epoch${levelSuffix(block, place)}`);
  const charts = unmemorised ? [test, unmemorised] : el("div", { class: "pair" }, test, chart("memorised", `Wrong training labels memorised, by epoch${levelSuffix(block, place)}`));
  return { node: [methodPicker(context), charts, el("h4", {}, "Data"), table.node, notes([...missing, ...notesOnMarks(block)])], table };
}

// --- tables as the command line prints them

function drawRules(context) {
  const { rules } = context.block;
  const end = rules.columns.findIndex((name) => name.startsWith("seconds a trial") || name.startsWith("forwards"));
  const positions = rules.columns.map((_, at) => at).filter((at) => at < end);
  return ownTables(context.block, [rules], { sortBy: rankable(context.block, hardest(context.block)) ? "last" : "", positions });
}

// One setting at a time: a noise level, or all of them.
function drawRanks(context) {
  const { block } = context;
  const diagram = block.diagrams[context.setting()];
  const setting = diagram ? diagram.setting : "";
  const all = !setting || setting === "all levels";
  const keep = (row, table) => (table.columns.includes("mean rank") ? !setting || row[0].text === setting : !table.columns.includes("other setting") || all || row[0].text.endsWith(`, ${setting}`));
  const others = block.diagrams.map((each) => each.setting).filter((each) => each !== setting);
  const tables = block.ranks.map((table) => ({ ...table, notes: table.notes.filter((note) => !others.some((each) => note.toLowerCase().startsWith(`${each}:`))) }));
  const chart = diagram ? rankChart({ title: `Mean ranks${diagram.setting ? `, ${diagram.setting}` : ""}, last epoch: bars join methods that do not differ significantly`, diagram, width: context.width }) : null;
  const drawn = ownTables(block, tables, { keep, without: "setting", about: setting, own: context.protocol.name });
  return { node: [lone(block) ? oneSeed() : null, chart, drawn.node], table: drawn.table };
}

function drawAudit(context) {
  const level = context.auditLevel();
  const keep = (row, table) => level === null || !table.columns.includes("noise") || row[table.columns.indexOf("noise")].value === level;
  const about = level === null || context.block.levels.length < 2 ? "" : `noise ${level}`;
  const levels = context.block.levels.filter((each) => level === null || each.level === level);
  const blank = [...new Set(levels.map((each) => each.unmemorised))].filter(Boolean).join(" ") || "No label audit was recorded for these trials.";
  return ownTables(context.block, context.block.audit, { keep, without: about && "noise", about, blank });
}

// How well probabilities fit the test labels and the annotators' votes.
function drawCalibration(context) {
  return tablesAtLevel(context, context.block.calibration, "No trial recorded how well its probabilities fit.");
}

// How well the scores of training find the wrong labels.
function drawWrongLabels(context) {
  return tablesAtLevel(context, context.block.wrong_labels, "No trial kept the scores of its training labels.");
}

// Tables with a row for each method and noise level, at the level chosen for the audit.
function tablesAtLevel(context, tables, blank) {
  const level = context.auditLevel();
  const keep = (row, table) => level === null || !table.columns.includes("noise") || row[table.columns.indexOf("noise")].value === level;
  const about = level === null || context.block.levels.length < 2 ? "" : `noise ${level}`;
  return ownTables(context.block, tables, { keep, without: about && "noise", about, blank });
}

// Tables one below the other, filtered and downloaded together; repeated notes are shown once.
// about: the setting of the rows that are kept, without: its column, which is left out; own: protocol name to leave out.
// blank: the sentence shown instead of a table without numbers.
function ownTables(block, tables, { sortBy, positions, keep, without, about, own, blank }) {
  const marks = new Map(block.rows.map((row) => [row.label, marksOf(row)]));
  const said = new Set();
  const drawn = tables.map((table) => {
    const shown = without && table.columns.includes("method") ? table.columns.map((_, at) => at).filter((at) => table.columns[at] !== without) : positions;
    const printed = printedTable(table, marks, shown, keep && ((row) => keep(row, table)));
    const sort = printed.columns.findIndex((column) => column.label === sortBy);
    if (about && table.columns.includes(without)) printed.caption += `, ${about}`;
    if (own && !shown) printed.rows = printed.rows.map((row) => ({ ...row, cells: row.cells.map((cell) => withoutOwn(cell, own)) }));
    if (blank && isBlank(printed)) return { node: el("p", { class: "empty" }, el("strong", {}, printed.caption), el("br"), blank), notes: [] };
    printed.rows = printed.rows.map((row) => ({ ...row, cells: statusOnce(row.cells) }));
    const fresh = table.notes.filter((note) => !said.has(note));
    fresh.forEach((note) => said.add(note));
    return { ...dataTable({ ...printed, sort: sort < 0 ? null : sort, class: "plainly" }), notes: fresh, named: table.columns.includes("method") };
  });
  const all = { filter: (text) => total(drawn.filter((each) => each.named).map((each) => each.filter(text))), csv: () => drawn.filter((each) => each.csv).map((each) => each.csv()).join("\n") };
  return { node: drawn.map((each) => [each.node, notes(each.notes)]), table: all };
}

function total(counts) {
  return { shown: counts.reduce((sum, each) => sum + each.shown, 0), all: counts.reduce((sum, each) => sum + each.all, 0) };
}

function withoutOwn(cell, own) {
  return cell.text.startsWith(`${own}, `) ? { ...cell, text: cell.text.slice(own.length + 2), csv: cell.text } : cell;
}

function drawCompute(context) {
  const { block } = context;
  const place = context.place();
  const at = block.compute.columns.indexOf("forwards per sample");
  // the table has a row for each level and method, in the order of both
  const cost = (row) => block.compute.rows[place * block.rows.length + row][at].value;
  const points = block.rows.map((row, order) => ({ label: marked(row.label, marksOf(row)), x: cost(order), y: row.cells[place].rules.last.value, whole: !row.cells[place].rules.last.status, words: `${row.cells[place].rules.last.text} %, ${number(cost(order), 2)} forward passes` }))
    .filter((point) => point.x > 0 && point.y !== undefined);
  const fronts = rankable(block, place);
  for (const point of points) point.front = fronts && point.whole && !points.some((each) => each.whole && each.y > point.y && each.x <= point.x);
  const chart = scatter({
    title: `${block.metric} in % against compute${levelSuffix(block, place)}${fronts ? "; filled: no method at the same or lower cost scores higher" : ""}`, points, width: context.width,
    xLabel: "forward passes for each training sample and epoch (doubling)", yLabel: `${block.metric} (%)`, xWords: (value) => value, empty: "No finished trial.",
  });
  const drawn = ownTables(block, [block.compute], {});
  return { node: [chart, el("h4", {}, "Data"), drawn.node], table: drawn.table };
}

// --- the card

function drawCard(context) {
  const { block, protocol } = context;
  const table = block.card ? cardTable(`${block.card.title}; every value with its source`, block.card.rows)
    : el("p", { class: "empty" }, `This version of fernoise-bench does not define ${protocol.key}, so its protocol card is not available.`);
  const reasons = [...new Set(Object.values(block.not_applicable))];
  const refused = reasons.map((reason) => [reason, Object.keys(block.not_applicable).filter((name) => block.not_applicable[name] === reason)]);
  return { node: [
    facts([["Protocol", protocol.key], ["Fingerprint", block.identity.protocol.fingerprint], ["Setting", block.words], ["Data", `${block.identity.data?.layout || "–"}, digest ${block.identity.data?.digest || "–"}`]]),
    table,
    refused.length ? [el("h4", {}, "Not applicable here"), el("dl", { class: "facts" }, refused.map(([reason, names]) => [el("dt", {}, reason), el("dd", {}, names.join(", "))]))] : null,
    el("details", {}, el("summary", {}, "Settings that every method shares (the comparability key)"), jsonBox(block.identity)),
  ], table: null };
}
