// Line charts and a scatter plot as SVG. Every figure has its numbers as a table below it.

const COLOURS = 7;
const DASHES = ["", "7 4", "2 3", "8 3 2 3"];

function ticks(low, high, wanted) {
  const raw = (high - low || 1) / wanted;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((each) => each * power).find((each) => each >= raw);
  const found = [];
  for (let place = Math.ceil(low / step); place * step <= high + step * 1e-9; place += 1) found.push(place * step);
  return found;
}

function bounds(values, margin) {
  const low = Math.min(...values);
  const high = Math.max(...values);
  const room = (high - low || 1) * margin;
  return [low - room, high + room];
}

// Places for labels: in their order, at least `gap` apart, as near to where they belong as that allows.
function spreadOut(places, gap, low, high) {
  const order = places.map((place, at) => at).sort((a, b) => places[a] - places[b]);
  const blocks = []; // neighbours that would overlap move together, to the middle of where they belong
  order.forEach((at, rank) => {
    blocks.push({ sum: places[at] - rank * gap, count: 1 });
    while (blocks.length > 1 && blocks.at(-1).sum / blocks.at(-1).count < blocks.at(-2).sum / blocks.at(-2).count) {
      const last = blocks.pop();
      blocks.at(-1).sum += last.sum;
      blocks.at(-1).count += last.count;
    }
  });
  const shifted = blocks.flatMap((block) => Array(block.count).fill(block.sum / block.count));
  const most = Math.max(low, high - gap * (places.length - 1));
  const result = [];
  order.forEach((at, rank) => { result[at] = Math.min(most, Math.max(low, shifted[rank])) + rank * gap; });
  return result;
}

function look(place) {
  return { colour: `var(--series-${place % COLOURS})`, dash: DASHES[Math.floor(place / COLOURS) % DASHES.length] };
}

function axes(size, x, y, options) {
  const parts = [];
  for (const value of ticks(y.low, y.high, 5)) {
    parts.push(svg("line", { x1: size.left, x2: size.right, y1: y.at(value), y2: y.at(value), class: "grid" }));
    parts.push(svg("text", { x: size.left - 8, y: y.at(value) + 4, "text-anchor": "end" }, number(value, y.high - y.low < 4 ? 1 : 0)));
  }
  for (const value of options.xTicks) {
    parts.push(svg("text", { x: x.at(value), y: size.bottom + 20, "text-anchor": "middle" }, options.xWords(value)));
  }
  parts.push(svg("line", { x1: size.left, x2: size.right, y1: size.bottom, y2: size.bottom, class: "axis" }));
  parts.push(svg("text", { x: (size.left + size.right) / 2, y: size.bottom + 42, "text-anchor": "middle" }, options.xLabel));
  parts.push(svg("text", { x: size.left, y: 16, class: "heading" }, options.yLabel));
  return parts;
}

function scale(low, high, from, to) {
  return { low, high, at: (value) => from + ((value - low) / (high - low || 1)) * (to - from) };
}

// series: [{ label, points: [[x, y]], strong: place of its colour or null }]
function lineChart(options) {
  const width = Math.max(320, Math.min(options.width, 860));
  const narrow = width < 480;
  const size = { left: 44, right: width - (narrow ? 12 : 156), top: 32, bottom: 330 };
  const usable = options.series.filter((each) => each.points.length);
  if (!usable.length) return el("p", { class: "empty" }, options.empty);
  const xs = usable.flatMap((each) => each.points.map((point) => point[0]));
  const ys = usable.flatMap((each) => each.points.map((point) => point[1]));
  const x = scale(Math.min(...xs), Math.max(...xs), size.left, size.right);
  const y = scale(...bounds(ys, 0.06), size.bottom, size.top);
  const strong = usable.filter((each) => each.strong !== null);
  const weak = usable.filter((each) => each.strong === null);
  const figure = svg("svg", { viewBox: `0 0 ${width} 384`, role: "img", "aria-label": `${options.title}. The numbers are in the table below.` },
    axes(size, x, y, options), [...weak, ...strong].map((each) => lineOf(each, x, y)), narrow ? [] : endNames(strong, size, x, y));
  return el("figure", {}, figure, el("figcaption", {}, options.title));
}

