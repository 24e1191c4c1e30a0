"""The model card: what a model is and came of, in Markdown with the header of Hugging Face.

What the record does not know stands there as not known, with what to write in its place.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from typing import Any

from kerasprov_agent.errors import UnknownRun
from kerasprov_agent.evidence import defaults
from kerasprov_agent.evidence.markdown import code, plain, table
from kerasprov_agent.read.lineage import HOW_KNOWN
from kerasprov_agent.read.origin import Known, Origin
from kerasprov_agent.read.record import listed
from kerasprov_agent.read.wording import bars, duration, moment, short

FILES_SHOWN = 20
"""So many files are listed one by one; of more only the folder and the number."""
FACTS = ("", "as recorded")
SEVERAL = "several, or none"
BARS_SHOWN = 20
OF_KERAS = ("History", "ProgbarLogger")
"""Callbacks that Keras adds by itself."""
REGRESSIONS = ("mse", "mean_squared_error", "mae", "mean_absolute_error", "huber", "log_cosh",
               "mean_absolute_percentage_error", "mean_squared_logarithmic_error")  # fmt: skip
UNKNOWN = "_not known_"


class Card:
    """What there is to say of one model; the parts of a card ask it."""

    def __init__(self, origin: Origin) -> None:
        """Raises `UnknownRun` where no training led to it."""
        if not origin.runs:
            raise UnknownRun("no training is recorded that led to that, so there is no card of it")
        self.origin, self.record = origin, origin.record
        self.run = origin.runs[-1]
        self.execution = self.record.execution(self.run)
        self.compiled = self.record.compiled(self.run) or {}
        self.layers = self.record.layers(self.run)
        self.epochs = self.record.epochs(self.run)
        self.evaluations = self.record.evaluations(self.run)
        self.files = list(origin.files())
        models = [known for known in self.files if known.kind not in ("data", "code")]
        self.models = [known for known in models if known.entity_id in origin.own]
        self.ancestors = [known for known in models if known.entity_id not in origin.own]
        self.name = self._name()

    def _name(self) -> str:
        for entity_id in self.origin.start:
            node = self.origin.lineage.node(entity_id)
            if node.get("path"):
                return os.path.basename(str(node["path"]))
        return str(self.run["name"])

    @property
    def loss(self) -> str:
        """The loss in Keras' short way: `mse`, `sparse_categorical_crossentropy`, ..."""
        text = "".join(f"_{c.lower()}" if c.isupper() else c for c in str(self.run["loss"] or ""))
        return text.strip("_")

    @property
    def task(self) -> tuple[str, str] | None:
        """What it was trained for, in words and as a tag; None where that does not show."""
        last = self.layers[-1] if self.layers else {}
        classes = last.get("units")
        if "categorical_crossentropy" in self.loss and last.get("activation") == "softmax":
            among = f" among {classes} classes" if classes else ""
            return f"classification{among}", "classification"
        if self.loss == "binary_crossentropy" and last.get("activation") == "sigmoid":
            if classes == 1:
                return "classification of two classes", "classification"
            return "several yes-or-no answers", "classification"
        if self.loss in REGRESSIONS:
            return "regression", "regression"
        return None


def written(origin: Origin, annex_iv: bool = False) -> str:
    """The card, ordered as Hugging Face has it or by the headings of Annex IV, section 2."""
    card = Card(origin)
    lines = [*_header(card), f"# {plain(card.name)}", ""]
    for heading, *parts in ANNEX_IV if annex_iv else USUAL:
        lines += [f"## {heading}", ""]
        for part in parts:
            lines += [part] if isinstance(part, str) else part(card)
            lines.append("")
    lines.append(
        f"Written by kerasprov_agent from the record of run {code(card.run['id'])}. "
        "`kerasprov verify` checks its files."
    )
    return "\n".join(lines) + "\n"


def _header(card: Card) -> Iterator[str]:
    """The YAML header; JSON's texts are YAML, too."""
    yield "---"
    yield "library_name: keras"
    yield "tags:"
    tags = ["keras", card.run["backend"], card.task and card.task[1]]
    yield from (f"- {json.dumps(tag)}" for tag in tags if tag)
    results = _results(card)
    if results:
        kind = card.task[1] if card.task else "other"
        yield "model-index:"
        yield f"- name: {json.dumps(card.name)}"
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


