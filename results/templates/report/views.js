// The views of one block: results, labels, noise levels, training, selection rules, ranks, audit, compute, card.

const VIEWS = [
  { id: "results", words: "Results", draw: drawResults, rule: true },
  { id: "labels", words: "By label", draw: drawLabels, rule: true },
  { id: "levels", words: "Noise levels", draw: drawLevels, rule: true, needs: (block) => block.levels.length > 1 },
  { id: "training", words: "Training", draw: drawTraining },
  { id: "rules", words: "Selection rules", draw: drawRules },
  { id: "ranks", words: "Ranks", draw: drawRanks },
  { id: "audit", words: "Audit", draw: drawAudit },
  { id: "compute", words: "Compute", draw: drawCompute },
  { id: "card", words: "Protocol card", draw: drawCard },
];

function hardest(block) {
  return block.levels.length - 1;
}

function scoreCell(block, row, place, rule) {
  return { ...row.cells[place].rules[rule] };
}

function wholeOf(printed) {
  return printed.filter((each) => each.label === null);
}

function marks(row) {
  return [
    row.oracle.length ? chip("oracle", "oracle") : null,
    row.identity.params === undefined ? chip("not run") : null,
  ];
}

// --- results: methods by noise levels, reported beside measured

function drawResults(context) {
  const { block, state } = context;
  const columns = resultColumns(block, state);
  const rows = block.rows.map((row, place) => resultRow(context, row, place));
  const others = state.printed ? block.printed_only.map((row) => printedRow(context, row, columns)) : [];
  const per = state.printed && hasPrinted(block) ? 2 : 1;
  const table = dataTable({
    caption: `${context.protocol.key}: ${block.metric} in %, ${context.ruleWords}, ${block.words}`,
    columns, rows: [...rows, ...others], sort: 1 + per * hardest(block), ranked: true, class: "results",
  });
  const last = block.levels[hardest(block)];
  const where = last.level === null ? "" : ` at ${last.words}`;
  const sentences = [];
  if (last.comparison.ranking) sentences.push(`Group: methods that share a letter are not told apart (Nemenyi's test, last epoch${where}); ${last.comparison.ranking}. First: how often a method has the highest mean when pairs are resampled.`);
  if (last.comparison.power) sentences.push(`Against supervised: points over the pairs both have, p of a two-sided sign-flip test after Holm's correction (last epoch${where}). ${last.comparison.power}`);
  if (state.printed && hasPrinted(block)) sentences.unshift(`Reported: the papers' numbers; select one for its table and row. ${caution(block)}`);
  if (block.metric === "F1") sentences.push("The tests flip signs over (seed, draw) pairs; for action units a bootstrap over subjects is primary, see the claims.");
  return { node: [table.node, notes([...sentences, ...block.notes])], table };
}

function hasPrinted(block) {
  return block.printed_only.length > 0 || block.rows.some((row) => row.cells.some((cell) => wholeOf(cell.printed).length));
}

function resultColumns(block, state) {
  const printed = state.printed && hasPrinted(block);
  const columns = [{ label: "Method" }];
  for (const level of block.levels) {
    columns.push({ label: level.level === null ? block.metric : level.words, number: true, ranks: true, title: `mean ± standard deviation over ${level.pairs} (seed, draw) pairs` });
    if (printed) columns.push({ label: "reported", number: true, title: `what the papers print${level.level === null ? "" : ` at ${level.words}`}` });
  }
  columns.push({ label: "Mean ± sd", plot: true });
  columns.push({ label: "Group", title: "methods that share a letter are not told apart" }, { label: "First", number: true, title: "how often it has the highest mean when pairs are resampled" });
  columns.push({ label: "vs supervised", number: true, title: "mean difference in points over pairs" });
  columns.push({ label: "Networks", number: true }, { label: "Unstated", number: true, title: "hyper-parameters that neither paper nor code states" });
  return columns;
}

function resultRow(context, row, place) {
  const { block, state } = context;
  const cells = [{ text: row.label, node: marks(row) }];
  block.levels.forEach((level, at) => {
    const score = scoreCell(block, row, at, state.rule);
    cells.push({ ...score, open: () => openProvenance(context.protocol, block, row, at, state.rule), hint: `${row.label}: where this comes from`, best: isBest(block, score, at, state.rule) });
    if (state.printed && hasPrinted(block)) cells.push(printedCell(row.cells[at].printed, `${row.label}, ${level.words}, in the papers`));
  });
  const last = block.levels[hardest(block)];
  cells.push(whiskerCell(block, scoreCell(block, row, hardest(block), state.rule), state.rule));
  const sure = last.comparison.rows[place];
  cells.push({ text: sure.group || "–", class: "group" }, sure.first === null ? { text: "–" } : { text: number(sure.first, 2), value: sure.first }, comparisonCell(sure));
  cells.push(plainNumber(row.networks), plainNumber(row.identity.params === undefined ? null : row.unstated.length));
  return { name: row.label, cells, move: movement(block, place, state.rule) };
}