function lineOf(series, x, y) {
  const place = series.strong;
  const style = place === null ? { colour: "var(--faint)", dash: "" } : look(place);
  const path = series.points.map((point, at) => `${at ? "L" : "M"}${x.at(point[0]).toFixed(1)} ${y.at(point[1]).toFixed(1)}`).join("");
  const wide = place === null ? 1 : 2.25;
  const shape = { fill: "none", stroke: style.colour, "stroke-width": wide, "stroke-dasharray": style.dash || null, "stroke-linejoin": "round" };
  const dots = series.points.length > 8 ? [] : series.points.map((point) =>
    svg("circle", { cx: x.at(point[0]), cy: y.at(point[1]), r: place === null ? 1.5 : 3, fill: style.colour }));
  return svg("g", {}, svg("title", {}, series.label), svg("path", { d: path, ...shape }), dots);
}

function endNames(strong, size, x, y) {
  const ends = strong.map((each) => each.points[each.points.length - 1]);
  const places = spreadOut(ends.map((end) => y.at(end[1])), 17, size.top, size.bottom);
  return strong.map((each, at) => {
    const name = svg("text", { x: size.right + 18, y: places[at] + 4, class: "name" }, shortened(each.label, 22));
    name.style.setProperty("--own", look(each.strong).colour);
    return svg("g", {}, svg("line", { x1: x.at(ends[at][0]) + 3, y1: y.at(ends[at][1]), x2: size.right + 14, y2: places[at], class: "lead" }), name);
  });
}

// A shortened name keeps its marks.
function shortened(text, most) {
  const [mark] = text.match(/( [†↗])*$/);
  const name = text.slice(0, text.length - mark.length);
  return (name.length > most ? `${name.slice(0, most - 1)}…` : name) + mark;
}

// points: [{ label, x, y, front, words }], words for the pointer; x doubles along its axis, or grows evenly where `linear`
function scatter(options) {
  const width = Math.max(320, Math.min(options.width, 860));
  const size = { left: 44, right: width - 24, top: 32, bottom: Math.max(330, width < 560 ? 50 + 15 * options.points.length : 0) }; // a line for each name
  if (!options.points.length) return el("p", { class: "empty" }, options.empty);
  const { x, xTicks } = (options.linear ? evenly : doubling)(options.points.map((point) => point.x), size);
  const y = scale(...bounds(options.points.map((point) => point.y), 0.1), size.bottom, size.top);
  const figure = svg("svg", { viewBox: `0 0 ${width} ${size.bottom + 54}`, role: "img", "aria-label": `${options.title}. ${options.spoken || "The numbers are in the table below."}` },
    axes(size, x, y, { ...options, xTicks }), pointNodes(options.points, x, y, size));
  return el("figure", {}, figure, el("figcaption", {}, options.title));
}

function doubling(values, size) {
  const powers = bounds(values.map(Math.log2), 0.12);
  const doubled = scale(Math.floor(powers[0]), powers[1] + 1, size.left, size.right);
  return { x: { at: (value) => doubled.at(Math.log2(value)) }, xTicks: ticks(doubled.low, doubled.high, 8).filter(Number.isInteger).map((power) => 2 ** power) };
}

function evenly(values, size) {
  const x = scale(...bounds(values, 0.1), size.left, size.right);
  return { x, xTicks: ticks(x.low, x.high, 6) };
}

// Places each name as near to its point as possible, without covering other names or, if avoidable, other points.
function pointNodes(points, x, y, size) {
  const spots = points.map((point) => ({ point, x: x.at(point.x), y: y.at(point.y), words: shortened(point.label, 24) })).sort((a, b) => a.y - b.y);
  const dots = spots.map((spot) => boxAt(spot.x - 6, spot.y, 12));
  const names = [];
  for (const spot of spots) {
    const places = namePlaces(spot, wideOf(spot.words), size);
    const free = places.filter((place) => !names.some((other) => touch(place, other, 14)));
    names.push(free.find((place) => !dots.some((dot) => touch(place, dot, 11))) || free[0] || places[0]);
  }
  return spots.map((spot, at) => pointNode(spot, names[at]));
}

