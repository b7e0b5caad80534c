"use strict";
// Elements and tables. Text only ever goes in as text, so no name of a gene or a group is read as HTML.
report.el = (tag, given = {}, ...children) => {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(given)) {
    if (name === "class") made.className = value;
    else if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
};

report.number = (value) => {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  const size = Math.abs(value);
  let text;
  if (Number.isInteger(value)) text = String(value);
  else if (size >= 1e5 || size < 1e-3) text = value.toExponential(1);
  else text = size >= 100 ? value.toFixed(0) : value.toPrecision(3);
  return text.replace("-", "−").replace("e-", "e−");
};

report.signed = (value) => (value > 0 ? "+" : "") + report.number(value);

// A bar to the right or the left of 0; the number stands beside it.
report.bar = (value, largest, colour = "") => {
  const length = largest > 0 ? Math.min(1, Math.abs(value) / largest) * 50 : 0;
  const fill = report.el("i", { class: value < 0 ? "minus" : "plus" });
  fill.style.background = colour;
  fill.style.width = `${length.toFixed(1)}%`;
  return report.el("span", { class: "signed", "aria-hidden": "true" }, fill);
};

// A share as a bar and a percentage, in a table.
report.share = (value) => (Number.isNaN(value) ? "–" : [report.bar(value, 1), report.el("span", { class: "value" }, `${Math.round(100 * value)} %`)]);

report.legendItem = (text, colour) => {
  const dot = report.el("i");
  dot.style.background = colour;
  return report.el("li", {}, dot, text);
};

report.unitWords = (place) => {
  const { unit, name } = report.unit(place);
  return name ? `${unit}: ${name}` : `${unit} (no name)`;
};

report.unitLink = (place) => {
  const open = () => report.open(place);
  return report.el("button", { type: "button", class: "link", "data-link": place, onclick: open }, report.unitWords(place));
};

// A bar and its number, in a table.
report.withBar = (value, largest, colour) => [report.bar(value, largest, colour), report.el("span", { class: "value" }, report.signed(value))];

// columns: {head, name of it in the file, value(row) for the file, show(row) for the page, kind: "number" | "gene" | "dot", note, fileOnly}
report.table = (caption, columns, rows, { file, shown = 15, note = "" }) => {
  const visible = columns.filter(({ fileOnly }) => !fileOnly);
  const head = report.el("tr", {}, ...visible.map((column) => report.el("th", { scope: "col", class: column.kind ? `${column.kind}-cell` : "", title: column.note }, column.head)));
  const body = report.el("tbody");
  const fill = (n) => body.replaceChildren(...rows.slice(0, n).map((row) => report.el("tr", {}, ...visible.map((column) => {
    const show = column.show ? column.show(row) : column.kind === "number" ? report.number(column.value(row)) : column.value(row);
    return report.el("td", { class: column.kind ? `${column.kind}-cell` : "" }, ...(Array.isArray(show) ? show : [show]));
  }))));
  fill(shown);
  const foot = report.el("div", { class: "table-foot" });
  if (rows.length > shown) {
    const more = report.el("button", { type: "button", class: "quiet", "aria-expanded": "false" }, `All ${rows.length}`);
    more.addEventListener("click", () => {
      const all = more.getAttribute("aria-expanded") === "false";
      more.setAttribute("aria-expanded", String(all));
      more.textContent = all ? `First ${shown}` : `All ${rows.length}`;
      fill(all ? rows.length : shown);
    });
    foot.append(more);
  }
  const save = () => report.download(file, report.csv(columns, rows));
  foot.append(report.el("button", { type: "button", class: "quiet", onclick: save, "aria-label": `Download CSV: ${caption}` }, "CSV ↓"));
  return report.el("div", {},
    report.el("div", { class: "scroll" }, report.el("table", {}, report.el("caption", {}, caption), report.el("thead", {}, head), body)),
    note ? report.el("p", { class: "table-note" }, note) : null, foot);
};

report.csv = (columns, rows) => {
  const field = (value) => {
    const text = value === null || value === undefined || Number.isNaN(value) ? "" : String(value);
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  const lines = [columns.map((column) => field(column.name || column.head)), ...rows.map((row) => columns.map((column) => field(column.value(row))))];
  return lines.map((line) => line.join(",")).join("\r\n") + "\r\n";
};

report.download = (file, text, type = "text/csv;charset=utf-8") => {
  const mark = type.startsWith("text/csv") ? "\ufeff" : "";  // spreadsheets need it
  const address = URL.createObjectURL(new Blob([mark, text], { type }));
  report.el("a", { href: address, download: file.replace(/[^\w.\-]+/g, "_") }).click();
  setTimeout(() => URL.revokeObjectURL(address), 1000);
};
