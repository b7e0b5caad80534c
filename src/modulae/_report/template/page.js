"use strict";
// Which cards are shown, in which order; and the start of everything.
report.visible = () => [...document.querySelectorAll(".card:not([hidden])")].map((card) => Number(card.dataset.place));

report.mayBeChance = ({ reproducibility: known }) => known !== null && !known.sure;

report.arrangeCards = () => {
  const cards = new Map([...document.querySelectorAll(".card")].map((card) => [Number(card.dataset.place), card]));
  const wanted = document.getElementById("in-group"), order = document.getElementById("order").value;
  const group = wanted && wanted.value !== "" ? report.facts.columns.find(({ groups }) => groups.length > 1).groups[wanted.value] : null;
  const clear = document.getElementById("hide-caveats").checked;
  const shows = (place) => {
    const unit = report.unit(place);
    if (report.only && !report.only.includes(place)) return false;
    if (group !== null && !(unit.groups.length && unit.groups[0].group === group)) return false;
    return !(clear && unit.caveats.length);
  };
  const value = {
    rank: (unit) => unit.place,
    unit: (unit) => Number(unit.unit),
    reproducibility: (unit) => (unit.reproducibility ? -unit.reproducibility.value : 2),
    stability: (unit) => (unit.stability ? -unit.stability.value : 2),
  }[order];
  const places = report.only && order === "rank" ? report.only : [...cards.keys()].sort((a, b) => value(report.unit(a)) - value(report.unit(b)));
  const sure = document.getElementById("cards"), chance = document.getElementById("chance"), technical = document.getElementById("technical");
  const home = (unit) => (unit.technical ? technical.querySelector(".cards") : report.mayBeChance(unit) ? chance.querySelector(".cards") : sure);
  const rest = [...cards.keys()].filter((place) => !places.includes(place));
  for (const place of [...places, ...rest]) {
    cards.get(place).hidden = !shows(place);
    home(report.unit(place)).append(cards.get(place));
  }
  technical.hidden = !technical.querySelector(".card:not([hidden])");
  if (chance) chance.hidden = !chance.querySelector(".card:not([hidden])");
  const shown = report.visible().length;
  document.getElementById("count").textContent = shown === cards.size ? "" : `${shown} of ${cards.size} programmes are shown.`;
};

report.allUnits = () => {
  const sets = report.arrays.sets.length > 0;
  const columns = [
    { head: "programme", value: ({ unit }) => unit, show: ({ place }) => report.unitLink(place), name: "unit" },
    { head: "name", fileOnly: true, value: ({ name }) => name },
    { head: "importance, %", name: "effect_share_percent", kind: "number", value: ({ share }) => 100 * share },
    { head: "effect, counts", name: "effect", kind: "number", value: ({ effect }) => effect },
    ...(report.facts.reproducibility ? [{ head: report.facts.reproducibility, kind: "number", value: ({ reproducibility }) => (reproducibility ? reproducibility.value : null) }] : []),
    { head: "makes more of", value: (unit) => unit.genes_up.join(" ") },
    ...(report.facts.parts ? [] : [{ head: "makes less of", value: (unit) => unit.genes_down.join(" ") }]),
    ...(sets ? [{ head: "sets with q ≤ 0.05", value: (unit) => unit.sets.filter(({ found }) => found).map(({ set }) => set).slice(0, 5).join("; ") }] : []),
    ...(report.facts.columns.length ? [{ head: "most active in", value: ({ groups }) => groups.map(({ group, text }) => `${group} ${text}`).join("; ") }] : []),
    { head: "technical", value: ({ technical }) => (technical ? "yes" : "") },
    { head: "other trainings", name: "comes back", value: ({ stability }) => (stability ? stability.text : "") },
    { head: "caveats", value: ({ caveats }) => caveats.map(({ text }) => text).join("; ") },
  ];
  document.getElementById("all-units").replaceChildren(report.table("All programmes", columns, report.facts.units, { file: "units.csv", shown: 100 }));
};

report.setUpLegend = () => {
  const legend = document.getElementById("legend");
  if (!legend) return;
  const { groups, colours, n_cells: n } = report.facts.columns[0];
  legend.replaceChildren(...groups.map((group, at) => {
    const item = report.legendItem(`${group} (${n[at]})`, colours[at]);
    item.addEventListener("mouseenter", () => report.drawOverview(at));
    item.addEventListener("mouseleave", () => report.drawOverview());
    return item;
  }));
};

(async () => {
  const paint = () => new Promise((resume) => { requestAnimationFrame(() => setTimeout(resume)); });
  document.getElementById("units").addEventListener("click", (event) => {
    const button = event.target.closest(".open");
    if (button && report.arrays.layout) report.open(Number(button.dataset.place));
  });
  for (const id of ["in-group", "order", "hide-caveats"]) {
    const control = document.getElementById(id);
    if (control) control.addEventListener("change", report.arrangeCards);
  }
  report.only = null;
  await paint();
  await report.unpack();
  report.setUpLegend();
  report.drawOverview();
  window.addEventListener("resize", () => report.drawOverview());
  report.setUpSearch();
  report.setUpRankings();
  report.setUpComparison();
  report.setUpDialog();
  report.setUpEdits();
  report.allUnits();
  await report.drawThumbnails();
  await report.drawMaps();
  // the first is drawn unseen, unless somebody was faster
  if (report.facts.units.length) report.fill(document.getElementById("unit").open ? report.place : 0);
  const named = /^#unit-(.+)$/.exec(location.hash);
  const place = named ? report.facts.units.findIndex(({ unit }) => unit === named[1]) : -1;
  if (place >= 0) report.open(place, { back: false });
  document.documentElement.dataset.ready = "yes";  // for those who wait for it
})();
