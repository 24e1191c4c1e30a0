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
        training = Training(
            FORMAT, self.path, _local(execution), label, has_run=False, tags={"exec_tag": tag}
        )
        training.repairs += self.repairs
        training.execution |= self._agents_of(execution)
        for part in parts:
            step = self.activities[part].get("dt_tag", _local(part))
            inputs = [self.entities[entity] for activity, entity in self.used if activity == part]
            outputs = [self.entities[entity] for activity, entity in self.made if activity == part]
            if step in TRAINING:
                self._fill(training, inputs, outputs)
            elif step in TESTING:
                training.tests += self._tests(inputs, outputs)
            else:
                attributes = {
                    name: value
                    for entity in (*inputs, *outputs)
                    for name, value in _own(entity).items()
                }
                before, after = list(map(_item, inputs)), list(map(_item, outputs))
                training.steps.append(Step(step, attributes, before, after))
        return training

    def _agents_of(self, execution: str) -> dict[str, Any]:
        agents: dict[str, Any] = {}
        for activity, agent in self.associated:
            attributes = self.agents.get(agent, {})
            if activity == execution:
                agents |= {
                    column: attributes[name]
                    for name, column in (("email", "user"), ("hostname", "host"))
                    if attributes.get(name)
                }
        return agents

    def _fill(
        self, training: Training, inputs: list[Attributes], outputs: list[Attributes]
    ) -> None:
        training.has_run = True
        for entity in inputs:
            if entity.get("ds_tag") in SETTINGS:
                training.params |= self._hyperparameters(entity, training)
            else:
                training.inputs.append(_item(entity))
        training.values = run_values(training.params)
        training.layer_count = training.params.get("num_layers")
        epochs = [entity for entity in outputs if entity.get("ds_tag") in EPOCHS]
        epochs.sort(key=lambda entity: entity.get("epoch", 0))
        lost = 0
        for entity in epochs:
            metrics = _metrics(entity)
            lost += sum(value is None for value in metrics.values())
            training.epochs.append(
                Epoch(
                    {name: value for name, value in metrics.items() if value is not None},
                    int(entity["epoch"]),
                    None,
                    number(entity.get("elapsed_time")),
                )
            )
        if lost:
            training.repairs.append(f"{lost} values of {SENTINEL:.0f} are taken for none")
        training.outputs = [_item(entity) for entity in outputs if entity not in epochs]

    def _hyperparameters(self, entity: Attributes, training: Training) -> Attributes:
        params = {}
        for name, value in _own(entity).items():
            if isinstance(value, float):
                short = single_precision(value)
                if short != value:
                    training.repairs.append(f"{name} {value} is {short} in 32 bits")
                value = whole(short)
            params[name] = value
        return params

    def _tests(self, inputs: list[Attributes], outputs: list[Attributes]) -> list[Test]:
        data = next((entity for entity in inputs if entity.get("ds_tag") == "otestset"), None)
        return [
            Test(
                {name: value for name, value in _metrics(entity).items() if value is not None},
                naive_iso(entity.get("timestamp")),
                None,
                _item(data) if data else None,
            )
            for entity in outputs
            if entity.get("ds_tag") in TESTS
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
    elements = document.get(part, {})
    return elements if isinstance(elements, dict) else {}
