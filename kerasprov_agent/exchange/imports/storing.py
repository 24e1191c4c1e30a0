"""From what an import has found to rows of the store. Storing it again adds nothing."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from kerasprov_agent.exchange.imports.found import Item, Search, Step, Test, Training
from kerasprov_agent.store import rows
from kerasprov_agent.store.layers import dropout_rate, hidden_activation
from kerasprov_agent.store.operations import Operation, insert, measured, update
from kerasprov_agent.store.text import as_json
from kerasprov_agent.version import __version__

_SPACE = uuid.UUID("1f2c9a4e-6f5b-5c0e-9d6e-0a6b7c1f4d52")


def execution_id(kind: str, key: str) -> str:
    """The id of an imported execution: the same whenever and wherever it is imported."""
    return str(uuid.uuid5(_SPACE, f"{kind}\n{key}"))


def operations(
    training: Training,
    imported_at: str,
    digest: str | None = None,
    amount: int | None = None,
    number: int | None = None,
) -> Iterator[Operation]:
    """All rows of a training; see `measure`. `number`: that of its run, if it had one before."""
    yield from _Rows(training, imported_at, digest, amount, number).all()


def measure(training: Training) -> tuple[str, int]:
    """A hash of all that would be stored, wherever the source lies, and how many values it is."""
    described = list(operations(replace(training, path=""), ""))
    text = json.dumps(described, sort_keys=True, default=str)
    digest = hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()
    rows = [row for _, table, row, _ in described if table != "import"]
    metrics = [metrics for what, _, _, metrics in described if what == "measured"]
    amount = sum(value is not None for row in [*rows, *metrics] for value in row.values())
    return digest, amount


class _Rows:
    def __init__(
        self,
        training: Training,
        imported_at: str,
        digest: str | None,
        amount: int | None,
        number: int | None,
    ) -> None:
        self.found, self.imported_at = training, imported_at
        self.digest, self.amount, self.number = digest, amount, number
        self.execution = execution_id(training.format, training.key)
        self.run = f"{self.execution}#fit-1"
        self._entities: dict[str, str] = {}

    def all(self) -> Iterator[Operation]:
        training = self.found
        yield insert("execution", self._execution_row())
        yield insert(
            "import",
            {
                "execution_id": self.execution,
                "format": training.format,
                "path": training.path,
                "imported_at": self.imported_at,
                "repairs": _json(training.repairs),
                "left_out": _json(training.left_out),
                "digest": self.digest,
                "amount": self.amount,
                "covers": _json(
                    [execution_id(training.format, key) for key in training.former_keys]
                ),
            },
        )
        if training.search is not None:
            yield from self._search(training.search)
        if training.has_run:
            yield from self._training()
        for number, step in enumerate(training.steps, 1):
            yield from self._step(f"{self.execution}#step-{number}", step)
        for number, test in enumerate(training.tests, 1):
            yield from self._test(f"{self.execution}#evaluate-{number}", test)

    def _execution_row(self) -> dict[str, Any]:
        training = self.found
        return {
            "id": self.execution,
            "label": training.label,
            "kind": "import",
            "tags": _json(training.tags),
            "status": training.status,
            # A program began no later than what it did.
            "started_at": min(_like(training.started_at, self._moments("started_at"))),
            "ended_at": max(_like(training.ended_at, self._moments("ended_at"))),
            "agent_version": __version__,
            **training.execution,
        }

    def _moments(self, name: str) -> Iterator[str | None]:
        """When the steps of the program began or ended, and its tests took place."""
        for step in self.found.steps:
            yield getattr(step, name)
        for test in self.found.tests:
            yield test.at

    def _search(self, search: Search) -> Iterator[Operation]:
        search_id = f"{self.execution}#search-1"
        yield insert(
            "search",
            {
                "id": search_id,
                "execution_id": self.execution,
                "class_name": search.class_name,
                "name": search.name,
                "directory": self.found.path,
                "objective": search.objective,
                "direction": search.direction,
                "settings": _json(search.settings),
                "space": _json(search.space),
            },
        )
        for number, trial in enumerate(search.trials, 1):
            yield insert(
                "trial",
                {
                    "id": f"{self.execution}#trial-{number}",
                    "search_id": search_id,
                    "name": trial.name,
                    "hyperparameters": _json(trial.hyperparameters),
                    "status": trial.status,
                    "message": trial.message,
                    "score": trial.score,
                    "best_step": trial.best_step,
                },
            )

    def _training(self) -> Iterator[Operation]:
        training = self.found
        architecture = None
        if training.layers or training.layer_count is not None:
            architecture = yield from self._architecture()
        parent = training.parent_key
        yield insert(
            "run",
            {
                "id": self.run,
                "execution_id": self.execution,
                "parent_id": parent and f"{execution_id(training.format, parent)}#fit-1",
                "kind": "fit",
                "label": training.label,
                "architecture_id": architecture,
                "status": training.status,
                "started_at": training.started_at,
                "ended_at": training.ended_at,
                "epochs_finished": len(training.epochs),
                **({} if self.number is None else {"number": self.number}),
                **training.values,
            },
        )
        yield from rows.params(
            self.run, "import", {k: _value(v) for k, v in training.params.items()}
        )
        for position, change in enumerate(training.changes):
            row: dict[str, Any] = {"epoch": change.epoch, "at": change.at, "name": change.name}
            row |= {"old": change.old, "new": change.new}
            yield insert("change", {"run_id": self.run, "position": position, **row})
        for epoch in training.epochs:
            row = {"epoch": epoch.number, "started_at": epoch.started_at}
            row |= {"run_id": self.run, "whole_seconds": epoch.seconds}
            row |= {"learning_rate": epoch.learning_rate}
            yield measured("epoch", row, epoch.metrics)
        for item in training.inputs:
            entity = yield from self._entity(item)
            yield rows.used(self.run, entity, item.role or "data", None)
            if item.role in ("training_data", "validation_data"):
                yield update("run", {f"{item.role}_id": entity}, {"id": self.run})
        yield from self._made(self.run, training.outputs, training.inputs)

    def _architecture(self) -> Any:
        training = self.found
        layers = [
            {
                "name": described.name,
                "activation": described.activation,
                "dropout_rate": described.dropout_rate,
            }
            for described in training.layers
        ]
        text = json.dumps([training.layer_count, layers], sort_keys=True)
        architecture = hashlib.sha256(f"import {text}".encode()).hexdigest()
        row: dict[str, Any] = {"id": architecture, "layers": training.layer_count}
        row |= {"activation": hidden_activation(layers), "dropout": dropout_rate(layers)}
        yield insert("architecture", row)
        for position, layer in enumerate(layers):
            yield insert("layer", {"architecture_id": architecture, "position": position, **layer})
        return architecture

    def _entity(self, item: Item) -> Any:
        """A data set or file, once: what one step made and another used is one thing."""
        key = _json([item.name, item.path, item.attributes]) or ""
        if key in self._entities:
            return self._entities[key]
        kind = "dataset" if item.path is None else "file"
        place = len(self._entities) + 1
        entity = f"{self.execution}#{'data' if kind == 'dataset' else kind}-{place}"
        self._entities[key] = entity
        yield insert(
            "entity",
            {
                "id": entity,
                "execution_id": self.execution,
                "kind": kind,
                "name": item.name,
                "details": _json(item.attributes),
                "seen_at": self.imported_at,
            },
        )
        if item.path is not None:
            yield insert("file", {"entity_id": entity, "path": item.path, "role": item.role})
        return entity

    def _made(self, activity: str, items: list[Item], sources: list[Item]) -> Iterator[Operation]:
        """What an activity made, of all that it used: so the source declares it."""
        for item in items:
            entity = yield from self._entity(item)
            made = {"entity_id": entity, "activity_id": activity, "at": None}
            yield insert("generated", made)
            for source in sources:
                origin = yield from self._entity(source)
                yield rows.derived(entity, origin, activity, "declared")

    def _step(self, activity: str, step: Step) -> Iterator[Operation]:
        yield insert(
            "activity",
            {
                "id": activity,
                "execution_id": self.execution,
                "kind": "step",
                "name": step.name,
                "attributes": _json(step.attributes),
                "status": step.status,
                "started_at": step.started_at,
                "ended_at": step.ended_at,
            },
        )
        for item in step.inputs:
            entity = yield from self._entity(item)
            yield rows.used(activity, entity, "data", None)
        yield from self._made(activity, step.outputs, step.inputs)

    def _test(self, evaluation: str, test: Test) -> Iterator[Operation]:
        data = None
        if test.data:
            data = yield from self._entity(test.data)
            yield rows.used(evaluation, data, "data", None)
        row: dict[str, Any] = {"id": evaluation, "execution_id": self.execution}
        row["run_id"] = self.run
        row |= {"data_id": data, "status": test.status, "started_at": test.at}
        yield insert("evaluation", row)
        yield measured("evaluation", {"id": evaluation}, test.metrics)


def _json(value: Any) -> str | None:
    return _text(value) if value else None


def _text(value: Any) -> str:
    """JSON; what JSON has no form for, such as a date, as it is written."""
    return as_json(json.loads(json.dumps(value, default=str)))


def _value(value: Any) -> Any:
    simple = value is None or isinstance(value, (str, int, float))
    return value if simple else _text(value)


def _like(moment: str | None, others: Iterable[str | None]) -> list[Any]:
    """A moment, and those others that can be compared to it: with a zone, or all without."""
    known = [moment_of for moment_of in others if moment_of is not None]
    if moment is None:
        return (
            [None] if not known or len({_has_zone(moment_of) for moment_of in known}) > 1 else known
        )
    return [
        moment,
        *(moment_of for moment_of in known if _has_zone(moment_of) == _has_zone(moment)),
    ]


def _has_zone(moment: str) -> bool:
    return moment.endswith("Z") or moment[-6:-5] in ("+", "-")
