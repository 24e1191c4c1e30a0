"""Models that are saved to files and loaded from them."""

from __future__ import annotations

from collections.abc import Sequence

from kerasprov_agent import clock
from kerasprov_agent.capture.describe import outcomes
from kerasprov_agent.capture.files.versions import Version
from kerasprov_agent.capture.recorder.files import Files
from kerasprov_agent.store import rows
from kerasprov_agent.store.operations import described_like, insert, update


class Savings(Files):
    """Records what is saved and loaded."""

    def saving_started(
        self,
        kind: str,
        run_id: str | None,
        state_id: str | None,
        epoch: int | None,
        by: str | None,
    ) -> str:
        """`save`, `load_model` or the like was called; returns the activity's id."""
        activity_id, now = self._id(kind.replace("_", "-")), self._now()
        row = {
            "id": activity_id,
            "execution_id": self.execution.id,
            "run_id": run_id,
            "kind": kind,
            "epoch": epoch,
            "by": by,
            "model_id": state_id,
            "status": "running",
            "started_at": now,
        }
        used = [rows.used(activity_id, state_id, "model", now)] if state_id else []
        self._write(insert("activity", row), *used)
        return activity_id

    def saving_ended(self, activity_id: str, exc: BaseException | None) -> None:
        """It returned, or raised."""
        row = {**outcomes.columns(exc), "ended_at": self._now()}
        self._write(update("activity", row, {"id": activity_id}))

    def model_saved(
        self, activity_id: str, state_id: str | None, path: str, role: str, at: float
    ) -> None:
        """The file that holds a model, or its weights."""
        entity_id = self.file_written(path, role, activity_id, at)
        if entity_id is not None and state_id is not None:
            self._write(rows.derived(entity_id, state_id, activity_id))

    def model_loaded(
        self,
        activity_id: str,
        state_id: str | None,
        files: Sequence[tuple[str, Version | None]],
        role: str,
        name: str | None,
        class_name: str,
    ) -> str:
        """A model came from a file, or took its weights from one; returns its new state."""
        now = clock.now()
        file_id = self.file_used(files, now, activity_id, role)
        entity_id, stamp = self._id("model"), clock.iso(now)
        operations = [
            self._entity(entity_id, "model", stamp, name=name, class_name=class_name),
            insert("generated", {"entity_id": entity_id, "activity_id": activity_id, "at": stamp}),
        ]
        if state_id is not None:
            operations += [
                described_like(entity_id, state_id),
                rows.used(activity_id, state_id, "model", stamp),
                rows.derived(entity_id, state_id, activity_id),
            ]
        if file_id is not None:
            operations.append(rows.derived(entity_id, file_id, activity_id))
        self._write(*operations)
        return entity_id
