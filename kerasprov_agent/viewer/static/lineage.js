import * as address from "./address.js";
import { announce, el, later, put, svg } from "./dom.js";
import { ask, isReport } from "./source.js";
import { facts } from "./wording.js";

// Where something came from, as PROV draws it: entities are yellow ellipses, activities blue boxes.
// Solid: Keras or the program did it. Dashed: known by content. Dotted: declared, or perhaps.

const STYLE = { same_buffer: "", pipeline: "", content_match: "dashed", same_content: "dashed", declared: "dotted", read_before: "dotted" };
const MEANING = { same_buffer: "the same memory", content_match: "by what it holds", pipeline: "read by the input", same_content: "the same content", declared: "as the program tells", read_before: "perhaps: was read before" };
const INVERSE = { used: "used by", wasGeneratedBy: "generated", wasDerivedFrom: "led to", alternateOf: "the same as" };
const LINE = 16;
const MEMBERS = 200;
const FORMATS = ["json", "provn", "ttl", "trig", "xml", "jsonld", "crate", "dot"];

export async function lineagePage(main, query) {
  const of = query.of || "last";
  const input = el("input", { value: of, "aria-label": "A file's path, a run or a hash", spellcheck: "false" });
  const hops = el("select", { "aria-label": "Steps each way" }, [1, 2, 3, 5, 20].map((n) => el("option", { value: n, selected: String(n) === (query.hops || "2") }, `${n} steps`)));
  const perhaps = el("input", { type: "checkbox", checked: query.perhaps === "1" });
  const graphNode = el("div", { class: "graph", tabindex: "0", role: "group", "aria-label": "Lineage. The list below says the same." });
  const side = el("aside", { "aria-label": "Details", "aria-live": "polite" }, el("p", { class: "quiet" }, "Choose a node to see what is known of it."));
  const problem = el("p", { class: "problem", role: "alert" });
  const count = el("span", { class: "quiet", role: "status" });
  const summary = el("p", { class: "quiet" });
  const search = el("input", { type: "search", placeholder: "a name or a path", "aria-label": "Find in what is shown", spellcheck: "false" });
  const matches = el("span", { class: "quiet", role: "status" });
  const tree = el("div", {});
  const list = el("div", {});
  const bar = el("div", { class: "bar" });
  const go = (changes) => { location.hash = address.make("lineage", { of: input.value.trim() || "last", hops: hops.value === "2" ? null : hops.value, perhaps: perhaps.checked ? 1 : null, ...changes }); };
  const unfold = (node) => go({ opened: query.opened, unfolded: [query.unfolded, node.id].filter(Boolean).join(" ") });
  let graph = null;
  put(main, el("h1", {}, "Where it came from"),
    isReport ? null : el("form", { class: "bar", onsubmit: (event) => { event.preventDefault(); go({}); } }, el("span", { class: "grow" }, input), hops, el("label", {}, perhaps, "also what was only read before"), el("button", { class: "main" }, "Show")),
    bar, problem, summary, el("div", { class: "panel" }, graphNode, side), el("div", { class: "bar below" }, el("span", { class: "grow" }, search), matches), tree, el("h2", {}, "As a list"), list);
  bar.append(count, el("button", { type: "button", onclick: () => graph && pathToRaw(graph, graphNode) }, "Path to the raw data"), el("button", { type: "button", onclick: () => save(graphNode) }, "Save as SVG"));
  let data;
  try {
    data = await ask("lineage", { of, hops: query.hops || null, opened: query.opened || null, unfolded: query.unfolded || null, perhaps: query.perhaps || null });
  } catch (error) {
    problem.textContent = error.message;
    return () => {};
  }
  count.textContent = data.shown < data.total ? `${data.shown} of ${data.total} files, data sets and models` : `${data.total} files, data sets and models`;
  graph = data;
  summary.textContent = `Shown: ${counted(data.nodes)}`;
  const run = (data.nodes.find((node) => node.run) || {}).run;
  if (run && !isReport) bar.append(el("span", { class: "quiet" }, `Document of run ${run}:`), ...FORMATS.map((form) => el("a", { href: `api/document?run=${run}&format=${form}`, download: "" }, form)));
  draw(graphNode, data, {
    onchoose: (node) => { details(side, node, unfold); light(graphNode, new Set([node.id])); },
    onopen: (node) => (node.hidden ? go({ opened: [query.opened, ...node.opens].filter(Boolean).join(" "), unfolded: query.unfolded }) : unfold(node)),
  });
  put(tree, el("h2", {}, "What it came from"), branches(data, "from", "to"), el("h2", {}, "What was made of it"), branches(data, "to", "from"));
  put(list, listed(data));
  search.addEventListener("input", later(() => { matches.textContent = find(search.value.trim().toLowerCase(), data.nodes, graphNode, tree, list); }, 120));
  return () => {};
}

