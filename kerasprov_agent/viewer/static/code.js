import { el } from "./dom.js";

// Python and differences with colours; as elements made of text.

const TOKENS = /(#[^\n]*)|("""[\s\S]*?"""|'''[\s\S]*?'''|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')|\b(\d+(?:\.\d+)?(?:e[-+]?\d+)?)\b|\b(and|as|assert|async|await|break|class|continue|def|del|elif|else|except|finally|for|from|global|if|import|in|is|lambda|None|nonlocal|not|or|pass|raise|return|True|False|try|while|with|yield)\b/g;
const CLASSES = ["c", "s", "n", "k"];

export function python(text) {
  const parts = [];
  let end = 0;
  for (const match of text.matchAll(TOKENS)) {
    if (match.index > end) parts.push(text.slice(end, match.index));
    const kind = match.slice(1).findIndex((group) => group !== undefined);
    parts.push(el("span", { class: CLASSES[kind] }, match[0]));
    end = match.index + match[0].length;
  }
  parts.push(text.slice(end));
  return el("pre", { class: "code", tabindex: "0" }, el("code", {}, parts));
}

export function difference(text) {
  return el("pre", { class: "code", tabindex: "0" }, el("code", {}, text.split("\n").map((line) => {
    const kind = line.startsWith("+") ? "added" : line.startsWith("-") ? "removed" : line.startsWith("@@") ? "place" : null;
    return el("span", { class: kind }, `${line}\n`);
  })));
}
