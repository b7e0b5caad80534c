"use strict";
// Find the units that read a gene or a set: a box with suggestions, a table, and only those cards.
report.setUpSearch = () => {
  const box = document.getElementById("search"), list = document.getElementById("suggestions");
  const plain = (text) => text.toLowerCase().replaceAll("_", " ");
  const { genes, sets, set_labels: labels } = report.arrays;
  const entries = [
    ...genes.map((name, at) => ({ kind: "gene", at, name, key: plain(name) })),
    ...sets.map((name, at) => ({ kind: "gene set", at, name: labels[at], key: plain(name) })),
  ];
  let offered = [], chosen = -1;

  const mark = (at) => {
    chosen = at;
    [...list.children].forEach((item, i) => item.setAttribute("aria-selected", String(i === at)));
    if (at >= 0) {
      box.setAttribute("aria-activedescendant", `suggestion-${at}`);
      list.children[at].scrollIntoView({ block: "nearest" });
    } else box.removeAttribute("aria-activedescendant");
  };
  const close = () => {
    list.hidden = true;
    box.setAttribute("aria-expanded", "false");
    mark(-1);
  };
  const offer = () => {
    const wanted = plain(box.value.trim());
    if (!wanted) return close();
    const rank = (entry) => (entry.key === wanted ? 0 : entry.key.startsWith(wanted) ? 1 : entry.key.includes(` ${wanted}`) ? 2 : 3);
    offered = entries.filter((entry) => entry.key.includes(wanted)).sort((a, b) => rank(a) - rank(b) || a.key.length - b.key.length).slice(0, 12);
    list.replaceChildren(...offered.map((entry, i) => report.el("li", {
      role: "option", id: `suggestion-${i}`, "aria-selected": "false", onmousedown: (event) => { event.preventDefault(); pick(entry); },
    }, report.el("span", {}, entry.name), report.el("span", {}, entry.kind))));
    if (!offered.length) list.replaceChildren(report.el("li", { role: "option", "aria-disabled": "true" }, "The model has no such gene or set."));
    list.hidden = false;
    box.setAttribute("aria-expanded", "true");
    mark(offered.length && rank(offered[0]) === 0 ? 0 : -1);
  };
  const pick = (entry) => {
    box.value = entry.name;
    close();
    report.showReaders(entry);
  };
  box.addEventListener("input", () => { if (box.value.trim()) offer(); else { close(); report.showReaders(null); } });
  box.addEventListener("blur", close);
  box.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      if (list.hidden) offer();
      if (offered.length && !list.hidden) mark((chosen + (event.key === "ArrowDown" ? 1 : offered.length - (chosen < 0 ? 0 : 1))) % offered.length);
    } else if (event.key === "Enter" && !list.hidden && offered.length) pick(offered[Math.max(0, chosen)]);
    else if (event.key === "Escape") {
      if (list.hidden) { box.value = ""; report.showReaders(null); } else close();
    }
  });
};

report.readersOf = ({ kind, at }) => {
  const { arrays } = report, gene = kind === "gene";
  const units = gene ? arrays.gene_units : arrays.set_units, n = units.length / (gene ? arrays.genes : arrays.sets).length;
  return Array.from({ length: n }, (_, i) => {
    const k = at * n + i;
    return gene
      ? { place: units[k], saliency: arrays.gene_saliency[k], standing: arrays.gene_places[k] }
      : { place: units[k], z: arrays.set_z[k], q: arrays.set_q[k], effect: arrays.set_effect[k] };
  });
};

report.showReaders = (entry) => {
  const panel = document.getElementById("found");
  panel.hidden = entry === null;
  report.only = null;
  if (entry !== null) {
    const rows = report.readersOf(entry), gene = entry.kind === "gene";
    report.only = rows.map(({ place }) => place);
    const most = (name) => Math.max(...rows.map((row) => Math.abs(row[name])));
    const withBar = (name) => (row) => report.withBar(row[name], most(name));
    const columns = [
      { head: "programme", name: "unit", value: ({ place }) => report.unit(place).unit, show: ({ place }) => report.unitLink(place) },
      ...(gene
        ? [
          { head: "saliency", kind: "number", value: ({ saliency }) => saliency, show: withBar("saliency"), note: "mean gradient: above 0 the gene raises the programme" },
          { head: "place among its genes", kind: "number", value: ({ standing }) => standing, note: "1 is the gene that moves the programme most" },
        ]
        : [
          { head: "z", kind: "number", value: ({ z }) => z, show: withBar("z"), note: "how much more than genes like them, in standard deviations" },
          { head: "q", kind: "number", value: ({ q }) => q },
          { head: "effect", kind: "number", value: ({ effect }) => effect, note: "mean saliency of the set’s genes" },
        ]),
      { head: "most active in", value: ({ place }) => (report.unit(place).groups[0] || { group: "" }).group },
    ];
    const caption = `Programmes that read ${entry.name}`;
    const note = gene ? "The programmes in whose ranking the gene stands highest." : "The programmes with the smallest p; q ≤ 0.05 is evidence that a programme reads the set.";
    const clear = report.el("button", { type: "button", class: "quiet", id: "clear" }, "Show all programmes again");
    clear.addEventListener("click", () => {
      document.getElementById("search").value = "";
      report.showReaders(null);
      document.getElementById("search").focus();
    });
    panel.replaceChildren(report.table(caption, columns, rows, { file: `units_that_read_${entry.name}.csv`, note }));
    panel.querySelector(".table-foot").append(clear);
  }
  report.arrangeCards();
};
