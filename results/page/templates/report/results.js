// The results of one block: methods by noise level, the papers' numbers beside the measured ones.

// --- a single (seed, draw) pair has no ranking

const ONE_SEED = "one seed: no ranking";

function oneSeed() {
  return el("p", { class: "remark" }, "One seed: no ranking.");
}

function rankable(block, place) {
  return block.levels[place].pairs > 1;
}

function rankedRows(block) {
  return block.rows.filter((row) => !row.apart);
}

function lone(block) {
  return block.levels.every((_, place) => !rankable(block, place));
}

// --- results

function drawResults(context) {
  const { block, state } = context;
  const columns = resultColumns(block, state);
  const rows = block.rows.map((row, place) => resultRow(context, row, place));
  const others = shownPrinted(block, state) ? block.printed_only.filter((row) => row.cells.some((cell) => wholeOf(cell).length)) : [];
  const per = shownPrinted(block, state) ? 2 : 1;
  const table = dataTable({
    caption: `${context.protocol.key}: ${block.metric} in %, ${context.ruleWords}, ${block.words}`,
    columns, rows: [...rows, ...others.map((row) => printedRow(row, columns))],
    sort: rankable(block, hardest(block)) ? 1 + per * hardest(block) : null, ranked: !lone(block), class: "results",
  });
  return { node: [lone(block) ? oneSeed() : null, table.node, notes([...resultNotes(context, rows, others), ...block.notes])], table };
}

function shownPrinted(block, state) {
  return state.printed && hasPrinted(block);
}

function resultNotes({ block, state }, rows, others) {
  const sentences = [];
  const last = block.levels[hardest(block)];
  const where = last.level === null ? "" : ` at ${last.words}`;
  if (shownPrinted(block, state)) {
    sentences.push(`Reported: the papers' numbers; select one for its table and row. ${caution(block)}`);
    sentences.push(...printedLegend([...block.rows, ...others].flatMap((row) => row.cells).map((cell) => wholeOf(cell.printed || cell))));
  }
  if (last.comparison.ranking && rankable(block, hardest(block))) sentences.push(`Group: methods that share a letter do not differ significantly (Nemenyi test on mean ranks of all methods, last epoch${where}; not the test that gives p); ${last.comparison.ranking}. First: share of bootstrap resamples of the pairs in which the method has the highest mean (last epoch${where}).`);
  sentences.push(...rivalNotes(block, where));
  return sentences;
}

function resultColumns(block, state) {
  const printed = shownPrinted(block, state);
  const columns = [{ label: "Method" }];
  for (const level of block.levels) {
    const words = level.level === null ? block.metric : level.words;
    columns.push({ label: words, number: true, ranks: level.pairs > 1, title: `mean ± standard deviation over ${plural(level.pairs, "(seed, draw) pair")}` });
    if (printed) columns.push({ label: "reported", spoken: `beside ${words}`, csv: `${words} reported`, number: true, title: `number in the papers for ${words}` });
  }
  const last = block.levels[hardest(block)];
  const level = last.level === null ? "" : last.words;
  const headline = ["last epoch", level].filter(Boolean).join(", ");
  columns.push({ label: "Mean ± sd", sub: level || undefined, plot: true });
  if (rankable(block, hardest(block))) {
    columns.push({ label: "Group", sub: headline, title: "methods that share a letter do not differ significantly" });
    columns.push({ label: "First", sub: headline, number: true, title: "share of bootstrap resamples of the pairs in which the method has the highest mean" });
  }
  const rival = rivalOf(block);
  if (rival) columns.push({ label: `vs ${rival}`, sub: headline, number: true, title: "mean difference in points over pairs" });
  columns.push({ label: "Networks", number: true }, { label: "Unstated", number: true, title: "hyper-parameters that neither paper nor code states" });
  return columns;
}

