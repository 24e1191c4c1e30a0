import { numbersOf } from "./address.js";

// Where the pages' data come from: the server, or what a report has within it.

const embedded = document.getElementById("embedded");
const held = embedded ? JSON.parse(embedded.textContent) : null;

export const isReport = held !== null;

/** The page that a report begins with. */
export const first = held ? held.first : "runs";

const NOT_THERE = "This is not in the report; `kerasprov view` shows it.";

const numeric = (value) => (typeof value === "number" && Number.isFinite(value) ? value : null);

/** Mean, deviation (of the sample; null of one), least and greatest of values. */
function summed(values) {
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  const deviation = values.length < 2 ? null : Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1));
  return { mean, deviation, least: Math.min(...values), greatest: Math.max(...values), runs: values.length };
}

/** What the server's `groups` gives, of the runs in the report. */
function groupsOfReport(by, metrics) {
  const { columns, rows } = held.runs;
  const value = (row, name) => row[columns.indexOf(name)];
  const values = [...new Set(rows.map((row) => value(row, by)))].sort((a, b) => (a === null) - (b === null) || (typeof b === "number") - (typeof a === "number") || (a < b ? -1 : 1));
  const names = metrics.flatMap((metric) => [metric, `val_${metric}`]).filter((name) => Object.values(held.curves).some((curve) => name in curve.metrics));
  const groups = values.map((one) => {
    const runs = rows.filter((row) => value(row, by) === one).map((row) => value(row, "run"));
    const mean = (name) => {
      const epochs = new Map();
      for (const run of runs) (held.curves[run].metrics[name] || []).forEach((found, i) => {
        if (numeric(found) === null) return;
        const epoch = held.curves[run].epoch[i];
        epochs.set(epoch, [...(epochs.get(epoch) || []), found]);
      });
      const ordered = [...epochs].sort((a, b) => a[0] - b[0]).map(([epoch, found]) => ({ epoch, ...summed(found) }));
      return { epoch: ordered.map((row) => row.epoch), mean: ordered.map((row) => row.mean), deviation: ordered.map((row) => row.deviation), count: ordered.map((row) => row.runs) };
    };
    return { value: one, runs, metrics: Object.fromEntries(names.map((name) => [name, mean(name)])) };
  });
  const last = (group, name) => group.runs.map((run) => numeric((held.curves[run].metrics[name] || []).at(-1))).filter((found) => found !== null);
  const columnsOfSummary = ["mean", "deviation", "least", "greatest", "runs"];
  const summary = groups.flatMap((group) => names.map((name) => {
    const found = last(group, name);
    const told = found.length ? summed(found) : { runs: 0 };
    return [group.value, name, ...columnsOfSummary.map((column) => told[column] ?? null)];
  }));
  return { by, groups, summary: { columns: [by, "metric", ...columnsOfSummary], rows: summary } };
}

function ofReport(name, query) {
  if (name === "groups") return groupsOfReport(query.by, query.metrics);
  if (name === "runs" || name === "names") return held[name];
  const runs = numbersOf(String(query.runs ?? query.run ?? query.of ?? ""));
  if (name === "curves") {
    const wanted = query.metrics && query.metrics.length ? new Set([...query.metrics, ...query.metrics.map((metric) => `val_${metric}`)]) : null;
    return { runs: runs.filter((run) => run in held.curves).map((run) => ({ ...held.curves[run], metrics: Object.fromEntries(Object.entries(held.curves[run].metrics).filter(([metric]) => !wanted || wanted.has(metric))) })) };
  }
  if (name === "comparison") {
    const found = (held.comparisons || {})[runs.join(",")];
    if (!found) throw new Error(runs.length > 2 && held.comparisons ? "This report compares two runs at a time; choose two." : NOT_THERE);
    return found;
  }
  if (name === "code" && !held.code) return { parts: [] };
  if (name in held && runs.length && runs[0] in held[name]) return held[name][runs[0]];
  throw new Error(NOT_THERE);
}

/** The data of a page; raises an Error with one sentence. */
export async function ask(name, query = {}) {
  const text = Object.entries(query).filter(([, value]) => value !== null && value !== undefined && value !== "").map(([key, value]) => `${key}=${encodeURIComponent(Array.isArray(value) ? value.join("|") : value)}`).join("&");
  if (held) return structuredClone(ofReport(name, query));
  let answer;
  try {
    answer = await fetch(`api/${name}${text ? `?${text}` : ""}`);
  } catch {
    throw new Error("The server does not answer; was `kerasprov view` ended?");
  }
  const value = await answer.json().catch(() => ({ error: `the server says ${answer.status}` }));
  if (!answer.ok) throw new Error(value.error || `the server says ${answer.status}`);
  return value;
}

/** Tells work that waits for answers whether the same work was begun anew meanwhile: what it waited
 * for is old then, and is not shown. Each call of what this returns begins such work. */
export function turns() {
  let last = 0;
  return () => {
    const mine = (last += 1);
    return () => mine !== last;
  };
}
