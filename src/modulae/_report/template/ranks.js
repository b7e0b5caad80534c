"use strict";
// What tl.rank_units found: dots for one unit, dots for all of them, and p and q beside two groups.
report.STRONGEST = 3;  // standard deviations from which on colours are the same, as in pl.rank_units
report.SUREST = 10;  // -log10 q of the largest dot

report.ranked = (at, row, place) => {
  const k = row * report.facts.units.length + place;
  const read = (what) => { const values = report.arrays[`rank_${what}${at}`]; return values ? values[k] : null; };
  return { effect: read("effect"), p: read("p"), q: read("q"), agreeing: read("agreeing") };
};

report.rankLabel = ({ comparisons, within }, { category, group }) => {
  const several = comparisons.some((one) => one.group !== comparisons[0].group);
  return within === null ? group : several ? `${category} · ${group}` : category;
};

report.rankWords = ({ groupby, within, over, comparisons, n_left_out: left_out }, name) => {
  const groups = [...new Set(comparisons.map(({ group }) => group))], whole = within === null ? "" : ` within ${within}`;
  const sides = groups.length > 1 ? `groups of ${groupby} against ${comparisons[0].reference}` : `${groups[0]} against ${comparisons[0].reference}`;
  const whom = over === "donors" ? "Donors are the replicates." : "Over cells: such a p says that these cells differ, not that people do.";
  return `${sides}${whole}, by ${name}. ${whom}${left_out ? ` ${left_out} comparisons with larger q are not on this page.` : ""}`;
};

// Red: more in the group; blue: less, with a dash where it is sure. The larger, the smaller q; with a ring q is 0.05 or less.
report.dot = ({ effect, q }, label) => {
  const words = `${label}: ${report.signed(effect)} SD, q ${report.number(q)}`, sure = q <= 0.05;
  const dot = report.el("span", { class: `dot${sure ? " sure" : ""}`, title: words, role: "img", "aria-label": words }, sure && effect < 0 ? report.el("i") : null);
  const across = 3 + 15 * Math.sqrt(Math.min(1, -Math.log10(Math.max(q, 1e-300)) / report.SUREST));
  const strength = 0.12 + 0.88 * Math.min(1, Math.abs(effect) / report.STRONGEST);
  dot.style.width = dot.style.height = `${across.toFixed(1)}px`;
  dot.style.background = `rgb(${effect < 0 ? "0 99 163" : "176 36 31"} / ${strength.toFixed(2)})`;
  return dot;
};

report.rankTable = (place, ranking, at) => {
  const rows = ranking.comparisons.map((one, row) => ({ ...one, label: report.rankLabel(ranking, one), ...report.ranked(at, row, place) }));
  const columns = [
    { head: ranking.within === null ? ranking.groupby : ranking.within, value: ({ label }) => label },
    { head: "", name: "reference", kind: "dot", value: ({ reference }) => reference, show: (row) => report.dot(row, row.label) },
    { head: "difference, SD", name: "difference_sd", kind: "number", value: ({ effect }) => effect, show: ({ effect }) => report.signed(effect) },
    ...(ranking.over === "donors" ? [{ head: "donors agreeing", kind: "number", value: ({ agreeing }) => agreeing, show: ({ agreeing, n_donors: n }) => `${agreeing} of ${n}` }] : []),
    { head: "cells", fileOnly: true, value: (row) => row.n_cells },
    { head: "p", fileOnly: true, value: ({ p }) => p },
    { head: "q", kind: "number", value: ({ q }) => q },
  ];
  const file = `unit_${report.unit(place).unit}_${ranking.name}.csv`;
  return report.table(`Where it differs: ${ranking.groupby}`, columns, rows, { file, note: report.rankWords(ranking, "tl.rank_units") });
};

