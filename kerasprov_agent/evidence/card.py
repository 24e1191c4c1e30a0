"""The model card: what a model is and came of, in Markdown with the header of Hugging Face.

What the record does not know stands there as not known, with what to write in its place.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from kerasprov_agent.evidence import sections
from kerasprov_agent.evidence.markdown import code, plain
from kerasprov_agent.evidence.model import Model
from kerasprov_agent.read.origin import Origin

USUAL: tuple[tuple[Any, ...], ...] = (
    ("What it is", sections.what_it_is),
    ("Architecture", sections.architecture),
    ("Where it came from", sections.ancestry),
    ("Training data", sections.data),
    ("Settings", sections.settings),
    ("Results", sections.results),
    ("Code", sections.program),
    ("Environment", sections.environment),
    ("Time and energy", sections.resources),
    ("Limits", sections.limits),
)
ANNEX_IV: tuple[tuple[Any, ...], ...] = (
    ("2 (a) Methods and steps of the development, and what was used of third parties",
     sections.ancestry, sections.program),
    ("2 (b) Design specifications: the general logic, the key choices, what it is optimised for",
     sections.what_it_is, sections.settings),
    ("2 (c) Architecture, and the computational resources used",
     sections.architecture, sections.environment, sections.resources),
    ("2 (d) Data: provenance, scope, main characteristics, selection, labels, cleaning",
     sections.data),
    ("2 (e) Human oversight",
     f"{sections.UNKNOWN}. Say which measures were assessed (Article 14)."),
    ("2 (f) Changes determined in advance",
     f"{sections.UNKNOWN}. Say which changes are planned."),
    ("2 (g) Validation and testing", sections.results, sections.limits),
    ("2 (h) Cybersecurity measures",
     f"{sections.UNKNOWN}. Say which there are. `kerasprov verify` checks that the files are those "
     "of this card."),
)  # fmt: skip
"""The headings of Annex IV, section 2 of the EU AI Act, in the words of this card."""


def written(origin: Origin, annex_iv: bool = False) -> str:
    """The card, ordered as Hugging Face has it or by the headings of Annex IV, section 2."""
    model = Model(origin)
    lines = [*_header(model), f"# {plain(model.name)}", ""]
    for heading, *parts in ANNEX_IV if annex_iv else USUAL:
        lines += [f"## {heading}", ""]
        for part in parts:
            lines += [part] if isinstance(part, str) else part(model)
            lines.append("")
    lines.append(
        f"Written by kerasprov_agent from the record of run {code(model.run['id'])}. "
        "`kerasprov verify` checks its files."
    )
    return "\n".join(lines) + "\n"


def _header(model: Model) -> Iterator[str]:
    """The YAML header; JSON's texts are YAML, too."""
    yield "---"
    yield "library_name: keras"
    yield "tags:"
    tags = ["keras", model.run["backend"], model.task and model.task[1]]
    yield from (f"- {json.dumps(tag)}" for tag in tags if tag)
    results = model.results
    if results:
        kind = model.task[1] if model.task else "other"
        yield "model-index:"
        yield f"- name: {json.dumps(model.name)}"
        yield "  results:"
        yield "  - task:"
        yield f"      type: {json.dumps(kind)}"
        yield "    dataset:"
        yield '      name: "test data of the run"'
        yield '      type: "recorded"'
        yield "    metrics:"
        for name, value in results.items():
            yield f"    - type: {json.dumps(name)}"
            yield f"      value: {json.dumps(value)}"
    yield "---"
    yield ""
