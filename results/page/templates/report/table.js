// A table that sorts by its headings, filters by its first column, and downloads its current state as CSV.
//
// columns: [{ label, sub?, csv?, title?, number?, ranks? }]; number: sorts by value, the highest first; sub: a second line;
//          csv: the heading in the download, else both lines; ranks: rows are ranked by it
// rows:    [{ name, marks?, class?, last?, cells: [{ text, value?, marks?, extra?, mark?, open?, link?, class?, tint? }] }]; the first cell
//          names the row, a number `last` keeps a row below the others however it is sorted, the
//          higher the lower
// ranked:  a rank column is put in front, by the column that is sorted
// limit:   rows shown at first, with a button for all of them; a filter searches all

function dataTable(options) {
  const state = { column: options.sort, descending: true, filter: "", whole: false };
  const body = el("tbody");
  const heads = options.columns.map((column, place) => headCell(column, place));
  const rankHead = options.ranked ? el("th", { scope: "col", class: "rank" }, "Rank") : null;
  const table = el("table", { class: options.class },
    el("caption", {}, options.caption), el("thead", {}, el("tr", {}, rankHead, heads)), body);
  const count = el("p", { class: "count" });
  const all = options.limit && options.rows.length > options.limit
    ? el("button", { type: "button", class: "quiet all", onclick: () => { state.whole = !state.whole; draw(); } }) : null;

  function headCell(column, place) {
    const button = el("button", { type: "button", title: column.title, onclick: () => sortBy(place) },
      el("span", {}, column.label), el("span", { class: "arrow", "aria-hidden": "true" }), column.spoken ? hidden(` ${column.spoken}`) : null,
      column.sub ? el("small", {}, " ", column.sub.split(", ").map((part, at) => (at ? [",", el("br"), ` ${part}`] : part))) : null);
    return el("th", { scope: "col", class: [column.number ? "number" : "", place === 0 ? "named" : ""].join(" ").trim() || null }, button);
  }
  function sortBy(place) {
    const again = state.column === place;
    state.descending = again ? !state.descending : Boolean(options.columns[place].number);
    state.column = place;
    draw();
    const way = state.descending ? "descending" : "ascending";
    announce(`sorted by ${headingOf(options.columns[place])}, ${way}`);
    if (options.onsort) options.onsort(place);
  }
  function shown() {
    const wanted = wordsOf(state.filter);
    const kept = options.rows.filter((row) => !wanted.length || wanted.some((word) => plain(row.name).includes(word)));
    return sorted(kept, options.columns, state);
  }
  function draw() {
    heads.forEach((head, place) => {
      const way = state.descending ? "descending" : "ascending";
      head.setAttribute("aria-sort", place === state.column ? way : "none");
    });
    const found = shown();
    const rows = all && !state.whole && !state.filter ? found.slice(0, options.limit) : found;
    const places = options.ranked ? ranks(options.rows, options.columns, state.column) : null;
    body.replaceChildren(...rows.map((row) => rowNode(row, options, places)));
    count.textContent = rows.length === options.rows.length ? "" : `${rows.length} of ${options.rows.length} rows`;
    if (all) {
      all.textContent = state.whole ? `The first ${options.limit} only` : `All ${options.rows.length} methods`;
      all.setAttribute("aria-expanded", String(state.whole));
      all.hidden = Boolean(state.filter);
    }
  }
  draw();
  return {
    node: el("div", { class: "datatable" }, scrolling(options.caption, table), el("div", { class: "underneath" }, all, count)),
    filter(text) { state.filter = text; draw(); return { shown: shown().length, all: options.rows.length }; },
    csv: () => csvOf(shown(), options),
    sortedBy: () => state.column,
  };
}

// Names are filtered with hyphens and underscores alike: "co-teaching" finds co_teaching.
function plain(text) {
  return text.toLowerCase().replaceAll("-", "_");
}

function wordsOf(filter) {
  return plain(filter).split(/\s+/).filter(Boolean);
}

function comparable(cell) {
  return cell && cell.value !== undefined && cell.value !== null ? cell.value : null;
}

function sorted(rows, columns, state) {
  if (state.column === null || state.column === undefined) return rows;
  const sign = state.descending ? -1 : 1;
  const numeric = columns[state.column].number;
  return [...rows].sort((left, right) => {
    if ((left.last || 0) !== (right.last || 0)) return (left.last || 0) - (right.last || 0);
    const a = left.cells[state.column];
    const b = right.cells[state.column];
    if (!numeric) return sign * a.text.localeCompare(b.text, "en", { numeric: true });
    const x = comparable(a);
    const y = comparable(b);
    if (x === null || y === null) return (x === null) - (y === null);
    // a mean over only the finished trials is listed after complete ones
    if (columns[state.column].ranks && Boolean(a.status) !== Boolean(b.status)) return a.status ? 1 : -1;
    return sign * (x - y) || left.name.localeCompare(right.name);
  });
}

