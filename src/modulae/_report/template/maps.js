"use strict";
// The two large maps. Bokeh draws them once, empty; a click only hands over other numbers.
report.drawMaps = async () => {
  const { json, roots } = report.facts.maps, elements = {};
  for (const [kind, id] of Object.entries(roots)) elements[id] = document.getElementById(`map-${kind}`);
  const item = { docid: "maps", root_ids: Object.values(roots), roots: elements };
  await Bokeh.embed.embed_items({ maps: json }, [item]);
  const found = Bokeh.documents.at(-1);
  report.models = Object.fromEntries(["activity_cells", "groups_cells", "activity_colours", "labels", "activity_points", "groups_points", "x", "y"].map((name) => [name, found.get_model_by_name(name)]));
  const n = report.facts.n_drawn, size = Math.max(2.5, Math.min(7, 260 / Math.sqrt(n)));
  for (const kind of Object.keys(roots)) report.models[`${kind}_points`].glyph.size = size;
  const x = new Float32Array(n), y = new Float32Array(n);
  for (let i = 0; i < n; i += 1) {
    x[i] = report.arrays.layout[2 * i] / 65535;
    y[i] = report.arrays.layout[2 * i + 1] / 65535;
  }
  report.points = { x, y };
  report.colourBy = 0;
  report.frameMaps();
  new ResizeObserver(report.frameMaps).observe(document.getElementById("map-activity"));
};

// Both directions of a map on one scale, whatever the shape of its frame.
report.frameMaps = () => {
  const box = document.getElementById("map-activity").getBoundingClientRect(), wide = box.width / Math.max(1, box.height - 32);
  for (const [name, reach] of [["x", 0.53 * Math.max(1, wide)], ["y", 0.53 * Math.max(1, 1 / wide)]]) {
    const [start, end] = [0.5 - reach, 0.5 + reach];
    report.models[name].setv({ start, end, reset_start: start, reset_end: end });
  }
};

// The activity of a unit; cells where it is high are drawn last, so that none of them is hidden.
report.mapActivity = (place) => {
  const { activity_cells: cells, activity_colours: colours } = report.models, codes = report.activity(place), n = codes.length;
  const [low, high] = report.scale(place), starts = new Uint32Array(257), order = new Uint32Array(n);
  const key = (code) => (code === 254 ? 0 : code === 255 ? 255 : code + 1);
  for (let i = 0; i < n; i += 1) starts[key(codes[i]) + 1] += 1;
  for (let code = 0; code < 256; code += 1) starts[code + 1] += starts[code];
  for (let i = 0; i < n; i += 1) order[starts[key(codes[i])]++] = i;
  const take = (values) => Float32Array.from(order, (i) => values[i]);
  const value = (code) => low + report.step(code) / 253 * (high - low);
  const column = report.facts.columns[report.colourBy], groups = column && report.arrays[`codes${report.colourBy}`];
  const words = Array.from({ length: 256 }, (_, code) => (code === 254 ? `below ${report.number(low)}` : code === 255 ? `above ${report.number(high)}` : report.number(value(code))));
  report.words = words;
  cells.data = {
    x: take(report.points.x), y: take(report.points.y),
    activity: Float32Array.from(order, (i) => value(codes[i])),
    words: Array.from(order, (i) => words[codes[i]]),
    cell: Array.from(order, (i) => report.arrays.cells[i]),
    group: column ? Array.from(order, (i) => column.groups[groups[i]] || "no label") : new Array(n).fill(""),
    colour: new Array(n).fill(""),
  };
  colours.setv({ low, high });
  document.getElementById("scale-low").textContent = report.number(low);
  document.getElementById("scale-high").textContent = report.number(high);
};

// The groups of the cells; they change with the column, their hover text with the unit.
report.mapGroups = (place, { again = false } = {}) => {
  const { groups_cells: cells, labels } = report.models;
  if (!cells) return;
  const column = report.facts.columns[report.colourBy], codes = report.arrays[`codes${report.colourBy}`], n = codes.length;
  const activity = report.activity(place), words = Array.from(activity, (code) => report.words[code]);
  if (!again && cells.data.x.length === n) {
    cells.data.words.splice(0, n, ...[]);
    for (let i = 0; i < n; i += 1) cells.data.words.push(words[i]);  // no new picture for a text that only hovering shows
    return;
  }
  cells.data = {
    x: report.points.x, y: report.points.y, activity: new Float32Array(n), words, cell: report.arrays.cells,
    group: Array.from(codes, (code) => column.groups[code] || "no label"),
    colour: Array.from(codes, (code) => column.colours[code] || report.facts.missing),
  };
  const dots = column.groups.map((group, at) => report.legendItem(group, column.colours[at]));
  document.getElementById("unit-legend").replaceChildren(...dots);
  document.getElementById("map-groups").setAttribute("aria-label", `Map of the cells by ${column.name}: ${column.groups.join(", ")}`);
  labels.data = { x: column.labels.map(([x]) => x), y: column.labels.map(([, y]) => y), text: column.names };
};
