"""One training, and the model that it left: what cards and bills of materials tell of it."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from kerasprov_agent.read.record import Record, Row

REGRESSIONS = ("mse", "mean_squared_error", "mae", "mean_absolute_error", "huber", "log_cosh",
               "mean_absolute_percentage_error", "mean_squared_logarithmic_error")  # fmt: skip


class Trained:
    """A run with what belongs to it; each part is read when it is asked for."""

    def __init__(self, record: Record, run: Row) -> None:
        """`run`: a row of the view `runs`."""
        self.record, self.run = record, run

    @cached_property
    def execution(self) -> Row:
        """The program that it was a part of."""
        return self.record.execution(self.run)

    @cached_property
    def layers(self) -> list[Row]:
        """The layers of its model."""
        return self.record.layers(self.run)

    @cached_property
    def epochs(self) -> list[Row]:
        """Its epochs, with their metrics."""
        return self.record.epochs(self.run)

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

    @cached_property
    def results(self) -> dict[str, float]:
        """What the last evaluation of its model returned."""
        evaluations = self.record.evaluations(self.run)
        finished = [each for each in evaluations if each["status"] in ("finished", None)]
        metrics = finished[-1]["metrics"] if finished else {}
        return {name: value for name, value in metrics.items() if isinstance(value, float)}

    @property
    def last_metrics(self) -> dict[str, Any]:
        """The metrics of its last epoch."""
        return dict(self.epochs[-1]["metrics"]) if self.epochs else {}

    @property
    def joules(self) -> tuple[float, int] | None:
        """The energy that the GPUs took, and in how many epochs; None: it was not measured."""
        measured = [epoch["gpu_energy_joules"] for epoch in self.epochs]
        known = [value for value in measured if value is not None]
        return (sum(known), len(known)) if known else None
