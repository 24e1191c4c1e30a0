"""Models in their states, and what they are compiled with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kerasprov_agent import clock
from kerasprov_agent.capture.recorder.ledger import Ledger
from kerasprov_agent.capture.recorder.run import Run
from kerasprov_agent.store import rows
from kerasprov_agent.store.operations import Operation, described_like, insert


class Models:
    """Records the states of models."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def seen(self, name: str | None, class_name: str) -> str:
        """Record a model that is seen for the first time; returns the id of its present state."""
        entity_id, now = self._ledger.new_id("model"), self._ledger.now()
        self._ledger.write(
            self._ledger.entity(entity_id, "model", now, name=name, class_name=class_name),
            insert(
                "generated",
                {"entity_id": entity_id, "activity_id": self._ledger.execution.id, "at": now},
            ),
        )
        return entity_id

    def changed(self, run: Run, state_id: str, trained: bool) -> str:
        """Record the state of a model during its training; returns the id of the state."""
        entity_id, operations = self.next_state(run, state_id, self._ledger.now(), trained)
        self._ledger.write(*operations)
        return entity_id

    def next_state(
        self, run: Run, state_id: str, now: str, trained: bool = True
    ) -> tuple[str, list[Operation]]:
        """A model's state after some training, or before any of it: its id, and its rows."""
        entity_id, data_id = self._ledger.new_id("model"), run.training_data_id
        return entity_id, [
            self._ledger.entity(entity_id, "model", now),
            described_like(entity_id, state_id),
            insert("generated", {"entity_id": entity_id, "activity_id": run.id, "at": now}),
            rows.derived(entity_id, state_id, run.id),
            *([rows.derived(entity_id, data_id, run.id)] if trained and data_id else []),
        ]

    def compiled(
        self,
        state_id: str | None,
        started: float,
        facts: Mapping[str, Any],
        name: str | None,
        class_name: str,
    ) -> tuple[str, str]:
        """Record a `compile` that has just ended.

        It makes a new state of the model, from `state_id` if the model was known before. Returns
        the ids of the compile and of that state.
        """
        compile_id, entity_id, now = (
            self._ledger.new_id("compile"),
            self._ledger.new_id("model"),
            self._ledger.now(),
        )
        began = clock.iso(started)
        operations = [
            self._ledger.entity(entity_id, "model", now, name=name, class_name=class_name),
            insert("compile", self._compile(compile_id, entity_id, began, now, facts)),
            insert("generated", {"entity_id": entity_id, "activity_id": compile_id, "at": now}),
        ]
        if state_id is not None:
            operations += [
                described_like(entity_id, state_id),
                rows.used(compile_id, state_id, "model", began),
                rows.derived(entity_id, state_id, compile_id),
            ]
        self._ledger.write(*operations)
        return compile_id, entity_id

    def found_compiled(self, state_id: str, facts: Mapping[str, Any]) -> str:
        """Record how a model was compiled before the agent was armed; returns the compile's id."""
        compile_id = self._ledger.new_id("compile")
        self._ledger.write(
            insert("compile", self._compile(compile_id, state_id, None, None, facts))
        )
        return compile_id

    def _compile(
        self,
        compile_id: str,
        model_id: str,
        began: str | None,
        ended: str | None,
        facts: Mapping[str, Any],
    ) -> dict[str, Any]:
        row = {"id": compile_id, "execution_id": self._ledger.execution.id, "model_id": model_id}
        return {**row, "started_at": began, "ended_at": ended, **facts}