function isBest(block, score, place, rule) {
  if (score.value === undefined || score.status) return false;
  const able = block.rows.map((row) => row.cells[place].rules[rule]).filter((each) => each.value !== undefined && !each.status);
  return able.length > 1 && able.every((each) => each.value <= score.value);
}

function printedCell(printed, title) {
  const whole = wholeOf(printed);
  if (!whole.length) return { text: "" };
  const extra = whole.length > 1 ? `+${whole.length - 1}` : null;
  return { text: whole[0].text, value: whole[0].value, extra, class: "printed", open: () => openPrinted(title, whole), hint: title };
}

function printedRow(context, row, columns) {
  const cells = columns.map(() => ({ text: "" }));
  cells[0] = { text: row.label, node: chip("reported only") };
  row.cells.forEach((printed, at) => {
    cells[1 + 2 * at] = { text: "–" };
    cells[2 + 2 * at] = printedCell(printed, `${row.label}, in the papers`);
  });
  return { name: row.label, cells, last: true, class: "reported-only" };
}

function whiskerCell(block, cell, rule) {
  if (cell.value === undefined) return { text: "" };
  const all = block.rows.map((row) => row.cells[hardest(block)].rules[rule]).filter((each) => each.value !== undefined);
  const low = Math.min(...all.map((each) => each.value - (each.spread || 0)));
  const high = Math.max(...all.map((each) => each.value + (each.spread || 0)));
  return { text: "", value: cell.value, node: whisker(cell, low, high), class: "plot" };
}

function comparisonCell(sure) {
  if (!sure.difference) return { text: "–" };
  return { ...sure.difference, extra: `p ${sure.p_text.startsWith("<") ? sure.p_text : `= ${sure.p_text}`}`, class: sure.separated ? "separated" : null };
}

function plainNumber(value) {
  return value === null ? { text: "–" } : { text: String(value), value };
}

// How a method moved against its place under the last epoch, the headline.
function movement(block, place, rule) {
  if (rule === "last") return null;
  const at = (name) => {
    const values = block.rows.map((row) => row.cells[hardest(block)].rules[name]);
    const mine = values[place];
    if (mine.value === undefined || mine.status) return null;
    return 1 + values.filter((each) => each.value !== undefined && !each.status && each.value > mine.value).length;
  };
  const [before, after] = [at("last"), at(rule)];
  if (before === null || after === null || before === after) return null;
  const up = after < before;
  const words = `${up ? "up" : "down"} ${Math.abs(before - after)} from the last epoch`;
  return el("span", { class: up ? "up" : "down", title: words }, ` ${up ? "▲" : "▼"}${Math.abs(before - after)}`, hidden(` ${words}`));
}

// --- by label: F1 of each AU, or recall of each class

function drawLabels(context) {
  const { block, state } = context;
  const place = context.place();
  const reference = block.rows.find((row) => row.label === "supervised");
  const base = state.heat === "difference" && reference ? reference.cells[place].rules[state.rule].labels : null;
  const scores = block.rows.map((row) => row.cells[place].rules[state.rule]);
  const shown = scores.map((score) => block.names.map((_, at) => labelValue(score, at, base)));
  const known = shown.flat().filter((value) => value !== null);
  const most = base ? Math.max(...known.map(Math.abs), 1e-9) : Math.max(...known);
  const least = base ? 0 : Math.min(...known);
  const tint = (value) => value === null ? null : base ? value / most : (value - least) / (most - least || 1);
  const what = block.metric === "F1" ? "F1 of each action unit" : "recall of each class";
  const columns = [{ label: "Method" }, { label: block.metric === "F1" ? "mean" : "accuracy", number: true }, ...block.names.map((name) => ({ label: name, number: true }))];
  const rows = block.rows.map((row, at) => ({ name: row.label, cells: [
    { text: row.label, node: marks(row) },
    { ...scores[at], text: number(scores[at].value, block.decimals), open: () => openProvenance(context.protocol, block, row, place, state.rule), hint: "where this comes from" },
    ...shown[at].map((value) => value === null ? { text: "–" } : { text: base ? signed(value, 1) : number(value, 1), value, tint: tint(value) }),
  ] }));
  if (state.printed && !base) rows.push(...printedLabels(block, place));
  const table = dataTable({ caption: `${what} in %, ${context.ruleWords}${levelSuffix(block, place)}${base ? ", difference from supervised in points" : ""}`, columns, rows, sort: 1, class: "heat" });
  const note = ["Colour: " + (base ? "blue above supervised, orange below." : "the deeper, the higher."), "A class without a test face shows –; an undefined F1 counts as 0."];
  return { node: [table.node, notes(note)], table };
}

