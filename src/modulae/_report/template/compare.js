"use strict";
// Two groups of cells beside each other.
report.setUpComparison = () => {
  const column = document.getElementById("column"), within = document.getElementById("within");
  if (!column) return;
  const a = document.getElementById("group-a"), b = document.getElementById("group-b");
  const choices = report.facts.columns.filter(({ groups }) => groups.length > 1);
  column.replaceChildren(...choices.map(({ name, at }) => report.el("option", { value: at }, name)));
  const offer = () => {
    const { groups } = report.facts.columns[column.value], chosen = [a.value, b.value];
    const n = new Map(report.parts(Number(column.value), report.within()).map(({ group, n: cells }) => [group, cells]));
    const options = () => groups.map((group, i) => report.el("option", { value: i }, `${group} (${n.get(i) || 0} cells)`));
    a.replaceChildren(...options());
    b.replaceChildren(report.el("option", { value: "" }, "all other cells"), ...options());
    [a.value, b.value] = chosen;
  };
  const fill = () => {
    const at = Number(column.value), { groups } = report.facts.columns[at];
    if (within) {
      const others = report.facts.columns.filter((other) => other.at !== at && report.arrays[`crossed${report.pairName(at, other)}`]);
      const named = ({ name, at: other, groups: categories }) => report.el("optgroup", { label: name }, ...categories.map((category, i) => report.el("option", { value: `${other}:${i}` }, category)));
      within.replaceChildren(report.el("option", { value: "" }, "all cells"), ...others.map(named));
    }
    const first = report.surest(at);
    if (first && first.within) within.value = `${first.within.at}:${first.within.group}`;
    offer();
    a.value = first ? first.a : "0";
    b.value = first ? first.b ?? "" : groups.length === 2 ? "1" : "";
    report.compare();
  };
  column.addEventListener("change", fill);
  a.addEventListener("change", report.compare);
  b.addEventListener("change", report.compare);
  if (within) within.addEventListener("change", () => { offer(); report.compare(); });
  document.getElementById("swap").addEventListener("click", () => {
    if (b.value === "") return;
    [a.value, b.value] = [b.value, a.value];
    report.compare();
  });
  const tested = report.surest();
  if (tested) column.value = tested.at;
  fill();
};

// The group of another column in which groups are compared; null for all cells.
report.within = () => {
  const chosen = document.getElementById("within");
  if (!chosen || !chosen.value) return null;
  const [at, group] = chosen.value.split(":").map(Number);
  return { at, group };
};

report.compare = () => {
  const at = Number(document.getElementById("column").value), { groups, names, name, colours } = report.facts.columns[at];
  const a = Number(document.getElementById("group-a").value), chosen = document.getElementById("group-b").value;
  const b = chosen === "" ? null : Number(chosen), within = report.within();
  const target = document.getElementById("differences"), say = (text) => target.replaceChildren(report.el("p", { class: "hint" }, text));
  if (a === b) return say("Pick two different groups.");
  const others = b === null ? groups.map((_, i) => i).filter((i) => i !== a) : [b];
  const words = [groups[a], b === null ? "all other cells" : groups[b]];
  const missing = [[a], others].findIndex((side) => report.side(at, side, within).n === 0);
  if (missing >= 0) return say(`${words[missing]} has no cells here. Pick another group, or all cells.`);
  const sides = { words, heads: [names[a], b === null ? words[1] : names[b]], colours: [colours[a], b === null ? report.facts.missing : colours[b]], name };
  const sets = within === null ? report.setTable(at, a, b, words, name) : null;
  const units = report.unitTable(at, a, others, sides, within, report.rankedPair(at, a, b, within));
  const only = report.el("p", { class: "hint" }, "Gene sets are compared over all cells only: choose “all cells” in “within”.");
  target.replaceChildren(units, ...(sets ? [sets] : within !== null && report.arrays.sets.length ? [only] : []));
};

