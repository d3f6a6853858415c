"use strict";
// The time line: a row for each node, drawn on a chart that brings axes, zoom and cursor.

const ROW = 66;
const LINES = [["its heartbeats", 0.22], ["heartbeats to it", 0.5], ["block I/O", 0.78]];
const CAUSE_COLOURS = {
  reserve_drop: 1, allocation_failure: 0, stalled_sender: 4, link: 2, partition: 3, loss: 5, fenced_peer: 6, testbed: 6, unknown: 6,
};

function causeColour(index) { return colour(CAUSE_COLOURS[DATA.causes[index]] ?? 6); }
function causeName(index) { return DATA.causes[index].replaceAll("_", " "); }

let hatching = null;

function hatch(ctx) {
  if (hatching && hatching.dark === isDark()) return hatching.pattern;
  const tile = document.createElement("canvas");
  tile.width = tile.height = 8;
  const pen = tile.getContext("2d");
  pen.strokeStyle = ink("down");
  pen.lineWidth = 2.5;
  for (const shift of [-8, 0, 8]) { pen.beginPath(); pen.moveTo(shift, 8); pen.lineTo(shift + 8, 0); pen.stroke(); }
  hatching = { dark: isDark(), pattern: ctx.createPattern(tile, "repeat") };
  return hatching.pattern;
}

// What is worth a stop when one steps through a run.
function eventsOf(rows) {
  const found = [];
  const add = (row, t, text) => found.push({ row, t, text: `${duration(t)}: ${rows[row].label} ${text}` });
  rows.forEach((row, i) => {
    for (const [a, b] of row.pressure) add(i, a, `under memory pressure for ${duration(b - a)}`);
    for (const [a, b] of row.down) add(i, a, `down for ${duration(b - a)}`);
    for (const [a, b] of row.faults) add(i, a, `hit by a fault for ${duration(b - a)}`);
    for (const [a, b] of row.stalls) add(i, a, `block I/O stalled for ${duration(b - a)}`);
    for (const [a, b] of row.serving) add(i, a, `serves the block device for ${duration(b - a)}`);
    for (const [t, c] of row.unheard) add(i, t, `not heard: ${causeName(c)}`);
    for (const t of row.ejected) add(i, t, "ejected alive (false ejection)");
    for (const t of row.removed) add(i, t, "ejected, being down or cut off");
  });
  return found.sort((a, b) => a.t - b.t);
}

// Before and after a run that is shorter than another one on the page.
function unmeasured(row) {
  const [first, last] = DATA.whole, [begin, end] = row.measured;
  return [[first, begin], [end, last]].filter(([a, b]) => b > a);
}

function drawRow(u, row, index, left, right) {
  const ctx = u.ctx, scale = devicePixelRatio;
  const top = u.bbox.top + index * ROW * scale, high = ROW * scale;
  const x = (t) => u.valToPos(t, "x", true);
  const bar = (spans, y, h, fill) => drawSpans(u, spans, y, h, fill);
  const line = (share) => top + high * share;
  const thin = 3 * scale;
  bar(unmeasured(row), top + scale, high - scale, ink("grid"));
  bar(row.down, top + scale, high - 2 * scale, hatch(ctx));
  bar(row.pressure, top + scale, high - 2 * scale, ink("pressure"));
  bar(row.faults, top + high - 5 * scale, thin, ink("fault"));
  bar(row.serving, top + high - 9 * scale, thin, ink("good"));
  bar(row.beating, line(LINES[0][1]) - scale, 2 * scale, ink("beat"));
  bar(row.stalls, line(LINES[2][1]) - 4 * scale, 8 * scale, ink("stall"));
  const ticks = (marks, share) => {
    for (const [t, cause] of marks) {
      if (t < left || t > right) continue;
      ctx.fillStyle = causeColour(cause);
      ctx.fillRect(x(t) - scale, line(share) - 7 * scale, 2 * scale, 14 * scale);
    }
  };
  ticks(row.unheard, LINES[0][1]);
  ticks(row.missed, LINES[1][1]);
  for (const [times, filled] of [[row.ejected, true], [row.removed, false]])
    for (const t of times) if (t >= left && t <= right) ejection(ctx, x(t), top, high, scale, filled);
  for (const [, b] of row.down) if (b >= left && b < Math.min(right, DATA.whole[1])) boot(ctx, x(b), top + high, scale);
}

