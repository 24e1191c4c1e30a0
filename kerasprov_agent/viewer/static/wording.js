import { el } from "./dom.js";

// How values are told: short, with the whole value on hover.

/** A number that came through JSON: NaN and infinities are texts there. */
export function number(value) {
  if (typeof value === "number") return value;
  if (value === "NaN") return NaN;
  if (value === "Infinity") return Infinity;
  if (value === "-Infinity") return -Infinity;
  return null;
}

export function short(value) {
  if (value === null || value === undefined) return "";
  if (typeof value === "number") {
    if (Number.isInteger(value)) return String(value);
    const rounded = Number(value.toPrecision(4));
    return Math.abs(rounded) >= 1e6 || (rounded !== 0 && Math.abs(rounded) < 1e-4) ? rounded.toExponential() : String(rounded);
  }
  if (typeof value === "object") return JSON.stringify(value);
  return String(value);
}

export function duration(seconds) {
  if (typeof seconds !== "number") return short(seconds);
  if (seconds < 60) return `${Number(seconds.toPrecision(3))} s`;
  const minutes = Math.floor(Math.round(seconds) / 60);
  if (minutes < 60) return `${minutes} min ${String(Math.round(seconds) % 60).padStart(2, "0")} s`;
  return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, "0")} min`;
}

/** A time in words, such as "5 minutes ago"; older ones as a date. */
export function moment(text) {
  const time = new Date(text);
  if (Number.isNaN(time.getTime())) return short(text);
  const seconds = (Date.now() - time.getTime()) / 1000;
  if (seconds >= 0 && seconds < 60) return "just now";
  if (seconds >= 0 && seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds >= 0 && seconds < 86400) return `${Math.floor(seconds / 3600)} h ago`;
  return `${time.getFullYear()}-${String(time.getMonth() + 1).padStart(2, "0")}-${String(time.getDate()).padStart(2, "0")}`;
}

const MOMENTS = new Set(["started_at", "ended_at", "at", "modified_at", "seen_at", "created_at"]);

/** A value of a column as what is shown, and the whole of it for the hover. */
export function told(name, value) {
  if (value === null || value === undefined) return { text: "", title: null };
  if (MOMENTS.has(name)) return { text: moment(value), title: String(value) };
  if (name === "seconds" || name === "seconds_left") return { text: duration(value), title: `${value} s` };
  const text = short(value);
  const whole = typeof value === "object" ? JSON.stringify(value, null, 1) : String(value);
  return { text, title: whole === text && text.length < 30 ? null : whole };
}

export function isNumber(value) {
  return typeof value === "number";
}

/** A cell of a table. */
export function cell(name, value, numeric = isNumber(value)) {
  const { text, title } = told(name, value);
  if (name === "status") return el("td", {}, el("span", { class: `status ${text}` }, text));
  const kind = value === "NaN" ? "number problem" : numeric ? "number" : null;
  return el("td", { class: kind, title }, text);
}

/** A table of rows (lists of values). `links`: by column, a function from a value to an address. */
export function plainTable(table, caption, { wrap = false, links = {} } = {}) {
  const numeric = table.columns.map((_, i) => table.rows.some((row) => isNumber(row[i])) && table.rows.every((row) => row[i] === null || isNumber(row[i])));
  return el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
    el("table", { class: wrap ? "wrap" : null },
      el("caption", { class: "unseen" }, caption),
      el("thead", {}, el("tr", {}, table.columns.map((name, i) => el("th", { scope: "col", class: numeric[i] ? "number" : null }, name)))),
      el("tbody", {}, table.rows.map((row) => el("tr", {}, row.map((value, i) => {
        const link = links[table.columns[i]];
        const address = link && value !== null ? link(value) : null;
        return address ? el("td", {}, el("a", { href: address }, short(value))) : cell(table.columns[i], value, numeric[i]);
      }))))));
}

/** Facts as a list of names and values. */
export function facts(entries) {
  return el("dl", { class: "facts" }, entries.filter(([, value]) => value !== null && value !== undefined && value !== "").map(([name, value]) => {
    const { text, title } = told(name, value);
    return el("div", {}, el("dt", {}, name), el("dd", { title }, text));
  }));
}
