"use strict";
// Names and marks that the reader gives units. They live in the page until they are downloaded.
report.edits = () => {
  const rename = {}, technical = {};
  for (const { unit, name, technical: mark, given } of report.facts.units) {
    if (name !== given.name) rename[unit] = name;
    if (mark !== given.technical) technical[unit] = mark;
  }
  return { rename, technical };
};

report.nEdits = () => Object.values(report.edits()).reduce((sum, part) => sum + Object.keys(part).length, 0);

// What is wrong with a name; "" if nothing is.
report.nameProblem = (place, name) => {
  if (/^\d+$/.test(name)) return "A number would be taken for a unit’s. Choose another name.";
  const other = report.facts.units.find((unit) => unit.place !== place && unit.name === name);
  return name && other ? `Programme ${other.unit} has that name. Choose another.` : "";
};

report.rename = (place, text) => {
  const unit = report.unit(place), name = text.trim().replace(/\s+/g, " "), problem = report.nameProblem(place, name);
  document.getElementById("unit-problem").textContent = problem;
  unit.name = problem ? unit.given.name : name || unit.given.name;
  const words = unit.name || "no name";
  for (const shown of document.querySelectorAll(`[data-named="${place}"]`)) shown.textContent = words;
  for (const link of document.querySelectorAll(`[data-link="${place}"]`)) link.textContent = report.unitWords(place);
  report.showEdits();
};

report.markTechnical = (place, mark) => {
  report.unit(place).technical = mark;
  report.arrangeCards();
  report.showEdits();
};

report.showEdits = () => {
  const n = report.nEdits();
  document.getElementById("edits").hidden = !n;
  document.getElementById("n-edits").textContent = `${n} ${n === 1 ? "edit" : "edits"} in this page only`;
  for (const button of document.querySelectorAll(".save-edits")) button.hidden = !n;
};

// The fields of the large view, for the unit in it.
report.fillEdits = (place) => {
  const unit = report.unit(place);
  document.getElementById("unit-name").value = unit.name;
  document.getElementById("unit-problem").textContent = "";
  document.getElementById("unit-technical").checked = unit.technical;
};

report.setUpEdits = () => {
  const { model, key } = report.facts, name = document.getElementById("unit-name"), mark = document.getElementById("unit-technical");
  for (const unit of report.facts.units) unit.given = { name: unit.name, technical: unit.technical };
  name.addEventListener("input", () => report.rename(report.place, name.value));
  mark.addEventListener("change", () => report.markTechnical(report.place, mark.checked));
  const save = () => {
    const text = JSON.stringify({ modulae_edits: 1, model, key, ...report.edits() }, null, 2);
    report.download("edits.json", `${text}\n`, "application/json");
  };
  for (const button of document.querySelectorAll(".save-edits")) button.addEventListener("click", save);
  report.showEdits();
};
