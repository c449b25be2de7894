// How to read the numbers; theme, size of the window, and the start.

function drawReading(panel) {
  const part = (title, ...lines) => [el("h3", {}, title), lines.map((line) => el("p", {}, line))];
  panel.append(el("h2", {}, "How to read this"), el("div", { class: "prose" },
    part("The headline is the last epoch", "No method may choose its epoch by the test set. The mean of the last five epochs and the epoch best on validation stand beside it; the epoch best on test is an oracle, there to show how much choosing by the test set would flatter."),
    part("Never two kinds of number in one column", "Records share a table only when data, noise, sizes, recipe, weights, precision and source of the faces are the same: every method of a block saw the same images in the same order with the same wrong labels. Another setting is another block."),
    part("Spread and what the design can show", "± is the standard deviation (n − 1) over (seed, draw) pairs, each the mean over its test parts. Tests are declared for the last epoch. Each table says how large a difference its pairs could find: no significance does not mean no difference."),
    part("What is missing stays visible", "Diverged and failed trials are counted in the cell; a mean over the finished ones alone has no rank."),
    part("Oracle knowledge", `${DAGGER} beside a method: it used what nobody has outside an experiment, such as the true noise rate. The selection rule “best on test (oracle)” is another thing, and marks no method.`),
    part("One seed ranks nothing", "Where there is a single (seed, draw) pair the page shows numbers, and no places, winners or groups."),
    part("Reported numbers", "“reported” is what a paper prints; it was made with other data sizes, weights and code, and is not ranked. Marks beside it say what is wrong with it, or where it comes from; select it for the reason."),
    part("Every cell can be repeated", "Select a number: its trials, their identity and environment, and the command that runs it again.")));
  if (DATA.about.length + DATA.remarks.length) panel.append(notes([...DATA.about, ...DATA.remarks]));
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