def _results(card: Card) -> dict[str, float]:
    """What the last evaluation of the model returned."""
    finished = [each for each in card.evaluations if each["status"] in ("finished", None)]
    metrics = finished[-1]["metrics"] if finished else {}
    return {name: value for name, value in metrics.items() if isinstance(value, float)}


def model(card: Card) -> Iterator[str]:
    """What it is."""
    run, task = card.run, card.task
    shape = card.layers[-1]["output_shape"] if card.layers else None
    given = [
        (each["role"], each["shape"], each["dtype"])
        for each in card.record.inputs(run)
        if each["used_as"] == "training_data" and each["shape"]
    ]
    rows = [
        ("class", plain(run["model"] or "") or UNKNOWN),
        ("task", task[0] if task else f"{UNKNOWN}: say what it predicts"),
        (
            "layers, parameters",
            f"{short(run['layers']) or UNKNOWN}, {short(run['parameters']) or UNKNOWN}",
        ),
        (
            "activation, dropout",
            ", ".join(plain(short(run[n])) or SEVERAL for n in ("activation", "dropout")),
        ),
        ("trained on", "; ".join(f"{role} {code(f'{s} {d}')}" for role, s, d in given) or UNKNOWN),
        ("output", code(shape) if shape else UNKNOWN),
        ("run", f"{plain(run['name'])}, {code(run['id'])}"),
        (
            "trained",
            f"{plain(moment(run['started_at']))}, {plain(run['status'] or 'outcome not known')}",
        ),
        ("by", f"{plain(run['user'] or '') or UNKNOWN}"),
    ]
    yield from table(FACTS, rows)
    yield ""
    if card.models:
        yield "Its files:"
        yield ""
        yield from _files(card.models)
    else:
        yield "No file of it is recorded: it was not saved, or not by Keras."


def ancestry(card: Card) -> Iterator[str]:
    """The trainings that it went through, the first one first."""
    if len(card.origin.runs) == 1:
        yield "It was trained from scratch in one run, as far as is recorded."
        return
    yield "It was trained further from another model. All its trainings, the first one first:"
    yield ""
    yield from table(
        ("run", "program", "data", "epochs", "began"),
        [
            (plain(run["name"]), code(os.path.basename(run["script"] or "")),
             f"{short(run['samples'])} samples", short(run["epochs_finished"]),
             plain(moment(run["started_at"])))
            for run in card.origin.runs
        ],
    )  # fmt: skip
    if card.ancestors:
        yield ""
        yield "Files of the models that it was trained from:"
        yield ""
        yield from _files(card.ancestors)


def data(card: Card) -> Iterator[str]:
    """Which files the data came from, and how each link is known."""
    run = card.run
    parts = [("training", run["samples"]), ("validation", run["validation_samples"])]
    counts = [(name, short(count) or UNKNOWN) for name, count in parts]
    yield from table(("part", "samples"), counts if run["validation_source"] else counts[:1])
    yield ""
    if run["validation_source"]:
        yield f"The validation data were given by {code(run['validation_source'])}."
        yield ""
    known = [one for one in card.files if one.kind == "data"]
    if known:
        yield from _files(known)
        yield ""
    else:
        yield f"Files: {UNKNOWN}. Say where the data are from."
        yield ""
    yield "How the steps from the files to the model are known:"
    yield ""
    steps: dict[str, int] = {}
    for sources in card.origin.reached.values():
        for step in sources.values():
            how = HOW_KNOWN.get(step["confidence"], "done by Keras or the program")
            steps[how] = steps.get(how, 0) + 1
    for how, count in steps.items():
        yield f"- {count} {'step' if count == 1 else 'steps'}: {how}"
    yield ""
    yield f"Selection, labels, cleaning, licence and consent: {UNKNOWN}. Say how they came about."


