import * as address from "./address.js";
import { el, later, put, svg } from "./dom.js";
import { ask } from "./source.js";
import { plainTable, short } from "./wording.js";

// Questions without SQL: a click on a column asks for it; a condition is a column and a value.

export async function askPage(main, query) {
  const known = await ask("entities");
  const about = await ask("about").catch(() => ({}));
  const text = el("textarea", { "aria-label": "The question", spellcheck: "false", placeholder: "epoch, accuracy, val_loss where val_loss < 0.5" });
  text.value = query.q || "";
  const answer = el("div", { class: "answer" });
  const problem = el("p", { class: "problem", role: "alert" });
  const column = el("select", { "aria-label": "Column of the condition" }, known.entities.flatMap((entity) => entity.columns.map((c) => el("option", { value: `${entity.name}.${c.name}` }, `${entity.name}.${c.name}`))));
  const operator = el("select", { "aria-label": "Comparison" }, ["=", "<", "<=", ">", ">=", "!=", "like", "is null", "is not null"].map((name) => el("option", {}, name)));
  const values = el("datalist", { id: "values" });
  const value = el("input", { list: "values", "aria-label": "Value", size: 12 });
  const joined = el("select", { "aria-label": "Joined by" }, el("option", {}, "and"), el("option", {}, "or"));

  const suggest = () => {
    const [entity, ...rest] = column.value.split(".");
    const found = (known.entities.find((e) => e.name === entity) || { columns: [] }).columns.find((c) => c.name === rest.join("."));
    put(values, (found && found.values ? found.values : []).map((v) => el("option", { value: v })));
    value.placeholder = found && "least" in found ? `${short(found.least)} to ${short(found.greatest)}` : "";
  };
  column.addEventListener("change", suggest);
  suggest();

  // The question in the parts that the server found in it, once it was asked.
  let understood = { question: "", asked: "", condition: "", rest: "" };
  const altered = async (alter) => {
    if (text.value.trim() !== understood.question) await run(false);
    if (text.value.trim() !== understood.question) return; // it is not understood, and says why
    const { asked, condition, rest } = alter(understood);
    text.value = [asked, condition ? `where ${condition}` : "", rest].filter(Boolean).join(" ");
    await run();
  };
  let changes = Promise.resolve(); // one after the other: a click may come before the last one's answer
  const change = (alter) => { changes = changes.then(() => altered(alter)); };
  const add = (name) => change(({ asked, ...others }) => {
    const names = asked ? asked.split(",").map((part) => part.trim()) : [];
    return { ...others, asked: (names.includes(name) ? names.filter((other) => other !== name) : [...names, name]).join(", ") };
  });
  const addCondition = () => {
    const literal = operator.value.startsWith("is") ? "" : /^-?\d+(\.\d*)?(e[-+]?\d+)?$/i.test(value.value) ? ` ${value.value}` : ` '${value.value.replace(/'/g, "''")}'`;
    const name = quotedName(column.value);
    const added = `${name} ${operator.value}${literal}`;
    const word = joined.value;
    change(({ asked, condition, rest }) => {
      const before = /\bor\b/i.test(condition) ? `(${condition})` : condition;
      return { asked: asked || name, condition: before ? `${before} ${word} ${added}` : added, rest };
    });
  };
  const orderBy = (name) => change(({ rest, ...others }) => {
    const limit = /limit\s+\d+/i.exec(rest);
    return { ...others, rest: [name ? `order by ${name}` : "", limit ? limit[0] : ""].filter(Boolean).join(" ") };
  });

  async function run(step = true) {
    const question = text.value.trim();
    address.note({ q: question }, step);
    if (!question) { understood = { question, asked: "", condition: "", rest: "" }; problem.textContent = ""; put(answer, el("p", { class: "quiet" }, "Begin with an example, or click the columns that you want to see.")); return; }
    let found;
    const old = () => text.value.trim() !== question; // another question stands there by now
    try {
      found = await ask("answer", { question });
    } catch (error) {
      if (!old()) problem.textContent = error.message;
      return;
    }
    if (old()) return;
    problem.textContent = "";
    understood = { question, ...found };
    const rows = found.rows.length < found.total ? `${found.rows.length} of ${found.total} rows are shown` : `${found.total} of ${found.all} rows`;
    put(answer, el("p", { role: "status" }, `${found.said}: ${rows}.`),
      found.emptied ? el("p", { class: "problem" }, `Nothing is left after: ${found.emptied}`) : null,
      found.rows.length ? plainTable(found, "The answer", { links: { run: (v) => address.make(`run/${v}`) } }) : null,
      el("details", { open: true }, el("summary", {}, "The SQL that was run"), el("pre", { class: "code", tabindex: "0" }, found.sql), found.values.length ? el("p", { class: "quiet" }, `with ${found.values.map(short).join(", ")} for the question marks`) : null,
        about.data ? el("p", {}, el("a", { href: `data/${about.database.replace(/\.db$/, "")}?sql=${encodeURIComponent(found.full)}` }, "Open as SQL")) : null));
  }

  put(main, el("h1", {}, "Ask"), el("div", { class: "ask" },
    el("aside", {}, el("h2", {}, "Examples"), el("ul", { class: "examples" }, known.examples.map((example) => el("li", {}, el("button", { type: "button", title: example.question, onclick: () => { if (example.question.startsWith("@")) location.hash = address.make("lineage", { of: example.question.slice(1), hops: 20 }); else { text.value = example.question; run(); } } }, example.title)))),
      el("h2", {}, "What is recorded"), dataflow(known.entities, (name) => { const details = document.getElementById(`entity-${name}`); details.open = true; details.scrollIntoView({ block: "nearest" }); details.querySelector("button").focus(); }), known.entities.map((entity) => el("details", { id: `entity-${entity.name}`, open: ["epochs", "runs"].includes(entity.name) }, el("summary", {}, `${entity.name} (${entity.count})`), el("p", { class: "chips" }, entity.columns.map((c) => el("button", { type: "button", "aria-label": `Ask for ${entity.name}.${c.name}`, onclick: () => add(quotedName(`${entity.name}.${c.name}`)) }, c.name)))))),
    el("div", {}, el("form", { onsubmit: (event) => { event.preventDefault(); run(); } }, text,
      el("div", { class: "bar" }, el("button", { class: "main" }, "Ask"), el("span", { class: "quiet" }, "Add a condition:"), joined, column, operator, value, values, el("button", { type: "button", onclick: addCondition }, "Add"), el("button", { type: "button", onclick: () => { text.value = ""; run(); } }, "Clear"))),
      el("div", { class: "bar" }, el("label", {}, "group and sum up:", aggregates(known, (name) => add(name))), el("label", {}, "order by", orders(known, orderBy))),
      problem, answer)));
  text.addEventListener("input", later(() => run(false), 600));
  await run(false);
  return () => {};
}

