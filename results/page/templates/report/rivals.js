// A row against the rival that the reader has picked: the numbers of `fernoise-bench table PROTOCOL --against RIVAL`.

// The rival of a block: the one picked, else that of the comparisons that were declared beforehand, else plain training.
function rivalOf(block) {
  if (block.rows.length < 2) return null;
  const labels = block.rows.map((row) => row.label);
  return [state.rival, block.baseline, labels[0]].find((label) => label && labels.includes(label));
}

function rivalSelection(block) {
  const chosen = rivalOf(block);
  const first = block.baseline ? [block.baseline] : [];
  const labels = [...new Set([...first, ...block.rows.map((row) => row.label)])];
  const words = (label) => (block.declared && label === block.declared.against ? `${label} (declared)` : label);
  return selection("Rival", labels.map((label) => ({ value: label, words: words(label) })), chosen, (value) => pickRival(value === block.baseline ? null : value), "rival");
}

function pickRival(label) {
  state.rival = label;
  redraw();
  document.getElementById("rival")?.focus();
  keepAddress();
  announce(label ? `compared with ${label}` : "compared with the declared rival");
}

function comparisonOf(block, level, place, rival) {
  const numbers = block.rivals.find((each) => each.label === rival)?.cells[level][place];
  return numbers ? byName(numbers) : null;
}

function byName(numbers) {
  return Object.fromEntries(DATA.rivals.map((name, at) => [name, numbers[at]]));
}

function pText(p) {
  return p < 0.001 ? "<0.001" : p.toFixed(3);
}

function pWords(p) {
  return `p ${p < 0.001 ? "<0.001" : `= ${pText(p)}`}`;
}

function intervalWords({ low, high }) {
  return low === null ? "" : `${signed(low, 2)} to ${signed(high, 2)}`;
}

function differenceText({ mean, sd, pairs, asked }) {
  return signed(mean, 2) + (sd === null ? "" : ` ± ${number(sd, 2)}`) + (pairs < asked ? ` (${pairs}/${asked})` : "");
}

// Where the comparison was declared beforehand its own p comes first; the other p is corrected over all rows.
function rivalCell(block, level, place, rival) {
  const found = comparisonOf(block, level, place, rival);
  if (!found) return { text: "–" };
  const label = block.rows[place].label;
  const early = block.declared && block.declared.against === rival && block.declared.rows[label] ? byName(block.declared.rows[label]) : null;
  const interval = intervalWords(found);
  const decided = block.rivals.find((each) => each.label === rival).significant.some(([at, row]) => at === level && row === place);
  const significant = decided || (early && block.declared.significant.includes(label));
  return {
    text: differenceText(found), value: found.mean, spread: found.sd, status: found.pairs < found.asked ? `${found.pairs}/${found.asked}` : undefined,
    p: found.p_holm, p_raw: found.p, ahead: `${found.ahead} of ${found.pairs}`, declared: early?.p_holm, interval, by_pairs: block.metric === "F1" ? found.p_pairs : "",
    extra: early ? `declared ${pWords(early.p_holm)}` : pWords(found.p_holm),
    node: [early ? el("small", { class: "status" }, `among all rows ${pWords(found.p_holm)}`) : null, interval ? el("small", { class: "status" }, `95% ${interval}`) : null],
    class: significant ? "separated" : null,
  };
}

function rivalNotes(block, where) {
  const rival = rivalOf(block);
  const found = block.rivals.find((each) => each.label === rival);
  if (!found || !found.test) return [];
  const declared = block.declared && block.declared.against === rival ? block.declared.words : null;
  return [declared, `vs ${rival}: mean difference in points over the pairs that both methods have (last epoch${where}, for every selection rule), with its 95% interval where pairs suffice. ${found.test} ${found.power}`].filter(Boolean);
}