function draw(parent, data, { onchoose, onopen }) {
  const layout = new dagre.graphlib.Graph();
  layout.setGraph({ rankdir: "RL", nodesep: 26, ranksep: 24, ranker: "tight-tree", marginx: 12, marginy: 12 });
  layout.setDefaultEdgeLabel(() => ({}));
  for (const node of data.nodes) {
    const lines = wrapped(node.label);
    node.lines = lines;
    layout.setNode(node.id, { width: Math.max(...lines.map((line) => line.length * 7.2), 40) + 34, height: lines.length * LINE + 20 });
  }
  for (const edge of data.edges) layout.setEdge(edge.from, edge.to, { width: edge.kind.length * 6 + 8, height: 14, labelpos: "c" });
  dagre.layout(layout);
  const { width = 300, height = 100 } = layout.graph();
  const edges = data.edges.map((edge) => {
    const { points, x, y } = layout.edge(edge.from, edge.to);
    const path = svg("path", { class: `edge ${STYLE[edge.confidence] ?? ""}`, "data-from": edge.from, "data-to": edge.to, "marker-end": "url(#arrow)", d: points.map((p, i) => `${i ? "L" : "M"}${p.x.toFixed(1)} ${p.y.toFixed(1)}`).join("") }, svg("title", {}, `${edge.kind}${MEANING[edge.confidence] ? `: ${MEANING[edge.confidence]}` : ""}`));
    return svg("g", {}, path, svg("text", { class: "label", x, y: y - 4 }, edge.kind));
  });
  const starts = new Set(data.start);
  const nodes = data.nodes.map((node) => {
    const { x, y, width: w, height: h } = layout.node(node.id);
    const shape = node.type === "activity" ? svg("rect", { class: "shape", x: -w / 2, y: -h / 2, width: w, height: h, rx: 2 }) : svg("ellipse", { class: "shape", rx: w / 2, ry: h / 2 });
    const text = node.lines.map((line, i) => svg("text", { y: (i - (node.lines.length - 1) / 2) * LINE + 4 }, line));
    const choose = () => onchoose(node);
    const opens = !isReport && (node.hidden || node.folded);
    return svg("g", { class: `node ${node.type} ${starts.has(node.id) ? "start" : ""} ${node.folded ? "folded" : ""}`, "data-id": node.id, transform: `translate(${x} ${y})`, tabindex: "0", role: "button", "aria-label": `${node.type} ${node.label.replace(/\n/g, ", ")}${node.hidden ? `, ${node.hidden} more not shown` : ""}`, onclick: choose, onfocus: choose, ondblclick: () => opens && onopen(node), onkeydown: (event) => { if (event.key === "Enter" && opens) onopen(node); } },
      shape, text, node.hidden ? svg("text", { class: "more", y: h / 2 + 11 }, `+${node.hidden} more`) : null, svg("title", {}, node.label));
  });
  put(parent, svg("svg", { xmlns: "http://www.w3.org/2000/svg", width, height, viewBox: `0 0 ${width} ${height}` },
    svg("defs", {}, svg("marker", { id: "arrow", viewBox: "0 0 10 10", refX: 9, refY: 5, markerWidth: 7, markerHeight: 7, orient: "auto-start-reverse" }, svg("path", { d: "M0 0L10 5L0 10z", fill: "var(--faint)" }))), edges, nodes));
  const first = data.nodes.find((node) => starts.has(node.id));
  if (first) parent.scrollTo(Math.max(layout.node(first.id).x - parent.clientWidth / 2, 0), Math.max(layout.node(first.id).y - parent.clientHeight / 2, 0));
}

/** A label in lines of at most 28 characters, three of them at most. */
function wrapped(label) {
  const lines = [];
  for (const line of label.split("\n")) {
    let rest = line;
    while (rest.length > 28 && lines.length < 3) {
      const space = rest.lastIndexOf(" ", 28);
      lines.push(rest.slice(0, space > 0 ? space : 28));
      rest = rest.slice(space > 0 ? space + 1 : 28);
    }
    lines.push(rest);
  }
  return lines.length > 4 ? [...lines.slice(0, 3), "…"] : lines;
}

function details(side, node, unfold) {
  const known = node.details;
  put(side, el("h3", {}, node.label), facts([["what", node.type], ...Object.entries(known)]),
    node.run ? el("p", {}, el("a", { href: address.make(`run/${node.run}`) }, `Run ${node.run}`)) : null,
    node.type === "entity" && !node.members.length && !isReport ? el("p", {}, el("a", { href: address.make("lineage", { of: known.sha256 || known.path || node.id }) }, "Begin here")) : null,
    node.members.length && !isReport ? el("p", {}, el("button", { type: "button", onclick: () => unfold(node) }, "Show each by itself")) : null,
    node.members.length ? el("ul", {}, node.members.slice(0, MEMBERS).map((member) => el("li", { class: "mono" }, member.run ? el("a", { href: address.make(`run/${member.run}`) }, `Run ${member.run}: ${member.label}`) : member.path || member.label))) : null,
    node.members.length > MEMBERS ? el("p", { class: "quiet" }, `and ${node.members.length - MEMBERS} more`) : null);
}

