"""Searches for hyperparameters, and their trials."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kerasprov_agent.capture.describe import outcomes
from kerasprov_agent.capture.recorder.base import Base
from kerasprov_agent.store.operations import insert, update


class Searches(Base):
    """Records searches."""

    def search_started(self, facts: Mapping[str, Any]) -> str:
        """A search begins; returns its id."""
        search_id = self._id("search")
        row = {"id": search_id, "execution_id": self.execution.id, "status": "running"}
        self._write(insert("search", {**row, "started_at": self._now(), **facts}))
        return search_id

    def search_ended(
        self, search_id: str, exc: BaseException | None, facts: Mapping[str, Any]
    ) -> None:
        """A search is over, or raised."""
        row = {**outcomes.columns(exc), "ended_at": self._now(), **facts}
        self._write(update("search", row, {"id": search_id}))

    def trial_started(self, search_id: str, name: str, hyperparameters: str | None) -> str:
        """A trial begins; returns its id."""
        trial_id = self._id("trial")
        row = {"id": trial_id, "search_id": search_id, "name": name, "status": "running"}
        facts = {"hyperparameters": hyperparameters, "started_at": self._now()}
        self._write(insert("trial", {**row, **facts}))
        return trial_id

    def trial_ended(self, trial_id: str, status: str, facts: Mapping[str, Any]) -> None:
        """A trial is over: its score, or what went wrong."""
        row = {"status": status, "ended_at": self._now(), **facts}
        self._write(update("trial", row, {"id": trial_id}))
