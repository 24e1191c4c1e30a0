import { el, svg } from "./dom.js";
import { number, short } from "./wording.js";

// How settings and results go together: parallel coordinates, a scatter or box plot.

const HEIGHT = 260;
const SHOWN = 1000;

function scale(values) {
  const numbers = values.map(number);
  const known = numbers.filter((value) => value !== null && Number.isFinite(value));
  if (known.length && values.every((value) => value === null || number(value) !== null)) {
    const least = Math.min(...known);
    const greatest = Math.max(...known);
    const log = least > 0 && greatest / least >= 50;
    const to = (value) => (log ? Math.log(value) : value);
    const span = to(greatest) - to(least) || 1;
    return { numeric: true, log, least, greatest, at: (value) => { const v = number(value); return v === null || !Number.isFinite(v) ? null : (to(v) - to(least)) / span; }, ticks: least === greatest ? [least] : [least, greatest], back: (part) => { const v = to(least) + part * span; return log ? Math.exp(v) : v; } };
  }
  const words = [...new Set(values.filter((value) => value !== null).map(String))].sort();
  return { numeric: false, at: (value) => (value === null ? null : words.length < 2 ? 0.5 : words.indexOf(String(value)) / (words.length - 1)), ticks: words.slice(0, 12), words };
}

/**
 * Parallel coordinates of runs: an axis a column, a line a run.
 *
 * onhover(run or null), onchoose(run), onbrush(column, least, greatest): an axis was dragged over.
 */
export function parallel(columns, rows, runs, { onhover, onchoose, onbrush }) {
  const shown = rows.slice(0, SHOWN);
  const width = Math.max(560, columns.length * 120);
  const scales = columns.map((_, i) => scale(shown.map((row) => row[i])));
  const x = (i) => 50 + (i * (width - 100)) / Math.max(columns.length - 1, 1);
  const y = (part) => HEIGHT - 30 - part * (HEIGHT - 70);
  const lines = new Map();
  const drawn = shown.map((row, k) => {
    const points = scales.map((s, i) => [x(i), s.at(row[i])]).filter(([, at]) => at !== null);
    const line = svg("path", { class: "stroke", d: points.map(([left, at], i) => `${i ? "L" : "M"}${left.toFixed(1)} ${y(at).toFixed(1)}`).join(""), stroke: `var(--c${k % 10})`, onmouseenter: () => onhover(runs[k]), onmouseleave: () => onhover(null), onclick: () => onchoose(runs[k]) },
      svg("title", {}, columns.map((name, i) => `${name} ${short(row[i])}`).join(", ")));
    lines.set(runs[k], line);
    return line;
  });
  const axes = columns.map((name, i) => {
    const s = scales[i];
    const area = svg("rect", { x: x(i) - 14, y: 36, width: 28, height: HEIGHT - 62, fill: "transparent", cursor: s.numeric ? "ns-resize" : "default" });
    if (s.numeric && onbrush) brush(area, (from, to) => {
      const part = (pixel) => Math.min(Math.max((HEIGHT - 30 - pixel) / (HEIGHT - 70), 0), 1);
      const ends = [s.back(part(from)), s.back(part(to))].sort((a, b) => a - b);
      onbrush(name, ends[0], ends[1]);
    });
    return svg("g", {}, svg("line", { class: "axis", x1: x(i), y1: 38, x2: x(i), y2: HEIGHT - 28 }),
      svg("text", { x: x(i), y: 14, "text-anchor": "middle" }, name.length > 17 ? `${name.slice(0, 16)}…` : name, svg("title", {}, name)),
      s.log ? svg("text", { x: x(i), y: 28, "text-anchor": "middle", opacity: 0.7 }, "log") : null,
      s.ticks.map((tick) => svg("text", { x: x(i) + 5, y: y(s.at(tick)) + 4 }, short(tick).slice(0, 14))), area);
  });
  const node = el("section", { class: "chart wide", "aria-label": "Parallel coordinates" }, el("h3", {}, "Settings and results, a line for each run"),
    el("div", { class: "plot" }, svg("svg", { class: "drawn", viewBox: `0 0 ${width} ${HEIGHT}`, role: "img", "aria-label": `Parallel coordinates of ${shown.length} runs over ${columns.join(", ")}. The table of runs has the same values.` }, drawn, axes)),
    el("p", { class: "quiet" }, rows.length > SHOWN ? `${SHOWN} of ${rows.length} runs are drawn. ` : "", "Drag along an axis to keep a range; click a line to choose the run."));
  return { node, light(run) { lines.forEach((line, key) => { line.classList.toggle("lit", key === run); line.classList.toggle("dim", run !== null && key !== run); }); } };
}

