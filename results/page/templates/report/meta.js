// Methods against methods over all protocols that both have: the matrices of `fernoise-bench meta`.

function drawMeta(panel) {
  panel.append(el("h2", {}, "Over protocols"),
    el("p", { class: "about" }, "Each two methods compared on every protocol that both have: the mean difference, and the evidence of all protocols together. Blue: the method of the row is ahead."),
    ...DATA.meta.map((matrix) => el("section", {}, el("h3", {}, matrix.title), el("p", { class: "chips" }, matrix.protocols.map((key) => chip(key))),
      toolbar([csvButton({ csv: () => matrixCsv(matrix) }, `over-protocols-${matrix.metric}`)]), matrixTable(matrix), notes(matrix.notes))));
}

function matrixTable(matrix) {
  const most = Math.max(...matrix.cells.flat().filter(Boolean).map(([mean]) => Math.abs(mean)), 0.1);
  const heads = matrix.methods.map((label) => el("th", { scope: "col" }, el("span", {}, label)));
  const rows = matrix.methods.map((label, row) => el("tr", {}, el("th", { scope: "row" }, linked(methodLink(label), breakable(label))),
    matrix.cells[row].map((cell, column) => matrixCell(cell, most, `${label} − ${matrix.methods[column]}`, row === column))));
  return scrolling(matrix.title, el("table", { class: "heat matrix" }, el("caption", {}, `Row minus column, in points of ${matrix.metric}`), el("thead", {}, el("tr", {}, el("th", { class: "named" }, "Method"), heads)), el("tbody", {}, rows)));
}

function matrixCell(cell, most, title, same) {
  if (!cell) return el("td", { class: "number" }, same ? "" : "–");
  const [mean, mark, p, holm, ahead, protocols] = cell;
  const words = `${title}: ${signed(mean, 1)} points, ahead on ${ahead} of ${plural(protocols, "protocol")}, ${pWords(p)}, after Holm's correction ${pText(holm)}`;
  const node = el("td", { class: `number ${mean < 0 ? "below" : "above"}`, title: words }, signed(mean, 1), mark ? el("b", {}, mark) : null);
  node.style.setProperty("--tint", `${Math.round((100 * Math.abs(mean)) / most)}%`);
  return node;
}

function matrixCsv(matrix) {
  const pairs = matrix.methods.flatMap((method, row) => matrix.methods.map((rival, column) => ({ method, rival, cell: matrix.cells[row][column] }))).filter(({ cell }) => cell);
  return csvText([["method", "rival", "mean difference", "p", "p (Holm)", "protocols ahead", "protocols"], ...pairs.map(({ method, rival, cell: [mean, , p, holm, ahead, protocols] }) => [method, rival, mean, p, holm, ahead, protocols])]);
}
