"use strict";
// One unit, large.
report.open = (place, { back = true } = {}) => {
  const dialog = document.getElementById("unit");
  report.place = place;
  report.fill(place);
  if (!dialog.open) {
    report.opener = back ? document.activeElement : null;
    dialog.showModal();
    document.getElementById("close").focus();
  }
  document.querySelector(".sheet").scrollTop = 0;
  history.replaceState(null, "", `#unit-${report.unit(place).unit}`);
};

report.turn = (step) => {
  const order = report.visible().length ? report.visible() : report.facts.units.map((_, i) => i);
  const at = order.indexOf(report.place);
  report.open(order[(at + step + order.length) % order.length]);
};

report.fill = (place) => {
  const unit = report.unit(place), { el } = report, n = report.facts.units.length, known = unit.reproducibility;
  document.getElementById("unit-title").replaceChildren(el("span", { class: "number" }, unit.unit), el("span", { "data-named": place }, unit.name || "no name"));
  report.fillEdits(place);
  document.getElementById("place").textContent = `${place + 1} of ${n}`;
  const follows = unit.direction_r === null ? "" : `; its activity and the counts of its genes: r ${report.signed(unit.direction_r)}`;
  document.getElementById("unit-facts").textContent = `Importance ${unit.share_text} (the loss rises by ${report.number(unit.effect)} counts without it)${follows}.`
    + (known ? ` ${known.text[0].toUpperCase()}${known.text.slice(1)}${known.sure ? "" : ": may be chance"}.` : "")
    + (unit.stability ? ` Comes back: ${unit.stability.text}.` : known ? "" : " Whether it comes back in another training is not known.");
  document.getElementById("unit-chips").replaceChildren(...unit.caveats.map((caveat) => el("span", { class: "chip caveat" }, `⚑ ${caveat.words}`)));
  document.getElementById("activity-title").textContent = `Activity of programme ${unit.unit}`;
  const most = unit.groups.length ? `, most active in ${unit.groups[0].group}` : "";
  document.getElementById("map-activity").setAttribute("aria-label", `Map of the cells, darker where programme ${unit.unit} is more active${most}`);
  document.getElementById("unit-tables").replaceChildren(...report.unitTables(place));
  if (report.models) {
    report.mapActivity(place);
    report.mapGroups(place);
  }
};

report.unitTables = (place) => {
  const unit = report.unit(place), tables = [], file = (what) => ({ file: `unit_${unit.unit}_${what}.csv` });
  if (unit.nameless) return tables;
  const genes = unit.genes;
  tables.push(report.table("Genes it makes", [
    { head: "gene", kind: "gene", value: ({ gene }) => gene, show: ({ gene, loading }) => `${loading < 0 ? "▼" : "▲"} ${gene}` },
    { head: "loading", kind: "number", value: ({ loading }) => loading, note: "what the programme adds to log1p of the rate" },
    { head: "its share", kind: "number", value: ({ share }) => share, note: "of what all programmes make of the gene; genes are in the order of loading times share" },
    { head: "saliency", kind: "number", value: ({ saliency }) => saliency, note: "how strongly the programme is read from the gene" },
  ], genes, { ...file("genes"), shown: 12, note: report.facts.genes_fail ? "✗ tl.sanity: the genes of single units are no better than a control here." : "" }));
  if (unit.sets.length) {
    tables.push(report.table("Gene sets it reads", [
      { head: "set", value: ({ set }) => set, show: ({ label, set, leading, n_genes }) => report.el("span", { title: `${set}: ${n_genes} genes, ${leading.join(", ")} …` }, label) },
      { head: "genes", fileOnly: true, value: ({ n_genes }) => n_genes },
      { head: "found", kind: "number", value: ({ share_found }) => share_found, note: "share of the set’s genes that the data have" },
      { head: "effect", kind: "number", value: ({ effect }) => effect, note: "mean saliency of its genes" },
      { head: "z", kind: "number", value: ({ z }) => z, note: "above genes like them, in standard deviations" },
      { head: "q", kind: "number", value: ({ q }) => q },
    ], unit.sets, { ...file("sets"), shown: 10, note: unit.sets.some(({ found }) => found) ? "" : "No set that raises it has q ≤ 0.05." }));
  }
  const column = report.facts.columns[report.colourBy || 0];
  report.facts.rankings.forEach((ranking, at) => tables.push(report.rankTable(place, ranking, at)));
  if (column && column.groups.length > 1) tables.push(report.groupTable(place, column));
  const states = Object.entries(unit.states).map(([state, r]) => ({ state, r }));
  tables.push(report.table("What it may only reflect", [
    { head: "rank correlation with", value: ({ state }) => state },
    { head: "r", kind: "number", value: ({ r }) => r, show: ({ r }) => (r === null ? "not known" : report.withBar(r, 1)) },
  ], states, file("states")));
  return tables;
};

report.groupTable = (place, { at, name, groups, n_cells: n }) => {
  const rows = groups.map((group, i) => {
    const found = report.difference(at, [i], groups.map((_, j) => j).filter((j) => j !== i));
    const on = report.arrays[`on${at}`];
    return { group, n: n[i], mean: found.mean[place], difference: found.difference[place], on: on ? on[i * report.facts.units.length + place] : null };
  }).sort((x, y) => y.difference - x.difference);
  const largest = Math.max(...rows.map(({ difference }) => Math.abs(difference)));
  return report.table(`Where it is active: ${name}`, [
    { head: "group", value: ({ group }) => group },
    { head: "cells", kind: "number", value: (row) => row.n },
    { head: "mean", kind: "number", value: ({ mean }) => mean },
    { head: "above the others, SD", name: "above_others_sd", kind: "number", value: ({ difference }) => difference, show: ({ difference }) => report.withBar(difference, largest) },
    ...(report.arrays[`on${at}`] ? [{ head: "on", name: "share_on", kind: "number", value: ({ on }) => on, show: ({ on }) => report.share(on), note: "share of the decided cells in which it is on, by tl.call_units; – where less than half of the cells are decided" }] : []),
  ], rows, { file: `unit_${report.unit(place).unit}_${name}.csv`, shown: 12 });
};

report.setUpDialog = () => {
  const dialog = document.getElementById("unit"), by = document.getElementById("colour-by");
  document.getElementById("previous").addEventListener("click", () => report.turn(-1));
  document.getElementById("next").addEventListener("click", () => report.turn(1));
  document.getElementById("close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  dialog.addEventListener("keydown", (event) => {
    if (["INPUT", "SELECT"].includes(event.target.tagName)) return;
    if (event.key === "ArrowLeft") report.turn(-1);
    if (event.key === "ArrowRight") report.turn(1);
  });
  dialog.addEventListener("close", () => {
    history.replaceState(null, "", location.pathname + location.search);
    if (report.opener) report.opener.focus();
  });
  if (!by) return;
  by.replaceChildren(...report.facts.columns.map(({ name, at }) => report.el("option", { value: at }, name)));
  by.addEventListener("change", () => {
    report.colourBy = Number(by.value);
    report.mapGroups(report.place, { again: true });
    report.fill(report.place);
  });
};
