"use strict";
// Small maps: cells are counted into pixels, and a pixel takes the colour of the mean of its cells.
report.rgb = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));

// Where each cell falls on a square of `side` pixels, and how large a dot it gets.
report.grid = (width, height) => {
  const layout = report.arrays.layout, n = report.facts.n_drawn;
  const dot = Math.max(1, Math.round(Math.min(width, height) / 6.5 / n ** 0.25));
  const side = Math.min(width, height) - dot - 2, left = (width - side - dot) / 2, top = (height - side - dot) / 2;
  const at = new Uint32Array(n);
  for (let i = 0; i < n; i += 1) {
    const x = Math.round(left + layout[2 * i] / 65535 * side), y = Math.round(top + (1 - layout[2 * i + 1] / 65535) * side);
    at[i] = y * width + x;
  }
  return { at, dot, width, height };
};

report.drawActivity = (canvas, place, grid) => {
  const { at, dot, width, height } = grid, n = at.length, codes = report.activity(place);
  const sum = new Float32Array(width * height), count = new Uint16Array(width * height);
  for (let i = 0; i < n; i += 1) {
    const value = report.step(codes[i]);
    for (let row = 0; row < dot; row += 1) {
      for (let column = 0; column < dot; column += 1) {
        const pixel = at[i] + row * width + column;
        sum[pixel] += value;
        count[pixel] += 1;
      }
    }
  }
  const image = new ImageData(width, height), paint = new Uint32Array(image.data.buffer);
  for (let pixel = 0; pixel < paint.length; pixel += 1) {
    if (count[pixel]) paint[pixel] = report.ink[Math.round(sum[pixel] / count[pixel] / 253 * 255)];
  }
  canvas.width = width;
  canvas.height = height;
  canvas.getContext("2d").putImageData(image, 0, 0);
};

report.drawThumbnails = async () => {
  report.ink = Uint32Array.from(report.facts.colours, (hex) => {
    const [red, green, blue] = report.rgb(hex);
    return (255 << 24 | blue << 16 | green << 8 | red) >>> 0;
  });
  const side = Math.round(138 * Math.min(2, window.devicePixelRatio || 1));
  const grid = report.grid(side, side);
  let start = performance.now();
  for (const canvas of document.querySelectorAll(".thumbnail")) {
    report.drawActivity(canvas, Number(canvas.dataset.place), grid);
    if (performance.now() - start > 30) {  // a click comes first
      await new Promise((resume) => { setTimeout(resume); });
      start = performance.now();
    }
  }
};

// The cells by group, with the names on them; `only` is one group to show, the others pale.
report.drawOverview = (only = null) => {
  const canvas = document.getElementById("overview");
  if (!canvas) return;
  const column = report.facts.columns[0], codes = report.arrays.codes0, n = report.facts.n_drawn, layout = report.arrays.layout;
  const ratio = Math.min(2, window.devicePixelRatio || 1), box = canvas.getBoundingClientRect();
  const [width, height] = [Math.max(1, Math.round(box.width * ratio)), Math.max(1, Math.round(box.height * ratio))];
  canvas.width = width;
  canvas.height = height;
  const pen = canvas.getContext("2d"), radius = Math.max(0.9, Math.min(2.6, 95 / Math.sqrt(n))) * ratio;
  const side = Math.min(width, height) - 2 * radius - 4, left = (width - side) / 2, top = (height - side) / 2;
  const pale = (i) => (only === null ? codes[i] < 0 : codes[i] !== only);
  for (const under of [true, false]) {
    for (let k = 0; k < n; k += 1) {
      const i = (k * 7919) % n;  // no group on top of another by its place in the table
      if (pale(i) !== under) continue;
      pen.fillStyle = under ? report.facts.missing : column.colours[codes[i]];
      pen.beginPath();
      pen.arc(left + layout[2 * i] / 65535 * side, top + (1 - layout[2 * i + 1] / 65535) * side, radius, 0, 6.3);
      pen.fill();
    }
  }
  pen.font = `600 ${12.5 * ratio}px system-ui, "DejaVu Sans", sans-serif`;
  pen.textAlign = "center";
  pen.textBaseline = "middle";
  pen.lineWidth = 3.5 * ratio;
  pen.lineJoin = "round";
  pen.strokeStyle = "rgb(255 255 255 / 88%)";
  pen.fillStyle = "#1b1f24";
  column.names.forEach((name, at) => {
    if (only !== null && only !== at) return;
    const half = pen.measureText(name).width / 2 + 3 * ratio, [x, y] = column.labels[at];
    const middle = Math.min(Math.max(left + x * side, half), Math.max(half, width - half));
    pen.strokeText(name, middle, top + (1 - y) * side);
    pen.fillText(name, middle, top + (1 - y) * side);
  });
};
