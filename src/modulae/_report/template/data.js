"use strict";
// The numbers behind the page. `facts` is JSON; `arrays` are typed arrays, unpacked once.
const report = { facts: JSON.parse(document.getElementById("facts").textContent), arrays: {} };

report.unpack = async () => {
  const kinds = { u1: Uint8Array, u2: Uint16Array, u4: Uint32Array, i2: Int16Array, i8: BigInt64Array, f4: Float32Array, f8: Float64Array };
  const text = atob(document.getElementById("arrays").textContent);
  const packed = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i += 1) packed[i] = text.charCodeAt(i);
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  const buffer = await new Response(stream).arrayBuffer();
  for (const { name, kind, start, bytes } of report.facts.places) {
    report.arrays[name] = kind === "json"
      ? JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, start, bytes)))
      : new kinds[kind](buffer, start, bytes / kinds[kind].BYTES_PER_ELEMENT);
  }
};

report.unit = (place) => report.facts.units[place];

// Activity of a unit in every drawn cell: one byte each; 254 and 255 are below and above the scale.
report.activity = (place) => report.arrays.activity.subarray(place * report.facts.n_drawn, (place + 1) * report.facts.n_drawn);
report.step = (code) => (code === 254 ? 0 : Math.min(code, 253));
report.scale = (place) => [report.arrays.scale[2 * place], report.arrays.scale[2 * place + 1]];

// The groups of a column, or their cells within a group of another: cells, and where their moments stand.
report.parts = (at, within) => {
  if (within === null) return Array.from(report.arrays[`n${at}`], (n, group) => ({ group, n, row: group }));
  const first = at < within.at, crossed = report.arrays[`crossed${report.pairName(at, within)}`] || [];
  return crossed.map(([one, other, n], row) => ({ group: first ? one : other, category: first ? other : one, n, row }))
    .filter(({ category }) => category === within.group);
};

report.pairName = (at, within) => (within === null ? at : at < within.at ? `${at}_${within.at}` : `${within.at}_${at}`);

// Groups: cells, mean and variance (units) of several groups taken together.
report.side = (at, groups, within = null) => {
  const name = report.pairName(at, within), mean = report.arrays[`mean${name}`], variance = report.arrays[`variance${name}`];
  const n_units = report.facts.units.length, parts = report.parts(at, within).filter(({ group }) => groups.includes(group));
  const total = parts.reduce((sum, { n }) => sum + n, 0);
  const means = new Float64Array(n_units), variances = new Float64Array(n_units);
  for (const { n, row } of parts) for (let u = 0; u < n_units; u += 1) means[u] += n / total * mean[row * n_units + u];
  for (const { n, row } of parts) {
    for (let u = 0; u < n_units; u += 1) {
      variances[u] += n / total * (variance[row * n_units + u] + (mean[row * n_units + u] - means[u]) ** 2);
    }
  }
  return { n: total, mean: means, variance: variances };
};

// Units: mean of the group minus that of the reference, in standard deviations over the cells of both.
report.difference = (at, group, reference, within = null) => {
  const a = report.side(at, group, within), b = report.side(at, reference, within), both = report.side(at, [...group, ...reference], within);
  const difference = Array.from(both.variance, (variance, u) => {
    const spread = Math.sqrt(variance);
    return spread > 1e-6 * Math.sqrt(variance + both.mean[u] ** 2) ? (a.mean[u] - b.mean[u]) / spread : 0;
  });
  return { difference, mean: a.mean, reference: b.mean };
};

// Sets: what was worked out for every pair; see `pairs` in core/statistics/group_pairs.py for their order. `null` stands for all others.
report.setDifferences = (at, group, reference) => {
  const sets = report.arrays[`pair_sets${at}`];
  if (!sets) return null;
  const n = report.facts.columns[at].groups.length;
  const pair = (i, j) => n + i * n - i * (i + 1) / 2 + (j - i - 1);
  let row, sign = 1;
  if (reference === null) row = group;
  else if (group === null) [row, sign] = [reference, -1];
  else if (group < reference) row = pair(group, reference);
  else [row, sign] = [pair(reference, group), -1];
  const effects = report.arrays[`pair_effects${at}`];
  return Array.from(sets, (set, s) => ({ set, effect: sign * effects[row * sets.length + s] }));
};

// Stored p and q of the same comparison, if its effects are the same numbers.
report.tested = (at, group, reference) => {
  const groups = report.facts.columns[at].groups;
  // of two groups, the other one is the rest
  const alike = (reference, b) => (reference === "rest" ? b === null || groups.length === 2 : b !== null && reference === groups[b]);
  const find = (a, b) => (a === null ? null : (report.arrays[`tested${at}`] || []).find((t) => t.group === groups[a] && alike(t.reference, b)));
  const found = find(group, reference) || find(reference, group);
  if (!found) return null;
  const ours = report.setDifferences(at, group, reference);
  const largest = Math.max(...ours.map(({ effect }) => Math.abs(effect)));
  const same = ours.every(({ effect }, s) => found.effect[s] === null || Math.abs(Math.abs(effect) - Math.abs(found.effect[s])) <= 1e-3 * largest);
  return same ? found : null;
};