def _files(files: Sequence[Known]) -> Iterator[str]:
    """A row a file, or a folder of many, with its hash."""
    sets: dict[tuple[str, str, str | None], int] = {}
    rows = []
    for one in files:
        if one.directory is not None:
            which = (one.kind, one.directory, one.set_sha256)
            sets[which] = sets.get(which, 0) + 1
        else:
            digest = one.sha256 or (one.partial_sha256 and f"in parts {one.partial_sha256}")
            rows.append((one.kind, code(one.path), short(one.bytes), code(digest or "") or UNKNOWN))
    shown = rows[:FILES_SHOWN]
    shown += [
        (kind, f"{code(folder)}, {count} files", "", f"of their list {code(digest or '')}")
        for (kind, folder, digest), count in sets.items()
    ]
    yield from table(("kind", "file", "bytes", "sha256"), shown)
    if len(rows) > FILES_SHOWN:
        yield ""
        yield f"And {len(rows) - FILES_SHOWN} further files."


def program(card: Card) -> Iterator[str]:
    """The code, by commit and by hash."""
    for execution in card.origin.executions:
        commit = execution["git_commit"]
        where = f"commit {code(commit)}" if commit else "no git commit is known"
        remote = f" of {code(execution['git_remote'])}" if execution["git_remote"] else ""
        changed = ", with changes that were not committed (they are in the record)"
        yield (
            f"- {code(execution['script'] or execution['kind'])}: {where}{remote}"
            f"{changed if execution['git_dirty'] else ''}, arguments "
            f"{code(execution['arguments'] or '[]')}"
        )
    known = [one for one in card.files if one.kind == "code"]
    if known:
        yield ""
        yield from _files(known)


def settings(card: Card) -> Iterator[str]:
    """The settings: those that differ from what Keras takes by itself come first."""
    chosen: list[tuple[str, str, str]] = []
    left: list[str] = []
    for row in card.record.params(card.run):
        if row["source"] == "fit":
            known = defaults.FIT
        elif row["source"] == "optimizer":
            known = {**defaults.OPTIMIZER, **defaults.OPTIMIZERS.get(card.run["optimizer"], {})}
        else:
            known = {}
        if row["name"] in ("name", "x", "y", "validation_data", "callbacks"):
            continue
        if defaults.is_default(known, row["name"], row["value"]):
            left.append(f"{row['source']}.{row['name']}")
        elif row["value"] is not None:
            chosen.append((plain(row["source"]), plain(row["name"]), code(short(row["value"]))))
    for name in ("optimizer", "loss"):
        if card.run[name]:
            chosen.insert(0, ("compile", name, code(card.run[name])))
    yield from table(("of", "setting", "value"), chosen)
    callbacks = [
        each for each in card.record.callbacks(card.run) if each["class_name"] not in OF_KERAS
    ]
    if callbacks:
        yield ""
        yield "Callbacks:"
        yield ""
        for each in callbacks:
            yield f"- {plain(each['class_name'])} {code(each['settings'] or '')}"
    changes = card.record.changes(card.run)
    if changes:
        yield ""
        yield "Altered while it trained:"
        yield ""
        yield from table(
            ("epoch", "setting", "from", "to", "by"),
            [(short(each["epoch"]), plain(each["name"]), short(each["old"]), short(each["new"]),
              plain(each["by"] or "")) for each in changes],
        )  # fmt: skip
    if left:
        yield ""
        yield f"Left as Keras has them: {', '.join(map(code, left))}."


def results(card: Card) -> Iterator[str]:
    """What came of it: tests, and the curves."""
    found = _results(card)
    if found:
        yield "On the test data:"
        yield ""
        yield from table(("metric", "value"), [(plain(n), short(v)) for n, v in found.items()])
    else:
        yield f"On test data: {UNKNOWN}. No evaluation of this model is recorded."
    names = list(dict.fromkeys(name for epoch in card.epochs for name in epoch["metrics"]))
    if names:
        yield ""
        yield f"By epoch, {len(card.epochs)} of them:"
        yield ""
        rows = []
        for name in names:
            values = [epoch["metrics"].get(name) for epoch in card.epochs]
            numbers = [value for value in values if isinstance(value, (int, float))]
            if numbers:
                told = (numbers[0], numbers[-1], min(numbers), max(numbers))
                first, *others = map(short, told)
                rows.append((plain(name), first, bars(values, BARS_SHOWN), *others))
        yield from table(("metric", "first", "", "last", "lowest", "highest"), rows)