function ejection(ctx, at, top, high, scale, filled) {
  ctx.strokeStyle = ctx.fillStyle = ink("ink");
  ctx.lineWidth = 1.5 * scale;
  ctx.beginPath(); ctx.moveTo(at, top); ctx.lineTo(at, top + high); ctx.stroke();
  triangle(ctx, at, top + scale, 6 * scale, 9 * scale, filled);
}

function boot(ctx, at, bottom, scale) {
  ctx.strokeStyle = ctx.fillStyle = ink("ink");
  triangle(ctx, at, bottom - scale, 5 * scale, -8 * scale, true);
}

function triangle(ctx, x, y, half, height, filled) {
  ctx.beginPath(); ctx.moveTo(x - half, y); ctx.lineTo(x + half, y); ctx.lineTo(x, y + height); ctx.closePath();
  if (filled) ctx.fill(); else { ctx.save(); ctx.fillStyle = ink("card"); ctx.fill(); ctx.restore(); ctx.stroke(); }
}

function drawFrame(u, rows) {
  const ctx = u.ctx, scale = devicePixelRatio, roomy = u.width > 620;
  ctx.save();
  ctx.textBaseline = "middle";
  ctx.textAlign = "right";
  rows.forEach((row, i) => {
    const top = u.bbox.top + i * ROW * scale;
    ctx.fillStyle = ink("ink");
    ctx.font = `600 ${12.5 * scale}px system-ui, sans-serif`;
    const names = row.label.split(" ");
    if (roomy) { ctx.textAlign = "left"; ctx.fillText(row.label, 2 * scale, top + (ROW * scale) / 2); ctx.textAlign = "right"; }
    else names.forEach((name, n) => ctx.fillText(name, u.bbox.left - 6 * scale, top + (ROW / 2 + (n - (names.length - 1) / 2) * 15) * scale));
    if (roomy) {
      ctx.fillStyle = ink("faint");
      ctx.font = `${11 * scale}px system-ui, sans-serif`;
      for (const [name, share] of LINES) ctx.fillText(name, u.bbox.left - 7 * scale, top + ROW * scale * share);
    }
    ctx.fillStyle = ink("rule");
    ctx.fillRect(u.bbox.left, top, u.bbox.width, scale);
  });
  ctx.textAlign = "left";
  ctx.font = `${11 * scale}px system-ui, sans-serif`;
  for (const [name, a, b] of DATA.phases) {
    const from = Math.max(u.valToPos(a, "x", true), u.bbox.left), to = Math.min(u.valToPos(b, "x", true), u.bbox.left + u.bbox.width);
    if (to <= from) continue;
    ctx.fillStyle = ink("rule");
    ctx.fillRect(from, u.bbox.top - 16 * scale, scale, u.bbox.height + 16 * scale);
    ctx.fillStyle = ink("faint");
    if (to - from > ctx.measureText(name).width + 8 * scale) ctx.fillText(name, from + 4 * scale, u.bbox.top - 9 * scale);
  }
  ctx.restore();
}

function tipText(u, rows, row, t) {
  const near = (6 / u.bbox.width) * devicePixelRatio * (u.scales.x.max - u.scales.x.min);
  const one = rows[row], said = [];
  const within = (spans, what) => {
    for (const [a, b] of spans) if (t >= a - near && t <= b + near) { said.push(`${what} ${duration(b - a)}`); break; }
  };
  within(one.pressure, "memory pressure, ");
  within(one.down, "down, ");
  within(one.faults, "fault, ");
  within(one.serving, "serves the device, ");
  within(one.stalls, "block I/O stalled, ");
  const count = (marks, what) => {
    const causes = new Map();
    for (const [at, c] of marks) if (Math.abs(at - t) <= near) causes.set(c, (causes.get(c) || 0) + 1);
    for (const [c, n] of causes) said.push(`${n} ${what}: ${causeName(c)}`);
  };
  count(one.unheard, "of its heartbeats missed");
  count(one.missed, "missed by it");
  if (one.ejected.some((at) => Math.abs(at - t) <= near)) said.push("ejected alive");
  if (one.removed.some((at) => Math.abs(at - t) <= near)) said.push("ejected");
  return said;
}

function tipFor(u, rows) {
  const tip = document.createElement("div");
  tip.className = "tip";
  tip.hidden = true;
  u.over.append(tip);
  return () => {
    const { left, top } = u.cursor;
    const row = Math.floor(top / ROW);
    const said = left >= 0 && rows[row] ? tipText(u, rows, row, u.posToVal(left, "x")) : [];
    tip.hidden = !said.length;
    if (tip.hidden) return;
    tip.textContent = "";
    const head = document.createElement("b");
    head.textContent = `${rows[row].label}, ${u.posToVal(left, "x").toFixed(3)} s`;
    tip.append(head, said.join("; "));
    tip.style.left = Math.max(0, Math.min(left + 12, u.over.clientWidth - tip.offsetWidth)) + "px";
    tip.style.top = Math.min(top + 14, u.over.clientHeight - 20) + "px";
  };
}

