"""What every part of the record needs: identifiers, the time, the way to the store."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from typing import Any

from kerasprov_agent import clock
from kerasprov_agent.capture.describe.values import to_json
from kerasprov_agent.capture.recorder.run import Run
from kerasprov_agent.store import rows
from kerasprov_agent.store.operations import Operation, described_like, insert, update


class Base:
    """An execution, and the rows that belong to it."""

    def __init__(self, keras: Mapping[str, Any]) -> None:
        # sqlite3 is not loaded before there is something to record.
        from kerasprov_agent.capture.execution import Execution

        self.execution = Execution(keras)
        self.keras = keras
        self.backend: str | None = keras.get("backend")
        self.gpus_known = False
        self._numbers: Counter[str] = Counter()
        self._lock = threading.Lock()
        self.runs = 0
        self.epochs = 0

    def keras_seen(self, keras: Mapping[str, Any]) -> None:
        """The program has imported Keras: only now, or another one.

        The execution tells of the first. What a run has of its own is a parameter of the run.
        """
        self.backend = keras.get("backend")
        if not self.keras:
            self.keras = keras
            self._write(update("execution", dict(keras), {"id": self.execution.id}))

    def _id(self, kind: str) -> str:
        with self._lock:
            self._numbers[kind] += 1
            return f"{self.execution.id}#{kind}-{self._numbers[kind]}"

    def _write(self, *operations: Operation) -> None:
        self.execution.write(operations)

    def _now(self) -> str:
        return clock.iso(clock.now())

    def _entity(self, entity_id: str, kind: str, seen_at: str, **columns: Any) -> Operation:
        row = {"id": entity_id, "execution_id": self.execution.id, "kind": kind}
        return insert("entity", {**row, "seen_at": seen_at, **columns})

    def _next_state(
        self, run: Run, state_id: str, now: str, trained: bool = True
    ) -> tuple[str, list[Operation]]:
        """A model's state after some training, or before any of it."""
        entity_id, data_id = self._id("model"), run.training_data_id
        return entity_id, [
            self._entity(entity_id, "model", now),
            described_like(entity_id, state_id),
            insert("generated", {"entity_id": entity_id, "activity_id": run.id, "at": now}),
            rows.derived(entity_id, state_id, run.id),
            *([rows.derived(entity_id, data_id, run.id)] if trained and data_id else []),
        ]

    def _dataset(
        self, facts: Mapping[str, Any] | None, activity_id: str, role: str, now: str
    ) -> tuple[str | None, list[Operation]]:
        if facts is None:
            return None, []
        entity_id = self._id("data")
        columns = {k: facts[k] for k in ("class_name", "samples", "batches", "batch_size")}
        columns["details"] = to_json(facts["details"]) if facts.get("details") else None
        operations = [
            self._entity(entity_id, "dataset", now, name=role, **columns),
            *rows.arrays(entity_id, facts["arrays"]),
        ]
        return entity_id, [*operations, rows.used(activity_id, entity_id, role, now)]
