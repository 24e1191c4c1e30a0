"""What a model was used for besides training: evaluations, predictions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kerasprov_agent import clock
from kerasprov_agent.capture.describe import outcomes
from kerasprov_agent.capture.recorder.ledger import Ledger
from kerasprov_agent.store import rows
from kerasprov_agent.store.operations import insert, measured, update


class Uses:
    """Records the uses of models."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def started(
        self, kind: str, run_id: str | None, state_id: str, facts: Mapping[str, Any] | None
    ) -> str:
        """Record the first call of `predict` or the like on a state of a model; returns its id."""
        activity_id, now = self._ledger.new_id(kind), self._ledger.now()
        data_id, of_data = self._ledger.dataset(facts, activity_id, "data", now)
        row = {
            "id": activity_id,
            "execution_id": self._ledger.execution.id,
            "run_id": run_id,
            "kind": kind,
            "model_id": state_id,
            "data_id": data_id,
            "calls": 0,
            "seconds": 0.0,
            "started_at": now,
            "ended_at": now,
        }
        self._ledger.write(
            insert("activity", row), *of_data, rows.used(activity_id, state_id, "model", now)
        )
        return activity_id

    def used(self, activity_id: str, calls: int, seconds: float, last_call: float) -> None:
        """Update how many calls were made so far."""
        row = {"calls": calls, "seconds": seconds, "ended_at": clock.iso(last_call)}
        self._ledger.write(update("activity", row, {"id": activity_id}))

    def evaluation_started(
        self,
        run_id: str | None,
        epoch: int | None,
        state_id: str,
        test_data: Mapping[str, Any] | None,
    ) -> tuple[str, str | None]:
        """Record a call of `evaluate`; returns the ids of the evaluation and of its data."""
        evaluation_id, now = self._ledger.new_id("evaluate"), self._ledger.now()
        data_id, of_data = self._ledger.dataset(test_data, evaluation_id, "test_data", now)
        row = {
            "id": evaluation_id,
            "execution_id": self._ledger.execution.id,
            "run_id": run_id,
            "epoch": epoch,
            "model_id": state_id,
            "data_id": data_id,
            "status": "running",
            "started_at": now,
            "batch_size": (test_data or {}).get("batch_size"),
        }
        self._ledger.write(
            insert("evaluation", row), *of_data, rows.used(evaluation_id, state_id, "model", now)
        )
        return evaluation_id, data_id

    def evaluation_ended(
        self,
        evaluation_id: str,
        results: Mapping[str, Any],
        feed: Mapping[str, Any],
        exc: BaseException | None,
    ) -> None:
        """Record what `evaluate` returned, or raised."""
        row = {"id": evaluation_id, **outcomes.columns(exc), "ended_at": self._ledger.now()}
        if feed.get("batch_size"):
            row["batch_size"] = feed["batch_size"]
        row["steps"] = feed.get("batches")
        self._ledger.write(measured("evaluation", row, results if exc is None else {}))
