"""Searches for hyperparameters, and their trials."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kerasprov_agent.capture.describe import outcomes
from kerasprov_agent.capture.recorder.ledger import Ledger
from kerasprov_agent.store.operations import insert, update


class Searches:
    """Records searches."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def started(self, facts: Mapping[str, Any]) -> str:
        """Record that a search begins; returns its id."""
        search_id = self._ledger.new_id("search")
        row = {"id": search_id, "execution_id": self._ledger.execution.id, "status": "running"}
        self._ledger.write(insert("search", {**row, "started_at": self._ledger.now(), **facts}))
        return search_id

    def ended(self, search_id: str, exc: BaseException | None, facts: Mapping[str, Any]) -> None:
        """Record that a search has ended, or what it raised."""
        row = {**outcomes.columns(exc), "ended_at": self._ledger.now(), **facts}
        self._ledger.write(update("search", row, {"id": search_id}))

    def trial_started(self, search_id: str, name: str, hyperparameters: str | None) -> str:
        """Record that a trial begins; returns its id."""
        trial_id = self._ledger.new_id("trial")
        row = {"id": trial_id, "search_id": search_id, "name": name, "status": "running"}
        facts = {"hyperparameters": hyperparameters, "started_at": self._ledger.now()}
        self._ledger.write(insert("trial", {**row, **facts}))
        return trial_id

    def trial_ended(self, trial_id: str, status: str, facts: Mapping[str, Any]) -> None:
        """Record the end of a trial: its score, or what went wrong."""
        row = {"status": status, "ended_at": self._ledger.now(), **facts}
        self._ledger.write(update("trial", row, {"id": trial_id}))