// What the papers print label by label, a row for each of their rows, below what is measured.
function printedLabels(block, place) {
  const printed = [...block.rows.flatMap((row) => row.cells[place].printed), ...block.printed_only.flatMap((row) => row.cells[place])];
  const places = [...new Set(printed.filter((each) => each.label !== null).map((each) => each.where))];
  return places.map((where) => {
    const mine = printed.filter((each) => each.where === where);
    const cell = (label) => {
      const found = mine.find((each) => each.label === label);
      return found ? { text: found.text, value: found.value, class: "printed", open: () => openPrinted(where, [found]), hint: where } : { text: "" };
    };
    return { name: where, class: "reported-only", last: true, cells: [{ text: where, node: chip("reported") }, cell(null), ...block.names.map(cell)] };
  });
}

function hasPrintedLabels(block) {
  return [...block.rows.flatMap((row) => row.cells), ...block.printed_only.map((row) => ({ printed: row.cells.flat() }))]
    .some((cell) => cell.printed.some((each) => each.label !== null));
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
  const ranked = [...block.rows].filter((row) => row.cells[place].rules.last.value !== undefined)
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
    return el("button", { type: "button", class: "pick", "aria-pressed": String(place >= 0), onclick: () => context.pick(row.label) }, key, row.label);
  });
  return el("div", { class: "picker", role: "group", "aria-label": "Methods drawn in colour" }, buttons);
}

function drawLevels(context) {
  const { block, state, chosen } = context;
  const series = block.rows.map((row) => ({
    label: row.label, strong: chosen.includes(row.label) ? chosen.indexOf(row.label) : null,
    points: block.levels.map((level, at) => [level.level, row.cells[at].rules[state.rule]])
      .filter(([level, cell]) => level !== null && cell.value !== undefined && !cell.status).map(([level, cell]) => [level, cell.value]),
  }));
  const chart = lineChart({
    title: `${block.metric} in % by noise level, ${context.ruleWords}`, series, width: context.width, xLabel: "noise level", yLabel: `${block.metric} (%)`,
    xTicks: block.levels.map((level) => level.level).filter((level) => level !== null), xWords: (value) => value, empty: "No method has finished all pairs of a level.",
  });
  const table = resultsTable(context);
  return { node: [methodPicker(context), chart, el("h4", {}, "The numbers"), table.node], table };
}

function resultsTable(context) {
  return drawResults({ ...context, state: { ...context.state, printed: false } }).table;
}

function drawTraining(context) {
  const { block, chosen } = context;
  const place = context.place();
  const level = block.levels[place];
  const colour = (label) => { const found = chosen.findIndex((name) => label === name || label.startsWith(`${name} (`)); return found < 0 ? null : found; };
  const chart = (key, title, empty) => {
    const series = level.curves.map((each) => ({ label: each.label, strong: colour(each.label),
      points: each[key].map((value, at) => [at + 1, value]).filter((point) => point[1] !== null) }));
    const longest = Math.max(2, ...level.curves.map((each) => each[key].length));
    const width = context.width > 1000 ? context.width / 2 - 48 : context.width - 34;
    return lineChart({ title, series, width, xLabel: "epoch", yLabel: key === "test" ? `${block.metric} (%)` : "memorised (%)", xTicks: ticks(1, longest, 8).filter((tick) => tick >= 1 && Number.isInteger(tick)), xWords: (value) => value, empty });
  };
  const columns = [{ label: "Method" }, { label: "test, first epoch", number: true }, { label: "test, best epoch", number: true }, { label: "test, last epoch", number: true }, { label: "memorised, last epoch", number: true }];
  const rows = level.curves.map((each) => ({ name: each.label, cells: [{ text: each.label },
    ...[each.test[0], Math.max(...each.test), each.test.at(-1), each.memorised.at(-1)].map((value) => value === null ? { text: "–" } : { text: number(value, 2), value })] }));
  const table = dataTable({ caption: `Training curves in numbers, %${levelSuffix(block, place)}`, columns, rows, sort: 3, class: "plainly" });
  const missing = level.without_curve.length ? [`Without a finished pair: ${level.without_curve.join(", ")}.`] : [];
  return { node: [methodPicker(context), el("div", { class: "pair" },
    chart("test", `Test ${block.metric} by epoch${levelSuffix(block, place)}`, "No finished trial."),
    chart("memorised", `Wrong training labels memorised, by epoch${levelSuffix(block, place)}`, "Not audited: no reference labels.")),
  el("h4", {}, "The numbers"), table.node, notes(missing)], table };
}