// Programmes × cell types: units with a small q, the smallest p first.
report.rankPicture = () => {
  const chosen = document.getElementById("ranking");
  if (!chosen) return;
  const at = Number(chosen.value), ranking = report.facts.rankings[at], comparisons = ranking.comparisons;
  const rows = report.facts.units.map((_, place) => ({ place, found: comparisons.map((_one, row) => report.ranked(at, row, place)) }));
  const least = (what) => ({ found }) => Math.min(...found.map((one) => one[what]));
  const called = rows.filter((row) => least("q")(row) <= 0.05).sort((x, y) => least("p")(x) - least("p")(y));
  const target = document.getElementById("ranked-dots");
  if (!called.length) {
    target.replaceChildren(report.el("p", { class: "hint" }, `No programme has q ≤ 0.05 between ${report.rankWords(ranking, ranking.name)}`));
    return;
  }
  const columns = [
    { head: "programme", name: "unit", value: ({ place }) => report.unit(place).unit, show: ({ place }) => report.unitLink(place) },
    ...comparisons.flatMap((one, row) => {
      const label = report.rankLabel(ranking, one);
      return [
        { head: report.el("span", {}, label), name: `difference_sd ${label}`, kind: "dot", value: ({ found }) => found[row].effect, show: ({ found }) => report.dot(found[row], label) },
        { head: `q ${label}`, fileOnly: true, value: ({ found }) => found[row].q },
      ];
    }),
  ];
  const note = "Red: more active in the group; blue, with a dash: less; colours end at 3 SD. The larger a dot, the smaller q; with a ring q ≤ 0.05.";
  const caption = `${report.rankWords(ranking, ranking.name)}`;
  target.replaceChildren(report.table(caption, columns, called, { file: `${ranking.name}.csv`, shown: 12, note }));
};

report.setUpRankings = () => {
  const chosen = document.getElementById("ranking");
  if (!chosen) return;
  chosen.replaceChildren(...report.facts.rankings.map(({ name }, at) => report.el("option", { value: at }, name)));
  chosen.parentElement.hidden = report.facts.rankings.length < 2;
  chosen.addEventListener("change", report.rankPicture);
  report.rankPicture();
};

// The stored comparison of these two groups in this category, of the same cells: where it stands, and which way round.
report.rankedPair = (at, a, b, within) => {
  const { columns, rankings } = report.facts, { groups, name } = columns[at];
  const place = within === null ? null : columns[within.at].name, category = within === null ? "all cells" : columns[within.at].groups[within.group];
  const sides = (group) => (group === null ? groups.map((_, i) => i).filter((i) => i !== a) : [group]);
  const cells = [report.side(at, sides(a), within).n, report.side(at, sides(b), within).n];
  const alike = (reference, other) => (reference === "rest" ? other === null || groups.length === 2 : other !== null && reference === groups[other]);
  const same = (one, over, n) => (over === "donors" ? one.n_cells <= n[0] && one.n_cells_reference <= n[1] : one.n_cells === n[0] && one.n_cells_reference === n[1]);
  for (const [r, ranking] of rankings.entries()) {
    if (ranking.groupby !== name || ranking.within !== place) continue;
    for (const [sign, x, y, n] of [[1, a, b, cells], [-1, b, a, [cells[1], cells[0]]]]) {
      const row = x === null ? -1 : ranking.comparisons.findIndex((one) => one.category === category && one.group === groups[x] && alike(one.reference, y) && same(one, ranking.over, n));
      if (row >= 0) return { at: r, row, sign, ranking };
    }
  }
  return null;
};

// Of the stored comparisons that can be shown, of one column or of any, the one with the smallest q; undefined without any.
report.surest = (only = null) => {
  const { columns, rankings } = report.facts, choose = document.getElementById("within");
  const named = (name) => columns.find((column) => column.name === name);
  const found = rankings.flatMap(({ groupby, within, comparisons }) => {
    const own = named(groupby), place = within === null ? null : named(within);
    if (!own || (only !== null && own.at !== only) || (within !== null && !(place && choose && report.arrays[`crossed${report.pairName(own.at, place)}`]))) return [];
    return comparisons.map(({ category, group, reference, q }) => ({
      at: own.at,
      a: own.groups.indexOf(group),
      b: reference === "rest" ? null : own.groups.indexOf(reference),
      within: place && { at: place.at, group: place.groups.indexOf(category) },
      q,
    }));
  });
  return found.filter(({ a, b, within }) => a >= 0 && b !== -1 && !(within && within.group < 0))
    .sort((x, y) => x.q - y.q).find(({ at, a, b, within }) => report.rankedPair(at, a, b, within));
};
