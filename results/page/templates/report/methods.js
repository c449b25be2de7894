// The methods: a list of all, and a section for each with its paper, hyper-parameters and every result of this page.

function baseOf(method) {
  return method.split(":")[0];
}

function methodLink(method) {
  return `#${new URLSearchParams({ page: "methods", method: baseOf(method) })}`;
}

function nameCell(row) {
  return { text: row.label, marks: marksOf(row), link: methodLink(row.method) };
}

function drawMethods(panel) {
  const method = DATA.methods.find((each) => each.name === state.method);
  if (method) drawMethod(panel, method);
  else drawAllMethods(panel);
}

function drawAllMethods(panel) {
  const columns = [{ label: "Method" }, { label: "Paper" }, { label: "Venue" }, { label: "Year", number: true }, { label: "Task" }, { label: "Uses besides faces and given labels" }, { label: "Results", number: true, title: "cells of protocol, setting, noise level and variant" }];
  const rows = DATA.methods.map((method) => ({ name: method.name, cells: [
    { text: method.name, link: methodLink(method.name) },
    method.paper ? { text: method.paper.words, link: method.paper.link || undefined } : { text: "–" },
    { text: method.paper?.venue || "–" }, plainNumber(method.paper?.year ?? null), { text: method.card?.task || "–" },
    { text: method.card?.extra.map((each) => each.split(":")[0]).join("; ") || "–" }, plainNumber(resultsOf(method).length)] }));
  const table = dataTable({ caption: `${plural(rows.length, "method")} with results on this page, variants under their method`, columns, rows, sort: null, class: "plainly methods" });
  panel.append(el("h2", {}, "Methods"), toolbar([filterField(table), csvButton(table, "methods")]), table.node);
}

// All results of a method and its variants: one for each protocol, setting and noise level.
function resultsOf(method) {
  return inOrder(DATA.protocols).flatMap((protocol) => protocol.blocks.flatMap((block) => block.rows.flatMap((row, at) =>
    (baseOf(row.method) === method.name ? block.levels.map((level, place) => ({ protocol, block, row, at, level, place })) : []))));
}

function drawMethod(panel, method) {
  const found = resultsOf(method);
  const rows = found.map(({ row }) => row);
  const several = (values) => [...new Set(values)].join(", ");
  const { paper, card } = method;
  const outdated = card ? [...new Set(rows.map((row) => row.identity.digest).filter((digest) => digest && digest !== card.digest))] : [];
  panel.append(
    el("p", { class: "crumb" }, linked("#page=methods", "All methods")), el("h2", {}, method.name), card ? el("p", { class: "about" }, card.about) : "",
    facts([
      ...(paper ? [["Paper", paper.link ? linked(paper.link, paper.words) : paper.words]] : []),
      ...(paper?.venue ? [["Venue", `${paper.venue} ${paper.year}`]] : []),
      ...(paper?.code ? [["Authors’ code", linked(paper.code_link, paper.code)]] : []),
      ...(card?.task ? [["Task", card.task]] : []),
      ...(card?.extra.length ? [["Uses besides faces and given labels", card.extra.join("; ")]] : []),
      ["Oracle knowledge", several(rows.flatMap((row) => row.oracle)).replaceAll("_", " ") || "none"],
      ["Networks", several(rows.map((row) => row.networks).filter(Boolean)) || "–"],
      ["Hyper-parameters stated by neither paper nor code", several(rows.flatMap((row) => row.unstated)) || "none"],
      ...(outdated.length ? [["Code", `results made with source digest ${outdated.join(", ")}; this version has ${card.digest}`]] : []),
    ]),
    el("h3", {}, "Results"), methodResults(method, found).node,
    notes(["Rank: among the methods of the same protocol, setting and noise level, by the last epoch. vs rival: mean difference in points from the rival of the protocol's page, p Holm-corrected. Select a score for its trials and the command that reproduces it."]),
    ...definition(method));
}

function definition({ name, card }) {
  if (!card) return [el("p", { class: "empty" }, "This version of fernoise-bench does not define this method, so that its hyper-parameters are not listed.")];
  return [el("h3", {}, "Hyper-parameters"), card.rows.length ? cardTable(`Hyper-parameters of ${name}, each with its source`, card.rows) : el("p", { class: "about" }, "None."),
    ...variantTable(card), el("h3", {}, "Description"), el("p", { class: "prose" }, card.description), el("h3", {}, "On the command line"), commandBox(`fernoise-bench show method ${name}`)];
}

function methodResults(method, found) {
  const columns = [{ label: "Protocol" }, { label: "Setting" }, { label: "Noise" }, { label: "Row" }, { label: "Last epoch", number: true }, { label: "Best on test", sub: "oracle", number: true },
    { label: "Rank", number: true }, { label: "vs rival", number: true }, { label: "Memorised", sub: "% of wrong labels", number: true }];
  const rows = found.map(({ protocol, block, row, at, level, place }) => {
    const rival = rivalOf(block);
    const memorised = level.curves.find((curve) => curve.label === row.label)?.memorised.at(-1);
    const own = rival && rival !== row.label ? rivalCell(block, place, at, rival) : { text: "–" };
    return { name: `${protocol.key} ${row.label}`, cells: [
      { text: protocol.key, link: `#${new URLSearchParams({ page: protocol.key })}` }, { text: block.words }, { text: level.level === null ? "–" : String(level.level) },
      { text: row.label, mark: row.rising ? risingSign() : null }, { ...row.cells[place].rules.last, open: () => openProvenance(protocol, block, row, place, "last"), hint: "trials and command" },
      row.cells[place].rules.oracle, rankCell(block, place, at), { ...own, node: own.value === undefined ? null : el("small", { class: "status" }, `from ${rival}`) },
      typeof memorised === "number" ? { text: number(memorised, 0), value: memorised } : { text: "–" }] };
  });
  return dataTable({ caption: `${method.name}: every result on this page, in %`, columns, rows, sort: null, class: "plainly" });
}

function rankCell(block, place, at) {
  const scores = rankedRows(block).map((row) => row.cells[place].rules.last);
  const mine = block.rows[at].cells[place].rules.last;
  if (!rankable(block, place) || block.rows[at].apart || mine.value === undefined || mine.status) return { text: "–" };
  const able = scores.filter((each) => each.value !== undefined && !each.status);
  const rank = 1 + able.filter((each) => each.value > mine.value).length;
  return { text: `${rank} of ${able.length}`, value: -rank, csv: rank };
}

function variantTable(card) {
  const rows = Object.entries(card.variants);
  if (!rows.length) return [];
  return [el("h3", {}, "Variants"), scrolling("Variants", el("table", { class: "card" }, el("thead", {}, el("tr", {}, ["Variant", "What it changes"].map((text) => el("th", { scope: "col" }, text)))),
    el("tbody", {}, rows.map(([variant, words]) => el("tr", {}, el("th", { scope: "row" }, variant), el("td", {}, words))))))];
}

// (what, value, source) rows, of a protocol's card or a method's.
function cardTable(caption, rows) {
  return scrolling(caption, el("table", { class: "card" }, el("caption", {}, caption),
    el("thead", {}, el("tr", {}, ["What", "Value", "Source"].map((text) => el("th", { scope: "col" }, text)))),
    el("tbody", {}, rows.map(([what, value, source]) => el("tr", {}, el("th", { scope: "row" }, what), el("td", {}, value), el("td", {}, source))))));
}