// Ranks by a column of scores; a mean over only the finished trials has none.
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
  const [text, status] = withoutStatus(cell);
  const content = [cell.marks ? named(text, cell.marks) : text, status ? [" ", el("small", { class: "status" }, status)] : null, cell.mark, cell.extra ? [" ", el("small", {}, cell.extra)] : null, cell.node];
  if (cell.link) return linked(cell.link, [content[0]]).concat(content.slice(1));
  if (!cell.open) return content;
  return el("button", { type: "button", class: "open", onclick: cell.open }, content, hidden(` ${cell.hint || "details"}`));
}

// The count of missing trials is set below the number: beside it, it would widen the column.
function withoutStatus(cell) {
  const ending = cell.status ? ` (${cell.status})` : "";
  return ending && cell.text.endsWith(ending) ? [cell.text.slice(0, -ending.length), cell.status] : [cell.text, ""];
}

function headingOf(column) {
  return column.csv || (column.sub ? `${column.label} (${column.sub})` : column.label);
}

const CSV_PARTS = [["sd", "spread"], ["ok", "ok"], ["all", "all"], ["95%", "interval"], ["pairs ahead", "ahead"], ["p (uncorrected)", "p_raw"], ["p (Holm)", "p"], ["p (declared)", "declared"], ["p by pairs (Holm)", "by_pairs"], ["remarks", "remarks"]];

function csvOf(rows, options) {
  const heading = [];
  const readers = [];
  options.columns.forEach((column, place) => {
    if (column.plot) return;
    heading.push(headingOf(column));
    readers.push((row) => valueOrText(row.cells[place]));
    const cells = options.rows.map((row) => row.cells[place]);
    for (const [word, key] of CSV_PARTS) {
      if (!cells.some((cell) => cell[key] !== undefined && cell[key] !== null && cell[key] !== "")) continue;
      heading.push(`${headingOf(column)} ${word}`);
      readers.push((row) => row.cells[place][key]);
    }
    if (place === 0 && options.rows.some((row) => row.marks) && !options.columns.some((each) => each.label === ORACLE)) {
      heading.push(ORACLE);
      readers.push((row) => (row.marks ? row.marks.oracle.join(" ") || "none" : ""));
    }
    if (place === 0 && options.rows.some((row) => row.marks && row.marks.apart)) {
      heading.push("several labels a face");
      readers.push((row) => (row.marks ? (row.marks.apart ? "yes" : "no") : ""));
    }
    if (place === 0 && options.rows.some((row) => row.marks && row.marks.rising)) {
      heading.push("still rising");
      readers.push((row) => (row.marks ? (row.marks.rising ? "yes" : "no") : ""));
    }
  });
  return csvText([["table", ...heading], ...rows.map((row) => [options.caption, ...readers.map((read) => read(row))])]);
}

function valueOrText(cell) {
  if (cell.csv !== undefined) return cell.csv;
  return cell.value === undefined || cell.value === null ? cell.text : cell.value;
}

const ORACLE = "oracle knowledge";

// A table as the command line prints it, {title, columns, rows, notes}, with the method moved to the first column.
// marks: of each method by its name; keep: selects rows.
function printedTable(table, marks, positions, keep) {
  const named = table.columns.indexOf("method");
  const asked = positions || table.columns.map((_, place) => place);
  const kept = named < 0 ? asked : [named, ...asked.filter((place) => place !== named)];
  const columns = kept.map((place) => ({
    label: table.columns[place],
    number: table.rows.some((row) => row[place].value !== undefined),
    ranks: false,
  }));
  const rows = table.rows.filter((row) => !keep || keep(row)).map((row) => {
    const label = row[Math.max(named, 0)].text.replace(/( [†⊕↗◇])+$/, "");
    const own = named < 0 ? undefined : marks.get(label) || NO_MARKS;
    return { name: label, marks: own, ...placeOf(own || NO_MARKS), cells: kept.map((place) => (place === named ? { text: label, marks: own } : row[place])) };
  });
  return { caption: table.title, columns, rows };
}

// Whether all cells but the names of the rows hold a dash.
function isBlank({ columns, rows }) {
  return rows.length > 0 && rows.every((row) => row.cells.every((cell, place) => place === 0 || columns[place].label === "noise" || (cell.value === undefined && cell.text === "–")));
}

// A status that all cells of a row share is shown once beside its name; the CSV keeps it in each cell.
function statusOnce(cells) {
  const statuses = [...new Set(cells.map((cell) => cell.status).filter(Boolean))];
  if (statuses.length !== 1) return cells;
  const [name, ...others] = cells;
  const rest = others.map((cell) => ({ ...cell, text: withoutStatus(cell)[0].replace(statuses[0], "–"), csv: cell.value === undefined ? cell.text : undefined }));
  return [{ ...name, node: el("small", { class: "status" }, ` ${statuses[0]}`) }, ...rest];
}