// The boxes a name could have, the nearest first: right or left of the point, or across its column.
function namePlaces(spot, wide, size) {
  const end = size.right + 20;
  const across = Math.min(Math.max(size.left + 2, spot.x - wide / 2), end - wide);
  const found = [];
  for (let away = 0; away <= size.bottom - size.top; away += 3) {
    for (const y of away ? [spot.y - away, spot.y + away] : [spot.y]) {
      if (y < size.top || y > size.bottom - 6) continue;
      if (spot.x + 12 + wide <= end) found.push(boxAt(spot.x + 12, y, wide));
      if (spot.x - 12 - wide >= size.left) found.push(boxAt(spot.x - 12 - wide, y, wide));
      if (away > 12) found.push(boxAt(across, y, wide));
    }
  }
  return found;
}

function boxAt(x, y, wide) {
  return { x, y, wide };
}

// Whether two boxes overlap: centres less than `high` apart vertically, and a common horizontal range.
function touch(a, b, high) {
  return Math.abs(a.y - b.y) < high && a.x < b.x + b.wide + 4 && b.x < a.x + a.wide + 4;
}

// How wide a text of a figure is.
function wideOf(words) {
  wideOf.ruler ??= document.createElement("canvas").getContext("2d");
  wideOf.ruler.font = '12px system-ui, -apple-system, "Segoe UI", Roboto, Arial, sans-serif';
  return wideOf.ruler.measureText(words).width;
}

function pointNode({ point, x, y, words }, name) {
  const near = Math.min(Math.max(x, name.x - 2), name.x + name.wide + 2);
  return svg("g", {}, svg("title", {}, `${point.label}: ${point.words}`),
    svg("line", { x1: x, y1: y, x2: near, y2: name.y, class: "lead" }),
    svg("circle", { cx: x, cy: y, r: 4.5, class: point.front ? "front" : "point" }),
    svg("text", { x: name.x, y: name.y + 4 }, words));
}

// A mean with its standard deviation, on one scale for all rows; decorative, since the numbers are in the row.
function whisker(cell, low, high) {
  const wide = 128;
  const at = (value) => 4 + ((value - low) / (high - low || 1)) * (wide - 8);
  const spread = cell.spread || 0;
  return svg("svg", { width: wide, height: 18, class: "whisker", "aria-hidden": "true" },
    svg("line", { x1: 0, x2: wide, y1: 9, y2: 9, class: "rail" }),
    spread ? svg("line", { x1: at(cell.value - spread), x2: at(cell.value + spread), y1: 9, y2: 9, class: "range" }) : null,
    svg("circle", { cx: at(cell.value), cy: 9, r: 4, class: cell.status ? "open" : "dot" }));
}

// --- the critical-difference diagram: methods on an axis of mean ranks, bars join those that do not differ significantly

const NAME_ROW = 20;
const BAR_ROW = 9;

function rankChart({ title, diagram, width }) {
  const wide = Math.max(320, Math.min(width - 34, 860));
  const narrow = wide < 560;
  const methods = diagram.methods;
  const half = narrow ? methods.length : Math.ceil(methods.length / 2); // the better half has its names on the left
  const size = { left: narrow ? 174 : 190, right: wide - (narrow ? 14 : 190), top: 66 };
  const x = scale(1, methods.length, size.left + 12, size.right - 12);
  const names = size.top + 14 + BAR_ROW * diagram.bars.length;
  const bars = diagram.bars.map(([first, last], at) => svg("line", { class: "clique", y1: size.top + 12 + BAR_ROW * at, y2: size.top + 12 + BAR_ROW * at,
    x1: x.at(methods[first].rank) - 4, x2: x.at(methods[last].rank) + 4 }));
  const figure = svg("svg", { class: "ranks", viewBox: `0 0 ${wide} ${names + 18 + NAME_ROW * half}`, role: "img", "aria-label": `${title}. ${criticalWords(diagram)}. The numbers are in the table below.` },
    rankAxis(methods.length, x, size), criticalLine(diagram, x, wide, size), methods.map((method, place) => rankName(method, place, { half, count: methods.length, names, size, x, narrow })), bars);
  return el("figure", {}, figure, el("figcaption", {}, title));
}

function criticalWords(diagram) {
  const remark = diagram.critical < diagram.methods.length - 1 ? "" : ": no two methods differ significantly";
  return `Critical difference ${number(diagram.critical, 1)} (Nemenyi, α = .05, ${plural(diagram.pairs, "pair")})${remark}`;
}