// --- the harness's own tables

function drawRules(context) {
  const { rules } = context.block;
  const end = rules.columns.findIndex((name) => name.startsWith("seconds a trial") || name.startsWith("forwards"));
  return ownTables([rules], "last", rules.columns.map((_, at) => at).filter((at) => at < end));
}

function drawRanks(context) {
  return ownTables(context.block.ranks, "");
}

function drawAudit(context) {
  return ownTables(context.block.audit, "");
}

// Tables of the harness one below the other; the first is the one to filter and download.
function ownTables(tables, sortBy, positions) {
  const drawn = tables.map((table) => {
    const printed = printedTable(table, positions);
    const sort = printed.columns.findIndex((column) => column.label === sortBy);
    return { ...dataTable({ ...printed, sort: sort < 0 ? null : sort, class: "plainly" }), notes: table.notes };
  });
  const all = { filter: (text) => drawn.forEach((each) => each.filter(text)), csv: () => drawn.map((each) => each.csv()).join("\n") };
  return { node: drawn.map((each) => [each.node, notes(each.notes)]), table: all };
}

function drawCompute(context) {
  const { block } = context;
  const place = context.place();
  const at = block.compute.columns.indexOf("forwards a sample");
  // the table has a row for each level and method, in the order of both
  const cost = (row) => block.compute.rows[place * block.rows.length + row][at].value;
  const points = block.rows.map((row, number) => ({ label: row.label, x: cost(number), y: row.cells[place].rules.last.value }))
    .filter((point) => point.x > 0 && point.y !== undefined);
  for (const point of points) point.front = !points.some((each) => each.y > point.y && each.x <= point.x);
  const chart = scatter({
    title: `${block.metric} in % against compute${levelSuffix(block, place)}; filled: nothing cheaper is better`, points, width: context.width,
    xLabel: "forward passes for each training sample and epoch (doubling)", yLabel: `${block.metric} (%)`, xWords: (value) => value, empty: "No finished trial.",
  });
  const drawn = ownTables([block.compute], "");
  return { node: [chart, el("h4", {}, "The numbers"), drawn.node], table: drawn.table };
}

// --- the card

function drawCard(context) {
  const { block, protocol } = context;
  const rows = block.card ? block.card.rows.map(([what, value, source]) => el("tr", {}, el("th", { scope: "row" }, what), el("td", {}, value), el("td", {}, source))) : [];
  const table = rows.length ? el("div", { class: "scroll", role: "region", tabindex: "0", "aria-label": "Protocol card" }, el("table", { class: "card" },
    el("caption", {}, `${block.card.title}; every value with its source`),
    el("thead", {}, el("tr", {}, ["What", "Value", "Source"].map((text) => el("th", { scope: "col" }, text)))), el("tbody", {}, rows)))
    : el("p", { class: "empty" }, `The catalog of this version has no ${protocol.key}: its card is with the version that ran it.`);
  const reasons = [...new Set(Object.values(block.not_applicable))];
  const refused = reasons.map((reason) => [reason, Object.keys(block.not_applicable).filter((name) => block.not_applicable[name] === reason)]);
  return { node: [
    facts([["Protocol", protocol.key], ["Fingerprint", block.identity.protocol.fingerprint], ["Setting", block.words], ["Data", `${block.identity.data?.layout || "–"}, digest ${block.identity.data?.digest || "–"}`]]),
    table,
    refused.length ? [el("h4", {}, "Not applicable here"), el("dl", { class: "facts" }, refused.map(([reason, names]) => [el("dt", {}, reason), el("dd", {}, names.join(", "))]))] : null,
    el("details", {}, el("summary", {}, "Settings that every method shares (the comparability key)"), jsonBox(block.identity)),
  ], table: null };
}
