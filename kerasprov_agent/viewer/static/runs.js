import * as address from "./address.js";
import { lineChart, linesOf, marksOf } from "./charts.js";
import { announce, el, later, put } from "./dom.js";
import { against, parallel } from "./relations.js";
import { ask, isReport, turns } from "./source.js";
import { cell, duration, number, plainTable, short } from "./wording.js";

// The page of runs: a table of which only what is seen is fetched, and what the chosen runs did.

const ROW = 31;
const WINDOW = 200;
const FIRST = 10;
const POLL = 2000;
const RELATED = 1000;
const MOST_CURVES = 200;
const AXES = ["epoch", "training time", "wall clock"];

/** Some columns of a table. */
function only(table, columns) {
  const places = columns.map((name) => table.columns.indexOf(name));
  return { columns, rows: table.rows.map((row) => places.map((place) => row[place])) };
}

/** Suggest names for the word that is being written, whatever stands before it. */
function complete(input, list, names) {
  const suggest = () => {
    const [, before, word] = /^(.*?)([\w.]*)$/s.exec(input.value);
    const known = names.filter((name) => name.toLowerCase().startsWith(word.toLowerCase())).slice(0, 60);
    put(list, known.map((name) => el("option", { value: before + (/^[\w.]+$/.test(name) ? name : `\`${name}\``) })));
  };
  input.addEventListener("input", suggest);
  suggest();
}

