// SPDX-License-Identifier: Apache-2.0
// Plots on a canvas, in coordinates of their axes' scales. What is binned comes from the server.

const MARGIN = { left: 58, right: 14, top: 12, bottom: 46 };
// Viridis, which is read alike with every kind of sight.
const STOPS = [
  [68, 1, 84], [72, 36, 117], [65, 68, 135], [53, 95, 141], [42, 120, 142], [33, 145, 140],
  [34, 168, 132], [68, 191, 112], [122, 209, 81], [189, 223, 38], [253, 231, 37],
];
const HANDLE = 5;

export function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function viridis(level) {
  const place = (level / 255) * (STOPS.length - 1);
  const at = Math.min(STOPS.length - 2, Math.floor(place));
  return STOPS[at].map((low, channel) => Math.round(low + (STOPS[at + 1][channel] - low) * (place - at)));
}
const COLOURS = Array.from({ length: 256 }, (_, level) => viridis(level));

// A canvas with two axes, each shown from `low` to `high` of its scale.
class Axes {
  constructor(canvas) {
    this.canvas = canvas;
    this.x = { low: 0, high: 1, ticks: [] };
    this.y = { low: 0, high: 1, ticks: [] };
  }

  begin() {
    const ratio = window.devicePixelRatio || 1;
    const { clientWidth: width, clientHeight: height } = this.canvas;
    if (this.canvas.width !== Math.round(width * ratio) || this.canvas.height !== Math.round(height * ratio)) {
      this.canvas.width = Math.round(width * ratio);
      this.canvas.height = Math.round(height * ratio);
    }
    this.box = {
      left: MARGIN.left, top: MARGIN.top, width: width - MARGIN.left - MARGIN.right, height: height - MARGIN.top - MARGIN.bottom,
    };
    const context = this.canvas.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    context.font = "12px system-ui, sans-serif";
    return context;
  }

  // Pixels of a point of the axes, and back.
  toPixels([x, y]) {
    const { left, top, width, height } = this.box;
    return [left + ((x - this.x.low) / (this.x.high - this.x.low)) * width, top + height - ((y - this.y.low) / (this.y.high - this.y.low)) * height];
  }

  toPoint([left, top]) {
    const box = this.box;
    return [
      this.x.low + ((left - box.left) / box.width) * (this.x.high - this.x.low),
      this.y.low + ((box.top + box.height - top) / box.height) * (this.y.high - this.y.low),
    ];
  }

  frame(context, xName, yName) {
    const { left, top, width, height } = this.box;
    context.strokeStyle = colour("--line");
    context.fillStyle = colour("--soft");
    context.lineWidth = 1;
    context.strokeRect(left + 0.5, top + 0.5, width, height);
    context.textAlign = "center";
    context.textBaseline = "top";
    for (const [place, text] of this.x.ticks) {
      const at = left + place * width;
      line(context, at, top + height, at, top + height + (text ? 6 : 3));
      if (text) context.fillText(text, at, top + height + 8);
    }
    context.textAlign = "right";
    context.textBaseline = "middle";
    for (const [place, text] of this.y.ticks) {
      const at = top + height - place * height;
      line(context, left - (text ? 6 : 3), at, left, at);
      if (text) context.fillText(text, left - 8, at);
    }
    context.fillStyle = colour("--ink");
    context.textAlign = "center";
    context.textBaseline = "alphabetic";
    context.fillText(xName, left + width / 2, top + height + 38, width);
    context.save();
    context.translate(12, top + height / 2);
    context.rotate(-Math.PI / 2);
    context.fillText(yName, 0, 2, height);
    context.restore();
  }

  note(context, text) {
    const { left, top, width, height } = this.box;
    context.fillStyle = colour("--soft");
    context.textAlign = "center";
    context.fillText(text, left + width / 2, top + height / 2, width - 20);
  }
}

function line(context, x0, y0, x1, y1) {
  context.beginPath();
  context.moveTo(x0, y0);
  context.lineTo(x1, y1);
  context.stroke();
}

export class DensityPlot extends Axes {
  constructor(canvas) {
    super(canvas);
    this.bins = document.createElement("canvas");
    this.data = null;
    this.message = "no events yet";
  }

  take(density, xName, yName) {
    this.names = [xName, yName];
    this.data = density && !density.error ? density : null;
    this.message = density?.error ?? "no events yet";
    if (!this.data) return;
    this.x = density.x;
    this.y = density.y;
    const size = density.bins;
    const levels = atob(density.levels);
    this.bins.width = this.bins.height = size;
    const context = this.bins.getContext("2d");
    const image = context.createImageData(size, size);
    for (let row = 0; row < size; row++) {
      for (let column = 0; column < size; column++) {
        const level = levels.charCodeAt(row * size + column);
        if (level) image.data.set([...COLOURS[level], 255], 4 * ((size - 1 - row) * size + column));
      }
    }
    context.putImageData(image, 0, 0);
  }

  // shapes: {corners: [[x, y]], closed, chosen, corner, label}.
  draw(shapes) {
    const context = this.begin();
    const { left, top, width, height } = this.box;
    if (this.data) {
      context.imageSmoothingEnabled = false;
      context.drawImage(this.bins, left, top, width, height);
    } else {
      this.note(context, this.message);
    }
    context.save();
    context.beginPath();
    context.rect(left, top, width, height);
    context.clip();
    for (const shape of shapes) this.shape(context, shape);
    context.restore();
    this.frame(context, ...(this.names ?? ["", ""]));
  }