function resultRow(context, row, place) {
  const { block, state } = context;
  const cells = [nameCell(row)];
  block.levels.forEach((level, at) => {
    const score = scoreCell(block, row, at, state.rule);
    cells.push({ ...score, open: () => openProvenance(context.protocol, block, row, at, state.rule), hint: `${row.label}: trials and command`, best: isBest(block, row, score, at, state.rule) });
    if (shownPrinted(block, state)) cells.push(printedCell(row.cells[at].printed, `${row.label}, ${level.words}, in the papers`));
  });
  cells.push(whiskerCell(block, scoreCell(block, row, hardest(block), state.rule), state.rule));
  const sure = block.levels[hardest(block)].comparison.rows[place];
  if (rankable(block, hardest(block))) cells.push({ text: sure.group || "–", class: "group" }, sure.first === null ? { text: "–" } : { text: number(sure.first, 2), value: sure.first });
  if (rivalOf(block)) cells.push(rivalCell(block, hardest(block), place, rivalOf(block)));
  cells.push(plainNumber(row.networks), plainNumber(row.identity.params === undefined ? null : row.unstated.length));
  return { name: row.label, marks: marksOf(row), cells, move: movement(block, place, state.rule), ...placeOf(row) };
}

// Rows that stand apart come below the others and are not ranked; below them those that are only reported.
const APART = 1;
const REPORTED = 2;

function placeOf(row) {
  return row.apart ? { last: APART, class: "apart" } : {};
}

function isBest(block, row, score, place, rule) {
  if (row.apart || score.value === undefined || score.status || !rankable(block, place)) return false;
  const able = rankedRows(block).map((each) => each.cells[place].rules[rule]).filter((each) => each.value !== undefined && !each.status);
  return able.length > 1 && able.every((each) => each.value <= score.value);
}

function whiskerCell(block, cell, rule) {
  if (cell.value === undefined) return { text: "" };
  const all = block.rows.map((row) => row.cells[hardest(block)].rules[rule]).filter((each) => each.value !== undefined);
  const low = Math.min(...all.map((each) => each.value - (each.spread || 0)));
  const high = Math.max(...all.map((each) => each.value + (each.spread || 0)));
  return { text: "", value: cell.value, node: whisker(cell, low, high), class: "plot" };
}

// How many ranks a method gains or loses compared with the last epoch.
function movement(block, place, rule) {
  if (rule === "last" || !rankable(block, hardest(block)) || block.rows[place].apart) return null;
  const at = (name) => {
    const values = rankedRows(block).map((row) => row.cells[hardest(block)].rules[name]);
    const mine = block.rows[place].cells[hardest(block)].rules[name];
    if (mine.value === undefined || mine.status) return null;
    return 1 + values.filter((each) => each.value !== undefined && !each.status && each.value > mine.value).length;
  };
  const [before, after] = [at("last"), at(rule)];
  if (before === null || after === null || before === after) return null;
  const up = after < before;
  const words = `${up ? "up" : "down"} ${Math.abs(before - after)} compared with the last epoch`;
  return el("span", { class: up ? "up" : "down", title: words }, ` ${up ? "▲" : "▼"}${Math.abs(before - after)}`, hidden(` ${words}`));
}

// --- what the papers print

const FLAGS = [
  { kind: "suspect", mark: "§", words: "suspect: cannot be correct as printed" },
  { kind: "misprint", mark: "¶", words: "misprint: contradicted by the paper itself or by its source" },
  { kind: "mean", mark: "≠", words: "not the mean of its row" },
  { kind: "copied", mark: "c", words: "copied from another paper" },
];

function wholeOf(printed) {
  return printed.filter((each) => each.label === null);
}

function hasPrinted(block) {
  return block.rows.some((row) => row.cells.some((cell) => wholeOf(cell.printed).length)) || block.printed_only.some((row) => row.cells.some((cell) => wholeOf(cell).length));
}

