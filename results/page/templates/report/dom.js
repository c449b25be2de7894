// Helpers that build elements. Text is inserted as text nodes only, so that no content of a record is parsed as HTML.

const SVG = "http://www.w3.org/2000/svg";

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    node.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
  return node;
}

function el(name, attributes, ...children) {
  return fill(document.createElement(name), attributes, children);
}

function svg(name, attributes, ...children) {
  return fill(document.createElementNS(SVG, name), attributes, children);
}

function hidden(text) {
  return el("span", { class: "hidden" }, text);
}

// A symbol for the screen, with its meaning as text for screen readers.
function sign(mark, kind, title) {
  return el("span", { class: kind, title }, el("span", { "aria-hidden": "true" }, mark), hidden(` (${title})`));
}

// A method's marks: a dagger where it uses oracle knowledge, a plus where it learns from several labels of each face, an
// arrow where it is still rising, a diamond where its trials ship; they have no other meaning on the page.
// marks: { oracle: names of what it knows, apart, rising, shipped: whether it is }.
const DAGGER = "†";
const SEVERAL = "⊕";
const SEVERAL_WORDS = "learns from several annotators' labels of each face, so that it is not ranked with methods of one label";
const RISING = "↗";
const SHIPPED = "◇";
const NO_MARKS = { oracle: [], apart: false, rising: false, shipped: false };

function marksOf(row) {
  return { oracle: row.oracle, apart: row.apart, rising: row.rising, shipped: row.shipped };
}

function named(label, marks) {
  return [breakable(label),
    marks.oracle.length ? ["\u00a0", sign(DAGGER, "oracle", `oracle knowledge: ${marks.oracle.join(", ").replaceAll("_", " ")}`)] : null,
    marks.apart ? ["\u00a0", sign(SEVERAL, "oracle", SEVERAL_WORDS)] : null,
    marks.rising ? risingSign() : null,
    marks.shipped ? ["\u00a0", sign(SHIPPED, "shipped", "from the results that ship with fernoise-bench")] : null];
}

function risingSign() {
  return ["\u00a0", sign(RISING, "rising", "still rising")];
}

// In a narrow column a name may break after _, : or -.
function breakable(label) {
  return label.split(/(?<=[_:-])/).flatMap((part, at) => (at ? [el("wbr"), part] : [part]));
}

function marked(label, marks) {
  return [label, marks.oracle.length ? DAGGER : "", marks.apart ? SEVERAL : "", marks.rising ? RISING : "", marks.shipped ? SHIPPED : ""].filter(Boolean).join(" ");
}

// A text for wide screens, a shorter one for phones; screen readers read the visible one only.
function either(words, brief) {
  return brief ? [el("span", { class: "wide" }, words), el("span", { class: "narrow" }, brief)] : [words];
}

function announce(text) {
  document.getElementById("announce").textContent = text;
}

function number(value, decimals) {
  return value === null || value === undefined ? "–" : value.toFixed(decimals).replace("-", "−");
}

function signed(value, decimals) {
  const text = number(value, decimals);
  return value >= 0 ? `+${text}` : text;
}

function probability(p) {
  return p < 0.001 ? "p < .001" : `p = ${p.toFixed(3).replace(/^0/, "")}`;
}

// Tabs following the ARIA Authoring Practices: one tab stop; arrow keys, Home and End move between tabs.
function tabList(options) {
  const list = el("div", { role: "tablist", "aria-label": options.label, class: options.class });
  if (options.vertical) list.setAttribute("aria-orientation", "vertical");
  const tabs = options.items.map((item) =>
    el("button", {
      type: "button", role: "tab", id: `${options.prefix}-${item.id}`, "aria-controls": options.controls,
      onclick: () => choose(item.id, true),
    }, item.content));
  function choose(id, tell) {
    options.items.forEach((item, place) => {
      const chosen = item.id === id;
      tabs[place].setAttribute("aria-selected", String(chosen));
      tabs[place].tabIndex = chosen ? 0 : -1;
      if (chosen) requestAnimationFrame(() => bringIntoView(list, tabs[place]));
    });
    if (tell) options.onchoose(id);
  }
  list.addEventListener("keydown", (event) => {
    const here = tabs.indexOf(document.activeElement);
    const steps = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };
    let next = null;
    if (event.key in steps) next = (here + steps[event.key] + tabs.length) % tabs.length;
    if (event.key === "Home") next = 0;
    if (event.key === "End") next = tabs.length - 1;
    if (next === null || here < 0) return;
    event.preventDefault();
    choose(options.items[next].id, true);
    tabs[next].focus();
  });
  list.append(...tabs);
  choose(options.chosen, false);
  return { node: list, choose: (id) => choose(id, false) };
}

