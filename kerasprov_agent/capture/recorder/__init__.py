"""The record of an execution: what the hooks saw becomes rows, and rows become committed.

Each concern has a part of its own. The parts share one ledger, which gives identifiers and writes.
Identifiers are the execution's id and a local name: `<uuid>#fit-1`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kerasprov_agent.capture.recorder.code import Code
from kerasprov_agent.capture.recorder.contents import Contents
from kerasprov_agent.capture.recorder.files import Files
from kerasprov_agent.capture.recorder.ledger import Ledger
from kerasprov_agent.capture.recorder.models import Models
from kerasprov_agent.capture.recorder.run import Run
from kerasprov_agent.capture.recorder.saving import Savings
from kerasprov_agent.capture.recorder.searches import Searches
from kerasprov_agent.capture.recorder.steps import Steps
from kerasprov_agent.capture.recorder.training import Trainings
from kerasprov_agent.capture.recorder.uses import Uses
from kerasprov_agent.store.operations import update

__all__ = ["Recorder", "Run"]


class Recorder:
    """Turns plain facts into rows of one execution, each by the part that its concern has."""

    def __init__(self, keras: Mapping[str, Any]) -> None:
        # sqlite3 is not loaded before there is something to record.
        from kerasprov_agent.capture.execution import Execution

        self.execution = Execution(keras)
        self.keras = keras
        self.backend: str | None = keras.get("backend")
        self._ledger = ledger = Ledger(self.execution)
        self.code = Code(ledger)
        self.files = Files(ledger)
        self.contents = Contents(ledger, self.files)
        self.models = Models(ledger)
        self.savings = Savings(ledger, self.files)
        self.searches = Searches(ledger)
        self.steps = Steps(ledger, self.files)
        self.trainings = Trainings(ledger, self.code, self.models)
        self.uses = Uses(ledger)

    def keras_seen(self, keras: Mapping[str, Any]) -> None:
        """The program has imported Keras: only now, or another one.

        The execution tells of the first. What a run has of its own is a parameter of the run.
        """
        self.backend = keras.get("backend")
        if not self.keras:
            self.keras = keras
            self._ledger.write(update("execution", dict(keras), {"id": self.execution.id}))