/** How many of each kind are shown; those that are folded count each. */
function counted(nodes) {
  const counts = new Map();
  for (const node of nodes) {
    const kind = node.kind === "files" ? "file" : node.kind;
    counts.set(kind, (counts.get(kind) || 0) + (node.folded || 1));
  }
  return [...counts].sort((a, b) => b[1] - a[1]).map(([kind, count]) => `${kind} ${count}`).join(", ");
}

/** Show in the tree and the list only what has a text in it, and lift it out in the graph. */
function find(text, nodes, graphNode, tree, list) {
  const has = (node) => [node.label, node.details.path, ...node.members.map((member) => member.path || member.label)].some((known) => known && known.toLowerCase().includes(text));
  const found = new Set(text ? nodes.filter(has).map((node) => node.id) : []);
  light(graphNode, found, new Set());
  for (const row of list.querySelectorAll("tbody tr")) row.hidden = Boolean(text) && !found.has(row.dataset.from) && !found.has(row.dataset.to);
  for (const item of [...tree.querySelectorAll("li")].reverse()) item.hidden = Boolean(text) && !found.has(item.dataset.id) && !item.querySelector("li:not([hidden])");
  return text ? `${found.size} of ${nodes.length} found` : "";
}

function light(parent, ids, edges = null) {
  for (const node of parent.querySelectorAll(".node")) node.classList.toggle("lit", ids.has(node.dataset.id));
  for (const edge of parent.querySelectorAll(".edge")) edge.classList.toggle("lit", edges ? edges.has(`${edge.dataset.from} ${edge.dataset.to}`) : ids.has(edge.dataset.from) || ids.has(edge.dataset.to));
}

/** The shortest way from what was asked for back to each file that came of nothing. */
function pathToRaw(data, parent) {
  const before = new Map();
  const waiting = [...data.start];
  const seen = new Set(waiting);
  while (waiting.length) {
    const id = waiting.shift();
    for (const edge of data.edges) {
      if (edge.from !== id || seen.has(edge.to)) continue;
      seen.add(edge.to);
      before.set(edge.to, id);
      waiting.push(edge.to);
    }
  }
  const nodes = new Set();
  const edges = new Set();
  const raw = data.nodes.filter((node) => node.raw && seen.has(node.id));
  for (const node of raw) {
    let id = node.id;
    nodes.add(id);
    while (before.has(id)) {
      edges.add(`${before.get(id)} ${id}`);
      id = before.get(id);
      nodes.add(id);
    }
  }
  light(parent, nodes, edges);
  announce(raw.length ? `It came from ${raw.map((node) => node.label).join(", ")}` : "No raw file is among what is shown");
}

function save(parent) {
  const drawn = parent.querySelector("svg");
  if (!drawn) return;
  const copy = drawn.cloneNode(true);
  const style = getComputedStyle(document.documentElement);
  const text = [...document.styleSheets].flatMap((sheet) => { try { return [...sheet.cssRules]; } catch { return []; } }).map((rule) => rule.cssText).filter((rule) => rule.startsWith(".graph") || rule.startsWith("svg")).join("\n").replace(/\.graph /g, "").replace(/var\((--[\w-]+)\)/g, (_, name) => style.getPropertyValue(name).trim());
  copy.insertBefore(svg("style", {}, text), copy.firstChild);
  const link = el("a", { href: URL.createObjectURL(new Blob([new XMLSerializer().serializeToString(copy)], { type: "image/svg+xml" })), download: "lineage.svg" });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

/** What each thing came from, below it, or what was made of it; what stands above is only named. */
function branches(data, above, below) {
  const nodes = new Map(data.nodes.map((node) => [node.id, node]));
  const edges = new Map();
  for (const edge of data.edges) edges.set(edge[above], [...(edges.get(edge[above]) || []), edge]);
  const seen = new Set();
  const branch = (id, how) => {
    const label = nodes.get(id).label.replace(/\n/g, ", ");
    const again = seen.has(id);
    seen.add(id);
    const next = again ? [] : edges.get(id) || [];
    return el("li", { "data-id": id }, how ? el("span", { class: "quiet" }, `${how} `) : null, label, again && edges.has(id) ? el("span", { class: "quiet" }, " (as above)") : null,
      next.length ? el("ul", {}, next.map((edge) => branch(edge[below], below === "to" ? edge.kind : INVERSE[edge.kind]))) : null);
  };
  return el("ul", { class: "tree" }, data.start.filter((id) => nodes.has(id)).map((id) => branch(id, null)));
}

function listed(data) {
  const nodes = new Map(data.nodes.map((node) => [node.id, node]));
  return el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Lineage as a list" }, el("table", {}, el("thead", {}, el("tr", {}, ["this", "how", "that", "known"].map((name) => el("th", { scope: "col" }, name)))),
    el("tbody", {}, data.edges.map((edge) => el("tr", { "data-from": edge.from, "data-to": edge.to }, el("td", {}, nodes.get(edge.from).label), el("td", {}, edge.kind), el("td", {}, nodes.get(edge.to).label), el("td", {}, MEANING[edge.confidence] || "done by Keras or the program"))))));
}
