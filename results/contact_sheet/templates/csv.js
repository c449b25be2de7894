// Helpers that build elements, and comma-separated values. Text is inserted as text nodes only: no name is parsed as HTML.

function el(name, attributes, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else node.setAttribute(key, value === true ? "" : String(value));
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

function byId(id) {
  return document.getElementById(id);
}

function announce(text) {
  byId("announce").textContent = text;
}

function counted(count, word) {
  return `${count.toLocaleString("en")} ${word}${count === 1 ? "" : "s"}`;
}

// --- comma-separated values, after RFC 4180

// Spreadsheets would read these as formulas. One more apostrophe in front makes them text, and can be taken away again.
const FORMULA = /^'*[=+\-@\t\r＝＋－＠]/;

function guarded(text) {
  return FORMULA.test(text) && Number.isNaN(Number(text)) ? `'${text}` : text;
}

function unguarded(text) {
  return text.startsWith("'") && FORMULA.test(text) ? text.slice(1) : text;
}

function csvField(value) {
  const text = typeof value === "number" ? String(value) : guarded(value);
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function csvText(rows) {
  return rows.map((row) => row.map(csvField).join(",")).join("\n") + "\n";
}

// Rows of fields, without empty lines. A spreadsheet may have put semicolons or tabs between the fields.
function parseCsv(text) {
  const body = text.replace(/^\ufeff/, "");
  const head = body.split(/[\r\n]/, 1)[0];
  const separator = [",", ";", "\t"].find((mark) => head.includes(mark)) || ",";
  const rows = [];
  let [row, field, quoted] = [[], "", false];
  const endField = () => { row.push(field); field = ""; };
  const endRow = () => { endField(); if (row.length > 1 || row[0] !== "") rows.push(row); row = []; };
  for (let at = 0; at < body.length; at += 1) {
    const letter = body[at];
    if (quoted) {
      if (letter !== '"') field += letter;
      else if (body[at + 1] === '"') { field += '"'; at += 1; }
      else quoted = false;
    } else if (letter === '"' && field === "") quoted = true;
    else if (letter === separator) endField();
    else if (letter === "\n") endRow();
    else if (letter === "\r") { if (body[at + 1] !== "\n") endRow(); }
    else field += letter;
  }
  endRow();
  return rows.map((fields) => fields.map(unguarded));
}

function download(name, text) {
  const address = URL.createObjectURL(new Blob([text], { type: "text/csv;charset=utf-8" }));
  const link = el("a", { href: address, download: name.replace(/[\u0000-\u001f/\\:*?"<>|]+/g, "-") });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(address), 10000);
}
