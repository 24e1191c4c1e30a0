"""A run that is being recorded, as the recorder remembers it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from kerasprov_agent.store.operations import Operation


class Run:
    """A training that is being recorded."""

    def __init__(self, run_id: str, initial_model_id: str | None, planned: int | None) -> None:
        self.id = run_id
        self.initial_model_id = initial_model_id
        self.architecture_id: str | None = None
        self.planned = planned
        self.training_data_id: str | None = None
        self.validation_data_id: str | None = None
        self.epochs = 0
        self.changes: list[Operation] = []
        """Hyperparameters altered since something of the run was last written."""
        self.tags: Mapping[str, Any] = {}
        """What the program said of this run alone."""
        self._positions: Counter[str] = Counter()

    def position(self, table: str) -> int:
        """The next row's place in a table of the run's."""
        self._positions[table] += 1
        return self._positions[table] - 1
