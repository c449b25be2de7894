// A table that sorts by its headings, filters by its first column, and can be downloaded as it stands.
//
// columns: [{ label, title?, number?, first? }]; number: sorts by value, the highest first
// rows:    [{ name, class?, last?, cells: [{ text, value?, extra?, open?, class?, tint? }] }]; the first cell names the row,
//          `last` keeps a row below the others however it is sorted
// ranked:  a heading of places is put in front, by the column that is sorted

function dataTable(options) {
  const state = { column: options.sort, descending: true, filter: "" };
  const body = el("tbody");
  const heads = options.columns.map((column, place) => headCell(column, place));
  const rankHead = options.ranked ? el("th", { scope: "col", class: "rank" }, "Rank") : null;
  const table = el("table", { class: options.class },
    el("caption", {}, options.caption), el("thead", {}, el("tr", {}, rankHead, heads)), body);
  const count = el("p", { class: "count" });

  function headCell(column, place) {
    const button = el("button", { type: "button", title: column.title, onclick: () => sortBy(place) },
      column.label, el("span", { class: "arrow", "aria-hidden": "true" }));
    return el("th", { scope: "col", class: column.number ? "number" : null }, button);
  }
  function sortBy(place) {
    const again = state.column === place;
    state.descending = again ? !state.descending : Boolean(options.columns[place].number);
    state.column = place;
    draw();
    const way = state.descending ? "descending" : "ascending";
    announce(`sorted by ${options.columns[place].label}, ${way}`);
    if (options.onsort) options.onsort(place);
  }
  function shown() {
    const wanted = state.filter.trim().toLowerCase().split(/\s+/).filter(Boolean);
    const kept = options.rows.filter((row) => !wanted.length
      || wanted.some((word) => row.name.toLowerCase().includes(word)));
    return sorted(kept, options.columns, state);
  }
  function draw() {
    heads.forEach((head, place) => {
      const way = state.descending ? "descending" : "ascending";
      head.setAttribute("aria-sort", place === state.column ? way : "none");
    });
    const rows = shown();
    const places = options.ranked ? ranks(options.rows, options.columns, state.column) : null;
    body.replaceChildren(...rows.map((row) => rowNode(row, options, places)));
    count.textContent = rows.length === options.rows.length ? "" : `${rows.length} of ${options.rows.length} rows`;
  }
  draw();
  const region = el("div", { class: "scroll", role: "region", tabindex: "0", "aria-label": options.caption }, table);
  return {
    node: el("div", { class: "datatable" }, region, count),
    filter(text) { state.filter = text; draw(); },
    csv: () => csvOf(shown(), options),
    sortedBy: () => state.column,
  };
}

function comparable(cell) {
  return cell && cell.value !== undefined && cell.value !== null ? cell.value : null;
}

function sorted(rows, columns, state) {
  if (state.column === null || state.column === undefined) return rows;
  const sign = state.descending ? -1 : 1;
  const numeric = columns[state.column].number;
  return [...rows].sort((left, right) => {
    if (Boolean(left.last) !== Boolean(right.last)) return left.last ? 1 : -1;
    const a = left.cells[state.column];
    const b = right.cells[state.column];
    if (!numeric) return sign * a.text.localeCompare(b.text, "en", { numeric: true });
    const x = comparable(a);
    const y = comparable(b);
    if (x === null || y === null) return (x === null) - (y === null);
    // a mean over survivors has no place among whole ones
    if (columns[state.column].ranks && Boolean(a.status) !== Boolean(b.status)) return a.status ? 1 : -1;
    return sign * (x - y) || left.name.localeCompare(right.name);
  });
}

// Places by a column of scores; a mean over survivors has none.
function ranks(rows, columns, column) {
  if (column === undefined || !columns[column] || !columns[column].ranks) return new Map();
  const able = rows.filter((row) => !row.last && !row.cells[column].status && comparable(row.cells[column]) !== null);
  const values = able.map((row) => row.cells[column].value);
  return new Map(able.map((row) => [row, 1 + values.filter((each) => each > row.cells[column].value).length]));
}

function rowNode(row, options, places) {
  const cells = row.cells.map((cell, place) => place === 0
    ? el("th", { scope: "row" }, cellContent(cell))
    : cellNode(cell, options.columns[place]));
  const place = places && places.get(row);
  const rank = places ? el("td", { class: "rank" }, place === undefined ? "–" : place, row.move) : null;
  return el("tr", { class: row.class }, rank, cells);
}

function cellNode(cell, column) {
  const kinds = [column.number ? "number" : "", cell.class || "", cell.best ? "best" : ""].join(" ").trim();
  const node = el("td", { class: kinds || null }, cellContent(cell));
  if (cell.tint !== undefined && cell.tint !== null) {
    node.classList.add(cell.tint < 0 ? "below" : "above");
    node.style.setProperty("--tint", `${Math.round(100 * Math.abs(cell.tint))}%`);
  }
  return node;
}

function cellContent(cell) {
  const content = [cell.text, cell.extra ? el("small", {}, ` ${cell.extra}`) : null, cell.node];
  if (!cell.open) return content;
  return el("button", { type: "button", class: "open", onclick: cell.open }, content, hidden(` ${cell.hint || "details"}`));
}

function csvOf(rows, options) {
  const heading = [];
  const readers = [];
  options.columns.forEach((column, place) => {
    if (column.plot) return;
    heading.push(column.label);
    readers.push((row) => valueOrText(row.cells[place]));
    const cells = options.rows.map((row) => row.cells[place]);
    for (const [word, key] of [["sd", "spread"], ["ok", "ok"], ["all", "all"]]) {
      if (!cells.some((cell) => cell[key] !== undefined && cell[key] !== null)) continue;
      heading.push(`${column.label} ${word}`);
      readers.push((row) => row.cells[place][key]);
    }
  });
  return csvText([["table", ...heading], ...rows.map((row) => [options.caption, ...readers.map((read) => read(row))])]);
}

function valueOrText(cell) {
  if (cell.csv !== undefined) return cell.csv;
  return cell.value === undefined || cell.value === null ? cell.text : cell.value;
}

// A table of the harness as it was printed: {title, columns, rows, notes}.
function printedTable(table, positions) {
  const kept = positions || table.columns.map((_, place) => place);
  const columns = kept.map((place) => ({
    label: table.columns[place],
    number: table.rows.some((row) => row[place].value !== undefined),
    ranks: false,
  }));
  const named = table.columns.indexOf("method");
  const rows = table.rows.map((row) => ({ name: row[Math.max(named, 0)].text, cells: kept.map((place) => row[place]) }));
  return { caption: table.title, columns, rows };
}
