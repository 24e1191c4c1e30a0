"""Rows of the database as PROV statements. Pure: reads a connection, yields values.

The mapping is told in `docs/prov.md`. An activity whose end was not seen (it is still going, or
its process vanished) ends with the last thing recorded of it, and `kp:status` says so.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Generator, Iterator
from typing import Any

from kerasprov_agent import clock
from kerasprov_agent.documents.vocabulary import (
    NAMESPACES,
    Name,
    content,
    execution_namespace,
    local,
    ncname,
    software,
    user,
)

Value = bool | int | float | str
"""A literal, or a `Name`."""


class Statement:
    """One PROV statement.

    kind: as PROV-N names it, `prefix` for a namespace. formal: its formal attributes in PROV-N's
    order, times as ISO 8601 text, None where absent. attributes: further ones; a name may recur.

    No named tuple: making one compiles a string, by which Python forgets, at the end of a program,
    that it was interrupted, and the exit status changes.
    """

    __slots__ = ("attributes", "formal", "id", "kind")

    def __init__(
        self,
        kind: str,
        id: str | None,
        formal: tuple[str | None, ...],
        attributes: tuple[tuple[str, Value], ...] = (),
    ) -> None:
        self.kind, self.id, self.formal, self.attributes = kind, id, formal, attributes


def statements(
    connection: sqlite3.Connection, execution_id: str, run_id: str | None = None
) -> Iterator[Statement]:
    """The document of an execution; with `run_id`, what belongs to that run."""
    yield from _Document(connection, execution_id, run_id).statements()


class _Document:
    def __init__(
        self, connection: sqlite3.Connection, execution_id: str, run_id: str | None
    ) -> None:
        self._connection = connection
        self._run_id = run_id
        self._execution = self._rows("SELECT * FROM execution WHERE id = ?", execution_id)[0]
        condition, key = ("id = ?", run_id) if run_id else ("execution_id = ?", execution_id)
        self._runs = self._rows(f"SELECT * FROM run WHERE {condition} ORDER BY number", key)
        condition, key = ("run_id = ?", run_id) if run_id else ("execution_id = ?", execution_id)
        self._evaluations = self._rows(
            f"SELECT * FROM evaluation WHERE {condition} ORDER BY started_at", key
        )
        self._compiles = self._rows(
            "SELECT * FROM compile WHERE execution_id = ? ORDER BY ended_at", execution_id
        )
        if run_id:
            wanted = {run["compile_id"] for run in self._runs}
            self._compiles = [row for row in self._compiles if row["id"] in wanted]
        self._seen_compiles = [row for row in self._compiles if row["started_at"]]
        self._activities = {execution_id} | {
            row["id"] for row in (*self._runs, *self._evaluations, *self._seen_compiles)
        }
        self._metrics = dict(self._tuples("SELECT column_name, name FROM metric"))
        self._ends = self._find_ends()

    def _rows(self, query: str, *values: Any) -> list[sqlite3.Row]:
        cursor = self._connection.cursor()
        cursor.row_factory = sqlite3.Row
        return cursor.execute(query, values).fetchall()

    def _tuples(self, query: str, *values: Any) -> list[Any]:
        cursor = self._connection.cursor()
        cursor.row_factory = None
        return cursor.execute(query, values).fetchall()

    # -- when what was not seen to end ended, at the earliest ------------------------------------

    def _find_ends(self) -> dict[str, str]:
        """The end of each activity: as recorded, else the last moment that was recorded of it."""
        ends: dict[str, str] = {}
        for row in self._evaluations:
            ends[row["id"]] = row["ended_at"] or row["started_at"]
        for row in self._seen_compiles:
            ends[row["id"]] = row["ended_at"]
        for run in reversed(self._runs):  # a run within a run comes after it
            ends[run["id"]] = run["ended_at"] or self._last_of_run(run, ends)
        execution = self._execution
        latest = max([execution["started_at"], *ends.values(), *self._seen(execution["id"])])
        ends[execution["id"]] = execution["ended_at"] or latest
        return ends

    def _last_of_run(self, run: sqlite3.Row, ends: dict[str, str]) -> str:
        moments = [run["started_at"], run["training_started_at"] or ""]
        last = self._tuples(
            "SELECT max(started_at + coalesce(train_seconds, 0) + coalesce(validation_seconds, 0)"
            " + coalesce(callback_seconds, 0)) FROM epoch WHERE run = ?",
            run["number"],
        )[0][0]
        if last is not None:
            moments.append(clock.iso(last))
        moments += [
            ends[row["id"]]
            for row in self._evaluations
            if row["run_id"] == run["id"] and row["epoch"] is not None
        ]
        moments += [ends[row["id"]] for row in self._runs if row["parent_id"] == run["id"]]
        moments += [at for (at,) in self._tuples(
            "SELECT at FROM generated WHERE activity_id = ?", run["id"]
        )]  # fmt: skip
        return max(map(str, moments))

    def _seen(self, execution_id: str) -> list[str]:
        return [
            at
            for (at,) in self._tuples(
                "SELECT max(seen_at) FROM entity WHERE execution_id = ?", execution_id
            )
            if at
        ]

    # -- the document ----------------------------------------------------------------------------

    def statements(self) -> Iterator[Statement]:
        yield Statement("prefix", "run", (execution_namespace(self._execution["id"]),))
        for prefix, namespace in NAMESPACES.items():
            yield Statement("prefix", prefix, (namespace,))
        yield from self._agents()
        yield from self._execution_statements()
        yield from self._architectures()
        for row in self._compiles:
            yield from self._compile(row)
        for row in self._runs:
            yield from self._run(row)
        for row in self._evaluations:
            yield from self._evaluation(row)
        yield from self._entities()
        yield from self._document()

    def _agents(self) -> Iterator[Statement]:
        execution = self._execution
        if execution["user"]:
            yield Statement(
                "agent",
                user(execution["user"], execution["host"]),
                (),
                (("prov:type", Name("prov:Person")), ("prov:label", execution["user"])),
            )
        for name, version in self._software().values():
            yield Statement(
                "agent",
                software(name, version),
                (),
                _present(
                    ("prov:type", Name("prov:SoftwareAgent")),
                    ("prov:label", f"{name} {version or ''}".strip()),
                    ("schema:softwareVersion", version),
                ),
            )

    def _software(self) -> dict[str, tuple[str, str | None]]:
        """Framework, backend and ourselves, by role."""
        execution = self._execution
        found = {"recorder": ("kerasprov_agent", execution["agent_version"])}
        if execution["keras_package"]:
            found["framework"] = (execution["keras_package"], execution["keras_version"])
        if execution["backend"]:
            found["backend"] = (execution["backend"], execution["backend_version"])
        return found

    def _execution_statements(self) -> Iterator[Statement]:
        execution = self._execution
        name = local(execution["id"])
        script = Name("run:script") if execution["script"] else None
        yield from self._activity(
            execution,
            ("kp:ScriptExecution", "mls:Run"),
            " ".join([execution["script"] or execution["kind"], *_list(execution["arguments"])]),
            ("kp:kind", execution["kind"]),
            ("kp:workingDirectory", execution["working_directory"]),
            ("kp:host", execution["host"]),
            ("kp:processId", execution["pid"]),
            ("kp:exitStatus", execution["exit_status"]),
            *(("kp:tag", f"{k}={v}") for k, v in json.loads(execution["tags"] or "{}").items()),
        )
        if script:
            yield from self._script(script)
        if execution["user"]:
            person = user(execution["user"], execution["host"])
            yield _associated(name, person, script, "operator")
        for role, (package, version) in self._software().items():
            if role != "recorder":
                yield _associated(name, software(package, version), None, role)
        if not execution["user"] and "framework" not in self._software():
            yield _associated(
                name, software("kerasprov_agent", execution["agent_version"]), script, "recorder"
            )
        yield from self._environment(name)

    def _script(self, script: Name) -> Iterator[Statement]:
        execution = self._execution
        yield Statement(
            "entity",
            script,
            (),
            _present(
                ("prov:type", Name("kp:File")),
                ("prov:type", Name("prov:Plan")),
                ("prov:type", Name("schema:SoftwareSourceCode")),
                ("prov:label", execution["script"]),
                ("prov:location", execution["script"]),
                ("schema:codeRepository", execution["git_remote"]),
                ("kp:gitCommit", execution["git_commit"]),
                ("kp:gitBranch", execution["git_branch"]),
                ("kp:gitDirty", _boolean(execution["git_dirty"])),
            ),
        )
        for source in self._rows(
            "SELECT sha256, bytes FROM source WHERE sha256 = ?", execution["script_sha256"]
        ):
            bytes_ = content(source["sha256"])
            yield Statement(
                "entity",
                bytes_,
                (),
                (
                    ("prov:type", Name("kp:Content")),
                    ("prov:label", f"sha256 {source['sha256'][:12]}…"),
                    ("schema:sha256", source["sha256"]),
                    ("schema:contentSize", source["bytes"]),
                ),
            )
            yield Statement("specializationOf", None, (script, bytes_))

    def _environment(self, execution: str) -> Iterator[Statement]:
        row, environment = self._execution, Name("run:environment")
        packages = self._tuples(
            "SELECT name, version FROM package WHERE packages_sha256 = ? ORDER BY name",
            row["packages_sha256"],
        )
        variables = json.loads(row["environment"] or "{}")
        yield Statement(
            "entity",
            environment,
            (),
            _present(
                ("prov:type", Name("kp:Environment")),
                ("prov:label", f"Python {row['python']}, {row['platform']}"),
                ("kp:python", row["python"]),
                ("kp:platform", row["platform"]),
                ("kp:cpu", row["cpu"]),
                ("kp:cpuCount", row["cpu_count"]),
                *(("kp:gpu", gpu) for gpu in _list(row["gpus"])),
                *(("kp:package", f"{name} {version}") for name, version in packages),
                *(("kp:variable", f"{name}={value}") for name, value in variables.items()),
            ),
        )
        yield _used(execution, environment, row["started_at"])

    def _architectures(self) -> Iterator[Statement]:
        wanted = sorted({run["architecture_id"] for run in self._runs} - {None})
        for architecture_id in wanted:
            row = self._rows("SELECT * FROM architecture WHERE id = ?", architecture_id)[0]
            layers = self._rows(
                "SELECT * FROM layer WHERE architecture_id = ? ORDER BY position", architecture_id
            )
            yield Statement(
                "entity",
                _architecture(architecture_id),
                (),
                _present(
                    ("prov:type", Name("kp:ModelArchitecture")),
                    ("prov:label", f"{row['class_name']}, {row['layers']} layers"),
                    ("kp:sha256", architecture_id),
                    ("kp:className", row["class_name"]),
                    ("kp:layers", row["layers"]),
                    ("kp:parameters", row["parameters"]),
                    ("kp:trainableParameters", row["trainable_parameters"]),
                    *(("kp:layer", _layer_text(layer)) for layer in layers),
                ),
            )

    def _compile(self, row: sqlite3.Row) -> Iterator[Statement]:
        values = {
            name: row[name]
            for name in (
                "optimizer", "loss", "loss_weights", "metrics", "weighted_metrics", "jit_compile",
                "steps_per_execution", "run_eagerly",
            )
        }  # fmt: skip
        for name in ("jit_compile", "run_eagerly"):
            values[name] = _boolean(values[name])
        config = json.loads(row["optimizer_config"] or "{}")
        for name, value in _flat(config):
            values.setdefault(name if name != "name" else "optimizer_name", value)
        settings = yield from self._settings(row["id"], "compile", values)
        if not row["started_at"]:
            return
        name = local(row["id"])
        yield from self._activity(row, ("kp:Compile",), "compile", part_of=self._execution["id"])
        yield _used(name, settings, row["started_at"])
        for run in self._runs:
            if run["compile_id"] == row["id"] and run["architecture_id"]:
                yield _used(name, _architecture(run["architecture_id"]), row["started_at"])
                break

    def _settings(
        self, row_id: str, what: str, values: dict[str, Any]
    ) -> Generator[Statement, None, Name]:
        """A collection of hyperparameter settings; returns its name."""
        settings = Name(f"{local(row_id)}-settings")
        yield Statement(
            "entity",
            settings,
            (),
            (
                ("prov:type", Name("kp:Settings")),
                ("prov:type", Name("prov:Collection")),
                ("prov:label", f"{what} settings"),
            ),
        )
        for name, value in values.items():
            if value is None:
                continue
            member = Name(f"{local(row_id)}-{ncname(name)}")
            yield Statement(
                "entity",
                member,
                (),
                (
                    ("prov:type", Name("mls:HyperParameterSetting")),
                    ("prov:label", f"{name} = {value}"),
                    ("mls:hasValue", value),
                    ("kp:name", name),
                ),
            )
            yield Statement("hadMember", None, (settings, member))
        return settings

    def _run(self, run: sqlite3.Row) -> Iterator[Statement]:
        name = local(run["id"])
        arguments = dict(
            self._tuples(
                "SELECT name, value FROM param WHERE run_id = ? AND source = 'fit'", run["id"]
            )
        )
        arguments["batch_size"] = run["batch_size"]
        seeds = self._tuples(
            "SELECT name || '_seed', value FROM param WHERE run_id = ? AND source = 'seed'",
            run["id"],
        )
        settings = yield from self._settings(run["id"], "fit", {**arguments, **dict(seeds)})
        parent = run["parent_id"] if run["parent_id"] in self._activities else None
        yield from self._activity(
            run,
            ("kp:Fit", "schema:CreateAction"),
            f"fit, {run['epochs_planned']} epochs" if run["epochs_planned"] else "fit",
            ("kp:run", run["name"]),
            ("kp:epochsPlanned", run["epochs_planned"]),
            ("kp:epochsFinished", run["epochs_finished"]),
            ("kp:stoppedEarly", _boolean(run["stopped_early"])),
            ("kp:samples", run["samples"]),
            ("kp:validationSource", run["validation_source"]),
            *(
                ("kp:callback", f"{c['class_name']} {c['settings']}")
                for c in self._rows("SELECT * FROM callback WHERE run_id = ?", run["id"])
            ),
            part_of=parent or self._execution["id"],
        )
        yield _used(name, settings, run["started_at"])
        if run["compile_id"] and run["compile_id"] not in self._activities:
            yield _used(name, Name(f"{local(run['compile_id'])}-settings"), run["started_at"])
            if run["architecture_id"]:
                yield _used(name, _architecture(run["architecture_id"]), run["started_at"])
        yield from self._epochs(run, name)

    def _epochs(self, run: sqlite3.Row, fit: str) -> Iterator[Statement]:
        history = Name(f"{fit}-history")
        before: Name | None = None
        cursor = self._connection.cursor()
        cursor.row_factory = sqlite3.Row
        for row in cursor.execute(
            "SELECT * FROM epoch WHERE run = ? ORDER BY epoch", (run["number"],)
        ):
            if before is None:
                yield Statement(
                    "entity",
                    history,
                    (),
                    (
                        ("prov:type", Name("kp:History")),
                        ("prov:type", Name("prov:Collection")),
                        ("prov:label", "history"),
                    ),
                )
                yield _generated(history, fit, self._ends[run["id"]])
            epoch = Name(f"{fit}-epoch-{row['epoch']}")
            yield from self._epoch(row, epoch, fit, before)
            yield Statement("hadMember", None, (history, Name(f"{epoch}-metrics")))
            before = epoch

    def _epoch(
        self, row: sqlite3.Row, epoch: Name, fit: str, before: Name | None
    ) -> Iterator[Statement]:
        lasted = sum(row[f"{part}_seconds"] or 0 for part in ("train", "validation", "callback"))
        started, ended = clock.iso(row["started_at"]), clock.iso(row["started_at"] + lasted)
        yield Statement(
            "activity",
            epoch,
            (started, ended),
            _present(
                ("prov:type", Name("kp:Epoch")),
                ("prov:label", f"epoch {row['epoch']}"),
                ("dcterms:isPartOf", Name(fit)),
                ("kp:epoch", row["epoch"]),
                ("kp:trainSeconds", row["train_seconds"]),
                ("kp:validationSeconds", row["validation_seconds"]),
                ("kp:callbackSeconds", row["callback_seconds"]),
                ("kp:gpuAllocatedSeconds", row["gpu_allocated_seconds"]),
                ("kp:learningRate", row["learning_rate"]),
            ),
        )
        if before is None:
            yield Statement(
                "wasStartedBy", Name(f"{epoch}-start"), (epoch, None, Name(fit), started)
            )
        else:
            yield Statement("wasInformedBy", None, (epoch, before))
        metrics = Name(f"{epoch}-metrics")
        yield self._measured(metrics, f"metrics of epoch {row['epoch']}", row)
        yield _generated(metrics, epoch, ended)

    def _measured(self, name: Name, label: str, row: sqlite3.Row) -> Statement:
        nonfinite = json.loads(row["nonfinite"] or "{}")
        found: list[tuple[str, Any]] = []
        for column in row.keys():  # noqa: SIM118 - a sqlite3.Row iterates over values
            metric = self._metrics.get(column)
            if metric is None:
                continue
            value = float("nan") if nonfinite.get(metric) == "NaN" else row[column]
            found.append((f"kp:{ncname(metric)}", value))
        for metric, value in json.loads(row["more"] or "{}").items():
            found.append((f"kp:{ncname(metric)}", value if _is_value(value) else json.dumps(value)))
        kind = ("prov:type", Name("mls:ModelEvaluation"))
        return Statement("entity", name, (), _present(kind, ("prov:label", label), *found))

    def _evaluation(self, row: sqlite3.Row) -> Iterator[Statement]:
        name = local(row["id"])
        within = row["run_id"] if row["epoch"] is not None else None
        if within not in self._activities:
            within = None
        yield from self._activity(
            row,
            ("kp:Evaluate",),
            "evaluate",
            ("kp:epoch", row["epoch"]),
            ("kp:batchSize", row["batch_size"]),
            part_of=within or self._execution["id"],
        )
        if row["status"] == "finished":
            metrics = Name(f"{name}-metrics")
            yield self._measured(metrics, "test metrics", row)
            yield _generated(metrics, name, self._ends[row["id"]])

    def _activity(
        self,
        row: sqlite3.Row,
        types: tuple[str, ...],
        label: str,
        *attributes: tuple[str, Value | None],
        part_of: str | None = None,
    ) -> Iterator[Statement]:
        """An activity with its times, its outcome, and its place in the one that it is part of."""
        name, columns = local(row["id"]), row.keys()
        outcome = [
            (f"kp:{key}", row[column])
            for key, column in (
                ("status", "status"), ("exceptionType", "exception_type"), ("exception", "exception"),
            )
            if column in columns
        ]  # fmt: skip
        parent = local(part_of) if part_of else None
        yield Statement(
            "activity",
            name,
            (row["started_at"], self._ends[row["id"]]),
            _present(
                *(("prov:type", Name(kind)) for kind in types),
                ("prov:label", label),
                ("dcterms:isPartOf", parent),
                *outcome,
                *attributes,
            ),
        )
        if parent is None:
            return
        yield Statement(
            "wasStartedBy", Name(f"{name}-start"), (name, None, parent, row["started_at"])
        )
        framework = self._software().get("framework")
        if framework:
            yield _associated(name, software(*framework), None, "framework")

    def _entities(self) -> Iterator[Statement]:
        """Models and data sets, with what used, made and derived them among the activities here."""
        uses = [
            row
            for row in self._rows(
                "SELECT u.* FROM used u JOIN entity e ON e.id = u.entity_id "
                "WHERE e.execution_id = ? ORDER BY u.at", self._execution["id"]
            )
            if row["activity_id"] in self._activities
        ]  # fmt: skip
        made = [
            row
            for row in self._rows(
                "SELECT g.* FROM generated g JOIN entity e ON e.id = g.entity_id "
                "WHERE e.execution_id = ? ORDER BY g.at", self._execution["id"]
            )
            if row["activity_id"] in self._activities
        ]  # fmt: skip
        wanted = {row["entity_id"] for row in uses}
        wanted |= {
            row["entity_id"]
            for row in made
            if not self._run_id or row["activity_id"] != self._execution["id"]
        }
        for row in self._rows(
            "SELECT * FROM entity WHERE execution_id = ? ORDER BY seen_at, id",
            self._execution["id"],
        ):
            if row["id"] in wanted:
                yield self._entity(row)
                if row["kind"] == "dataset":
                    yield _generated(local(row["id"]), local(self._execution["id"]), None)
        for row in uses:
            yield _used(local(row["activity_id"]), local(row["entity_id"]), row["at"], row["role"])
        for row in made:
            if row["entity_id"] in wanted:
                yield _generated(local(row["entity_id"]), local(row["activity_id"]), row["at"])
        yield from self._derivations(wanted, uses)

    def _entity(self, row: sqlite3.Row) -> Statement:
        if row["kind"] == "model":
            types: tuple[str, ...] = ("mls:Model",)
            label = f"model {row['name'] or ''}".strip()
        else:
            types, label = ("kp:InMemoryDataset", "mls:Data"), str(row["name"]).replace("_", " ")
        arrays = self._rows("SELECT * FROM array WHERE entity_id = ? ORDER BY position", row["id"])
        return Statement(
            "entity",
            local(row["id"]),
            (),
            _present(
                *(("prov:type", Name(kind)) for kind in types),
                ("prov:label", label),
                ("kp:className", row["class_name"]),
                ("kp:samples", row["samples"]),
                ("kp:batches", row["batches"]),
                ("kp:batchSize", row["batch_size"]),
                *(("kp:array", _array_text(array)) for array in arrays),
            ),
        )

    def _derivations(self, wanted: set[str], uses: list[sqlite3.Row]) -> Iterator[Statement]:
        usage = {(row["activity_id"], row["entity_id"]): row["role"] for row in uses}
        for row in self._rows(
            "SELECT d.* FROM derived d JOIN entity e ON e.id = d.entity_id "
            "WHERE e.execution_id = ? ORDER BY e.seen_at",
            self._execution["id"],
        ):
            if row["entity_id"] not in wanted or row["source_id"] not in wanted:
                continue
            yield self._derived(row, row["source_id"], usage, revision=True)
        for run in self._runs:
            made = run["trained_model_id"]
            if made in wanted and run["training_data_id"] in wanted:
                row = {"entity_id": made, "activity_id": run["id"]}  # type: ignore[assignment]
                yield self._derived(row, run["training_data_id"], usage, revision=False)

    def _derived(
        self, row: Any, source_id: str, usage: dict[tuple[str, str], str], revision: bool
    ) -> Statement:
        entity, source = local(row["entity_id"]), local(source_id)
        activity = local(row["activity_id"])
        role = usage.get((row["activity_id"], source_id))
        kind = (("prov:type", Name("prov:Revision")),) if revision else ()
        formal: tuple[str | None, ...] = (entity, source, None, None, None)
        if row["activity_id"] in self._activities:
            formal = (entity, source, activity, None, None)
            if role is not None:
                generation = Name(f"{entity}-made-by-{activity.partition(':')[2]}")
                formal = (entity, source, activity, generation, _use_name(activity, source, role))
        return Statement("wasDerivedFrom", None, formal, kind)

    def _document(self) -> Iterator[Statement]:
        document = Name("run:provenance")
        yield Statement(
            "entity",
            document,
            (),
            (("prov:type", Name("prov:Bundle")), ("prov:label", "this document")),
        )
        yield Statement(
            "wasGeneratedBy",
            Name("run:provenance-made"),
            (
                document,
                None,
                clock.iso(max(clock.now(), clock.seconds(self._ends[self._execution["id"]]))),
            ),
        )
        recorder = software(*self._software()["recorder"])
        yield Statement("wasAttributedTo", Name("run:provenance-by-recorder"), (document, recorder))


def _present(*attributes: tuple[str, Value | None]) -> tuple[tuple[str, Value], ...]:
    return tuple((name, value) for name, value in attributes if value is not None)


def _is_value(value: Any) -> bool:
    return isinstance(value, (bool, int, float, str))


def _boolean(value: int | None) -> bool | None:
    return None if value is None else bool(value)


def _list(text: str | None) -> list[str]:
    return [str(item) for item in json.loads(text or "[]")]


def _flat(config: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in config.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{prefix}{key}.")
        elif isinstance(value, (list, dict)):
            yield f"{prefix}{key}", json.dumps(value)
        else:
            yield f"{prefix}{key}", value


def _architecture(architecture_id: str) -> Name:
    return Name(f"run:architecture-{architecture_id[:16]}")


def _layer_text(layer: sqlite3.Row) -> str:
    parts = [f"{layer['position']} {layer['name']}: {layer['class_name']}"]
    for column in ("activation", "dropout_rate", "units", "filters"):
        if layer[column] is not None:
            parts.append(f"{column} {layer[column]}")
    return ", ".join(parts)


def _array_text(array: sqlite3.Row) -> str:
    path = f" {array['path']}" if array["path"] else ""
    return f"{array['role']}{path}: {array['dtype']} {array['shape']}"


def _use_name(activity: str, entity: str, role: str | None) -> Name:
    ending = f"-as-{role}" if role else ""
    return Name(f"{activity}-use-{entity.partition(':')[2]}{ending}")


def _used(activity: str, entity: str, at: str | None, role: str | None = None) -> Statement:
    attributes = (("prov:role", Name(f"kp:{role}")),) if role else ()
    return Statement("used", _use_name(activity, entity, role), (activity, entity, at), attributes)


def _generated(entity: str, activity: str, at: str | None) -> Statement:
    name = Name(f"{entity}-made-by-{activity.partition(':')[2]}")
    return Statement("wasGeneratedBy", name, (entity, activity, at))


def _associated(activity: str, agent: str, plan: str | None, role: str) -> Statement:
    # Always with an identifier: prov reads anonymous associations of one activity back wrongly
    # from RDF, giving the plan to either agent.
    name = Name(f"{activity}-by-{agent.partition(':')[2]}-as-{role}")
    return Statement(
        "wasAssociatedWith", name, (activity, agent, plan), (("prov:role", Name(f"kp:{role}")),)
    )
