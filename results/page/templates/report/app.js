// Navigation: the overview, a tab for each protocol, methods, the claims. The address holds all that was chosen, so that Back works.

const DATA = JSON.parse(document.getElementById("data").textContent);
const TITLE = document.title;
const PAGES = [
  { id: "overview", content: "Overview", draw: drawOverview },
  ...inOrder(DATA.protocols).map((protocol, at) => ({ id: `p${at}`, key: protocol.key, content: tabContent(protocol), draw: (panel) => drawProtocol(panel, protocol) })),
  ...(DATA.meta.length ? [{ id: "meta", content: "Over protocols", draw: drawMeta }] : []),
  { id: "methods", content: "Methods", draw: drawMethods },
  ...(DATA.claims.length ? [{ id: "claims", content: "Claims", draw: drawClaims }] : []),
  { id: "reading", content: "How to read this", draw: drawReading },
];
const state = { page: "overview", view: "results", rule: "last", rival: null, method: null, printed: null, heat: "value", filter: "", blocks: {}, levels: {}, settings: {}, audit: {}, chosen: new Map() };
let redraw = () => {};

// Protocols with results on real faces come first.
function inOrder(protocols) {
  const real = (protocol) => protocol.blocks.some((block) => block.source === "real");
  return [...protocols].sort((a, b) => real(b) - real(a));
}

function tabContent(protocol) {
  const kinds = [...new Set(protocol.blocks.map((block) => `${block.profile}, ${block.source}`))];
  return [el("span", {}, protocol.key), el("small", {}, kinds.join(" · "))];
}

function openPage(id, { focus = false, replace = false } = {}) {
  if (id !== state.page) state.filter = "";
  state.page = id;
  const page = PAGES.find((each) => each.id === id);
  const panel = document.getElementById("page");
  panel.setAttribute("role", "tabpanel");
  panel.setAttribute("aria-labelledby", `tab-${id}`);
  redraw = () => {};
  panel.replaceChildren();
  page.draw(panel);
  const place = page.key || (id === "methods" && state.method);
  document.title = place ? `${place} · ${TITLE}` : TITLE;
  keepAddress(replace);
  if (focus) document.getElementById("main").focus();
}

// --- the address

function addressOf({ page, view, rule, rival, method, block }) {
  const found = PAGES.find((each) => each.id === page);
  const words = new URLSearchParams({ page: found.key || found.id });
  if (found.key) words.set("view", view);
  if (found.key && block) words.set("setting", block);
  if (found.key && rule !== "last") words.set("rule", rule);
  if (rival && (found.key || page === "overview")) words.set("against", rival);
  if (page === "methods" && method) words.set("method", method);
  return `#${words}`;
}

// A new entry of the browser's history, unless nothing has changed or the page came from the history itself.
function keepAddress(replace) {
  const page = PAGES.find((each) => each.id === state.page);
  const address = addressOf({ ...state, block: page.key ? state.blocks[page.key] : 0 });
  if (address !== location.hash) history[replace ? "replaceState" : "pushState"](null, "", address);
}

function readAddress() {
  const words = new URLSearchParams(location.hash.slice(1));
  const page = PAGES.find((each) => words.get("page") === (each.key || each.id)) || PAGES[0];
  state.page = page.id;
  state.view = VIEWS.some((view) => view.id === words.get("view")) ? words.get("view") : "results";
  state.rule = DATA.rules.some((rule) => rule.name === words.get("rule")) ? words.get("rule") : "last";
  state.rival = words.get("against");
  state.method = DATA.methods.some((each) => each.name === words.get("method")) ? words.get("method") : null;
  if (page.key) state.blocks[page.key] = Number(words.get("setting")) || 0;
}

function onAddress() {
  if (location.hash && !location.hash.startsWith("#page=")) return; // the link that skips the tabs
  state.filter = "";
  readAddress();
  TABS.choose(state.page);
  openPage(state.page, { replace: true });
}