// The marks of a reported number, each with its explanation.
function flagMarks(printed) {
  return FLAGS.filter((flag) => printed.flags.includes(flag.kind)).map((flag) =>
    sign(flag.mark, "flag", printed.remarks.filter((remark) => remark.startsWith(`${flag.kind}:`)).join(". ") || flag.words));
}

// The legend of the marks that occur beside reported numbers; empty without marks.
function printedLegend(cells) {
  const flags = cells.flat().flatMap((each) => each.flags);
  const words = FLAGS.filter((flag) => flags.includes(flag.kind)).map((flag) => `${flag.mark} ${flag.words}`);
  const more = [...new Set(cells.map((cell) => cell.length - 1).filter((count) => count > 0))].sort((a, b) => a - b);
  if (more.length) words.push(`${more.map((count) => `+${count}`).join(", ")} ${String(more) === "1" ? "one further occurrence" : "number of further occurrences"} in another table or row (select to see)`);
  if (cells.some(([first, ...others]) => first && differing(first, others).length)) words.push(`${DIFFERS} the values differ`);
  return words.length ? [`Beside a reported number: ${words.join("; ")}.`] : [];
}

const DIFFERS = "Δ";

function differing(first, others) {
  return others.filter((each) => each.value !== first.value);
}

function moreMark(first, others) {
  if (!others.length) return null;
  const apart = differing(first, others);
  return el("small", {}, ` +${others.length}`, apart.length ? sign(DIFFERS, "flag", `different value: ${apart.map((each) => each.text).join(", ")}`) : null, others.map(flagMarks));
}

function printedNumber(printed, others, title, open) {
  return { text: printed.text, value: printed.value, mark: [flagMarks(printed), moreMark(printed, others)],
    remarks: [printed, ...others].flatMap((each) => each.remarks).join(". "), class: "printed", open, hint: title };
}

function printedCell(printed, title) {
  const [first, ...others] = wholeOf(printed);
  return first ? printedNumber(first, others, title, () => openPrinted(title, [first, ...others])) : { text: "" };
}

function printedRow(row, columns) {
  const cells = columns.map(() => ({ text: "" }));
  cells[0] = printedName(row);
  row.cells.forEach((printed, at) => {
    cells[1 + 2 * at] = { text: "–" };
    cells[2 + 2 * at] = printedCell(printed, `${row.label}, in the papers`);
  });
  return { name: [row.label, ...row.printed].join(" "), cells, last: REPORTED, class: "reported-only" };
}

// A method that exists here but was not run shows its own name and the papers' names.
function printedName(row) {
  const own = row.method !== null;
  const names = own ? row.printed.filter((name) => name !== row.label).join(", ") : "";
  return { text: row.label, marks: NO_MARKS, extra: names || null, node: chip(own ? "not run" : "reported only") };
}

// The papers' numbers for each class or AU: one row for each row of a paper, below the measured rows.
function printedLabels(block, place) {
  const printed = [...block.rows.flatMap((row) => row.cells[place].printed), ...block.printed_only.flatMap((row) => row.cells[place])];
  const places = [...new Set(printed.filter((each) => each.label !== null).map((each) => each.where))];
  return places.map((where) => {
    const mine = printed.filter((each) => each.where === where && (each.label === null || block.names.includes(each.label)));
    const cell = (label) => {
      const found = mine.find((each) => each.label === label);
      return found ? printedNumber(found, [], where, () => openPrinted(where, [found])) : { text: "" };
    };
    return { name: where, class: "reported-only", last: REPORTED, numbers: mine.map((each) => [each]), cells: [{ text: where, node: chip("reported") }, cell(null), ...block.names.map(cell)] };
  });
}

function hasPrintedLabels(block) {
  return [...block.rows.flatMap((row) => row.cells), ...block.printed_only.map((row) => ({ printed: row.cells.flat() }))]
    .some((cell) => cell.printed.some((each) => each.label !== null));
}
