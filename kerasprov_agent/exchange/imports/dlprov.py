"""Trainings in the PROV-JSON documents of DLProv, whose names of attributes may end in a colon."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from kerasprov_agent.errors import KerasProvError
from kerasprov_agent.exchange.imports.dfanalyzer import EPOCHS, SETTINGS, TESTS, naive_iso
from kerasprov_agent.exchange.imports.found import (
    SENTINEL,
    Epoch,
    Item,
    Step,
    Test,
    Training,
    number,
    run_values,
    single_precision,
    whole,
)

FORMAT = "DLProv document"

TRAINING = ("trainmodel", "train", "trainingmodel")
TESTING = ("testmodel", "test", "testingmodel")
DATA_ROLES = {"otrainset": "training_data", "ovalset": "validation_data"}
PATHS = ("trainset", "valset", "testset", "dataset_dir", "model_dir", "weights_path")
"""Attributes that tell where a file lies."""

Attributes = dict[str, Any]


def looks_like_one(document: Any) -> bool:
    """Whether JSON is a PROV document with the activities of DLProv."""
    return isinstance(document, dict) and any(
        _local(name).rstrip(":") in ("dt_tag", "exec_tag")
        for attributes in _part(document, "activity").values()
        if isinstance(attributes, dict)
        for name in attributes
    )


def read(path: str, document: dict[str, Any]) -> Iterator[Training]:
    """The trainings of a document: one for each execution of a dataflow in it."""
    try:
        yield from _Document(path, document).trainings()
    except (AttributeError, KeyError, TypeError) as exc:
        raise KerasProvError(f"{path}: the document is malformed ({exc!r})") from exc


def parse(path: str, text: str) -> Any:
    """JSON; raises `KerasProvError` with the line that is wrong."""
    try:
        return json.loads(text)
    except ValueError as exc:
        line = getattr(exc, "lineno", 1)
        raise KerasProvError(f"{path}, line {line}: no valid JSON; nothing was imported") from exc


class _Document:
    def __init__(self, path: str, document: dict[str, Any]) -> None:
        self.path, self.repairs = path, list[str]()
        self.malformed = 0
        self.entities = self._elements(document, "entity")
        self.activities = self._elements(document, "activity")
        self.agents = self._elements(document, "agent")
        self.used = self._pairs(document, "used", "activity", "entity")
        self.made = self._pairs(document, "wasGeneratedBy", "activity", "entity")
        self.informed = self._pairs(document, "wasInformedBy", "informant", "informed")
        self.associated = self._pairs(document, "wasAssociatedWith", "activity", "agent")
        if self.malformed:
            self.repairs.append(f"{self.malformed} names of attributes end in a colon")

    def _elements(self, document: dict[str, Any], part: str) -> dict[str, Attributes]:
        return {
            name: {self._name(key): _value(value) for key, value in attributes.items()}
            for name, attributes in _part(document, part).items()
        }

    def _name(self, key: str) -> str:
        self.malformed += key.endswith(":")
        return _local(key.rstrip(":"))

    def _pairs(
        self, document: dict[str, Any], part: str, first: str, second: str
    ) -> list[tuple[str, str]]:
        rows = _part(document, part).values()
        return [(row[f"prov:{first}"], row[f"prov:{second}"]) for row in rows]

    def trainings(self) -> Iterator[Training]:
        for name, attributes in self.activities.items():
            if "exec_tag" in attributes:
                yield self._training(name, attributes["exec_tag"])

    def _training(self, execution: str, tag: str) -> Training:
        parts = [done for cause, done in self.informed if cause == execution]
        label = next(
            (
                self.entities[plan]["tag"]
                for activity, plan in self.used
                if activity == execution and "tag" in self.entities[plan]
            ),
            tag,
        )
        found = Training(
            FORMAT, self.path, _local(execution), label, has_run=False, tags={"exec_tag": tag}
        )
        found.repairs += self.repairs
        found.execution |= self._agents_of(execution)
        for part in parts:
            step = self.activities[part].get("dt_tag", _local(part))
            inputs = [self.entities[one] for activity, one in self.used if activity == part]
            outputs = [self.entities[one] for activity, one in self.made if activity == part]
            if step in TRAINING:
                self._fill(found, inputs, outputs)
            elif step in TESTING:
                found.tests += self._tests(inputs, outputs)
            else:
                told = {
                    name: value for one in (*inputs, *outputs) for name, value in _own(one).items()
                }
                before, after = list(map(_item, inputs)), list(map(_item, outputs))
                found.steps.append(Step(step, told, before, after))
        return found

    def _agents_of(self, execution: str) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for activity, agent in self.associated:
            told = self.agents.get(agent, {})
            if activity == execution:
                found |= {
                    column: told[name]
                    for name, column in (("email", "user"), ("hostname", "host"))
                    if told.get(name)
                }
        return found

    def _fill(self, found: Training, inputs: list[Attributes], outputs: list[Attributes]) -> None:
        found.has_run = True
        for one in inputs:
            if one.get("ds_tag") in SETTINGS:
                found.params |= self._hyperparameters(one, found)
            else:
                found.inputs.append(_item(one))
        found.values = run_values(found.params)
        found.layer_count = found.params.get("num_layers")
        epochs = [one for one in outputs if one.get("ds_tag") in EPOCHS]
        epochs.sort(key=lambda one: one.get("epoch", 0))
        lost = 0
        for one in epochs:
            metrics = _metrics(one)
            lost += sum(value is None for value in metrics.values())
            found.epochs.append(
                Epoch(
                    {name: value for name, value in metrics.items() if value is not None},
                    int(one["epoch"]),
                    None,
                    number(one.get("elapsed_time")),
                )
            )
        if lost:
            found.repairs.append(f"{lost} values of {SENTINEL:.0f} are taken for none")
        found.outputs = [_item(one) for one in outputs if one not in epochs]

    def _hyperparameters(self, one: Attributes, found: Training) -> Attributes:
        params = {}
        for name, value in _own(one).items():
            if isinstance(value, float):
                short = single_precision(value)
                if short != value:
                    found.repairs.append(f"{name} {value} is {short} in 32 bits")
                value = whole(short)
            params[name] = value
        return params

    def _tests(self, inputs: list[Attributes], outputs: list[Attributes]) -> list[Test]:
        data = next((one for one in inputs if one.get("ds_tag") == "otestset"), None)
        return [
            Test(
                {name: value for name, value in _metrics(one).items() if value is not None},
                naive_iso(one.get("timestamp")),
                None,
                _item(data) if data else None,
            )
            for one in outputs
            if one.get("ds_tag") in TESTS
        ]


def _item(attributes: Attributes) -> Item:
    own = _own(attributes)
    name = attributes.get("ds_tag") or "entity"
    path = next((own[key] for key in PATHS if isinstance(own.get(key), str)), None)
    role = DATA_ROLES.get(name) or ("model" if name in ("otrainedmodel", "oweights") else None)
    return Item(name, own, path, role)


def _own(attributes: Attributes) -> Attributes:
    return {k: v for k, v in attributes.items() if k not in ("ds_tag", "type", "timestamp")}


def _metrics(attributes: Attributes) -> Attributes:
    return {
        name: None if value == SENTINEL else value
        for name, value in _own(attributes).items()
        if name not in ("epoch", "elapsed_time")
    }


def _value(value: Any) -> Any:
    return value["$"] if isinstance(value, dict) and "$" in value else value


def _local(name: str) -> str:
    return name.partition(":")[2] or name


def _part(document: dict[str, Any], part: str) -> dict[str, Any]:
    found = document.get(part, {})
    return found if isinstance(found, dict) else {}
