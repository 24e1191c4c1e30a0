"""Models that are saved to files and loaded from them."""

from __future__ import annotations

from collections.abc import Sequence

from kerasprov_agent import clock
from kerasprov_agent.capture.describe import outcomes
from kerasprov_agent.capture.files.versions import Version
from kerasprov_agent.capture.recorder.files import Files
from kerasprov_agent.capture.recorder.ledger import Ledger
from kerasprov_agent.store import rows
from kerasprov_agent.store.operations import described_like, insert, update


class Savings:
    """Records what is saved and loaded."""

    def __init__(self, ledger: Ledger, files: Files) -> None:
        self._ledger = ledger
        self._files = files

    def started(
        self,
        kind: str,
        run_id: str | None,
        state_id: str | None,
        epoch: int | None,
        by: str | None,
    ) -> str:
        """Record a call of `save`, `load_model` or the like; returns the activity's id."""
        activity_id, now = self._ledger.new_id(kind.replace("_", "-")), self._ledger.now()
        row = {
            "id": activity_id,
            "execution_id": self._ledger.execution.id,
            "run_id": run_id,
            "kind": kind,
            "epoch": epoch,
            "by": by,
            "model_id": state_id,
            "status": "running",
            "started_at": now,
        }
        used = [rows.used(activity_id, state_id, "model", now)] if state_id else []
        self._ledger.write(insert("activity", row), *used)
        return activity_id

    def ended(self, activity_id: str, exc: BaseException | None) -> None:
        """Record that the call returned, or what it raised."""
        row = {**outcomes.columns(exc), "ended_at": self._ledger.now()}
        self._ledger.write(update("activity", row, {"id": activity_id}))

    def model_saved(
        self, activity_id: str, state_id: str | None, path: str, role: str, at: float
    ) -> None:
        """Record the file into which a model, or its weights, was saved."""
        entity_id = self._files.written(path, role, activity_id, at)
        if entity_id is not None and state_id is not None:
            self._ledger.write(rows.derived(entity_id, state_id, activity_id))

    def model_loaded(
        self,
        activity_id: str,
        state_id: str | None,
        files: Sequence[tuple[str, Version | None]],
        role: str,
        name: str | None,
        class_name: str,
    ) -> str:
        """Record that a model, or its weights, came from a file; returns the model's new state."""
        now = clock.now()
        file_id = self._files.used(files, now, activity_id, role)
        entity_id, stamp = self._ledger.new_id("model"), clock.iso(now)
        operations = [
            self._ledger.entity(entity_id, "model", stamp, name=name, class_name=class_name),
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
        self._ledger.write(*operations)
        return entity_id
