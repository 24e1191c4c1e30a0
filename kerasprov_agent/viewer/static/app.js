import * as address from "./address.js";
import { askPage } from "./ask.js";
import { el, put } from "./dom.js";
import { lineagePage } from "./lineage.js";
import { comparePage, runPage } from "./run.js";
import { runsPage } from "./runs.js";
import { ask, first, isReport } from "./source.js";

// Draws the page that the address names, and again when the address changes.

const PAGES = { runs: ["Runs", runsPage], run: ["Run", runPage], compare: ["Comparison", comparePage], lineage: ["Lineage", lineagePage], ask: ["Ask", askPage], data: ["Tables and SQL", dataPage] };
let leave = () => {};
let turn = 0;

async function show() {
  turn += 1;
  const mine = turn;
  leave();
  leave = () => {};
  const { page, rest, query } = address.read();
  const main = document.getElementById("main");
  for (const link of document.querySelectorAll("nav a")) {
    const is = link.getAttribute("href") === `#/${page}` && !link.classList.contains("brand");
    if (is) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const [title, draw] = PAGES[page] || [];
  if (!draw) {
    put(main, el("h1", {}, "There is no such page"), el("p", {}, el("a", { href: "#/runs" }, "All runs")));
    main.dataset.page = "none";
    return;
  }
  document.title = `${title} · kerasprov`;
  const place = el("div", {});
  put(main, place);
  try {
    const left = await draw(place, query, rest);
    if (mine === turn) leave = left || leave;
    else if (left) left();
  } catch (error) {
    put(place, el("h1", {}, title), el("p", { class: "problem", role: "alert" }, error.message), el("p", {}, el("a", { href: "#/runs" }, "All runs")));
  }
  main.dataset.page = page;
}

async function dataPage(main) {
  const about = await ask("about");
  if (about.data) { location.replace("data/"); return; }
  put(main, el("h1", {}, "Tables and SQL"), el("p", {}, "Datasette shows the tables, with SQL, facets and CSV, where it is installed: ", el("code", {}, "pip install 'kerasprov_agent[data]'"), ", then start the page again."), el("p", {}, "Until then ", el("code", {}, "kerasprov sql \"SELECT …\""), " and ", el("code", {}, "sqlite3"), " ask the same."));
}

async function begin() {
  addEventListener("hashchange", show);
  addEventListener("popstate", () => { /* hashchange follows where the page itself changes */ });
  if (isReport) {
    if (!location.hash && first !== "runs") location.hash = `#/${first}`;
    // Within a notebook the address of a link would be the notebook's.
    document.addEventListener("click", (event) => {
      const link = event.target.closest("a[href^='#']");
      if (!link) return;
      event.preventDefault();
      location.hash = link.getAttribute("href");
    });
    for (const link of document.querySelectorAll("nav a:not([href='#/runs'])")) link.remove();
  } else {
    ask("about").then((about) => { document.getElementById("place").textContent = about.database; }).catch(() => {});
  }
  await show();
}

begin();
