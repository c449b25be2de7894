// The thumbnails by group. Each group is cut into chunks of whole rows of a height known beforehand; only those near the
// window have their pictures built, so that thousands open at once.

const LETTERS = { keep: "K", fix: "F", unsure: "U" };
const CHUNK_ROWS = 6;
const MARGIN = "900px 0px"; // how near is near

const view = { group: "", decision: "", groups: "number", sort: "suspicion", reversed: false, focus: null };
let sections = []; // { id, rows, first, node, counts, chunks: [{ node, rows, near, built }] }
let places = new Map(); // row -> { section, at }
let columns = 1;
const tiles = new Map(); // row -> node, of those that are built
const chunkOf = new WeakMap(); // node -> chunk
const byKey = new Intl.Collator("en", { numeric: true });

const observer = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    const chunk = chunkOf.get(entry.target);
    chunk.near = entry.isIntersecting;
    if (chunk.near) build(chunk);
    else if (!chunk.rows.includes(view.focus)) empty(chunk);
  }
}, { rootMargin: MARGIN });

function groupOf({ unit, given, suggested }) {
  return JSON.stringify([unit, given, suggested]);
}

function percent(share) {
  if (share > 0.995 && share < 1) return ">99 %";
  return `${Math.round(share * 100)} %`;
}

function transition({ unit, given, suggested }) {
  const to = given === suggested ? "no other label" : suggested;
  return [unit && el("span", { class: "chip unit" }, unit),
    el("span", { class: "chip" }, given), el("span", { class: "arrow" }, "→"), el("span", { class: "chip" }, to)];
}

function words({ unit, given, suggested }) {
  return `${unit ? `${unit}: ` : ""}${given} → ${given === suggested ? "no other label" : suggested}`;
}

// --- which rows, in which order

function grouped(rows) {
  const groups = new Map();
  for (const row of rows) {
    const id = groupOf(ROWS[row]);
    if (!groups.has(id)) groups.set(id, []);
    groups.get(id).push(row);
  }
  return groups;
}

function highest(rows) {
  return rows.reduce((most, row) => Math.max(most, ROWS[row].suspicion), 0);
}

function weight(rows) {
  return view.groups === "number" ? rows.length : highest(rows);
}

// Units stay together; ties are broken by the names.
function inOrder(groups) {
  const units = new Map();
  for (const rows of groups.values()) {
    const { unit } = ROWS[rows[0]];
    if (!units.has(unit)) units.set(unit, []);
    for (const row of rows) units.get(unit).push(row);
  }
  const order = ([, first], [, second]) => {
    const [a, b] = [ROWS[first[0]], ROWS[second[0]]];
    const apart = a.unit === b.unit ? weight(second) - weight(first) : weight(units.get(b.unit)) - weight(units.get(a.unit));
    return apart || byKey.compare(groupOf(a), groupOf(b));
  };
  return [...groups].sort(order);
}

function sorted(rows) {
  const sign = view.reversed ? -1 : 1;
  if (view.sort === "key") return [...rows].sort((a, b) => sign * byKey.compare(ROWS[a].key, ROWS[b].key) || a - b);
  const value = (row) => (view.sort.startsWith("score ") ? ROWS[row].scores[Number(view.sort.slice(6))] : ROWS[row][view.sort]);
  return [...rows].sort((a, b) => {
    const [first, second] = [value(a), value(b)];
    if (first === null || second === null) return (first === null) - (second === null) || a - b;
    return sign * (second - first) || a - b;
  });
}

function shown(row) {
  if (view.group && groupOf(ROWS[row]) !== view.group) return false;
  const decision = decided.get(row);
  return !view.decision || view.decision === (decision ? decision.kind : "undecided");
}

// --- building

function arrange() {
  const rows = ROWS.map((_, row) => row).filter(shown);
  sections = inOrder(grouped(rows)).map(([id, members]) => ({ id, rows: sorted(members) }));
  places = new Map();
  let first = 0;
  for (const section of sections) {
    section.first = first;
    section.rows.forEach((row, at) => places.set(row, { section, at }));
    first += section.rows.length;
  }
  if (!places.has(view.focus)) view.focus = sections.length ? sections[0].rows[0] : null;
  draw();
}

function length(name) {
  return parseFloat(getComputedStyle(document.documentElement).getPropertyValue(name));
}

function fitting() {
  return Math.max(1, Math.floor((byId("sheet").clientWidth + length("--gap")) / (length("--tile") + length("--gap"))));
}

function draw() {
  observer.disconnect();
  tiles.clear();
  columns = fitting();
  document.documentElement.style.setProperty("--columns", columns);
  byId("sheet").replaceChildren(...sections.map(sectionNode));
  if (!sections.length) byId("sheet").append(el("p", { class: "empty" }, ROWS.length ? "No label is like that." : "No labels."));
  for (const { chunks } of sections) for (const { node } of chunks) observer.observe(node);
  if (view.focus !== null) build(chunkWith(view.focus));
}

