"""The sections of a model card in Markdown: each tells a part of what is recorded of a model."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from kerasprov_agent.evidence import defaults
from kerasprov_agent.evidence.markdown import code, plain, table
from kerasprov_agent.evidence.model import Model
from kerasprov_agent.read.lineage import HOW_KNOWN
from kerasprov_agent.read.origin import Known
from kerasprov_agent.read.record import listed
from kerasprov_agent.read.wording import bars, duration, moment, short

FILES_SHOWN = 20
"""So many files are listed one by one; of more only the folder and the number."""
LAYERS_SHOWN = 30
FACTS = ("", "as recorded")
SEVERAL = "several, or none"
BARS_SHOWN = 20
OF_KERAS = ("History", "ProgbarLogger")
"""Callbacks that Keras adds by itself."""
UNKNOWN = "_not known_"


def what_it_is(model: Model) -> Iterator[str]:
    """What it is."""
    run, task = model.run, model.task
    shape = model.layers[-1]["output_shape"] if model.layers else None
    given = [
        (each["role"], each["shape"], each["dtype"])
        for each in model.record.inputs(run)
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
    if model.own_files:
        yield "Its files:"
        yield ""
        yield from _files(model.own_files)
    else:
        yield "No file of it is recorded: it was not saved, or not by Keras."


def ancestry(model: Model) -> Iterator[str]:
    """The trainings that it went through, the first one first."""
    if len(model.origin.runs) == 1:
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
            for run in model.origin.runs
        ],
    )  # fmt: skip
    if model.ancestors:
        yield ""
        yield "Files of the models that it was trained from:"
        yield ""
        yield from _files(model.ancestors)


def data(model: Model) -> Iterator[str]:
    """Which files the data came from, and how each link is known."""
    run = model.run
    parts = [("training", run["samples"]), ("validation", run["validation_samples"])]
    counts = [(name, short(count) or UNKNOWN) for name, count in parts]
    yield from table(("part", "samples"), counts if run["validation_source"] else counts[:1])
    yield ""
    if run["validation_source"]:
        yield f"The validation data were given by {code(run['validation_source'])}."
        yield ""
    used = list(_data_files(model))
    if used:
        yield from table(("used as", "file", "bytes", "sha256"), used[:FILES_SHOWN])
        if len(used) > FILES_SHOWN:
            yield ""
            yield f"And {len(used) - FILES_SHOWN} further files."
        yield ""
    else:
        yield f"Files: {UNKNOWN}. Say where the data are from."
        yield ""
    yield "How the steps from the files to the model are known:"
    yield ""
    steps: dict[str, int] = {}
    for sources in model.origin.reached.values():
        for step in sources.values():
            how = HOW_KNOWN.get(step["confidence"], "done by Keras or the program")
            steps[how] = steps.get(how, 0) + 1
    for how, count in steps.items():
        yield f"- {count} {'step' if count == 1 else 'steps'}: {how}"
    yield ""
    yield f"Selection, labels, cleaning, licence and consent: {UNKNOWN}. Say how they came about."


def _data_files(model: Model) -> Iterator[tuple[str, str, str, str]]:
    """A row a file or a set that was used, first; then what these were made from."""
    materials = model.materials
    used = filter(None, map(materials.file, materials.uses))
    others = (file for file in materials.data() if file.id not in materials.uses)
    for file in (*used, *others):
        use = materials.told_use(file.id)
        if use is None and any(each.id in materials.uses for each in file.members):
            use = "some of its files are told above"
        known = file.known
        digest = known.sha256 or (known.partial_sha256 and f"in parts {known.partial_sha256}")
        whole = f"of their list {code(known.set_sha256 or '')}" if file.files else None
        yield (
            plain(use or "made into other data"),
            f"{code(known.path)}{f', {file.files} files' if file.files else ''}",
            short(known.bytes),
            whole or code(digest or "") or UNKNOWN,
        )


def architecture(model: Model) -> Iterator[str]:
    """The layers."""
    if not model.layers:
        yield f"Layers: {UNKNOWN}."
        return
    yield from table(
        ("layer", "class", "activation", "output", "parameters"),
        [
            (*(plain(each[name] or "") for name in ("name", "class_name", "activation")),
             code(each["output_shape"] or ""), short(each["parameters"]))
            for each in model.layers[:LAYERS_SHOWN]
        ],
    )  # fmt: skip
    if len(model.layers) > LAYERS_SHOWN:
        yield ""
        yield f"And {len(model.layers) - LAYERS_SHOWN} further layers."


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


def program(model: Model) -> Iterator[str]:
    """The code, by commit and by hash."""
    for execution in model.origin.executions:
        commit = execution["git_commit"]
        where = f"commit {code(commit)}" if commit else "no git commit is known"
        remote = f" of {code(execution['git_remote'])}" if execution["git_remote"] else ""
        changed = ", with changes that were not committed (they are in the record)"
        yield (
            f"- {code(execution['script'] or execution['kind'])}: {where}{remote}"
            f"{changed if execution['git_dirty'] else ''}, arguments "
            f"{code(execution['arguments'] or '[]')}"
        )
    known = [one for one in model.files if one.kind == "code"]
    if known:
        yield ""
        yield from _files(known)


def settings(model: Model) -> Iterator[str]:
    """The settings: those that differ from what Keras takes by itself come first."""
    chosen: list[tuple[str, str, str]] = []
    left: list[str] = []
    for row in model.record.params(model.run):
        if row["source"] == "fit":
            known = defaults.FIT
        elif row["source"] == "optimizer":
            known = {**defaults.OPTIMIZER, **defaults.OPTIMIZERS.get(model.run["optimizer"], {})}
        else:
            known = {}
        if row["name"] in ("name", "x", "y", "validation_data", "callbacks"):
            continue
        if defaults.is_default(known, row["name"], row["value"]):
            left.append(f"{row['source']}.{row['name']}")
        elif row["value"] is not None:
            chosen.append((plain(row["source"]), plain(row["name"]), code(short(row["value"]))))
    for name in ("optimizer", "loss"):
        if model.run[name]:
            chosen.insert(0, ("compile", name, code(model.run[name])))
    yield from table(("of", "setting", "value"), chosen)
    callbacks = [
        each for each in model.record.callbacks(model.run) if each["class_name"] not in OF_KERAS
    ]
    if callbacks:
        yield ""
        yield "Callbacks:"
        yield ""
        for each in callbacks:
            yield f"- {plain(each['class_name'])} {code(each['settings'] or '')}"
    changes = model.record.changes(model.run)
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


def results(model: Model) -> Iterator[str]:
    """What came of it: tests, and the curves."""
    found = model.results
    if found:
        yield "On the test data:"
        yield ""
        yield from table(("metric", "value"), [(plain(n), short(v)) for n, v in found.items()])
    else:
        yield f"On test data: {UNKNOWN}. No evaluation of this model is recorded."
    names = list(dict.fromkeys(name for epoch in model.epochs for name in epoch["metrics"]))
    if names:
        yield ""
        yield f"By epoch, {len(model.epochs)} of them:"
        yield ""
        rows = []
        for name in names:
            values = [epoch["metrics"].get(name) for epoch in model.epochs]
            numbers = [value for value in values if isinstance(value, (int, float))]
            if numbers:
                told = (numbers[0], numbers[-1], min(numbers), max(numbers))
                first, *others = map(short, told)
                rows.append((plain(name), first, bars(values, BARS_SHOWN), *others))
        yield from table(("metric", "first", "", "last", "lowest", "highest"), rows)


def environment(model: Model) -> Iterator[str]:
    """Where it was trained."""
    execution = model.execution
    gpus = ", ".join(map(str, listed(execution["gpus"])))
    query = "SELECT count(*) AS packages FROM packages WHERE execution_id = ?"
    (counted,) = model.record.query(query, (execution["id"],))
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


def resources(model: Model) -> Iterator[str]:
    """What it took: time, and energy where it was measured."""
    energy = [epoch["gpu_energy_joules"] for epoch in model.epochs]
    measured = [value for value in energy if value is not None]
    whole = [run["seconds"] for run in model.origin.runs if run["seconds"] is not None]
    rows = [
        ("this training", plain(duration(model.run["seconds"])) or UNKNOWN),
        ("all trainings that led to it", plain(duration(sum(whole))) if whole else UNKNOWN),
        ("energy of the GPUs",
         f"{sum(measured) / 3600:.3g} Wh in {len(measured)} of {len(energy)} epochs"
         if measured else "not measured"),
    ]  # fmt: skip
    yield from table(FACTS, rows)


def limits(model: Model) -> Iterator[str]:
    """What is known to be amiss, and what nobody has said."""
    run = model.run
    if run["status"] is None:
        yield "- How the training ended is not known."
    elif run["status"] != "finished":
        yield f"- The training did not end well: {plain(run['status'])}."
    if run["stopped_early"]:
        yield "- The training was stopped before the planned epochs were over."
    if any(epoch.get("nonfinite") for epoch in model.epochs):
        yield "- Some metrics were not numbers (NaN) in some epochs."
    if not model.results:
        yield "- It was not tested on other data, as far as is recorded."
    if model.origin.lineage.leaves_out(model.origin.reached):
        yield "- The program read further files; whether they led to the model is not known."
    if not [one for one in model.files if one.kind == "data"]:
        yield "- The files that its data came from are not known."
    yield f"- Intended use, and what it must not be used for: {UNKNOWN}. Say it."
    yield f"- Whom it may treat worse than others: {UNKNOWN}. Say what was examined."
    yield f"- Licence of the model: {UNKNOWN}. Say it, also in the header (`license:`)."
