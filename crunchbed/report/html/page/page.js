"use strict";
// Puts the page together, and again when the theme changes.

const byId = (id) => document.getElementById(id);
const page = { charts: [], group: 0, events: [], at: -1, line: null };

function rowsShown() { return DATA.groups[page.group].rows; }

function build() {
  if (!DATA.groups.length) return; // no run left a history
  for (const chart of page.charts) chart.destroy();
  for (const id of ["timeline", "level", "rate", "latency", "spreads"]) if (byId(id)) byId(id).textContent = "";
  Time.charts = [];
  const rows = rowsShown(), group = DATA.groups[page.group];
  page.line = timeline(byId("timeline"), rows);
  const level = levelChart(byId("level"), group.level || DATA.level), rate = rateChart(byId("rate"), group.rate || DATA.rate);
  for (const chart of [page.line, level, rate]) Time.join(chart);
  page.charts = [page.line, level, rate, latencyChart(byId("latency"), DATA.latency)];
  for (const one of DATA.spreads || []) page.charts.push(spreadChart(byId("spreads"), DATA.variants, one));
  page.charts = page.charts.filter(Boolean);
  legend(byId("legend"), rows);
  page.events = eventsOf(rows);
  page.at = -1;
}

function step(by) {
  if (!page.events.length) { byId("event").textContent = "No event in this run."; return; }
  page.at = (page.at + by + page.events.length + (page.at < 0 && by < 0 ? 1 : 0)) % page.events.length;
  const { t, row, text } = page.events[page.at];
  if (t < Time.min || t > Time.max) Time.show(t - (Time.max - Time.min) / 2, t + (Time.max - Time.min) / 2);
  // The new range is in force with the next picture.
  requestAnimationFrame(() => page.line.setCursor({ left: page.line.valToPos(t, "x"), top: row * ROW + 4 }));
  byId("event").textContent = `${page.at + 1} of ${page.events.length}: ${text}`;
}

const ACTIONS = {
  in: () => Time.zoom(0.5), out: () => Time.zoom(2), left: () => Time.move(-0.25), right: () => Time.move(0.25),
  whole: () => Time.whole(), next: () => step(1), previous: () => step(-1),
};
const KEYS = {
  "+": "in", "=": "in", "-": "out", ArrowLeft: "left", ArrowRight: "right", 0: "whole", Home: "whole", n: "next", p: "previous",
};

function follow() {
  const wanted = matchMedia("(prefers-color-scheme: dark)");
  const set = (dark) => { document.documentElement.dataset.theme = dark ? "dark" : "light"; };
  set(wanted.matches);
  wanted.addEventListener("change", (event) => { set(event.matches); build(); });
  byId("theme").addEventListener("click", () => { set(!isDark()); build(); });
  // Paper is light.
  let dark = false;
  addEventListener("beforeprint", () => { dark = isDark(); if (dark) { set(false); build(); } });
  addEventListener("afterprint", () => { if (dark) { set(true); build(); } });
}

follow();
build();
document.querySelectorAll("[data-do]").forEach((button) => button.addEventListener("click", () => ACTIONS[button.dataset.do]()));
if (byId("timeline")) byId("timeline").addEventListener("keydown", (event) => {
  const action = KEYS[event.key];
  if (!action || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  ACTIONS[action]();
});
if (byId("group")) byId("group").addEventListener("change", (event) => { page.group = Number(event.target.value); build(); });
byId("save").href = "data:text/yaml;charset=utf-8," + encodeURIComponent(byId("yaml").textContent);
document.documentElement.dataset.ready = "yes";