report.unitTable = (at, a, others, { words, heads, colours, name }, within, tested) => {
  const found = report.difference(at, [a], others, within);
  const rows = found.difference.map((difference, place) => ({ place, difference, mean: found.mean[place], reference: found.reference[place] }));
  if (tested) {
    rows.forEach((row) => {
      const { effect, p, q } = report.ranked(tested.at, tested.row, row.place);
      Object.assign(row, { difference: tested.sign * effect, p, q });
    });
  }
  rows.sort((x, y) => (tested ? x.p - y.p : 0) || Math.abs(y.difference) - Math.abs(x.difference));
  const largest = Math.max(0, ...rows.map(({ difference }) => Math.abs(difference)));
  const head = (side) => {
    const dot = report.el("i", { class: "head-dot", "aria-hidden": "true" });
    dot.style.background = colours[side];
    return report.el("span", {}, dot, heads[side]);
  };
  const columns = [
    { head: "programme", name: "unit", value: ({ place }) => report.unit(place).unit, show: ({ place }) => report.unitLink(place) },
    { head: "difference, SD", name: "difference_sd", kind: "number", value: ({ difference }) => difference, show: ({ difference }) => report.withBar(difference, largest, colours[difference < 0 ? 1 : 0]) },
    { head: head(0), name: `mean ${words[0]}`, kind: "number", value: ({ mean }) => mean, note: "mean activity" },
    { head: head(1), name: `mean ${words[1]}`, kind: "number", value: (row) => row.reference, note: "mean activity" },
    ...(tested ? [{ head: "p", kind: "number", value: ({ p }) => p }, { head: "q", kind: "number", value: ({ q }) => q }] : []),
  ];
  const inside = within === null ? null : report.facts.columns[within.at], where = inside ? `, within ${inside.groups[within.group]}` : "";
  const call = `mo.tl.rank_units(adata, ${JSON.stringify(name)}${inside ? `, within=${JSON.stringify(inside.name)}` : ""}${report.facts.named})`;
  const evidence = tested
    ? `Differences, p and q are those of tl.rank_units, over ${tested.ranking.over}${tested.ranking.over === "cells" ? ": these cells differ, not people" : ""}; a standard deviation is that of all cells that were compared there.`
    : `Not tested: no p-values. To have them, run ${call} before the report.`;
  const note = `To the right: more active in ${words[0]}. A bar has the colour of the side with more. The columns after it are mean activities. ${evidence}`;
  return report.el("div", { class: "panel" }, report.table(`Programmes: ${words[0]} against ${words[1]}${where}`, columns, rows, { file: `units_${name}_${words.join("_vs_")}${where}.csv`, note }));
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
    { head: "effect", kind: "number", value: ({ effect }) => effect, show: ({ effect }) => report.withBar(effect, largest), note: "impact summed over all programmes, as in get.impact_table" },
    ...(tested ? [{ head: "p", kind: "number", value: ({ p }) => p }, { head: "q", kind: "number", value: ({ q }) => q }] : []),
  ];
  const call = b === null
    ? `mo.tl.pathway_impact(adata, gene_sets, groupby=${JSON.stringify(name)}${report.facts.named})`
    : `mo.tl.pathway_impact(adata, gene_sets, groupby=${JSON.stringify(name)}, groups=[${JSON.stringify(words[0])}], reference=${JSON.stringify(words[1])}${report.facts.named})`;
  const left_out = report.arrays.sets.length - rows.length;
  const note = (tested ? `p and q are those of tl.pathway_impact, ${tested.group} against ${tested.reference}: about these cells, not about donors.` : `Not tested: no p-values. To have them, run ${call} before the report.`)
    + (left_out ? ` ${left_out} sets with the least evidence in any programme are not compared here.` : "");
  return report.el("div", { class: "panel" }, report.table(`Gene sets: ${words[0]} against ${words[1]}`, columns, rows, { file: `sets_${name}_${words.join("_vs_")}.csv`, note }));
};