const BEFORE = ["executions", "packages", "files", "searches", "trials"];
const KINDS = 12;

/** The dataflow graph of what is recorded: programs, their runs, and what belongs to these. */
function dataflow(entities, choose) {
  const shown = entities.slice(0, KINDS);
  const left = shown.filter((entity) => BEFORE.includes(entity.name));
  const right = shown.filter((entity) => entity.name !== "runs" && !BEFORE.includes(entity.name));
  const tall = Math.max(left.length, right.length, 1) * 30 + 10;
  const at = new Map([["runs", [104, tall / 2]]]);
  left.forEach((entity, i) => at.set(entity.name, [2, ((i + 0.5) * tall) / left.length]));
  right.forEach((entity, i) => at.set(entity.name, [206, ((i + 0.5) * tall) / right.length]));
  const lines = [...at].filter(([name]) => name !== "runs").map(([name, [x, y]]) => svg("path", { class: "axis", fill: "none", d: x < 100 ? `M${x + 84} ${y}L104 ${tall / 2}` : `M${x} ${y}L188 ${tall / 2}` }));
  const boxes = shown.map((entity) => {
    const [x, y] = at.get(entity.name);
    const go = () => choose(entity.name);
    return svg("g", { class: "kind", role: "button", tabindex: "0", "aria-label": `${entity.name}: ${entity.count}`, onclick: go, onkeydown: (event) => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); go(); } } },
      svg("rect", { x, y: y - 13, width: 84, height: 26, rx: 4 }), svg("text", { x: x + 42, y: y - 1, "text-anchor": "middle" }, entity.name), svg("text", { class: "count", x: x + 42, y: y + 10, "text-anchor": "middle" }, entity.count));
  });
  return svg("svg", { class: "drawn dataflow", viewBox: `0 0 292 ${tall}`, role: "group", "aria-label": "What is recorded, and how it belongs together" }, lines, boxes);
}

function quotedName(name) {
  return name.split(".").every((part) => /^\w+$/.test(part)) ? name : `\`${name}\``;
}

function aggregates(known, add) {
  const input = el("select", { "aria-label": "Sum up", onchange: () => { if (input.value) add(input.value); input.value = ""; } }, el("option", { value: "" }, "choose"),
    known.entities.filter((entity) => ["epochs", "evaluations", "runs"].includes(entity.name)).flatMap((entity) => entity.columns.filter((c) => c.kind === "number").flatMap((c) => ["avg", "min", "max"].map((f) => el("option", {}, `${f}(${quotedName(`${entity.name}.${c.name}`)})`)))), el("option", {}, "count(run)"));
  return input;
}

function orders(known, order) {
  const input = el("select", { "aria-label": "Order by", onchange: () => order(input.value) }, el("option", { value: "" }, "as recorded"),
    known.entities.filter((entity) => ["epochs", "evaluations", "runs"].includes(entity.name)).flatMap((entity) => entity.columns.flatMap((c) => ["", " desc"].map((d) => el("option", { value: `${quotedName(`${entity.name}.${c.name}`)}${d}` }, `${entity.name}.${c.name}${d}`)))));
  return input;
}
