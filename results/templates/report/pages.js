// The pages beside the protocols: the claims of the papers, how to read the numbers; and the start.

const VERDICTS = ["supported", "direction only", "not separated", "contradicted", "underpowered", "not run"];

function drawClaims(panel) {
  const shown = new Set(VERDICTS.filter((verdict) => verdict !== "not run"));
  if (!DATA.claims.some((claim) => shown.has(claim.verdict))) shown.add("not run");
  const holder = el("div", {});
  const draw = () => {
    const table = claimTable(DATA.claims.filter((claim) => shown.has(claim.verdict) || !VERDICTS.includes(claim.verdict)));
    if (state.filter) table.filter(state.filter);
    holder.replaceChildren(table.node);
    bindTable(null, table, "claims");
  };
  const counted = VERDICTS.map((verdict) => ({ verdict, count: DATA.claims.filter((claim) => claim.verdict === verdict).length }));
  const toggles = counted.filter(({ count }) => count).map(({ verdict, count }) =>
    toggle(`${verdict} (${count})`, shown.has(verdict), (on) => { if (on) shown.add(verdict); else shown.delete(verdict); draw(); }));
  panel.append(el("h2", {}, "Claims"),
    el("p", { class: "about" }, "What the papers say in words or by the order of their tables, tried on the records of this page."),
    toolbar([el("fieldset", { class: "choice" }, el("legend", {}, "Verdicts shown"), el("div", { class: "toggles" }, toggles)),
      filterField({ filter: (text) => current && current.table.filter(text) }, "Filter claims"), csvButton({ csv: () => current.table.csv() }, "claims")]),
    holder,
    notes(["A stand-in is a protocol anybody can run in the place of the paper's own. A verdict from it, from a smaller profile or from generated faces is about this setting, not about the paper.",
      "Supported: of the claim's sign at every level, p < .05, and as large as the words say. Direction only: significant, but smaller, or not at every level. Contradicted: significant, the other way. Not separated: the design could have decided and did not. Underpowered: no outcome of so few pairs could have decided."]));
  draw();
}

function claimTable(claims) {
  const columns = [{ label: "Claim" }, { label: "Verdict" }, { label: "Tried on" }, { label: "Difference", number: true, title: "points; positive where the claim holds" }, { label: "95% interval" },
    { label: "p", number: true, title: "Holm's over the claims of one statement" }, { label: "In the paper", number: true, title: "the paper's own difference in points" }, { label: "Pairs", number: true }, { label: "The figures" }];
  const rows = claims.map((claim) => ({ name: [claim.paper, claim.quote, claim.words, claim.protocol, claim.verdict].join(" "), cells: [
    { text: claim.words, node: [el("small", { class: "where" }, `${claim.paper}, ${claim.where}`), claim.quote ? el("q", {}, claim.quote) : null] },
    { text: claim.verdict, class: `verdict ${claim.verdict.replaceAll(" ", "-")}` },
    { text: claim.protocol, class: "tried", node: [el("small", { class: "where" }, claim.profile ? `${claim.profile} profile, ${claim.source} faces` : "no records"), claim.stand_in ? chip("stand-in", "caution") : null] },
    difference(claim.difference), { text: claim.low === null ? "–" : `${signed(claim.low, 2)} to ${signed(claim.high, 2)}`, class: "interval" },
    claim.p === null ? { text: "–" } : { text: claim.p < 0.001 ? "<.001" : number(claim.p, 3), value: claim.p },
    difference(claim.printed), plainNumber(claim.pairs || null), { text: "", csv: [claim.figures, ...claim.remarks].join(" "), class: "figures", node: el("details", {}, el("summary", {}, "Figures"), [claim.figures, ...claim.remarks].map((text) => el("p", {}, text))) },
  ] }));
  return dataTable({ caption: "Claims and verdicts", columns, rows, sort: null, class: "claims" });
}

function difference(value) {
  return value === null ? { text: "–" } : { text: signed(value, 2), value };
}

function drawReading(panel) {
  const part = (title, ...lines) => [el("h3", {}, title), lines.map((line) => el("p", {}, line))];
  panel.append(el("h2", {}, "How to read this"), el("div", { class: "prose" },
    part("The headline is the last epoch", "No method may choose its epoch by the test set. The mean of the last five epochs and the epoch best on validation stand beside it; the epoch best on test is an oracle, there to show how much choosing by the test set would flatter."),
    part("Never two kinds of number in one column", "Records share a table only when data, noise, sizes, recipe, weights, precision and source of the faces are the same: every method of a block saw the same images in the same order with the same wrong labels. Another setting is another block."),
    part("Spread and what the design can show", "± is the standard deviation (n − 1) over (seed, draw) pairs, each the mean over its test parts. Tests are declared for the last epoch. Each table says how large a difference its pairs could find: no significance does not mean no difference."),
    part("What is missing stays visible", "Diverged and failed trials are counted in the cell; a mean over the finished ones alone has no rank."),
    part("Oracle knowledge", "“oracle” beside a method: it used what nobody has outside an experiment, such as the true noise rate."),
    part("Reported numbers", "“reported” is what a paper prints; it was made with other data sizes, weights and code, and is not ranked."),
    part("Every cell can be repeated", "Select a number: its trials, their identity and environment, and the command that runs it again.")));
  if (DATA.remarks.length) panel.append(notes(DATA.remarks));
}

// --- theme, size of the window, start

const THEMES = ["system", "light", "dark"];

function nextTheme() {
  const root = document.documentElement;
  const next = THEMES[(THEMES.indexOf(root.dataset.theme || "system") + 1) % THEMES.length];
  root.dataset.theme = next;
  document.getElementById("theme").textContent = `Theme: ${next}`;
}

function start() {
  readAddress();
  TABS = tabList({
    label: "Protocols and pages", prefix: "tab", vertical: matchMedia("(min-width: 60rem)").matches, controls: "page", class: "pages",
    items: PAGES, chosen: state.page, onchoose: (id) => openPage(id, false),
  });
  document.getElementById("tabs").replaceWith(TABS.node);
  document.getElementById("theme").addEventListener("click", nextTheme);
  openPage(state.page, false);
  let waiting = 0;
  let width = innerWidth;
  addEventListener("resize", () => {
    if (innerWidth === width) return;
    width = innerWidth;
    clearTimeout(waiting);
    waiting = setTimeout(() => redraw(true), 200);
  });
  addEventListener("hashchange", () => { readAddress(); TABS.choose(state.page); openPage(state.page, false); });
}

let TABS = null;
start();
