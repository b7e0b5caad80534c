"use strict";
// Two groups of cells beside each other.
report.setUpComparison = () => {
  const column = document.getElementById("column");
  if (!column) return;
  const a = document.getElementById("group-a"), b = document.getElementById("group-b");
  const choices = report.facts.columns.filter(({ groups }) => groups.length > 1);
  column.replaceChildren(...choices.map(({ name, at }) => report.el("option", { value: at }, name)));
  const fill = () => {
    const { groups, n_cells: n } = report.facts.columns[column.value];
    const options = () => groups.map((group, i) => report.el("option", { value: i }, `${group} (${n[i]} cells)`));
    a.replaceChildren(...options());
    b.replaceChildren(report.el("option", { value: "" }, "all other cells"), ...options());
    a.value = "0";
    b.value = groups.length === 2 ? "1" : "";
    report.compare();
  };
  column.addEventListener("change", fill);
  a.addEventListener("change", report.compare);
  b.addEventListener("change", report.compare);
  document.getElementById("swap").addEventListener("click", () => {
    if (b.value === "") return;
    [a.value, b.value] = [b.value, a.value];
    report.compare();
  });
  fill();
};

report.compare = () => {
  const at = Number(document.getElementById("column").value), { groups, names, name } = report.facts.columns[at];
  const a = Number(document.getElementById("group-a").value), chosen = document.getElementById("group-b").value;
  const b = chosen === "" ? null : Number(chosen);
  const target = document.getElementById("differences");
  if (a === b) {
    target.replaceChildren(report.el("p", { class: "hint" }, "Pick two different groups."));
    return;
  }
  const others = groups.map((_, i) => i).filter((i) => i !== a);
  const words = [groups[a], b === null ? "all other cells" : groups[b]];
  const heads = [names[a], b === null ? words[1] : names[b]];
  const sets = report.setTable(at, a, b, words, name);
  target.replaceChildren(report.unitTable(at, a, b === null ? others : [b], words, heads, name), ...(sets ? [sets] : []));
};

report.unitTable = (at, a, reference, words, heads, name) => {
  const found = report.difference(at, [a], reference);
  const rows = found.difference.map((difference, place) => ({ place, difference, mean: found.mean[place], reference: found.reference[place] }));
  rows.sort((x, y) => Math.abs(y.difference) - Math.abs(x.difference));
  const largest = Math.max(0, ...rows.map(({ difference }) => Math.abs(difference)));
  const columns = [
    { head: "unit", value: ({ place }) => report.unit(place).unit, show: ({ place }) => report.unitLink(place) },
    { head: "difference, SD", name: "difference_sd", kind: "number", value: ({ difference }) => difference, show: ({ difference }) => report.withBar(difference, largest) },
    { head: heads[0], name: `mean ${words[0]}`, kind: "number", value: ({ mean }) => mean, note: "mean activity" },
    { head: heads[1], name: `mean ${words[1]}`, kind: "number", value: (row) => row.reference, note: "mean activity" },
  ];
  const note = `Blue, to the right: more active in ${words[0]}. The last two columns are mean activities. No p-values.`;
  return report.el("div", { class: "panel" }, report.table(`Units: ${words[0]} against ${words[1]}`, columns, rows, { file: `units_${name}_${words.join("_vs_")}.csv`, note }));
};

report.setTable = (at, a, b, words, name) => {
  const rows = report.setDifferences(at, a, b);
  if (!rows) return null;
  const tested = report.tested(at, a, b);
  rows.forEach((row, s) => {
    row.p = tested ? tested.p[s] : null;
    row.q = tested ? tested.q[s] : null;
  });
  const evidence = (row) => (row.q === null ? 2 : row.q);
  rows.sort((x, y) => evidence(x) - evidence(y) || Math.abs(y.effect) - Math.abs(x.effect));
  const largest = Math.max(...rows.map(({ effect }) => Math.abs(effect)));
  const columns = [
    { head: "gene set", value: ({ set }) => report.arrays.sets[set], show: ({ set }) => report.el("span", { title: report.arrays.sets[set] }, report.arrays.set_labels[set]) },
    { head: "effect", kind: "number", value: ({ effect }) => effect, show: ({ effect }) => report.withBar(effect, largest), note: "impact summed over units, as in get.impact_table" },
    ...(tested ? [{ head: "p", kind: "number", value: ({ p }) => p }, { head: "q", kind: "number", value: ({ q }) => q }] : []),
  ];
  const call = b === null
    ? `mo.tl.pathway_impact(adata, gene_sets, groupby=${JSON.stringify(name)}${report.facts.named})`
    : `mo.tl.pathway_impact(adata, gene_sets, groupby=${JSON.stringify(name)}, groups=[${JSON.stringify(words[0])}], reference=${JSON.stringify(words[1])}${report.facts.named})`;
  const left_out = report.arrays.sets.length - rows.length;
  const note = (tested ? `p and q are those of tl.pathway_impact, ${tested.group} against ${tested.reference}: about these cells, not about donors.` : `Not tested: no p-values. To have them, run ${call} before the report.`)
    + (left_out ? ` ${left_out} sets with the least evidence in any unit are not compared here.` : "");
  return report.el("div", { class: "panel" }, report.table(`Gene sets: ${words[0]} against ${words[1]}`, columns, rows, { file: `sets_${name}_${words.join("_vs_")}.csv`, note }));
};