  shape(context, { corners, closed, chosen, corner, label }) {
    if (!corners.length) return;
    const pixels = corners.map((point) => this.toPixels(point));
    for (const [style, wide] of [[colour("--card"), chosen ? 5 : 4], [chosen ? colour("--c1") : colour("--ink"), chosen ? 2.5 : 1.5]]) {
      context.strokeStyle = style;
      context.lineWidth = wide;
      context.beginPath();
      pixels.forEach(([x, y], index) => (index ? context.lineTo(x, y) : context.moveTo(x, y)));
      if (closed) context.closePath();
      context.stroke();
    }
    if (chosen) {
      pixels.forEach(([x, y], index) => {
        context.fillStyle = index === corner ? colour("--c1") : colour("--card");
        context.strokeStyle = index === corner ? colour("--card") : colour("--c1");
        context.lineWidth = 2;
        const size = index === corner ? HANDLE + 2 : HANDLE;
        context.fillRect(x - size, y - size, 2 * size, 2 * size);
        context.strokeRect(x - size, y - size, 2 * size, 2 * size);
      });
    }
    const [x, y] = pixels.reduce((best, point) => (point[1] < best[1] ? point : best));
    context.font = "600 13px system-ui, sans-serif";
    context.textAlign = "center";
    context.lineWidth = 4;
    context.strokeStyle = colour("--card");
    context.fillStyle = colour("--ink");
    const half = context.measureText(label).width / 2 + 4;
    const at = Math.min(Math.max(x, this.box.left + half), this.box.left + this.box.width - half);
    context.strokeText(label, at, Math.max(this.box.top + 16, y - 10));
    context.fillText(label, at, Math.max(this.box.top + 16, y - 10));
    context.font = "12px system-ui, sans-serif";
  }
}

export class HistogramPlot extends Axes {
  take(histogram, name) {
    this.name = name;
    this.data = histogram && !histogram.error ? histogram : null;
    this.message = histogram?.error ?? "no events yet";
    if (!this.data) return;
    this.x = histogram.axis;
    const most = Math.max(1, ...histogram.counts);
    this.y = { low: 0, high: most * 1.05, ticks: [[0, "0"], [1 / 1.05, most.toLocaleString("en")]] };
  }

  // threshold: place on the axis, or null.
  draw(threshold) {
    const context = this.begin();
    if (!this.data) {
      this.note(context, this.message);
      this.frame(context, this.name ?? "", "events");
      return;
    }
    const { counts } = this.data;
    const step = (this.x.high - this.x.low) / counts.length;
    const floor = this.box.top + this.box.height;
    context.fillStyle = colour("--bar");
    context.beginPath();
    context.moveTo(this.box.left, floor);
    counts.forEach((count, index) => {
      const [x0, y] = this.toPixels([this.x.low + index * step, count]);
      context.lineTo(x0, y);
      context.lineTo(this.toPixels([this.x.low + (index + 1) * step, count])[0], y);
    });
    context.lineTo(this.box.left + this.box.width, floor);
    context.fill();
    if (threshold !== null) {
      const [x] = this.toPixels([threshold, 0]);
      context.strokeStyle = colour("--c1");
      context.lineWidth = 3;
      context.setLineDash([7, 4]);
      line(context, x, this.box.top, x, floor);
      context.setLineDash([]);
    }
    this.frame(context, this.name, "events");
  }
}

// Curves over time, by uPlot. keys: of the points; each has a name.
export class Curves {
  constructor(parent) {
    this.parent = parent;
    this.keys = "";
  }

  draw(points, series) {
    const data = [points.map((point) => point.time), ...series.map(({ of }) => points.map(of))];
    const dark = matchMedia("(prefers-color-scheme: dark)").matches;
    const keys = JSON.stringify([series.map(({ name }) => name), dark]);
    if (keys !== this.keys) {
      this.keys = keys;
      this.plot?.destroy();
      const axis = { stroke: colour("--soft"), grid: { stroke: colour("--line"), width: 1 }, ticks: { stroke: colour("--line") } };
      this.plot = new window.uPlot(
        {
          width: this.parent.clientWidth,
          height: 210,
          legend: { live: true },
          scales: { y: { range: (_, low, high) => [0, Math.max(1, high * 1.1)] } },
          axes: [{ ...axis, space: 90, values: (_, times) => times.map((time) => new Date(1000 * time).toLocaleTimeString("en-GB")) }, { ...axis, size: 62 }],
          series: [
            { label: "at", value: (_, time) => (time ? new Date(1000 * time).toLocaleTimeString("en-GB") : "–") },
            ...series.map(({ name }, index) => ({
              label: name,
              stroke: colour(`--c${index % 7}`),
              width: 2,
              dash: [[], [8, 4], [2, 3], [10, 3, 2, 3]][(index + Math.floor(index / 7)) % 4],
              value: (_, value) => (value === null || value === undefined ? "–" : `${value.toLocaleString("en", { maximumFractionDigits: 1 })}/s`),
            })),
          ],
        },
        data,
        this.parent,
      );
      return;
    }
    if (this.plot.width !== this.parent.clientWidth) this.plot.setSize({ width: this.parent.clientWidth, height: 210 });
    this.plot.setData(data);
  }
}
