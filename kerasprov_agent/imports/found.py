"""What an import has found: trainings and the steps around them, as plain values."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

SENTINEL = -9999999.0
"""What the ancestor wrote for NaN, and for what there was none of."""


@dataclass
class Epoch:
    """An epoch: Keras' metrics, and its times where they are known."""

    metrics: dict[str, Any]
    number: int
    started_at: float | None = None  # seconds since 1970 UTC
    seconds: float | None = None


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
    repairs: list[str] = field(default_factory=list)


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
    """Those hyperparameters that are columns of `run`; what is no value for one is left out."""
    found: dict[str, Any] = {}
    for column, names in HYPERPARAMETERS.items():
        value = next((params[name] for name in names if params.get(name) is not None), None)
        if column in ("optimizer", "loss"):
            value = value if isinstance(value, str) else None
        else:
            value = number(value)
        if column in WHOLE and value is not None:
            value = int(value) if value == int(value) else None
        if value is not None:
            found[column] = value
    return found


def number(value: Any) -> float | int | None:
    """A finite number, also where it is written as a text."""
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
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
