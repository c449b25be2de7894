// How to read the numbers; theme, size of the window, and the start.

function drawReading(panel) {
  const part = (title, ...lines) => [el("h3", {}, title), lines.map((line) => el("p", {}, line))];
  panel.append(el("h2", {}, "How to read this"), el("div", { class: "prose" },
    part("The main result is the last epoch", "No method may select its epoch on the test set. Other selection rules are shown for comparison: the mean of the last five epochs, the epoch with the best validation score, and the epoch with the best test score. The last is an oracle: it shows how much selection on the test set would overestimate a method."),
    part("Each table has one setting", "Trials are in one table only if data, label noise, sizes, training recipe, initial weights, numerical precision and source of the faces are the same: every method in the table saw the same images in the same order with the same wrong labels. Trials of another setting have their own tables."),
    part("Spread and statistical power", "A (seed, draw) pair is one training seed with one realisation (draw) of the label noise; its score is the mean over the test folds. ± is the standard deviation (n − 1) over pairs. Significance tests use the last epoch only. Each table states how large a difference its number of pairs can detect: a difference that is not significant may still exist."),
    part("Rivals", "Choose a rival above a table: each row is then compared with it over the (seed, draw) pairs that both have, with a 95% interval, a two-sided test and Holm's correction over all rows and noise levels of the protocol. At first the rival is the baseline of the comparisons that were declared before there were results; their own p, corrected among themselves alone, is printed first."),
    part("Over protocols", "The mean difference of two methods over all protocols that both have, and the evidence of these protocols together. Protocols that share faces count as one piece of evidence."),
    part("Missing trials", "Trials that diverged or failed are counted in the cell. A mean over only the finished trials is shown, but not ranked."),
    part("Oracle knowledge", `${DAGGER} beside a method: it used information that is not available in practice, such as the true noise rate. This mark is independent of the selection rule “best on test (oracle)”.`),
    part("Several labels of each face", `${SEVERAL} beside a method: it ${SEVERAL_WORDS}. Its rows come below the others, without ranks.`),
    part("Still rising", `${RISING} beside a method: averaged over its finished pairs, its last epoch is more than one point above the mean of its last five. It had not come to rest; with more epochs it might rank otherwise.`),
    part("No ranking from one seed", "Where there is only one (seed, draw) pair, the page shows scores without ranks, best marks or groups."),
    part("Reported numbers", "“reported” marks numbers from a paper; they were obtained with other data sizes, weights and code, and are not ranked. Marks beside a reported number point out errors in the paper or numbers copied from another paper; select the number for the explanation."),
    part("Reproducing a number", "Select a number to see its trials, their settings and software environment, and the command that reproduces it.")));
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
    items: PAGES, chosen: state.page, onchoose: (id) => { state.method = null; openPage(id); },
  });
  document.getElementById("tabs").replaceWith(TABS.node);
  document.getElementById("theme").addEventListener("click", nextTheme);
  document.querySelector(".skip").addEventListener("click", skipTabs);
  openPage(state.page, { replace: true });
  let waiting = 0;
  let width = innerWidth;
  addEventListener("resize", () => {
    if (innerWidth === width) return;
    width = innerWidth;
    clearTimeout(waiting);
    waiting = setTimeout(() => redraw(true), 200);
  });
  addEventListener("hashchange", onAddress);
}

// The address stays as it is, since it holds what is shown.
function skipTabs(event) {
  event.preventDefault();
  document.getElementById("main").focus();
}

let TABS = null;
start();