function sectionNode(section, number) {
  const size = CHUNK_ROWS * columns;
  const high = length("--high") + length("--gap");
  section.chunks = [];
  for (let from = 0; from < section.rows.length; from += size) {
    const chunk = { rows: section.rows.slice(from, from + size), near: false, built: false, node: el("div", { class: "chunk", role: "presentation" }) };
    chunk.node.style.height = `${Math.ceil(chunk.rows.length / columns) * high}px`;
    chunkOf.set(chunk.node, chunk);
    section.chunks.push(chunk);
  }
  section.counts = el("span", { class: "counts" });
  countGroup(section);
  return el("section", {},
    el("h2", { id: `group-${number}` }, transition(ROWS[section.rows[0]]), section.counts),
    el("div", { role: "listbox", "aria-labelledby": `group-${number}`, "aria-describedby": "keys" }, section.chunks.map(({ node }) => node)));
}

function countGroup(section) {
  const { all, decided: done } = tally(section.rows);
  section.counts.textContent = `${done.toLocaleString("en")} of ${all.toLocaleString("en")} decided · up to ${percent(highest(section.rows))}`;
}

function chunkWith(row) {
  const { section, at } = places.get(row);
  return section.chunks[Math.floor(at / (CHUNK_ROWS * columns))];
}

function build(chunk) {
  if (chunk.built) return;
  chunk.built = true;
  chunk.node.replaceChildren(...chunk.rows.map(tile));
}

function empty(chunk) {
  chunk.built = false;
  for (const row of chunk.rows) tiles.delete(row);
  chunk.node.replaceChildren();
}

function tile(row) {
  const image = el("img", { alt: "", decoding: "async", draggable: "false", src: `data:image/jpeg;base64,${ROWS[row].thumbnail}` });
  const { section, at } = places.get(row);
  const node = el("div", { role: "option", "aria-setsize": section.rows.length, "aria-posinset": at + 1, onclick: () => focusOn(row, true) },
    image, el("span", { class: "badge" }), el("span", { class: "caption" }, el("span", { class: "share" }), el("span", { class: "label" })));
  tiles.set(row, node);
  refresh(row);
  return node;
}

// Shows a row's decision on its tile, if that is built.
function refresh(row) {
  const node = tiles.get(row);
  if (!node) return;
  const decision = decided.get(row);
  const other = decision && decision.kind === "fix" && decision.label !== ROWS[row].suggested;
  const current = row === view.focus;
  node.className = `tile ${decision ? decision.kind : ""} ${current ? "current" : ""}`;
  node.tabIndex = current ? 0 : -1;
  node.setAttribute("aria-selected", String(current));
  node.setAttribute("aria-label", `${ROWS[row].key}, ${words(ROWS[row])}, suspicion ${percent(ROWS[row].suspicion)}, ${said(decision)}`);
  node.title = ROWS[row].key;
  const [, badge, caption] = node.children;
  badge.textContent = decision ? LETTERS[decision.kind] : "";
  caption.children[0].textContent = percent(ROWS[row].suspicion);
  caption.children[1].textContent = other ? decision.label : "";
}

function said(decision) {
  if (!decision) return "undecided";
  return decision.kind === "fix" ? `fix: ${decision.label}` : decision.kind;
}

// --- moving

function rowAt(place) {
  const section = sections.find(({ first, rows }) => place < first + rows.length);
  return section ? section.rows[place - section.first] : undefined;
}

// The row to the left or right, or above or below; undefined at an end.
function neighbour(row, key) {
  const { section, at } = places.get(row);
  const place = section.first + at;
  if (key === "ArrowLeft") return rowAt(place - 1);
  if (key === "ArrowRight") return rowAt(place + 1);
  if (key === "Home") return section.rows[0];
  if (key === "End") return section.rows.at(-1);
  const column = at % columns;
  const line = Math.floor(at / columns) + (key === "ArrowDown" ? 1 : -1);
  const here = sections.indexOf(section);
  if (line >= 0 && line * columns < section.rows.length) return section.rows[Math.min(line * columns + column, section.rows.length - 1)];
  const next = sections[here + (line < 0 ? -1 : 1)];
  if (!next) return undefined;
  const start = line < 0 ? Math.floor((next.rows.length - 1) / columns) * columns : 0;
  return next.rows[Math.min(start + column, next.rows.length - 1)];
}

// take: whether the keyboard's focus goes there too
function focusOn(row, take) {
  const before = view.focus;
  view.focus = row;
  if (before !== null && before !== row && places.has(before)) {
    refresh(before);
    const left = chunkWith(before);
    if (!left.near && left !== chunkWith(row)) empty(left);
  }
  build(chunkWith(row));
  refresh(row);
  if (take) tiles.get(row).focus({ preventScroll: true });
  tiles.get(row).scrollIntoView({ block: "nearest" });
  showPanel();
}
