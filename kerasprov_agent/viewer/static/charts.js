import { announce, el, put, svg } from "./dom.js";
import { number, short } from "./wording.js";

// Charts of lines. Every epoch is drawn; where smoothing is on, what was measured stays visible.

const COLORS = 10;
const WHOLE = [1, 2, 5].flatMap((n) => [n, n * 10, n * 100, n * 1000, n * 10000]).sort((a, b) => a - b);
const DASHES = [[], [8, 4], [2, 3], [10, 3, 2, 3]];

export function color(place) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--c${place % COLORS}`).trim();
}

/** After all colours were used, lines differ by dashes too. */
export function dash(place) {
  return DASHES[Math.floor(place / COLORS) % DASHES.length];
}

/** A short sample of a line, for a legend. */
export function sample(place, dashes) {
  const line = svg("line", { x1: 0, y1: 6, x2: 26, y2: 6, stroke: `var(--c${place % COLORS})`, "stroke-width": 2.5, "stroke-dasharray": (dashes || dash(place)).join(" ") || null });
  return svg("svg", { width: 26, height: 12, "aria-hidden": "true" }, line);
}

/** Exponential means without the bias of the first value; gaps stay gaps. */
export function smoothed(values, weight) {
  if (!weight) return values;
  let mean = 0;
  let count = 0;
  return values.map((value) => {
    if (value === null || !Number.isFinite(value)) return value;
    count += 1;
    mean = mean * weight + value * (1 - weight);
    return mean / (1 - weight ** count);
  });
}

/**
 * A chart of lines.
 *
 * lines: `label`, `x`, `y` (numbers or null), `place` (of its colour), `dashes`, and for a group's
 * mean `low`, `high` and `count`. options: `title`, `x` (what it is called), `log`, `smooth` (0 to
 * below 1), `marks` (`x`, `text`; with `place`: short and in that colour), `onhover` (gets the key
 * of the nearest line).
 */
export function lineChart(lines, options) {
  const plot = el("div", { class: "plot", tabindex: "0", role: "group", "aria-label": `${options.title}: ${lines.length} lines by ${options.x}. Arrow keys read the values.` });
  const readout = el("div", { class: "readout", "aria-hidden": "true" });
  const node = el("section", { class: "chart", "aria-label": options.title },
    el("h3", {}, options.title), plot, readout, legend(lines), dataTable(lines, options));
  if (!lines.some((line) => line.y.some((value) => value !== null))) {
    put(plot, el("p", { class: "quiet" }, "No values yet."));
    return { node, title: options.title, view: () => null, restore() {}, light() {}, destroy() {} };
  }
  let chart = null;
  let wanted = null;
  const draw = () => {
    if (chart) chart.destroy();
    plot.replaceChildren();
    chart = make(plot, lines, options, (index) => { readout.textContent = said(chart, lines, options, index); });
    if (wanted && wanted.zoom) chart.setScale("x", wanted.zoom);
    if (wanted && wanted.index !== null && wanted.index < chart.data[0].length) chart.setCursor({ left: chart.valToPos(chart.data[0][wanted.index], "x"), top: 10 });
    wanted = null;
  };
  /** What somebody has made of the chart: the part that is shown, and where the cursor is. */
  const view = () => {
    if (!chart) return null;
    const xs = chart.data[0];
    const { min, max } = chart.scales.x;
    const zoom = min > xs[0] || max < xs[xs.length - 1] ? { min, max } : null;
    const focused = plot.contains(document.activeElement);
    return { zoom, focused, index: focused ? chart.cursor.idx ?? null : null };
  };
  /** Show a chart that takes the place of another as that one was shown. */
  const restore = (seen) => {
    wanted = seen;
    if (chart) draw();
    if (seen.focused) plot.focus({ preventScroll: true });
  };
  const size = new ResizeObserver(() => {
    const width = plot.clientWidth;
    if (!width) return;
    if (!chart) draw();
    else if (Math.abs(chart.width - width) > 1) chart.setSize({ width, height: chart.height });
  });
  size.observe(plot);
  const dark = matchMedia("(prefers-color-scheme: dark)");
  dark.addEventListener("change", draw);
  plot.addEventListener("keydown", (event) => {
    const steps = { ArrowRight: 1, ArrowLeft: -1, PageDown: 10, PageUp: -10 }[event.key];
    if (!chart || (steps === undefined && event.key !== "Home" && event.key !== "End")) return;
    event.preventDefault();
    const count = chart.data[0].length;
    const before = chart.cursor.idx ?? -1;
    const index = event.key === "Home" ? 0 : event.key === "End" ? count - 1 : Math.min(Math.max(before + steps, 0), count - 1);
    chart.setCursor({ left: chart.valToPos(chart.data[0][index], "x"), top: 10 });
    readout.textContent = said(chart, lines, options, index);
    announce(readout.textContent);
  });
  /** Lift the lines of a run out; null: none. */
  const light = (key) => {
    if (!chart) return;
    const place = key === null ? null : lines.findIndex((line) => line.key === key);
    if (place === -1) return;
    const label = place === null ? null : lines[place].label;
    chart.setSeries(label === null ? null : chart.series.findIndex((series) => series.label === label), { focus: true }, false);
  };
  return { node, title: options.title, view, restore, light, destroy() { size.disconnect(); dark.removeEventListener("change", draw); if (chart) chart.destroy(); } };
}

function make(plot, lines, options, onindex) {
  const text = getComputedStyle(document.documentElement).getPropertyValue("--faint").trim();
  const grid = getComputedStyle(document.documentElement).getPropertyValue("--line").trim();
  const tables = [];
  const series = [{ label: options.x }];
  const bands = [];
  const drawable = (value) => (value === null || !Number.isFinite(value) || (options.log && value <= 0) ? null : value);
  for (const line of lines) {
    const stroke = color(line.place);
    const raw = line.y.map(drawable);
    const columns = [raw];
    series.push({ label: line.label, stroke, width: options.smooth ? 1 : 1.8, alpha: options.smooth ? 0.35 : 1, dash: line.dashes || dash(line.place), points: { show: raw.length < 40, size: 4 }, spanGaps: false });
    if (options.smooth) {
      columns.push(smoothed(raw, options.smooth).map(drawable));
      series.push({ label: `${line.label} (smoothed)`, stroke, width: 2, dash: line.dashes || dash(line.place), points: { show: false }, spanGaps: false });
    }
    if (line.low) {
      columns.push(line.high.map(drawable), line.low.map(drawable));
      const first = series.length;
      const fill = `color-mix(in srgb, ${stroke} 18%, transparent)`;
      series.push({ label: "high", stroke: "transparent", points: { show: false }, spanGaps: false }, { label: "low", stroke: "transparent", points: { show: false }, spanGaps: false });
      bands.push({ series: [first, first + 1], fill });
    }
    tables.push([line.x, ...columns]);
  }
  // Axes of several lines become one; where a line has no point, it has a gap.
  const usable = tables.map((table) => ordered(table));
  const data = usable.length > 1 ? uPlot.join(usable, usable.map((table) => table.map(() => 1))) : usable[0];
  const marks = options.marks || [];
  return new uPlot({
    width: plot.clientWidth,
    height: options.height || 240,
    series,
    bands,
    legend: { show: false },
    cursor: { focus: { prox: 24 }, drag: { x: true, y: false } },
    focus: { alpha: 0.5 },
    scales: { x: { time: options.x === "wall clock" }, y: { distr: options.log ? 3 : 1 } },
    axes: [
      { stroke: text, grid: { stroke: grid, width: 1 }, ticks: { stroke: grid }, ...(options.x === "epoch" ? { incrs: WHOLE } : {}), label: options.x, labelSize: 22, size: 34, font: "12px system-ui", labelFont: "12px system-ui" },
      { stroke: text, grid: { stroke: grid, width: 1 }, ticks: { stroke: grid }, size: 58, font: "12px system-ui", values: (_, splits) => splits.map((value) => (value === null ? "" : short(value))) },
    ],
    hooks: {
      setCursor: [(u) => { if (u.cursor.idx !== null && u.cursor.idx !== undefined) onindex(u.cursor.idx); }],
      setSeries: [(u, index) => {
        // Only what the pointer does on this chart is told, not what the table has lit.
        if (!options.onhover || index === null || u.cursor.left < 0) return;
        const label = series[index] && series[index].label;
        const line = lines.find((candidate) => candidate.label === label);
        options.onhover(line ? line.key : null);
      }],
      draw: [(u) => {
        const context = u.ctx;
        context.save();
        for (const mark of marks) {
          const left = Math.round(u.valToPos(mark.x, "x", true));
          if (left < u.bbox.left || left > u.bbox.left + u.bbox.width) continue;
          const isShort = mark.place !== null && mark.place !== undefined;
          context.strokeStyle = isShort ? color(mark.place) : text;
          context.lineWidth = (isShort ? 2 : 1) * devicePixelRatio;
          context.setLineDash(isShort ? [] : [3, 3]);
          context.beginPath();
          context.moveTo(left, isShort ? u.bbox.top + u.bbox.height - 12 * devicePixelRatio : u.bbox.top);
          context.lineTo(left, u.bbox.top + u.bbox.height);
          context.stroke();
        }
        context.restore();
      }],
    },
  }, data, plot);
}

/** uPlot wants x ascending and told; points without an x are left out. */
function ordered(table) {
  const places = table[0].map((_, i) => i).filter((i) => table[0][i] !== null).sort((a, b) => table[0][a] - table[0][b]);
  return table.map((column) => places.map((i) => column[i]));
}

/** What stands at a place of the x axis, in a sentence. */
function said(chart, lines, options, index) {
  const x = chart.data[0][index];
  const parts = [];
  for (const line of lines) {
    const at = line.x.indexOf(x);
    if (at < 0 || line.y[at] === null || line.y[at] === undefined) continue;
    const smooth = options.smooth ? `, smoothed ${short(smoothed(line.y, options.smooth)[at])}` : "";
    const count = line.count ? ` (n = ${line.count[at]})` : "";
    parts.push(`${line.label} ${short(line.y[at])}${smooth}${count}`);
  }
  const marks = (options.marks || []).filter((mark) => mark.x === x).map((mark) => mark.text);
  const where = options.x === "wall clock" ? new Date(x * 1000).toLocaleString() : short(x);
  const more = parts.length > 8 ? `; and ${parts.length - 8} more` : "";
  const told = `${marks.slice(0, 8).join("; ")}${marks.length > 8 ? `; and ${marks.length - 8} more` : ""}`;
  return `${options.x} ${where}: ${parts.slice(0, 8).join("; ")}${more}${marks.length ? ` — ${told}` : ""}`;
}

function legend(lines) {
  return el("ul", { class: "keys" }, lines.map((line) => el("li", { title: line.title || null }, sample(line.place, line.dashes), line.label)));
}

function dataTable(lines, options) {
  const details = el("details", {}, el("summary", {}, `Data: ${options.title}`));
  details.addEventListener("toggle", () => {
    if (!details.open || details.children.length > 1) return;
    const all = [...new Set(lines.flatMap((line) => line.x))].filter((x) => x !== null).sort((a, b) => a - b);
    const places = lines.map((line) => new Map(line.x.map((x, i) => [x, i])));
    details.append(el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": `Data of ${options.title}` }, el("table", {},
      el("thead", {}, el("tr", {}, el("th", { scope: "col" }, options.x), lines.map((line) => el("th", { scope: "col" }, line.label)))),
      el("tbody", {}, all.map((x) => el("tr", {}, el("th", { scope: "row" }, short(x)), lines.map((line, i) => {
        const at = places[i].get(x);
        const value = at === undefined ? null : line.y[at];
        return el("td", { class: "number", title: value }, Number.isNaN(value) ? "NaN" : short(value));
      })))))));
  });
  return details;
}

/** What stands on the x axis: the epoch, a time, or another metric. */
function along(curve, axis) {
  if (axis === "training time") return curve.seconds;
  if (axis === "wall clock") return curve.clock;
  if (axis in curve.metrics) return curve.metrics[axis].map(number);
  return curve.epoch;
}

/** Lines of curves: training solid, validation dashed, in the colour of their run. */
export function linesOf(curves, metric, axis) {
  const lines = [];
  curves.forEach((curve, place) => {
    for (const name of [metric, `val_${metric}`]) {
      const values = curve.metrics[name];
      if (!values) continue;
      const isValidation = name !== metric;
      lines.push({
        key: curve.run,
        label: curves.length > 1 ? `${curve.run} ${curve.name}${isValidation ? " validation" : ""}` : isValidation ? "validation" : "training",
        title: curve.title || null,
        x: along(curve, axis),
        y: values.map(number),
        place,
        dashes: isValidation ? [6, 4] : dash(place),
      });
    }
  });
  return lines;
}

/** Marks of changes and events. Of more than three runs a mark is short, in the colour of its run. */
export function marksOf(curves, axis) {
  return curves.flatMap((curve, place) => curve.marks.map((mark) => {
    const at = curve.epoch.indexOf(mark.epoch);
    const column = along(curve, axis);
    return { x: at < 0 ? null : column[at], place: curves.length > 3 ? place : null, text: curves.length > 1 ? `${curve.run} ${curve.name}: ${mark.text}` : mark.text };
  })).filter((mark) => mark.x !== null);
}

const PARTS = ["first step", "training", "validation", "callbacks"];

/** The seconds of an epoch: its parts, and how long its GPUs were busy (null: not known). */
function secondsOf(row, place) {
  const value = (name) => (name in place ? number(row[place[name]]) : null);
  const first = value("first_step_seconds") || 0;
  const parts = [first, Math.max((value("train_seconds") || 0) - first, 0), value("validation_seconds") || 0, value("callback_seconds") || 0];
  const share = value("gpu_utilization");
  return { parts, busy: share === null ? null : share * (parts[0] + parts[1] + parts[2]) };
}

/** What the GPUs did, in a sentence; null where nothing is known of any. */
function gpuSentence(rows, place) {
  const shares = rows.map((row) => ("gpu_utilization" in place ? number(row[place.gpu_utilization]) : null)).filter((share) => share !== null);
  if (!shares.length) return null;
  const mean = shares.reduce((a, b) => a + b, 0) / shares.length;
  return el("p", { class: "quiet" }, `The GPU was busy for ${short(mean * 100)} % of these seconds, in the mean of ${shares.length} epochs.`);
}

/** Bars of the times of epochs, in parts that lie on each other; a slim bar within for the GPU. */
export function epochBars(table) {
  const place = Object.fromEntries(table.columns.map((name, i) => [name, i]));
  const rows = table.rows.map((row) => secondsOf(row, place));
  const used = PARTS.map((name, k) => [name, k]).filter(([, k]) => rows.some((row) => row.parts[k]));
  if (!used.length) return null;
  const highest = Math.max(...rows.map((row) => row.parts.reduce((a, b) => a + b, 0)), 1e-9);
  const width = 640;
  const height = 180;
  const step = (width - 60) / rows.length;
  const tall = (seconds) => (seconds / highest) * (height - 40);
  const bars = rows.flatMap((row, i) => {
    let bottom = height - 24;
    const epoch = `epoch ${table.rows[i][place.epoch]}`;
    const wide = Math.max(step - (step > 3 ? 1 : 0), 0.5);
    const drawn = used.map(([name, k]) => {
      bottom -= tall(row.parts[k]);
      return svg("rect", { x: 56 + i * step, y: bottom, width: wide, height: tall(row.parts[k]), fill: `var(--c${k})` }, svg("title", {}, `${epoch}: ${name} ${short(row.parts[k])} s`));
    });
    if (row.busy !== null) drawn.push(svg("rect", { class: "busy", x: 56 + i * step + wide * 0.35, y: height - 24 - tall(row.busy), width: wide * 0.3, height: tall(row.busy) }, svg("title", {}, `${epoch}: the GPU was busy for ${short(row.busy)} s`)));
    return drawn;
  });
  const first = "first_step_seconds" in place ? number(table.rows[0][place.first_step_seconds]) : null;
  const busy = rows.some((row) => row.busy !== null);
  return el("section", { class: "chart", "aria-label": "Times of epochs" }, el("h3", {}, "Seconds of each epoch"),
    svg("svg", { class: "drawn", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `Seconds of ${rows.length} epochs, at most ${short(highest)}` },
      svg("line", { class: "axis", x1: 54, y1: height - 24, x2: width, y2: height - 24 }),
      svg("text", { x: 50, y: 22, "text-anchor": "end" }, short(highest)), svg("text", { x: 50, y: height - 22, "text-anchor": "end" }, "0"),
      svg("text", { x: width / 2, y: height - 6, "text-anchor": "middle" }, "epoch"), bars),
    el("ul", { class: "keys" }, used.map(([name, k]) => el("li", {}, sample(k, []), name)), busy ? el("li", {}, svg("svg", { width: 12, height: 12, "aria-hidden": "true" }, svg("rect", { class: "busy", x: 4, y: 0, width: 4, height: 12 })), "GPU busy") : null),
    gpuSentence(table.rows, place),
    first === null ? null : el("p", { class: "quiet" }, `The first step took ${short(first)} s, in which Keras traces and compiles.`));
}
