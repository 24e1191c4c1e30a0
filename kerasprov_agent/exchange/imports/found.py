"""What an import has found: trainings and the steps around them, as plain values."""

from __future__ import annotations

import math
import re
import struct
from dataclasses import dataclass, field
from datetime import datetime, timezone
from itertools import pairwise
from typing import Any

SENTINEL = -9999999.0
"""The number that Keras-Prov wrote for NaN and for missing values."""
NUMBER = re.compile(r"[-+]?(?:(?:0|[1-9]\d{0,14})(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d{1,4})?")
"""A text that is a number: not `64_32`, `00501`, nor more digits than a float can hold."""
RATES = frozenset(("lr", "learning_rate"))
"""What other tools call the learning rate among the metrics of an epoch."""
OPTIMIZERS = (
    "SGD", "RMSprop", "Adam", "AdamW", "Adadelta", "Adagrad", "Adamax", "Adafactor", "Nadam",
    "Ftrl", "Lion", "Lamb", "LossScaleOptimizer",
)  # fmt: skip
"""Keras' classes, which people also write in other cases."""


@dataclass
class Epoch:
    """An epoch: Keras' metrics, and its times where they are known."""

    metrics: dict[str, Any]
    number: int
    started_at: float | None = None  # seconds since 1970 UTC
    seconds: float | None = None
    learning_rate: float | None = None


@dataclass
class Layer:
    """A layer, as far as its source knew it."""

    name: str
    activation: str | None = None
    dropout_rate: float | None = None


@dataclass
class Change:
    """A hyperparameter that was altered."""

    epoch: int | None
    name: str
    old: Any
    new: Any
    at: str | None = None


@dataclass
class Item:
    """A data set or file: what a step or a training used or made."""

    name: str
    attributes: dict[str, Any] = field(default_factory=dict)
    path: str | None = None
    role: str | None = None


@dataclass
class Test:
    """An evaluation with what it returned."""

    metrics: dict[str, Any]
    at: str | None = None
    status: str | None = None
    data: Item | None = None


@dataclass
class Step:
    """A step of the program before or after a training."""

    name: str
    attributes: dict[str, Any] = field(default_factory=dict)
    inputs: list[Item] = field(default_factory=list)
    outputs: list[Item] = field(default_factory=list)
    status: str | None = None
    started_at: str | None = None
    ended_at: str | None = None


@dataclass
class Trial:
    """A trial of a search for hyperparameters."""

    name: str
    status: str | None
    score: float | None
    hyperparameters: dict[str, Any]
    best_step: int | None = None
    message: str | None = None


@dataclass
class Search:
    """A search for hyperparameters, with its trials."""

    name: str
    objective: str | None
    direction: str | None
    trials: list[Trial]
    class_name: str | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    space: Any = None


@dataclass
class Unread:
    """A file or folder that looks like a record, but could not be taken in."""

    format: str
    path: str
    reason: str


@dataclass
class Training:
    """A training, by itself an execution; without epochs and settings only its steps."""

    format: str
    path: str
    key: str
    """What tells it from all others, the same each time it is imported."""
    label: str
    status: str | None = None
    started_at: str | None = None
    ended_at: str | None = None
    has_run: bool = True
    parent_key: str | None = None
    values: dict[str, Any] = field(default_factory=dict)
    """Columns of `run`: optimizer, learning_rate, loss, batch_size, epochs_planned, ..."""
    execution: dict[str, Any] = field(default_factory=dict)
    """Columns of `execution`: user, host, script, git_commit, ..."""
    tags: dict[str, str] = field(default_factory=dict)
    params: dict[str, Any] = field(default_factory=dict)
    """Every hyperparameter, under the name that the source gives it."""
    epochs: list[Epoch] = field(default_factory=list)
    layers: list[Layer] = field(default_factory=list)
    layer_count: int | None = None
    changes: list[Change] = field(default_factory=list)
    tests: list[Test] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    inputs: list[Item] = field(default_factory=list)
    outputs: list[Item] = field(default_factory=list)
    search: Search | None = None
    repairs: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    """What of the source was not taken, and why."""
    own_id: str | None = None
    """The id of the run that was recorded here, if it was exported from such a database."""
    former_keys: list[str] = field(default_factory=list)
    """Under which it was stored when less of it was known; that gives way to it."""


