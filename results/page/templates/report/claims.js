// The claims of the papers: a line for each statement (a quote, or the ranking in a table); opening it shows its comparisons.

const VERDICTS = ["supported", "contradicted", "held here", "reversed here", "direction only", "not separated", "underpowered", "not run"];

function drawClaims(panel) {
  const shown = new Set(VERDICTS.filter((verdict) => verdict !== "not run"));
  if (!DATA.claims.some((claim) => shown.has(claim.verdict))) shown.add("not run");
  const holder = el("div", {});
  const opened = new Set();
  const draw = () => holder.replaceChildren(...claimNodes(claimsShown(shown, state.filter), { opened, all: Boolean(state.filter) }));
  const counted = VERDICTS.map((verdict) => ({ verdict, count: DATA.claims.filter((claim) => claim.verdict === verdict).length }));
  const toggles = counted.filter(({ count }) => count).map(({ verdict, count }) =>
    toggle(`${verdict} (${count})`, shown.has(verdict), (on) => { if (on) shown.add(verdict); else shown.delete(verdict); draw(); }));
  const every = el("button", { type: "button", class: "quiet", onclick: () => {
    const closed = [...holder.querySelectorAll("details.statement-of")].filter((each) => !each.open);
    for (const each of closed.length ? closed : holder.querySelectorAll("details.statement-of")) each.open = closed.length > 0;
  } }, "Open or close all");
  panel.append(el("h2", {}, "Claims"),
    el("p", { class: "about" }, "Claims that the papers make in their text or by the ranking in their tables, tested on the results of this page. Open a statement to see its comparisons."),
    toolbar([el("fieldset", { class: "choice" }, el("legend", {}, "Verdicts shown"), el("div", { class: "toggles" }, toggles)),
      filterField({ filter: () => { draw(); return { shown: claimsShown(shown, state.filter).length, all: claimsShown(shown, "").length }; } }, "Filter claims", "filter by words"), every, csvButton({ csv: () => claimsCsv(claimsShown(shown, state.filter)) }, "claims")]),
    holder,
    notes(["A stand-in is a freely available protocol used in place of the paper's own. Supported and contradicted are for the paper's own conditions: its protocol at the paper profile, real faces, all data, the protocol's recipe and initial weights. Under any other conditions the same results are called held here and reversed here; they say nothing of the paper's own numbers.",
      "Supported, held here: significant (p < .05), in the claimed direction at every noise level, and at least as large as claimed. Direction only: significant in the claimed direction, but smaller than claimed, not at every noise level, or with a noise level missing. Contradicted, reversed here: significant in the opposite direction. Not separated: not significant, or trials that diverged or failed may explain the difference. Underpowered: too few pairs or subjects for any result to be significant. Claims that a method is comparable (>=) are tested against a difference of −1 point instead of 0.",
      `${DAGGER} one of the compared methods uses oracle knowledge.`]));
  draw();
}

function claimsShown(verdicts, filter) {
  const wanted = wordsOf(filter);
  const text = (claim) => plain([claim.paper, claim.quote, claim.words, claim.protocol, claim.verdict].join(" "));
  return DATA.claims.filter((claim) => (verdicts.has(claim.verdict) || !VERDICTS.includes(claim.verdict)) && (!wanted.length || wanted.some((word) => text(claim).includes(word))));
}

function grouped(claims, key) {
  const groups = new Map();
  for (const claim of claims) groups.set(key(claim), [...(groups.get(key(claim)) || []), claim]);
  return [...groups.entries()];
}

function claimNodes(claims, options) {
  if (!claims.length) return [el("p", { class: "empty" }, "No claim matches the filter.")];
  return grouped(claims, (claim) => claim.paper).flatMap(([paper, members]) => [
    el("h3", {}, paper, " ", el("small", {}, plural(members.length, "comparison"))),
    ...grouped(members, (claim) => (claim.quote ? `${claim.quote} ${claim.where}` : claim.statement)).map(([statement, group]) => statementNode(`${paper} ${statement}`, group, options))]);
}

// The table is built when the statement is first opened.
function statementNode(key, claims, { opened, all }) {
  const body = el("div", {});
  const fillIt = () => { if (!body.childNodes.length) body.append(claimTable(claims).node); };
  const tallies = grouped(claims, (claim) => claim.verdict).map(([verdict, members]) =>
    el("span", { class: `verdict ${verdict.replaceAll(" ", "-")}` }, members.length > 1 ? `${verdict} × ${members.length}` : verdict));
  const node = el("details", { class: "statement-of", open: all || opened.has(key) },
    el("summary", {}, el("span", { class: "said" }, claims[0].quote ? el("q", {}, claims[0].quote) : claims[0].words, el("small", {}, ` ${claims[0].where}`)), el("span", { class: "tally" }, tallies)), body);
  node.addEventListener("toggle", () => { if (node.open) { fillIt(); if (!all) opened.add(key); } else opened.delete(key); });
  if (node.open) fillIt();
  return node;
}

function claimTable(claims) {
  const columns = [{ label: "Claim" }, { label: "Verdict" }, { label: "Tested on" }, { label: "Difference", number: true, title: "points; positive where the claim holds" }, { label: "95% interval" },
    { label: "p", number: true, title: "two-sided, with Holm's correction over the claims of one statement" }, { label: "In the paper", number: true, title: "the paper's own difference in points" }, { label: "Pairs", number: true }];
  const rows = claims.map((claim) => ({ name: claim.words, cells: [
    { text: claim.words, mark: claim.oracle_knowledge.length ? ["\u00a0", sign(DAGGER, "oracle", claim.oracle_knowledge.join("; "))] : null, node: el("details", {}, el("summary", {}, "Details"), [claim.figures, ...claim.remarks].map((text) => el("p", {}, text))) },
    { text: claim.verdict, class: `verdict ${claim.verdict.replaceAll(" ", "-")}` },
    { text: claim.protocol, class: "tried", node: [" ", el("small", { class: "where" }, claim.profile ? `${claim.profile} profile, ${claim.source} faces` : "no records"), claim.stand_in ? chip("stand-in", "caution") : null] },
    difference(claim.difference), { text: interval(claim), class: "interval" },
    claim.p === null ? { text: "–" } : { text: claim.p < 0.001 ? "<.001" : number(claim.p, 3), value: claim.p },
    difference(claim.printed), plainNumber(claim.pairs || null),
  ] }));
  return dataTable({ caption: `Comparisons: ${claims[0].quote || claims[0].words}`, columns, rows, sort: null, class: "claims" });
}

function interval(claim) {
  return claim.low === null ? "–" : `${signed(claim.low, 2)} to ${signed(claim.high, 2)}`;
}

function difference(value) {
  return value === null ? { text: "–" } : { text: signed(value, 2), value };
}

function claimsCsv(claims) {
  const heading = ["paper", "where", "quote", "claim", "verdict", "protocol", "profile", "faces", "stand-in", "difference", "low", "high", "p (Holm)", "difference in the paper", "pairs", "subjects", ORACLE, "details", "remarks"];
  return csvText([heading, ...claims.map((claim) => [claim.paper, claim.where, claim.quote, claim.words, claim.verdict, claim.protocol, claim.profile, claim.source, claim.stand_in ? "yes" : "no",
    claim.difference, claim.low, claim.high, claim.p, claim.printed, claim.pairs, claim.subjects, claim.oracle_knowledge.join("; ") || "none", claim.figures, claim.remarks.join(" ")])]);
}