// The critical difference as a line; only as text where it is longer than the axis.
function criticalLine(diagram, x, wide, size) {
  const words = svg("text", { x: 8, y: 14 }, criticalWords(diagram));
  if (diagram.critical >= diagram.methods.length - 1) return words;
  const [from, to] = [x.at(1), x.at(1 + diagram.critical)];
  return [words, svg("path", { class: "critical", d: `M${from} 22V30M${from} 26H${to}M${to} 22V30` })];
}

function rankAxis(count, x, size) {
  const step = Math.max(1, Math.round(count / 8));
  const marks = [...new Set([1, ...ticks(1, count, Math.ceil(count / step)).filter((tick) => Number.isInteger(tick) && count - tick >= step), count])];
  return [svg("line", { class: "axis", x1: x.at(1), x2: x.at(count), y1: size.top, y2: size.top }),
    marks.map((rank) => [svg("line", { class: "axis", x1: x.at(rank), x2: x.at(rank), y1: size.top - 5, y2: size.top }),
      svg("text", { x: x.at(rank), y: size.top - 10, "text-anchor": "middle" }, rank)])];
}

function rankName(method, place, { half, count, names, size, x, narrow }) {
  const left = place < half;
  const y = names + 8 + NAME_ROW * (left ? place : count - 1 - place);
  const [at, end] = [x.at(method.rank), left ? size.left : size.right];
  const words = shortened(method.label, narrow ? 17 : 22);
  return svg("g", {}, svg("title", {}, `${method.label}: mean rank ${number(method.rank, 2)}`),
    svg("path", { class: "lead", fill: "none", d: `M${at.toFixed(1)} ${size.top}V${y}H${end}` }), svg("circle", { class: "dot", cx: at, cy: size.top, r: 3 }),
    svg("text", { class: "method", x: left ? end - 6 : end + 6, y: y + 4, "text-anchor": left ? "end" : "start" }, left ? `${words} ${number(method.rank, 1)}` : `${number(method.rank, 1)} ${words}`));
}

// --- a forest plot: a correlation and its interval in each row. rows: [{ names, words, tau, low, high, sure }], names and words of two lines

const FOREST_ROW = 46;

function forest({ title, rows, width, xLabel }) {
  const wide = Math.max(320, Math.min(width, 860));
  const narrow = wide < 640;
  const row = narrow ? FOREST_ROW + 50 : FOREST_ROW;
  const size = { left: narrow ? 16 : 250, right: wide - (narrow ? 16 : 230), top: 12, bottom: 24 + row * rows.length };
  const x = scale(-1, 1, size.left, size.right);
  const marks = [-1, -0.5, 0, 0.5, 1].map((value) => svg("text", { x: x.at(value), y: size.bottom + 18, "text-anchor": "middle" }, number(value, 1)));
  const spoken = rows.map((each) => `${each.names.join(" ")}: ${each.words.join(", ")}`).join("; ");
  const figure = svg("svg", { class: "forest", viewBox: `0 0 ${wide} ${size.bottom + 44}`, role: "img", "aria-label": `${title} ${spoken}.` },
    svg("line", { class: "grid", x1: x.at(0), x2: x.at(0), y1: size.top, y2: size.bottom }),
    svg("line", { class: "axis", x1: size.left, x2: size.right, y1: size.bottom, y2: size.bottom }), marks,
    svg("text", { x: (size.left + size.right) / 2, y: size.bottom + 38, "text-anchor": "middle" }, xLabel),
    rows.map((each, at) => forestRow(each, size.top + row * at + (narrow ? 74 : row / 2), { x, size, narrow })));
  return el("figure", {}, figure, el("figcaption", {}, title));
}

// Names and words stand beside the interval, on a phone above it.
function forestRow(each, y, { x, size, narrow }) {
  const lines = (texts, place, first, options) => texts.map((text, at) => svg("text", { x: place, y: y + first + 16 * at, ...options }, text));
  return svg("g", { class: each.sure ? "sure" : "unsure" },
    lines(each.names, narrow ? size.left : size.left - 16, narrow ? -60 : -3, { class: "method", "text-anchor": narrow ? "start" : "end" }),
    lines(each.words, narrow ? size.left : size.right + 16, narrow ? -28 : -3),
    each.low === null ? null : svg("line", { class: "range", x1: x.at(each.low), x2: x.at(each.high), y1: y, y2: y }),
    svg("circle", { cx: x.at(each.tau), cy: y, r: 5 }));
}
