import * as address from "./address.js";
import { epochBars, lineChart, linesOf, marksOf } from "./charts.js";
import { difference, python } from "./code.js";
import { el, put } from "./dom.js";
import { ask, isReport } from "./source.js";
import { facts, plainTable, short, told } from "./wording.js";

// One run: what it was, what it measured, what it came to.

const TITLES = { changes: "Changes while it trained", evaluations: "Evaluations", events: "Events", layers: "Layers", parameters: "Settings", optimizers: "Optimizers", callbacks: "Callbacks", inputs: "Data", activities: "What the model was used for", files: "Files", steps: "Steps of the program", environment: "Environment", epochs: "Epochs" };
const FIRST = ["changes", "evaluations", "events", "layers", "parameters"];
const FOLDED = ["optimizers", "callbacks", "inputs", "activities", "files", "steps", "environment", "epochs"];
const FORMATS = { json: "PROV-JSON", provn: "PROV-N", ttl: "Turtle", trig: "TriG", xml: "PROV-XML", jsonld: "JSON-LD", crate: "RO-Crate", dot: "DOT", svg: "picture" };

export async function runPage(main, query, rest) {
  const run = await ask("run", { run: rest[0] || "last" });
  const { curves: _, ...known } = run.facts;
  const id = run.facts.run;
  document.title = `${run.facts.name} · kerasprov`;
  const { tags, exception, exception_type: type, ...rest_ } = known;
  const charts = [];
  const chartsNode = el("div", { class: "charts" });
  put(main, el("h1", {}, `Run ${id}: ${run.facts.name} `, el("span", { class: `status ${run.facts.status}` }, run.facts.status)),
    type ? el("p", { class: "problem" }, `${type}: ${exception ?? ""}`) : null,
    run.facts.note ? el("p", {}, run.facts.note) : null,
    tags ? el("p", { class: "quiet" }, Object.entries(tags).map(([name, value]) => `${name} = ${short(value)}`).join(", ")) : null,
    el("p", { class: "bar" }, el("a", { href: address.make("lineage", { of: id }) }, "Where it came from"), isReport ? null : el("span", { class: "quiet" }, "Documents:"), isReport ? null : run.documents.map((form) => el("a", { href: `api/document?run=${id}&format=${form}`, download: "" }, FORMATS[form] || form))),
    facts([...Object.entries(rest_).filter(([name]) => !["run", "name", "status", "note"].includes(name)), ...Object.entries(run.metrics).map(([name, value]) => [`last ${name}`, value])]),
    el("h2", {}, "Curves"),
    chartsNode,
    FIRST.map((name) => section(run, name)),
    FOLDED.filter((name) => run.tables[name].rows.length).map((name) => {
      const count = name === "files" && run.files_total > run.tables.files.rows.length ? `${run.tables.files.rows.length} of ${run.files_total}` : run.tables[name].rows.length;
      return el("details", {}, el("summary", {}, `${TITLES[name]} (${count})`), plainTable(run.tables[name], TITLES[name]));
    }));
  const curves = (await ask("curves", { runs: id })).runs;
  const names = Object.keys(curves[0].metrics).filter((name) => name !== "learning_rate" && !(name.startsWith("val_") && name.slice(4) in curves[0].metrics));
  for (const metric of names.slice(0, 12)) charts.push(lineChart(linesOf(curves, metric, "epoch"), { title: metric, x: "epoch", marks: marksOf(curves, "epoch") }));
  if (curves[0].learning_rate && new Set(curves[0].learning_rate).size > 1) charts.push(lineChart([{ label: "learning rate", key: id, x: curves[0].epoch, y: curves[0].learning_rate, place: 3 }], { title: "learning rate", x: "epoch", marks: marksOf(curves, "epoch") }));
  put(chartsNode, charts.map((chart) => chart.node), epochBars(run.tables.epochs));
  if (names.length > 12) chartsNode.append(el("p", { class: "quiet" }, `12 of ${names.length} metrics are drawn; the table of epochs has all.`));
  const bad = run.tables.epochs.rows.some((row) => row.includes("NaN"));
  if (bad) main.insertBefore(el("p", { class: "problem" }, "Some metrics became NaN; the table of epochs shows where."), chartsNode);
  const code = (await ask("code", { run: id })).parts;
  main.append(...code.length ? [el("h2", {}, "Code"), ...code.map((part, i) => el("details", { open: i === 0 }, el("summary", {}, `${part.kind}: ${part.name ?? ""}`), part.kind === "git diff" ? difference(part.text) : python(part.text)))] : []);
  return () => charts.forEach((chart) => chart.destroy());
}

function section(run, name) {
  const table = run.tables[name];
  return table.rows.length ? [el("h2", {}, TITLES[name]), plainTable(table, TITLES[name])] : [];
}

export async function comparePage(main, query) {
  const runs = address.numbersOf(query.runs);
  const found = await ask("comparison", { runs: address.ranges(runs) });
  const curves = (await ask("curves", { runs: address.ranges(runs) })).runs;
  const metrics = [...new Set(curves.flatMap((curve) => Object.keys(curve.metrics)))].filter((name) => !name.startsWith("val_") && name !== "learning_rate").slice(0, 6);
  const charts = metrics.map((metric) => lineChart(linesOf(curves, metric, "epoch"), { title: metric, x: "epoch", marks: [] }));
  const names = { settings: "Settings", layers: "Layers", outcome: "What came of it", data: "Data", environment: "Environment", packages: "Packages", machine: "Machine" };
  const order = ["settings", "outcome", "data", "layers", "packages", "environment", "machine"];
  put(main, el("h1", {}, `${found.runs.length} runs compared`), el("p", {}, found.runs.map((run, i) => [i ? ", " : "", el("a", { href: address.make(`run/${run.run}`) }, `${run.run} ${run.name}`)])),
    el("p", { class: "quiet" }, "Only what they differ in; of what came of it, everything."),
    el("h2", {}, "Curves"),
    el("div", { class: "charts" }, charts.map((chart) => chart.node)),
    order.filter((name) => found.sections[name]).flatMap((name) => [el("h2", {}, names[name]), plainTable(found.sections[name], names[name])]),
    found.code.length ? el("h2", {}, "Code") : null,
    found.code.map((part) => el("details", { open: true }, el("summary", {}, `${part.name} in ${part.run}, against ${found.runs[0].name}`), difference(part.diff))),
    order.every((name) => name === "outcome" || !found.sections[name]) && !found.code.length ? el("p", {}, "They differ in nothing that is recorded.") : null);
  return () => charts.forEach((chart) => chart.destroy());
}
