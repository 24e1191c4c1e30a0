"""Steps that the program itself tells of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kerasprov_agent import clock
from kerasprov_agent.capture import origins
from kerasprov_agent.capture.describe import outcomes
from kerasprov_agent.capture.origins import Origin
from kerasprov_agent.capture.recorder.files import Files
from kerasprov_agent.store import rows
from kerasprov_agent.store.operations import Operation, insert, update


class Steps(Files):
    """Records steps."""

    def __init__(self, keras: Mapping[str, Any]) -> None:
        super().__init__(keras)
        self._step_began: dict[str, float] = {}

    def step_started(self, name: str, attributes: str | None) -> str:
        """A step begins; returns its id."""
        began = clock.now()
        step_id, now = self._id("step"), clock.iso(began)
        self._step_began[step_id] = began
        row = {"id": step_id, "execution_id": self.execution.id, "kind": "step", "name": name}
        facts = {"attributes": attributes, "status": "running", "started_at": now}
        self._write(insert("activity", {**row, **facts}))
        return step_id

    def step_ended(
        self,
        step_id: str,
        exc: BaseException | None,
        inputs: Sequence[Origin],
        outputs: Sequence[str],
        data: Mapping[str, Any] | None,
        attributes: str | None,
    ) -> str | None:
        """A step is over. Returns the entity of what it made in memory, if it made something.

        What it made came of its inputs; where none were told, of the files that it read.
        """
        now = clock.now()
        with self._guarding:
            # They were there when it began; what it made of them is older than its end.
            began = self._step_began.pop(step_id, now)
            used = [self.file_used(one.files, began, step_id) for one in inputs if one.files]
            used += [one.entity_id for one in inputs if one.entity_id]
            sources = [one for one in used if one] or self._files_of(step_id, "used")
            made = [
                str(file.entity_id)
                for path in outputs
                if (file := self._written.get(path)) is not None and file.entity_id
            ]
            made += [
                entity_id
                for path in outputs
                if path not in self._written
                and (entity_id := self.file_written(path, "data", step_id, now))
            ]
            made = made or self._files_of(step_id, "generated")
            operations = list[Operation]()
            data_id = None
            if data is not None:
                data_id, stamp = self._id("data"), clock.iso(now)
                told = {"name": "made", "samples": data["samples"]}
                operations += [
                    self._entity(data_id, "dataset", stamp, **told),
                    *rows.arrays(data_id, data["arrays"]),
                    self._generated(data_id, step_id, now),
                ]
                made.append(data_id)
            operations += [
                rows.derived(one, source, step_id, origins.DECLARED)
                for one in made
                for source in sources
                if one != source
            ]
            row = {**outcomes.columns(exc), "ended_at": self._now(), "attributes": attributes}
            self._write(*operations, update("activity", row, {"id": step_id}))
            return data_id

    def _files_of(self, activity_id: str, table: str) -> list[str]:
        """The files that an activity used or generated, as they were seen."""
        query = (
            f"SELECT t.entity_id FROM {table} t JOIN file f ON f.entity_id = t.entity_id "
            "WHERE t.activity_id = ?"
        )
        return [row[0] for row in self.execution.ask(query, activity_id)]
