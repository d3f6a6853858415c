"use strict";
// What all charts share: colours of the theme, one time axis, numbers as text.

const DATA = JSON.parse(document.getElementById("data").textContent);

// Okabe and Ito's colours, which the colour-blind tell apart; yellow is darkened for light paper.
const PALETTE = {
  light: ["#0072B2", "#D55E00", "#009E73", "#AA4499", "#8a6d00", "#3a9bd0", "#444b54"],
  dark: ["#5cb3ec", "#ff8a4c", "#3ddca6", "#e08ad0", "#f0e442", "#9ad1f5", "#c3cad2"],
};

function isDark() { return document.documentElement.dataset.theme === "dark"; }

function colour(index) {
  const found = PALETTE[isDark() ? "dark" : "light"];
  return found[index % found.length];
}

// More curves than colours repeat them with another stroke.
function dash(index) { return [null, [6, 4], [2, 3], [10, 3, 2, 3]][Math.floor(index / 7) % 4] || undefined; }

function ink(name) { return getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim(); }

function tidy(value) {
  if (value === null || value === undefined) return "–";
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 100) return Math.round(value).toLocaleString("en");
  return String(Number(value.toPrecision(size < 0.001 ? 2 : 3)));
}

function duration(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  const size = Math.abs(seconds);
  if (size >= 1 || size === 0) return tidy(seconds) + " s";
  return size >= 1e-3 ? tidy(seconds * 1e3) + " ms" : tidy(seconds * 1e6) + " µs";
}

function axis(more) {
  return Object.assign({
    stroke: ink("faint"), font: "12px system-ui, sans-serif",
    grid: { stroke: ink("grid"), width: 1 }, ticks: { stroke: ink("rule"), width: 1 },
  }, more);
}

// A vertical axis as wide as what stands at it.
function upright(more) {
  const size = (_, found) => 16 + 7 * Math.max(3, ...(found || []).map((text) => String(text).length));
  return axis(Object.assign({ size, values: (_, found) => found.map(tidy) }, more));
}

// The charts over time: one range for all of them.
const Time = {
  charts: [], min: DATA.whole[0], max: DATA.whole[1], busy: false,
  join(chart) { this.charts.push(chart); },
  show(min, max) {
    const [first, last] = DATA.whole;
    const width = Math.min(Math.max(max - min, (last - first) * 1e-6, 2e-6), last - first);
    min = Math.min(Math.max(min, first), last - width);
    this.min = min;
    this.max = min + width;
    this.busy = true;
    for (const one of this.charts) one.setScale("x", { min: this.min, max: this.max });
    this.busy = false;
  },
  followed(chart) {
    const { min, max } = chart.scales.x;
    if (!this.busy && min !== null && (min !== this.min || max !== this.max)) this.show(min, max);
  },
  zoom(factor) {
    const middle = (this.min + this.max) / 2, half = (this.max - this.min) / 2 * factor;
    this.show(middle - half, middle + half);
  },
  move(share) {
    const by = (this.max - this.min) * share;
    this.show(this.min + by, this.max + by);
  },
  whole() { this.show(...DATA.whole); },
};

// Spans as rectangles of at least a pixel; where they meet on the screen none is drawn over another.
function drawSpans(u, spans, y, height, fill) {
  const { min, max } = u.scales.x;
  let drawn = -Infinity;
  u.ctx.fillStyle = fill;
  for (const [a, b] of spans) {
    if (b < min || a > max) continue;
    const from = Math.max(u.valToPos(a, "x", true), drawn);
    const to = Math.max(u.valToPos(b, "x", true), from === drawn ? drawn : from + devicePixelRatio);
    if (to > from) u.ctx.fillRect(from, y, to - from, height);
    drawn = to;
  }
}

// A chart over time that follows the others; double click shows the whole.
function timeOptions(host, height) {
  return {
    width: host.clientWidth, height,
    scales: { x: { time: false, min: Time.min, max: Time.max, auto: false } },
    cursor: { sync: { key: "time", setSeries: false }, drag: { x: true, y: false, setScale: true },
      bind: { dblclick: () => () => { Time.whole(); return null; } } },
    hooks: { setScale: [(u, key) => { if (key === "x") Time.followed(u); }] },
  };
}

function placed(host, options, data) {
  const chart = new uPlot(options, data, host);
  new ResizeObserver(() => {
    if (host.clientWidth && host.clientWidth !== chart.width) chart.setSize({ width: host.clientWidth, height: chart.height });
  }).observe(host);
  return chart;
}
