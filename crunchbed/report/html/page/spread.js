"use strict";
// Variants side by side: every valid run as a dot, the median as a bar, the range as a line,
// the 95 % interval of the median as a box, where there are runs enough for one.

function drawSpread(u, one) {
  const ctx = u.ctx, scale = devicePixelRatio;
  one.values.forEach((values, i) => {
    if (!values.length) return;
    const x = u.valToPos(i, "x", true), y = (v) => u.valToPos(v, "y", true);
    ctx.strokeStyle = ctx.fillStyle = colour(i);
    const interval = one.intervals[i];
    if (interval) {
      ctx.globalAlpha = 0.22;
      ctx.fillRect(x - 13 * scale, y(interval[1]), 26 * scale, y(interval[0]) - y(interval[1]));
      ctx.globalAlpha = 1;
    }
    ctx.lineWidth = 2 * scale;
    ctx.beginPath(); ctx.moveTo(x, y(Math.min(...values))); ctx.lineTo(x, y(Math.max(...values))); ctx.stroke();
    ctx.fillRect(x - 13 * scale, y(one.medians[i]) - 1.5 * scale, 26 * scale, 3 * scale);
    ctx.globalAlpha = 0.65;
    values.forEach((v, n) => {
      // Equal values would hide each other.
      const aside = ((n % 5) - 2) * 3.2 * scale;
      ctx.beginPath(); ctx.arc(x + aside, y(v), 2.6 * scale, 0, 2 * Math.PI); ctx.fill();
    });
    ctx.globalAlpha = 1;
  });
}

function between(interval) {
  return interval ? ` (95 % interval ${tidy(interval[0])} to ${tidy(interval[1])})` : "";
}

function spreadChart(host, names, one) {
  const figure = document.createElement("figure"), caption = document.createElement("figcaption"), body = document.createElement("div");
  caption.textContent = one.name.replaceAll("_", " ");
  figure.append(caption, body);
  host.append(figure);
  const all = one.values.flat(), high = Math.max(...all, 0), low = Math.min(...all, 0);
  const spoken = names.map((name, i) => `${name}: ${one.values[i].length ? tidy(one.medians[i]) : "nothing"}${between(one.intervals[i])}`).join(", ");
  body.setAttribute("role", "img");
  body.setAttribute("aria-label", `${caption.textContent}, medians: ${spoken}`);
  const options = {
    width: body.clientWidth, height: 190, legend: { show: false }, cursor: { show: false },
    scales: { x: { time: false, range: [-0.6, names.length - 0.4] }, y: { range: [low, high === low ? low + 1 : high + (high - low) * 0.08] } },
    series: [{}, { stroke: "transparent", points: { show: false } }],
    axes: [
      axis({ splits: () => names.map((_, i) => i), values: () => names.map((name) => name.replaceAll("-", "\n")), grid: { show: false }, size: names.some((n) => n.includes("-")) ? 46 : 30 }),
      upright({}),
    ],
    hooks: { draw: [(u) => drawSpread(u, one)] },
  };
  return placed(body, options, [names.map((_, i) => i), one.medians]);
}
