"""One execution's ledger, through which all parts of the record write: ids, rows, the time."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from kerasprov_agent import clock
from kerasprov_agent.capture.describe.values import to_json
from kerasprov_agent.store import rows
from kerasprov_agent.store.operations import Operation, insert

if TYPE_CHECKING:
    from kerasprov_agent.capture.execution import Execution


class Ledger:
    """Gives identifiers and commits rows of one execution; may be used from any thread."""

    def __init__(self, execution: Execution) -> None:
        self.execution = execution
        self._numbers: Counter[str] = Counter()
        self._lock = threading.Lock()

    def new_id(self, kind: str) -> str:
        """The next identifier of a kind, such as `<execution>#fit-1`."""
        with self._lock:
            self._numbers[kind] += 1
            return f"{self.execution.id}#{kind}-{self._numbers[kind]}"

    def write(self, *operations: Operation) -> None:
        """Commit operations together."""
        self.execution.write(operations)

    def now(self) -> str:
        """The present time, as it is stored."""
        return clock.iso(clock.now())

    def entity(self, entity_id: str, kind: str, seen_at: str, **columns: Any) -> Operation:
        """The row of a file, a set of files, a data set or a model."""
        row = {"id": entity_id, "execution_id": self.execution.id, "kind": kind}
        return insert("entity", {**row, "seen_at": seen_at, **columns})

    def dataset(
        self, facts: Mapping[str, Any] | None, activity_id: str, role: str, now: str
    ) -> tuple[str | None, list[Operation]]:
        """The rows of a data set that an activity used.

        `facts` come from `describe.data`. Returns the id of the data set, and the operations that
        store it; None and no operations where there was no data.
        """
        if facts is None:
            return None, []
        entity_id = self.new_id("data")
        columns = {k: facts[k] for k in ("class_name", "samples", "batches", "batch_size")}
        columns["details"] = to_json(facts["details"]) if facts.get("details") else None
        operations = [
            self.entity(entity_id, "dataset", now, name=role, **columns),
            *rows.arrays(entity_id, facts["arrays"]),
        ]
        return entity_id, [*operations, rows.used(activity_id, entity_id, role, now)]