// Scrolls a list so that one of its items is seen. scrollIntoView would also move the place where the first Tab starts.
function bringIntoView(list, item) {
  const [box, own] = [list.getBoundingClientRect(), item.getBoundingClientRect()];
  list.scrollLeft += Math.min(0, own.left - box.left) + Math.max(0, own.right - box.right);
  list.scrollTop += Math.min(0, own.top - box.top) + Math.max(0, own.bottom - box.bottom);
}

// A link to a place of this page, or to a paper or its code; other addresses stay text.
function linked(address, ...content) {
  if (address.startsWith("#")) return [el("a", { href: address }, content)];
  return address.startsWith("https://") ? [el("a", { href: address, rel: "noopener noreferrer" }, content)] : content;
}

// A group of radio buttons drawn as one bar.
function choice(label, name, items, chosen, onchange) {
  return el("fieldset", { class: "choice" }, el("legend", {}, label),
    el("div", { class: "bar" }, items.map((item) => el("label", {},
      el("input", {
        type: "radio", name, value: item.value, checked: item.value === chosen, onchange: () => onchange(item.value),
      }),
      el("span", { class: "part" }, either(item.words, item.brief))))));
}

function toggle(label, checked, onchange) {
  return el("label", { class: "toggle" },
    el("input", { type: "checkbox", checked, onchange: (event) => onchange(event.target.checked) }),
    el("span", {}, label));
}

function selection(label, items, chosen, onchange, id) {
  const select = el("select", { id, onchange: (event) => onchange(event.target.value) },
    items.map((item) => el("option", { value: item.value, selected: item.value === chosen }, item.words)));
  return el("label", { class: "field" }, el("span", {}, label), select);
}

function plural(count, word) {
  return `${count} ${word}${count === 1 ? "" : "s"}`;
}

function chip(text, kind) {
  return el("span", { class: `chip ${kind || ""}` }, text);
}

function notes(sentences) {
  return sentences.length ? el("ul", { class: "notes" }, sentences.map((each) => el("li", {}, each))) : null;
}

// A container that scrolls horizontally, with shadows and a hint while part of the content is hidden.
function scrolling(label, content) {
  const region = el("div", { class: "scroll", role: "region", tabindex: "0", "aria-label": label }, content);
  const hint = el("span", { class: "hint", "aria-hidden": "true" }, "scroll →");
  const frame = el("div", { class: "scrolling" }, region, hint);
  const look = () => {
    const rest = region.scrollWidth - region.clientWidth - region.scrollLeft;
    frame.classList.toggle("more", rest > 2);
    frame.classList.toggle("before", region.scrollLeft > 2);
  };
  region.addEventListener("scroll", look, { passive: true });
  new ResizeObserver(look).observe(region);
  return frame;
}

// --- comma-separated values

function csvField(value) {
  let text = value === null || value === undefined ? "" : String(value);
  // spreadsheets would read these as formulas; a leading apostrophe makes them text
  if (/^[=+\-@\t\r]/.test(text) && Number.isNaN(Number(text))) text = `'${text}`;
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

// Four decimals: more than any table shows.
function csvNumber(value) {
  return typeof value === "number" ? Number(value.toFixed(4)) : value;
}

function csvText(rows) {
  return rows.map((row) => row.map((value) => csvField(csvNumber(value))).join(",")).join("\n") + "\n";
}

function download(name, text) {
  const address = URL.createObjectURL(new Blob([text], { type: "text/csv;charset=utf-8" }));
  const link = el("a", { href: address, download: name.replace(/[^A-Za-z0-9._@-]+/g, "-") });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(address), 1000);
}
