// The charts: how long runs took, and how fast one run goes. Colours come from the style sheet, so that they follow its
// light and dark scheme. The figures of both stand in the page as text, too.
"use strict";

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
const ENDS = [["good", "ok"], ["bad", "bad"], ["stopped", "wait"]];
const drawn = new Map(); // figure -> what draws it, with its data

function axes(values) {
  const common = {stroke: colour("quiet"), grid: {stroke: colour("line"), width: 1}, ticks: {stroke: colour("line")}};
  return [{...common, grid: {show: false}, space: 80}, {...common, size: 64, values}];
}

function span(seconds) {
  if (seconds >= 3600) return `${+(seconds / 3600).toFixed(1)} h`;
  if (seconds >= 60) return `${+(seconds / 60).toFixed(1)} min`;
  return seconds >= 1 || seconds === 0 ? `${+seconds.toFixed(1)} s` : `${+(seconds * 1000).toFixed(1)} ms`;
}

// One bar per run, side by side: what matters is which run was unlike the others, not how far apart they were.
function runs(figure) {
  const points = JSON.parse(figure.dataset.runs);
  const data = [points.map((point, n) => n), ...ENDS.map(([end]) => (
    points.map((point) => (point.end === end ? point.seconds : null))
  ))];
  const day = new Intl.DateTimeFormat(undefined, {month: "short", day: "numeric", hour: "2-digit", minute: "2-digit"});
  const shown = axes((chart, ticks) => ticks.map(span));
  shown[0].values = (chart, ticks) => ticks.map((n) => (points[n] ? day.format(Date.parse(points[n].started)) : ""));
  shown[0].incrs = [1, 2, 5, 10, 25, 50];
  shown[0].space = 110;
  shown[0].ticks = {show: false};
  return {
    data,
    options: {
      scales: {x: {time: false, range: [-0.6, Math.max(points.length, 8) - 0.4]}, y: {range: (chart, low, high) => [0, high * 1.1 || 1]}},
      axes: shown,
      series: [{}, ...ENDS.map(([end, name]) => ({
        label: end, stroke: colour(name), fill: colour(name), points: {show: false},
        paths: uPlot.paths.bars({size: [0.7, 40]}),
      }))],
    },
  };
}

const KEPT = 600; // ten minutes
const rates = [[], []];

function rate() {
  return {
    data: rates,
    options: {
      scales: {
        x: {range: (chart, low, high) => [Math.min(low, high - 60), high]}, // a minute at least
        y: {range: (chart, low, high) => [0, high * 1.1 || 1]},
      },
      axes: axes(),
      series: [{}, {label: "per second", stroke: colour("accent"), width: 2, points: {show: false}}],
    },
  };
}

function draw(figure) {
  drawn.get(figure)?.destroy();
  const {data, options} = figure.dataset.runs ? runs(figure) : rate();
  const plot = new uPlot({
    width: figure.clientWidth, height: figure.clientHeight, legend: {show: false}, cursor: {show: false}, ...options,
  }, data, figure);
  drawn.set(figure, plot);
}

function drawAll() {
  for (const figure of [...drawn.keys()]) {
    if (figure.isConnected) continue;
    drawn.get(figure).destroy();
    drawn.delete(figure);
  }
  for (const figure of document.querySelectorAll("[data-runs], [data-rates]")) draw(figure);
}

drawAll();
document.addEventListener("replaced", drawAll);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
let isResizing = 0;
addEventListener("resize", () => {
  cancelAnimationFrame(isResizing);
  isResizing = requestAnimationFrame(drawAll);
});

document.querySelector("[data-follow]")?.addEventListener("progress", (event) => {
  rates[0].push(Date.now() / 1000);
  rates[1].push(event.detail.rate.now);
  if (rates[0].length > KEPT) rates.forEach((values) => values.shift());
  drawn.get(document.querySelector("[data-rates]"))?.setData(rates);
});
