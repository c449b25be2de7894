// The picture in focus, larger, with its scores and what can be decided about it.

const panel = {}; // its parts, by name
let advance = true; // whether a decision moves on to the next picture

function key(letter) {
  return el("kbd", { "aria-hidden": "true" }, letter);
}

function act(name, letter, what, run) {
  return el("button", { type: "button", class: `act ${name}`, "aria-keyshortcuts": letter, onclick: run }, key(letter), el("span", { class: "what" }, what));
}

function makePanel() {
  Object.assign(panel, {
    progress: el("p", { class: "progress" }),
    meter: el("progress", { max: Math.max(1, ROWS.length), value: 0, "aria-label": "decided" }),
    counts: el("p", { class: "tally" }),
    image: el("img", { alt: "", draggable: "false", decoding: "async" }),
    transition: el("p", { class: "transition" }),
    path: el("p", { class: "path" }),
    scores: el("dl", { class: "scores" }),
    details: el("details", { open: !narrow() }, el("summary", {}, "Scores")),
    keep: act("keep", "k", "", () => decide("keep")),
    fix: act("fix", "f", "", () => decide("fix")),
    unsure: act("unsure", "u", "unsure", () => decide("unsure")),
    labels: el("div", { class: "labels", role: "group", "aria-label": "Another label" }),
    clear: act("clear", "0", "clear", () => decide("")),
    undo: act("undo", "z", "undo", undoLast),
  });
  panel.details.append(panel.scores);
  const moving = el("input", { type: "checkbox", checked: true, onchange: (event) => { advance = event.target.checked; } });
  byId("panel").append(
    el("div", { class: "done" }, panel.progress, panel.meter, panel.counts),
    el("div", { class: "one" }, panel.image, el("div", { class: "about" }, panel.transition, panel.path, panel.details)),
    el("div", { class: "acts", role: "group", "aria-label": "What to do with this label" }, panel.keep, panel.fix, panel.unsure),
    panel.labels,
    el("div", { class: "acts small" }, panel.clear, panel.undo),
    el("label", { class: "moving" }, moving, "move on after a decision"));
}

function narrow() {
  return window.matchMedia("(max-width: 52rem)").matches;
}

function showPanel() {
  const row = view.focus;
  byId("panel").classList.toggle("nothing", row === null);
  showProgress();
  if (row === null) return;
  const one = ROWS[row];
  panel.image.src = `data:image/jpeg;base64,${one.thumbnail}`;
  panel.transition.replaceChildren(...transition(one).filter(Boolean));
  panel.path.textContent = one.key;
  panel.path.title = one.key;
  const rows = [["suspicion", percent(one.suspicion), one.suspicion], ["models that agree", percent(one.agreement), one.agreement],
    ...DATA.scores.map((name, at) => [name, one.scores[at]]).filter(([, value]) => value !== null).map(([name, value]) => [name, decimals(value)])];
  panel.scores.replaceChildren(...rows.map(([name, text, share]) =>
    el("div", {}, el("dt", {}, name), el("dd", {}, share === undefined ? null : el("meter", { value: share, "aria-hidden": "true" }), el("span", {}, text)))));
  showDecision(row);
}

function decimals(value) {
  if (Number.isSafeInteger(value)) return String(value).replace("-", "−");
  const far = value !== 0 && (Math.abs(value) < 0.001 || Math.abs(value) >= 1e6);
  return (far ? value.toExponential(2) : value.toFixed(3)).replace("-", "−");
}

function showDecision(row) {
  const [one, decision] = [ROWS[row], decided.get(row)];
  panel.keep.lastChild.textContent = `keep ${one.given}`;
  panel.fix.lastChild.textContent = `fix: ${one.suggested}`;
  panel.fix.disabled = one.given === one.suggested;
  const toSuggested = decision && decision.kind === "fix" && decision.label === one.suggested;
  for (const [button, on] of [[panel.keep, decision && decision.kind === "keep"], [panel.fix, toSuggested], [panel.unsure, decision === UNSURE]]) {
    button.setAttribute("aria-pressed", String(Boolean(on)));
  }
  panel.clear.disabled = !decision;
  panel.undo.disabled = !past.length;
  showLabels(row, decision);
}

// The classes, for a label other than the two above. An action unit has no third.
function showLabels(row, decision) {
  const labels = ROWS[row].unit ? [] : choices(row);
  panel.labels.hidden = !labels.length;
  if (panel.labels.childElementCount !== labels.length) {
    panel.labels.replaceChildren(...labels.map((label, at) =>
      el("button", { type: "button", class: "label", onclick: () => decideLabel(label) }, at < 9 ? key(at + 1) : null, label)));
  }
  labels.forEach((label, at) => {
    panel.labels.children[at].setAttribute("aria-pressed", String(Boolean(decision && decision.label === label)));
  });
}

function showProgress() {
  const counts = tally(ROWS.keys());
  panel.progress.textContent = `${counts.decided.toLocaleString("en")} of ${counts.all.toLocaleString("en")} decided`;
  panel.meter.value = counts.decided;
  panel.counts.textContent = `${counts.keep} keep · ${counts.fix} fix · ${counts.unsure} unsure`;
}