HYPERPARAMETERS = {
    "optimizer": ("optimizer", "optimizer_name", "opt_name"),
    "learning_rate": ("learning_rate", "opt_learning_rate", "optimizer_learning_rate", "lr"),
    "loss": ("loss", "loss_function"),
    "batch_size": ("batch_size",),
    "epochs_planned": ("epochs", "num_epochs"),
    "steps_per_epoch": ("steps_per_epoch",),
}
"""Columns of `run`, and the names under which other tools know them."""
WHOLE = ("batch_size", "epochs_planned", "steps_per_epoch")


def run_values(params: dict[str, Any]) -> dict[str, Any]:
    """Those hyperparameters that are columns of `run`; what is no value for one is left out.

    `BATCH_SIZE` is `batch_size`, and `adam` is Adam; the parameters keep the words of the source.
    """
    values: dict[str, Any] = {}
    folded = {name.lower().replace(" ", "_"): value for name, value in params.items()} | params
    for column, names in HYPERPARAMETERS.items():
        value = next((folded[name] for name in names if folded.get(name) is not None), None)
        if column in ("optimizer", "loss"):
            value = value if isinstance(value, str) else None
            if column == "optimizer":
                value = optimizer_class(value)
        else:
            value = number(value)
        if column in WHOLE and value is not None:
            value = int(value) if value == int(value) else None
        if value is not None:
            values[column] = value
    return values


def optimizer_class(name: str | None) -> str | None:
    """The name of Keras' class, however it is written; another name as it is."""
    folded = (name or "").lower()
    return next((name_of for name_of in OPTIMIZERS if name_of.lower() == folded), name)


def number(value: Any) -> float | int | None:
    """A finite number, also where it is written as a text: `0.5`, not `64_32` or `00501`."""
    if isinstance(value, str):
        if not NUMBER.fullmatch(value.strip()):
            return None
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return None
    return whole(value)


def whole(value: float | int) -> float | int:
    """100.0 is 100: other tools keep every number as a float."""
    is_whole = isinstance(value, float) and math.isfinite(value) and value == int(value)
    return int(value) if is_whole else value


def single_precision(value: float) -> float:
    """The shortest number of at most seven digits that 32 bits store as `value`, or `value`."""
    if not math.isfinite(value) or abs(value) > 3e38 or _as_single(value) != value:
        return value
    for digits in range(1, 8):
        short = float(f"{value:.{digits}g}")
        if _as_single(short) == value:
            return short
    return value


def _as_single(value: float) -> float:
    return float(struct.unpack("f", struct.pack("f", value))[0])


def utc(seconds: float) -> str:
    """Seconds since 1970 as ISO 8601."""
    moment = datetime.fromtimestamp(seconds, timezone.utc)
    return moment.isoformat(timespec="microseconds")


def finish(training: Training) -> Training:
    """Give metrics the names that Keras has for them, and epochs their learning rate."""
    renamed = {"acc": "accuracy", "val_acc": "val_accuracy"}
    names = {name for epoch in training.epochs for name in epoch.metrics}
    renamed = {old: new for old, new in renamed.items() if old in names and new not in names}
    for epoch in training.epochs:
        epoch.metrics = {renamed.get(name, name): v for name, v in epoch.metrics.items()}
        for name in [name for name in epoch.metrics if is_rate(name)]:
            rate = epoch.metrics[name]
            if isinstance(rate, (int, float)) and math.isfinite(rate):
                epoch.learning_rate = single_precision(float(rate))
                del epoch.metrics[name]
    training.repairs += [f"{old} is called {new}" for old, new in renamed.items()]
    rates = [
        (epoch.number, epoch.learning_rate)
        for epoch in training.epochs
        if epoch.learning_rate is not None
    ]
    for (_, old), (epoch_number, new) in pairwise(rates):
        if new != old:
            training.changes.append(Change(epoch_number, "learning_rate", old, new))
    if rates:
        training.values.setdefault("learning_rate", rates[0][1])
    return training


def is_rate(metric: str) -> bool:
    """Whether a metric is the learning rate of the epoch."""
    return metric.lower().replace(" ", "_").removeprefix("epoch_") in RATES