export async function runsPage(main, query) {
  const state = { where: query.where || "", sort: query.sort || "", columns: (query.columns || "").split("|").filter(Boolean), axis: query.x || "epoch", log: query.log === "1", smooth: Number(query.smooth || 0), by: query.by || "", metrics: (query.metrics || "").split("|").filter(Boolean), against: query.against || "" };
  const windows = new Map();
  let shape = null;
  let chosen = new Set(address.numbersOf(query.sel));
  let charts = [];
  let relations = [];
  let summary = null;
  let curves = [];
  let last = null;
  let over = false;
  const [reloads, fillings, drawings, relatings] = [turns(), turns(), turns(), turns()];

  const problem = el("p", { class: "problem", role: "alert", hidden: true });
  const filter = el("input", { type: "search", value: state.where, list: "known-names", placeholder: "val_loss < 0.5 and optimizer = 'adam'", "aria-label": "Show only runs for which this holds", spellcheck: "false" });
  const names = el("datalist", { id: "known-names" });
  const count = el("span", { class: "quiet", role: "status" });
  const chooser = el("div", { class: "columns", hidden: true, role: "group", "aria-label": "Columns" });
  const table = el("table", { "aria-rowcount": "0" });
  const scroller = el("div", { class: "scroll runs", tabindex: "0", role: "region", "aria-label": "Runs" }, table);
  const tools = el("div", { class: "bar" });
  const chartsNode = el("div", { class: "charts" });
  const some = el("p", { class: "quiet", hidden: true });
  const compare = el("button", { type: "button", onclick: () => { location.hash = address.make("compare", { runs: address.ranges(chosen) }); } }, "Compare chosen");
  const note = (changes, step) => address.note(changes, step);

  put(main, el("h1", {}, "Runs"),
    isReport ? el("p", { class: "bar" }, compare, count) : el("form", { class: "bar", role: "search", onsubmit: (event) => { event.preventDefault(); apply(); } }, el("span", { class: "grow" }, filter, names), el("button", { class: "main" }, "Filter"), el("button", { type: "button", onclick: () => { filter.value = ""; apply(); } }, "Clear"),
      el("button", { type: "button", "aria-expanded": "false", onclick: (event) => { chooser.hidden = !chooser.hidden; event.target.setAttribute("aria-expanded", String(!chooser.hidden)); } }, "Columns"), compare, count),
    problem, chooser, scroller, el("h2", {}, "Chosen runs"), tools, some, chartsNode);

  const window_ = (start) => {
    if (!windows.has(start)) windows.set(start, ask("runs", { where: state.where, sort: state.sort, columns: state.columns, offset: start || null }));
    return windows.get(start);
  };

  async function apply() {
    state.where = filter.value.trim();
    note({ where: state.where });
    await reload();
  }

  async function reload() {
    const old = reloads();
    windows.clear();
    try {
      const found = await window_(0);
      if (old()) return;
      shape = found;
      problem.hidden = true;
    } catch (error) {
      if (old()) return;
      problem.textContent = error.message;
      problem.hidden = false;
      windows.clear();
      return;
    }
    const run = shape.columns.indexOf("run");
    if (!("sel" in address.read().query) && run >= 0) chosen = new Set(shape.rows.slice(0, FIRST).map((row) => row[run]));
    count.textContent = shape.total === shape.all ? `${shape.all} runs` : `${shape.total} of ${shape.all} runs`;
    head();
    await rows();
    if (old()) return;
    await Promise.all([drawCurves(), drawRelations()]);
  }

  function head() {
    const numeric = shape.columns.map((_, i) => shape.rows.some((row) => typeof row[i] === "number"));
    const sorted = state.sort.replace(/^-/, "");
    put(table, el("caption", { class: "unseen" }, "Runs; choose some to see their curves"),
      el("thead", {}, el("tr", {}, el("th", { scope: "col" }, el("span", { class: "unseen" }, "chosen")), shape.columns.map((name, i) => el("th", { scope: "col", class: numeric[i] ? "number" : null, "aria-sort": sorted === name ? (state.sort.startsWith("-") ? "descending" : "ascending") : null },
        isReport ? name : el("button", { type: "button", onclick: () => sort(name) }, name, sorted === name ? (state.sort.startsWith("-") ? " ↓" : " ↑") : ""))))),
      el("tbody"));
    table.setAttribute("aria-rowcount", String(shape.total + 1));
  }

  async function sort(name) {
    state.sort = state.sort === `-${name}` ? name : state.sort === name ? "" : `-${name}`;
    note({ sort: state.sort });
    await reload();
  }

  async function rows() {
    const old = fillings();
    const body = table.tBodies[0];
    if (!body || !shape) return;
    if (!shape.total) {
      put(body, el("tr", {}, el("td", { colspan: shape.columns.length + 1, class: "quiet" }, shape.all ? "No runs match; change the filter." : "Nothing is recorded yet. Train with `python -m kerasprov_agent SCRIPT`; this page follows.")));
      return;
    }
    const first = Math.max(Math.floor(scroller.scrollTop / ROW) - 10, 0);
    const end = Math.min(first + Math.ceil((scroller.clientHeight || 600) / ROW) + 30, shape.total);
    const listed = [];
    for (let start = Math.floor(first / WINDOW) * WINDOW; start < end; start += WINDOW) {
      const some = await window_(start).catch(() => null);
      if (some) some.rows.forEach((row, i) => { if (start + i >= first && start + i < end) listed.push([start + i, row]); });
    }
    if (old()) return;
    const spacer = (count_) => { const row = el("tr", { "aria-hidden": "true" }, el("td", { colspan: shape.columns.length + 1 })); row.firstChild.style.cssText = `height:${count_ * ROW}px;padding:0;border:0`; return row; };
    const run = shape.columns.indexOf("run");
    put(body, first ? spacer(first) : null, listed.map(([place, row]) => rowOf(place, row, row[run])), end < shape.total ? spacer(shape.total - end) : null);
  }

  function rowOf(place, row, run) {
    const box = el("input", { type: "checkbox", checked: chosen.has(run), "aria-label": `Choose run ${run}`, onclick: (event) => choose(run, place, event) });
    const node = el("tr", { "aria-rowindex": String(place + 2), class: chosen.has(run) ? "chosen" : null, "data-run": String(run), onmouseenter: () => light(run, false), onmouseleave: () => light(null, false) }, el("td", {}, box),
      shape.columns.map((name, i) => (name === "name" || name === "run" ? el("td", { class: name === "run" ? "number" : null, title: name === "name" ? row[i] : null }, el("a", { href: address.make(`run/${run}`) }, String(row[i]))) : cell(name, row[i]))));
    return node;
  }

  async function choose(run, place, event) {
    const on = event ? event.target.checked : !chosen.has(run);
    if (event && event.shiftKey && last !== null) {
      const [from, to] = [Math.min(last, place), Math.max(last, place)];
      const column = shape.columns.indexOf("run");
      for (let start = Math.floor(from / WINDOW) * WINDOW; start <= to; start += WINDOW) {
        const some = await window_(start);
        some.rows.forEach((row, i) => { if (start + i >= from && start + i <= to) on ? chosen.add(row[column]) : chosen.delete(row[column]); });
      }
    } else if (on) chosen.add(run);
    else chosen.delete(run);
    if (place !== null) last = place;
    note({ sel: address.ranges(chosen) || "0" });
    for (const row of table.querySelectorAll("tr[data-run]")) {
      const is = chosen.has(Number(row.dataset.run));
      row.classList.toggle("chosen", is);
      row.querySelector("input").checked = is;
    }
    await drawCurves();
  }

  function light(run, scroll = true) {
    for (const row of table.querySelectorAll("tr[data-run]")) row.classList.toggle("lit", Number(row.dataset.run) === run);
    for (const relation of relations) relation.light(run);
    for (const chart of charts) chart.light(run);
    if (scroll && run !== null) announce(`run ${run}`);
  }

  function select(label, key, options, none) {
    const input = el("select", { onchange: () => { state[key] = input.value; note({ [key === "axis" ? "x" : key]: input.value }); drawCurves(); drawRelations(); } }, none !== undefined ? el("option", { value: "" }, none) : null, options.map((name) => el("option", { value: name, selected: state[key] === name }, name)));
    return el("label", {}, label, input);
  }

  async function controls() {
    const known = await ask("names");
    complete(filter, names, [...known.settings, ...known.metrics, ...known.parameters, ...known.tags]);
    const settings = [...(shape ? shape.varying : []), ...known.parameters, ...known.tags].filter((name, i, all) => all.indexOf(name) === i && (!isReport || shape.columns.includes(name)));
    const plain = known.metrics.filter((name) => !name.startsWith("val_"));
    const metric = el("select", { "aria-label": "Metrics", onchange: () => { state.metrics = metric.value ? [metric.value] : []; note({ metrics: metric.value }); drawCurves(); drawRelations(); } }, el("option", { value: "" }, "usual metrics"), plain.map((name) => el("option", { value: name, selected: state.metrics[0] === name }, name)));
    const log = el("input", { type: "checkbox", checked: state.log, onchange: () => { state.log = log.checked; note({ log: log.checked ? 1 : null }); drawCurves(); } });
    const smooth = el("input", { type: "range", min: 0, max: 0.99, step: 0.01, value: state.smooth, oninput: later(() => { state.smooth = Number(smooth.value); note({ smooth: state.smooth || null }, false); drawCurves(); }, 80) });
    put(tools, el("label", {}, "metric", metric), select("x axis", "axis", ["epoch", "training time", "wall clock", ...plain]), select("grouped by", "by", settings, "nothing"), select("against", "against", settings, "no setting"), el("label", {}, log, "log axis"), el("label", {}, "smoothing", smooth));
    const shown = new Set(state.columns.length ? state.columns : shape ? shape.columns : []);
    put(chooser, [...known.settings, ...known.metrics, ...known.parameters, ...known.tags].map((name) => el("label", {}, el("input", { type: "checkbox", checked: shown.has(name), onchange: (event) => { event.target.checked ? shown.add(name) : shown.delete(name); state.columns = ["run", "name", ...[...shown].filter((n) => n !== "run" && n !== "name")]; note({ columns: state.columns.join("|") }); reload(); } }), name)));
  }

  /** The metrics that are drawn: those that were chosen, or the usual ones. */
  async function drawn() {
    return state.metrics.length ? state.metrics : (await ask("names")).drawn;
  }

  /** The metrics that are asked for: those that are drawn, and the one on the x axis. */
  async function needed() {
    const metrics = await drawn();
    return AXES.includes(state.axis) || metrics.includes(state.axis) ? metrics : [...metrics, state.axis];
  }

  async function drawCurves() {
    const old = drawings();
    const runs = [...chosen].slice(0, MOST_CURVES);
    some.hidden = chosen.size <= MOST_CURVES;
    some.textContent = `${MOST_CURVES} of ${chosen.size} chosen runs are drawn.`;
    try {
      if (state.by) {
        const metrics = await drawn();
        const grouped = await ask("groups", { by: state.by, metrics, where: state.where });
        if (old()) return;
        summary = el("section", { class: "chart wide", "aria-label": "Groups" }, el("h3", {}, `Last values by ${state.by}: mean and standard deviation`), plainTable(grouped.summary, "Last values of groups"));
        draw(metrics.map((metric) => groupChart(grouped, metric)));
        return;
      }
      const found = runs.length ? (await ask("curves", { runs: address.ranges(runs), metrics: await needed() })).runs : [];
      if (old()) return;
      curves = found;
    } catch (error) {
      if (old()) return;
      put(chartsNode, el("p", { class: "problem" }, error.message));
      return;
    }
    const differing = await differences();
    if (old()) return;
    for (const curve of curves) curve.title = differing.get(curve.run) || Object.entries(curve.settings).map(([name, value]) => `${name} ${value}`).join(", ");
    summary = null;
    await drawLines();
  }

  async function drawLines() {
    draw((await drawn()).map((metric) => lineChart(linesOf(curves, metric, state.axis), { title: metric, x: state.axis, log: state.log, smooth: state.smooth, marks: marksOf(curves, state.axis), onhover: (run) => light(run) })));
  }

  /** By run: the settings that tell it from the others. */
  async function differences() {
    const texts = new Map();
    const place = Object.fromEntries(shape.columns.map((name, i) => [name, i]));
    const names_ = shape.varying.filter((name) => name in place);
    for (const some of await Promise.all([...windows.values()].map((asked) => asked.catch(() => ({ rows: [] }))))) for (const row of some.rows) texts.set(row[place.run], names_.map((name) => `${name} ${short(row[place[name]])}`).join(", "));
    return texts;
  }

  function groupChart(grouped, metric) {
    const lines = grouped.groups.flatMap((group, place) => [metric, `val_${metric}`].filter((name) => group.metrics[name] && group.metrics[name].epoch.length).map((name) => {
      const columns = group.metrics[name];
      const mean = columns.mean.map(number);
      const spread = columns.deviation.map(number);
      return { key: group.value, label: `${grouped.by} ${group.value ?? "none"}${name === metric ? "" : " validation"} (n = ${group.runs.length})`, x: columns.epoch, y: mean, count: columns.count, low: mean.map((m, i) => (spread[i] === null ? m : m - spread[i])), high: mean.map((m, i) => (spread[i] === null ? m : m + spread[i])), place, dashes: name === metric ? undefined : [6, 4] };
    }));
    return lineChart(lines, { title: `${metric}: mean of all runs by ${grouped.by}, band of one standard deviation`, x: "epoch", log: state.log, smooth: state.smooth });
  }

  function draw(made) {
    const views = new Map(charts.map((chart) => [chart.title, chart.view()]));
    charts.forEach((chart) => chart.destroy());
    charts = made;
    render();
    for (const chart of charts) if (views.get(chart.title)) chart.restore(views.get(chart.title));
  }

  function render() {
    put(chartsNode, charts.map((chart) => chart.node), summary, relations.map((relation) => relation.node));
  }

  async function drawRelations() {
    const old = relatings();
    let made = [];
    try {
      made = await relate();
    } catch (error) {
      if (old()) return;
      problem.textContent = error.message;
      problem.hidden = false;
    }
    if (old()) return;
    relations = made;
    render();
  }

  async function relate() {
    const made = [];
    if (shape && shape.total > 1) {
      const [metric] = await drawn();
      const settings = shape.varying.slice(0, 7);
      const tail = metric ? [metric] : [];
      const validation = (await ask("names")).metrics.includes(`val_${metric}`) ? [`val_${metric}`] : [];
      const columns = [...settings, ...tail, ...validation].filter((name) => !isReport || shape.columns.includes(name));
      const found = isReport ? only(shape, ["run", ...columns, ...(state.against ? [state.against] : [])]) : await ask("runs", { where: state.where, sort: state.sort, columns: ["run", ...columns, ...(state.against ? [state.against] : [])], limit: RELATED });
      const runs = found.rows.map((row) => row[0]);
      if (columns.length > 1) made.push(parallel(columns, found.rows.map((row) => row.slice(1)), runs, { onhover: light, onchoose: (run) => choose(run, null, null), onbrush: narrow }));
      if (state.against && metric) made.push(against(state.against, metric, found.rows.map((row) => [row[row.length - 1], row[1 + columns.indexOf(metric)]]), runs, { onhover: light, onchoose: (run) => choose(run, null, null) }));
    }
    return made;
  }

  function narrow(name, least, greatest) {
    const condition = `${/^\w+$/.test(name) ? name : `\`${name}\``} >= ${Number(least.toPrecision(6))} and ${/^\w+$/.test(name) ? name : `\`${name}\``} <= ${Number(greatest.toPrecision(6))}`;
    filter.value = state.where ? `(${state.where}) and ${condition}` : condition;
    apply();
  }

  async function poll() {
    if (over || isReport) return;
    if (!document.hidden && shape) {
      try {
        const seen = curves.map((curve) => [curve.run, curve.epoch.length ? curve.epoch[curve.epoch.length - 1] : -1]);
        const news = await ask("live", { runs: address.ranges(seen.map(([run]) => run)), after: seen.map(([, epoch]) => epoch).join(",") });
        if (news.count !== shape.all) { const top = scroller.scrollTop; await reload(); scroller.scrollTop = top; } else await refresh(news);
      } catch { /* the server was ended; what is shown stays */ }
    }
    setTimeout(poll, POLL);
  }

  async function refresh(news) {
    const columns = Object.fromEntries(shape.columns.map((name, i) => [name, i]));
    for (const going of news.going) {
      const row = table.querySelector(`tr[data-run="${going.run}"]`);
      if (!row) continue;
      if ("status" in columns) {
        const old = row.cells[columns.status + 1];
        const left = going.seconds_left === null ? "" : `, ${duration(going.seconds_left)} left`;
        const text = going.status === "running" && going.epochs ? `${going.status} ${going.epochs_finished ?? 0}/${going.epochs}${left}` : going.status;
        if (old.textContent !== text) put(old, el("span", { class: `status ${going.status}` }, text));
      }
      if ("epochs_finished" in columns) row.cells[columns.epochs_finished + 1].textContent = going.epochs_finished ?? "";
    }
    const grown = Object.entries(news.epochs).filter(([, more]) => more > 0).map(([run]) => Number(run));
    if (!grown.length || state.by) return;
    for (const run of grown) {
      const curve = curves.find((known) => known.run === run);
      const after = curve.epoch.length ? curve.epoch[curve.epoch.length - 1] : -1;
      const [more] = (await ask("curves", { runs: run, metrics: await needed(), after })).runs;
      for (const name of ["epoch", "seconds", "clock"]) curve[name].push(...more[name]);
      const had = curve.epoch.length - more.epoch.length;
      for (const [name, values] of Object.entries(more.metrics)) {
        curve.metrics[name] = curve.metrics[name] || Array(had).fill(null);
        curve.metrics[name].push(...values);
      }
      for (const values of Object.values(curve.metrics)) while (values.length < curve.epoch.length) values.push(null);
      curve.marks = more.marks;
    }
    await drawLines();
  }

  scroller.addEventListener("scroll", later(rows, 40));
  await reload();
  await controls();
  setTimeout(poll, POLL);
  return () => { over = true; charts.forEach((chart) => chart.destroy()); };
}