function timeline(host, rows) {
  const roomy = host.clientWidth > 620, longest = Math.max(...rows.map((row) => row.label.length));
  const options = timeOptions(host, rows.length * ROW + 66);
  const frame = { tip: () => {} };
  options.scales.y = { range: [0, 1] };
  options.padding = [20, 16, 0, 0];
  options.legend = { show: false };
  options.series = [{}, { show: true, stroke: "transparent", points: { show: false } }];
  options.axes = [
    axis({ label: DATA.time, labelFont: "12px system-ui, sans-serif", labelSize: 20, size: 34 }),
    axis({ values: () => [], splits: () => [], grid: { show: false }, ticks: { show: false },
      size: roomy ? 110 + Math.min(longest, 26) * 7.5 : 12 + Math.max(...rows.flatMap((row) => row.label.split(" ").map((w) => w.length))) * 8 }),
  ];
  options.cursor.y = false;
  options.hooks.draw = [(u) => {
    drawFrame(u, rows);
    u.ctx.save();
    u.ctx.beginPath();
    u.ctx.rect(u.bbox.left, u.bbox.top, u.bbox.width, u.bbox.height);
    u.ctx.clip();
    rows.forEach((row, i) => drawRow(u, row, i, u.scales.x.min, u.scales.x.max));
    u.ctx.restore();
  }];
  options.hooks.setCursor = [() => frame.tip()];
  const chart = placed(host, options, [DATA.whole, [null, null]]);
  frame.tip = tipFor(chart, rows);
  return chart;
}

// The legend, drawn with the same pens; only what is there is in it.
function legend(list, rows) {
  const any = (name) => rows.some((row) => row[name].length);
  const items = [];
  const swatch = (text, paint) => items.push([text, paint]);
  const block = (fill) => (ctx) => { ctx.fillStyle = fill(ctx); ctx.fillRect(0, 2, 22, 12); };
  if (any("pressure")) swatch("memory pressure: no page for a normal task", block(() => ink("pressure")));
  if (any("down")) swatch("down", block(hatch));
  if (rows.some((row) => unmeasured(row).length)) swatch("not measured: before or after the run", block(() => ink("grid")));
  if (any("beating")) swatch("sends heartbeats", (ctx) => { ctx.fillStyle = ink("beat"); ctx.fillRect(0, 7, 22, 2); });
  if (any("stalls")) swatch("block I/O stalled 0.1 s or longer", (ctx) => { ctx.fillStyle = ink("stall"); ctx.fillRect(0, 4, 22, 8); });
  if (any("faults")) swatch("a fault of the scenario", (ctx) => { ctx.fillStyle = ink("fault"); ctx.fillRect(0, 7, 22, 3); });
  if (any("serving")) swatch("serves the block device", (ctx) => { ctx.fillStyle = ink("good"); ctx.fillRect(0, 7, 22, 3); });
  if (any("ejected")) swatch("ejected alive", (ctx) => { ctx.fillStyle = ink("ink"); triangle(ctx, 11, 3, 6, 9, true); });
  if (any("removed")) swatch("ejected, being down or cut off", (ctx) => { ctx.strokeStyle = ink("ink"); triangle(ctx, 11, 3, 6, 9, false); });
  if (any("down")) swatch("boots again", (ctx) => { ctx.fillStyle = ink("ink"); triangle(ctx, 11, 13, 5, -8, true); });
  const causes = new Set(rows.flatMap((row) => [...row.unheard, ...row.missed].map((mark) => mark[1])));
  for (const cause of [...causes].sort())
    swatch("missed: " + causeName(cause), (ctx) => { ctx.fillStyle = causeColour(cause); ctx.fillRect(10, 1, 2.5, 14); });
  list.textContent = "";
  for (const [text, paint] of items) {
    const item = document.createElement("li"), canvas = document.createElement("canvas");
    canvas.width = 22 * devicePixelRatio; canvas.height = 16 * devicePixelRatio;
    canvas.style.cssText = "width:22px;height:16px";
    const ctx = canvas.getContext("2d");
    ctx.scale(devicePixelRatio, devicePixelRatio);
    paint(ctx);
    item.append(canvas, text);
    list.append(item);
  }
}
