"use strict";
// Curves: free pages, write rate, latency.

const GAP = -1;

function seriesOf(found, more) {
  return found.map((one, i) => Object.assign({
    label: one.label, stroke: colour(i), dash: dash(i), width: 1.6, points: { show: false },
    show: DATA.at_first.includes(one.label),
  }, more));
}

// A legend that the keyboard reaches: Enter or space shows and hides a curve.
function reachable(chart) {
  const rows = [...chart.root.querySelectorAll(".u-legend .u-series")];
  // Of all: a click with Ctrl hides the others.
  const say = () => rows.forEach((row, i) => { if (i) row.setAttribute("aria-pressed", String(chart.series[i].show)); });
  rows.forEach((row, i) => {
    if (i === 0) return;
    row.tabIndex = 0;
    row.setAttribute("role", "button");
    row.addEventListener("click", say);
    row.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      chart.setSeries(i, { show: !chart.series[i].show });
      say();
    });
  });
  say();
  return chart;
}

function bandsUnder(u) {
  u.ctx.save();
  u.ctx.beginPath();
  u.ctx.rect(u.bbox.left, u.bbox.top, u.bbox.width, u.bbox.height);
  u.ctx.clip();
  drawSpans(u, DATA.bands, u.bbox.top, u.bbox.height, ink("pressure"));
  u.ctx.restore();
}

function reserveLines(u, found) {
  const ctx = u.ctx;
  ctx.save();
  ctx.setLineDash([5 * devicePixelRatio, 4 * devicePixelRatio]);
  ctx.strokeStyle = ink("ink");
  for (const pages of new Set(found.filter((_, i) => u.series[i + 1].show).map((one) => one.reserve))) {
    if (pages === null) continue;
    const y = u.valToPos(pages, "y", true);
    ctx.beginPath(); ctx.moveTo(u.bbox.left, y); ctx.lineTo(u.bbox.left + u.bbox.width, y); ctx.stroke();
    ctx.fillStyle = ink("ink");
    ctx.font = `${11 * devicePixelRatio}px system-ui, sans-serif`;
    ctx.textAlign = "right";
    ctx.fillText(`reserve ${pages}`, u.bbox.left + u.bbox.width - 4 * devicePixelRatio, y - 4 * devicePixelRatio);
  }
  ctx.restore();
}

// A linear part up to the reserve, for harm is done there, and decades above it.
function levelSplits(reserve, top) {
  const found = [0, reserve];
  for (let power = 10; power < top * 2; power *= 10) for (const step of [1, 3])
    if (step * power > reserve * 1.6 && step * power < top * 1.15) found.push(step * power);
  return found;
}

function levelChart(host, level) {
  const reserve = Math.max(...level.series.map((one) => one.reserve || 1));
  const top = Math.max(reserve * 2, ...level.series.map((one) => one.y.reduce((a, b) => Math.max(a, b ?? 0), 0)));
  const options = timeOptions(host, 260);
  options.scales.y = { distr: 4, asinh: reserve, range: [0, top * 1.15] };
  options.series = [{ label: "s", value: (_, v) => (v === null ? "–" : v.toFixed(3)) },
    ...seriesOf(level.series, { spanGaps: false, value: (_, v) => tidy(v) })];
  options.axes = [axis({}), upright({ splits: () => levelSplits(reserve, top), filter: (_, s) => s })];
  options.hooks.drawClear = [bandsUnder];
  options.hooks.draw = [(u) => reserveLines(u, level.series)];
  // undefined: nothing sampled here, draw on; null: no value, break off.
  const curves = level.series.map((one) => one.y.map((v) => (v === GAP ? null : v === null ? undefined : v)));
  return reachable(placed(host, options, [level.x, ...curves]));
}

function rateChart(host, rate) {
  const options = timeOptions(host, 220);
  options.series = [{ label: "s", value: (_, v) => (v === null ? "–" : v.toFixed(3)) },
    ...seriesOf(rate.series, { paths: uPlot.paths.stepped({ align: 1 }), value: (_, v) => tidy(v) })];
  options.scales.y = { range: (_, low, high) => [0, Math.max(1, high) * 1.08] };
  options.axes = [axis({}), upright({})];
  options.hooks.drawClear = [bandsUnder];
  return reachable(placed(host, options, [rate.x, ...rate.series.map((one) => one.y)]));
}

function latencyChart(host, latency) {
  if (!latency.series.length) { host.textContent = "No write was acknowledged."; return null; }
  const least = Math.min(...latency.series.map((one) => 0.5 / one.count));
  const decades = (from, to) => {
    const found = [];
    for (let power = Math.ceil(Math.log10(from) - 1e-9); power <= Math.log10(to) + 1e-9; power++) found.push(Number(`1e${power}`));
    return found;
  };
  const options = {
    width: host.clientWidth, height: 280,
    scales: { x: { time: false, distr: 3 }, y: { distr: 3, range: [least, 1.3] } },
    cursor: { drag: { x: true, y: false } },
    series: [{ label: "slower than", value: (_, v) => duration(v) },
      ...seriesOf(latency.series, { value: (_, v) => (v === null ? "–" : tidy(v * 100) + " %") })],
    axes: [
      axis({ splits: (u) => decades(u.scales.x.min, u.scales.x.max), values: (_, found) => found.map(duration), filter: (_, s) => s }),
      upright({ splits: () => decades(least, 1), values: (_, found) => found.map((v) => tidy(v * 100) + " %"), filter: (_, s) => s }),
    ],
  };
  return reachable(placed(host, options, [latency.x, ...latency.series.map((one) => one.y)]));
}