def environment(card: Card) -> Iterator[str]:
    """Where it was trained."""
    execution = card.execution
    gpus = ", ".join(map(str, listed(execution["gpus"])))
    query = "SELECT count(*) AS packages FROM packages WHERE execution_id = ?"
    (counted,) = card.record.query(query, (execution["id"],))
    rows = [
        ("Python", short(execution["python"])),
        ("Keras", f"{short(execution['keras_version'])} on {short(execution['backend'])} "
                  f"{short(execution['backend_version'])}"),
        ("machine", f"{short(execution['cpu'])}, {short(execution['cpu_count'])} CPUs"),
        ("GPUs", gpus or ("none" if execution["gpus"] else "not known")),
        ("system", short(execution["platform"])),
        ("packages", f"{counted['packages']}, each with its version in the record"),
    ]  # fmt: skip
    yield from table(FACTS, [(name, plain(value)) for name, value in rows])


def resources(card: Card) -> Iterator[str]:
    """What it took: time, and energy where it was measured."""
    energy = [epoch["gpu_energy_joules"] for epoch in card.epochs]
    measured = [value for value in energy if value is not None]
    whole = [run["seconds"] for run in card.origin.runs if run["seconds"] is not None]
    rows = [
        ("this training", plain(duration(card.run["seconds"])) or UNKNOWN),
        ("all trainings that led to it", plain(duration(sum(whole))) if whole else UNKNOWN),
        ("energy of the GPUs",
         f"{sum(measured) / 3600:.3g} Wh in {len(measured)} of {len(energy)} epochs"
         if measured else "not measured"),
    ]  # fmt: skip
    yield from table(FACTS, rows)


def limits(card: Card) -> Iterator[str]:
    """What is known to be amiss, and what nobody has said."""
    run = card.run
    if run["status"] is None:
        yield "- How the training ended is not known."
    elif run["status"] != "finished":
        yield f"- The training did not end well: {plain(run['status'])}."
    if run["stopped_early"]:
        yield "- The training was stopped before the planned epochs were over."
    if any(epoch.get("nonfinite") for epoch in card.epochs):
        yield "- Some metrics were not numbers (NaN) in some epochs."
    if not _results(card):
        yield "- It was not tested on other data, as far as is recorded."
    if card.origin.lineage.leaves_out(card.origin.reached):
        yield "- The program read further files; whether they led to the model is not known."
    if not [one for one in card.files if one.kind == "data"]:
        yield "- The files that its data came from are not known."
    yield f"- Intended use, and what it must not be used for: {UNKNOWN}. Say it."
    yield f"- Whom it may treat worse than others: {UNKNOWN}. Say what was examined."
    yield f"- Licence of the model: {UNKNOWN}. Say it, also in the header (`license:`)."


USUAL: tuple[tuple[Any, ...], ...] = (
    ("What it is", model),
    ("Where it came from", ancestry),
    ("Training data", data),
    ("Settings", settings),
    ("Results", results),
    ("Code", program),
    ("Environment", environment),
    ("Time and energy", resources),
    ("Limits", limits),
)
ANNEX_IV: tuple[tuple[Any, ...], ...] = (
    ("2 (a) Methods and steps of the development, and what was used of third parties",
     ancestry, program),
    ("2 (b) Design specifications: the general logic, the key choices, what it is optimised for",
     model, settings),
    ("2 (c) Architecture, and the computational resources used", environment, resources),
    ("2 (d) Data: provenance, scope, main characteristics, selection, labels, cleaning", data),
    ("2 (e) Human oversight", f"{UNKNOWN}. Say which measures were assessed (Article 14)."),
    ("2 (f) Changes determined in advance", f"{UNKNOWN}. Say which changes are planned."),
    ("2 (g) Validation and testing", results, limits),
    ("2 (h) Cybersecurity measures", f"{UNKNOWN}. Say which there are. `kerasprov verify` checks "
     "that the files are those of this card."),
)  # fmt: skip
"""The headings of Annex IV, section 2 of the EU AI Act, in the words of this card."""
