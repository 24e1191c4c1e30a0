"""Runs as one HTML file: the pages' own scripts and charts, with the data within it."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Sequence
from html import escape
from itertools import combinations
from pathlib import Path
from typing import Any

from kerasprov_agent.errors import KerasProvError
from kerasprov_agent.read.record import Record
from kerasprov_agent.viewer import STATIC, pages

MOST_RUNS = 20
"""So many runs are in a report that names none."""
IMPORT = re.compile(r'^import (?:\* as )?(\{[^}]*\}|\w+) from "\./(\w+)\.js";', re.M)
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")
COMPARED = 5
"""A report of no more runs has all their comparisons; one of more has those of two runs each."""
HEIGHT = 720
"""Pixels that a report takes in a notebook."""
LIMIT = 1_000_000
"""Bytes that a report should not exceed: comparisons, code and lineage are left out first."""
MODULES = (
    "address", "dom", "wording", "source", "charts", "code", "run", "relations", "runs", "lineage",
    "ask", "app",
)  # fmt: skip
"""The scripts, each after those that it imports."""
LEFT_OUT = ("environment",)
"""Tables of a run that a report does not have: they are long, and say much the same of each run."""
OF_EPOCHS = (
    "epoch", "train_seconds", "validation_seconds", "callback_seconds", "first_step_seconds",
    "learning_rate", "gpu_utilization",
)  # fmt: skip
"""Columns of the table of epochs in a report; the metrics are those of the curves."""


def html(
    record: Record, runs: Sequence[str], where: str | None = None, first: str = "runs"
) -> tuple[str, str | None]:
    """A report of runs as the text of an HTML file.

    runs: numbers, names or beginnings of ids; without any the newest for which `where` holds.
    first: the address of the page that it begins with, such as `run/3`. Returns the text, and a
    sentence on what is left out; None: nothing. Raises `KerasProvError`.
    """
    told = []
    numbers = [record.find(run)["run"] for run in runs]
    if not numbers:
        window = record.window(where=where, limit=MOST_RUNS + 1)
        numbers = [row["run"] for row in window[:MOST_RUNS]]
        if len(window) > MOST_RUNS:
            told.append(f"the newest {MOST_RUNS} runs are in it; name others to have them")
    if not numbers:
        raise KerasProvError("no runs match; see all of them with: kerasprov runs")
    numbers = list(dict.fromkeys(numbers))
    data = {"first": first, **_data(record, numbers)}
    for part in ("comparisons", "code", "lineage"):
        if len(_page(data).encode()) > LIMIT and data.pop(part, None):
            told.append(f"{part} is left out, so that the file stays below 1 MB")
    page = _page(data)
    if len(page.encode()) > LIMIT:
        told.append(f"the file has {len(page.encode()) / 1e6:.1f} MB; name fewer runs")
    return page, "; ".join(told) or None


class Report:
    """A report as a notebook shows it: in a frame of its own, from which nothing gets out."""

    def __init__(self, text: str, left_out: str | None) -> None:
        self.text, self.left_out = text, left_out

    def save(self, path: str) -> Path:
        """Write the HTML file; raises OSError."""
        target = Path(path)
        target.write_text(self.text, encoding="utf-8")
        return target

    def _repr_html_(self) -> str:
        note = f"<p>{escape(self.left_out)}</p>" if self.left_out else ""
        return (
            f'<iframe sandbox="allow-scripts" width="100%" height="{HEIGHT}" '
            f'style="border:0" title="kerasprov" srcdoc="{escape(self.text)}"></iframe>{note}'
        )


def _data(record: Record, numbers: Sequence[int]) -> dict[str, Any]:
    condition = f"run in ({', '.join(map(str, numbers))})"
    curves = pages.curves(record, numbers)["runs"]
    return {
        "runs": pages.runs(record, where=condition, limit=len(numbers)),
        "names": pages.names(record),
        "curves": {curve["run"]: curve for curve in curves},
        "run": {number: _run(record, number) for number in numbers},
        "code": {number: pages.code(record, str(number)) for number in numbers},
        "lineage": {number: _lineage(record, number) for number in numbers},
        "comparisons": _comparisons(record, numbers),
    }


def _comparisons(record: Record, numbers: Sequence[int]) -> dict[str, Any]:
    """The comparisons that can be asked for, by the numbers of the runs."""
    sizes = range(2, COMPARED + 1) if len(numbers) <= COMPARED else (2,)
    groups = [group for size in sizes for group in combinations(sorted(numbers), size)]
    return {",".join(map(str, group)): pages.comparison(record, group) for group in groups}


def _run(record: Record, number: int) -> dict[str, Any]:
    run = pages.run(record, str(number))
    for name in LEFT_OUT:
        run["tables"][name] = {"columns": [], "rows": []}
    epochs = run["tables"]["epochs"]
    kept = [place for place, name in enumerate(epochs["columns"]) if name in OF_EPOCHS]
    run["tables"]["epochs"] = {
        "columns": [epochs["columns"][place] for place in kept],
        "rows": [[row[place] for place in kept] for row in epochs["rows"]],
    }
    return run


def _lineage(record: Record, number: int) -> dict[str, Any]:
    try:
        return pages.lineage(record, str(number))
    except KerasProvError:
        return {"start": [], "nodes": [], "edges": [], "total": 0, "shown": 0}


def _page(data: dict[str, Any]) -> str:
    script = "\n".join([_vendored("uPlot.iife.min.js"), _vendored("dagre.min.js"), _bundle()])
    script = script.replace("</script", "<\\/script")
    # Texts in minified scripts have control characters, which HTML does not keep everywhere.
    script = CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", script)
    style = _vendored("uPlot.min.css") + (STATIC / "app.css").read_text(encoding="utf-8")
    # What is stored may hold anything: no text in it may end the element that it stands in.
    embedded = json.dumps(data, allow_nan=False, separators=(",", ":"))
    embedded = embedded.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    policy = (
        f"default-src 'none'; script-src '{_hash(script)}'; style-src '{_hash(style)}'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )
    page = (STATIC / "index.html").read_text(encoding="utf-8")
    head = f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n<style>{style}</style>'
    page = re.sub(r"<link[^>]*>\n|<script[^>]*></script>\n", "", page)
    page = page.replace("</head>", f"{head}\n</head>")
    scripts = (
        f'<script type="application/json" id="embedded">{embedded}</script>\n'
        f"<script>{script}</script>\n</body>"
    )
    return page.replace("</body>", scripts)


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _vendored(name: str) -> str:
    return (STATIC / "vendor" / name).read_text(encoding="utf-8")


def _bundle() -> str:
    """The modules as one script: each a function that returns what it exports."""
    parts = ["(() => {", '"use strict";', "const modules = {};"]
    for name in MODULES:
        text = (STATIC / f"{name}.js").read_text(encoding="utf-8")
        exported = re.findall(r"^export (?:async )?(?:function|const|class) (\w+)", text, re.M)
        text = re.sub(r"^export ", "", text, flags=re.M)
        text = IMPORT.sub(r"const \1 = modules.\2;", text)
        names = ", ".join(exported)
        parts.append(f"modules.{name} = (() => {{\n{text}\nreturn {{ {names} }};\n}})();")
    return "\n".join([*parts, "})();"])
