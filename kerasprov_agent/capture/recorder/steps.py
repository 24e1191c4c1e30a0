"""Steps that the program itself tells of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kerasprov_agent import clock
from kerasprov_agent.capture import origins
from kerasprov_agent.capture.describe import outcomes
from kerasprov_agent.capture.origins import Origin
from kerasprov_agent.capture.recorder.file import File
from kerasprov_agent.capture.recorder.files import Files
from kerasprov_agent.capture.recorder.ledger import Ledger
from kerasprov_agent.store import rows
from kerasprov_agent.store.operations import Operation, insert, update


class Steps:
    """Records steps."""

    def __init__(self, ledger: Ledger, files: Files) -> None:
        self._ledger = ledger
        self._files = files
        self._began: dict[str, float] = {}

    def started(self, name: str, attributes: str | None) -> str:
        """Record that a step begins; returns its id."""
        began = clock.now()
        step_id, now = self._ledger.new_id("step"), clock.iso(began)
        self._began[step_id] = began
        row = {
            "id": step_id,
            "execution_id": self._ledger.execution.id,
            "kind": "step",
            "name": name,
        }
        facts = {"attributes": attributes, "status": "running", "started_at": now}
        self._ledger.write(insert("activity", {**row, **facts}))
        return step_id

    def ended(
        self,
        step_id: str,
        exc: BaseException | None,
        inputs: Sequence[Origin],
        outputs: Sequence[str],
        data: Mapping[str, Any] | None,
        attributes: str | None,
    ) -> str | None:
        """Record the end of a step; returns the entity of the data it made in memory, if any.

        What it made came of its inputs; where none were told, of the files that it read.
        """
        now = clock.now()
        with self._files.catalog.lock:
            # They were there when it began; what it made of them is older than its end.
            began = self._began.pop(step_id, now)
            sources = self._sources(step_id, inputs, began)
            made = self._made_files(step_id, outputs, now)
            data_id, operations = self._made_data(step_id, data, now)
            if data_id is not None:
                made.append(data_id)
            operations += [
                rows.derived(entity_id, source_id, step_id, origins.DECLARED)
                for entity_id in made
                for source_id in sources
                if entity_id != source_id
            ]
            row = {
                **outcomes.columns(exc),
                "ended_at": self._ledger.now(),
                "attributes": attributes,
            }
            self._ledger.write(*operations, update("activity", row, {"id": step_id}))
            return data_id

    def _sources(self, step_id: str, inputs: Sequence[Origin], began: float) -> list[str]:
        """The entities that a step used."""
        files = [self._files.used(source.files, began, step_id) for source in inputs]
        sources = [*files, *(source.entity_id for source in inputs)]
        return [entity_id for entity_id in sources if entity_id] or self._files_of(step_id, "used")

    def _made_files(self, step_id: str, outputs: Sequence[str], now: float) -> list[str]:
        """The entities of the files that a step made."""
        written = self._files.catalog.written
        made = [str(written[path].entity_id) for path in outputs if _has_entity(written, path)]
        for path in outputs:
            entity_id = None
            if path not in written:
                entity_id = self._files.written(path, "data", step_id, now)
            if entity_id is not None:
                made.append(entity_id)
        return made or self._files_of(step_id, "generated")

    def _made_data(
        self, step_id: str, data: Mapping[str, Any] | None, now: float
    ) -> tuple[str | None, list[Operation]]:
        """What a step made in memory: its entity, and its rows."""
        if data is None:
            return None, []
        data_id, stamp = self._ledger.new_id("data"), clock.iso(now)
        columns = {"name": "made", "samples": data["samples"]}
        return data_id, [
            self._ledger.entity(data_id, "dataset", stamp, **columns),
            *rows.arrays(data_id, data["arrays"]),
            self._files.catalog.generated(data_id, step_id, now),
        ]

    def _files_of(self, activity_id: str, table: str) -> list[str]:
        """The files that an activity used or generated, as they were seen."""
        query = (
            f"SELECT t.entity_id FROM {table} t JOIN file f ON f.entity_id = t.entity_id "
            "WHERE t.activity_id = ?"
        )
        return [row[0] for row in self._ledger.execution.ask(query, activity_id)]


def _has_entity(files: Mapping[str, File], path: str) -> bool:
    return path in files and files[path].entity_id is not None