function brush(area, done) {
  let from = null;
  const at = (event) => { const box = area.ownerSVGElement.getBoundingClientRect(); return ((event.clientY - box.top) / box.height) * HEIGHT; };
  area.addEventListener("pointerdown", (event) => { from = at(event); area.setPointerCapture(event.pointerId); });
  area.addEventListener("pointerup", (event) => {
    if (from === null) return;
    const to = at(event);
    if (Math.abs(to - from) > 4) done(from, to);
    from = null;
  });
}

/** A metric against a setting: points where it is a number, boxes where it is a text. */
export function against(name, metric, rows, runs, { onhover, onchoose }) {
  const xs = scale(rows.map((row) => row[0]));
  const ys = scale(rows.map((row) => row[1]));
  const width = 560;
  const x = (value) => { const at = xs.at(value); return at === null ? null : 70 + at * (width - 110); };
  const y = (value) => { const at = ys.at(value); return at === null ? null : HEIGHT - 46 - at * (HEIGHT - 76); };
  const points = new Map();
  const drawn = rows.map((row, k) => {
    const [left, top] = [x(row[0]), y(row[1])];
    if (left === null || top === null) return null;
    const point = svg("circle", { cx: left, cy: top, r: 4.5, fill: `var(--c${k % 10})`, opacity: 0.8, onmouseenter: () => onhover(runs[k]), onmouseleave: () => onhover(null), onclick: () => onchoose(runs[k]) }, svg("title", {}, `run ${runs[k]}: ${name} ${short(row[0])}, ${metric} ${short(row[1])}`));
    points.set(runs[k], point);
    return point;
  });
  const boxes = xs.numeric ? [] : xs.words.map((word) => {
    const values = rows.filter((row) => String(row[0]) === word).map((row) => number(row[1])).filter((v) => v !== null && Number.isFinite(v)).sort((a, b) => a - b);
    if (values.length < 3) return null;
    const q = (part) => values[Math.round(part * (values.length - 1))];
    const left = x(word);
    return svg("g", {}, svg("line", { class: "axis", x1: left, x2: left, y1: y(values[0]), y2: y(values[values.length - 1]) }),
      svg("rect", { x: left - 14, width: 28, y: y(q(0.75)), height: Math.max(y(q(0.25)) - y(q(0.75)), 1), fill: "none", stroke: "var(--faint)" }),
      svg("line", { x1: left - 14, x2: left + 14, y1: y(q(0.5)), y2: y(q(0.5)), stroke: "var(--text)", "stroke-width": 2 }));
  });
  const node = el("section", { class: "chart", "aria-label": `${metric} by ${name}` }, el("h3", {}, `${metric} by ${name}`),
    svg("svg", { class: "drawn", viewBox: `0 0 ${width} ${HEIGHT}`, role: "img", "aria-label": `${metric} of ${rows.length} runs by ${name}. The table of runs has the same values.` },
      svg("line", { class: "axis", x1: 60, y1: 20, x2: 60, y2: HEIGHT - 36 }), svg("line", { class: "axis", x1: 60, y1: HEIGHT - 36, x2: width - 20, y2: HEIGHT - 36 }),
      ys.ticks.map((tick) => svg("text", { x: 54, y: (y(tick) ?? 0) + 4, "text-anchor": "end" }, short(tick))),
      xs.ticks.map((tick) => svg("text", { x: x(tick), y: HEIGHT - 20, "text-anchor": "middle" }, short(tick).slice(0, 12))),
      svg("text", { x: width / 2, y: HEIGHT - 4, "text-anchor": "middle" }, xs.log ? `${name} (log)` : name), boxes, drawn));
  return { node, light(run) { points.forEach((point, key) => point.setAttribute("r", key === run ? 8 : 4.5)); } };
}
