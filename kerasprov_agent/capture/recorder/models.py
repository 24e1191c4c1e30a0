"""Models in their states, and what they are compiled with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kerasprov_agent import clock
from kerasprov_agent.capture.recorder.base import Base
from kerasprov_agent.capture.recorder.run import Run
from kerasprov_agent.store import rows
from kerasprov_agent.store.operations import described_like, insert


class Models(Base):
    """Records the states of models."""

    def model_seen(self, name: str | None, class_name: str) -> str:
        """A model that was not known: its present state becomes an entity; returns its id."""
        entity_id, now = self._id("model"), self._now()
        self._write(
            self._entity(entity_id, "model", now, name=name, class_name=class_name),
            insert(
                "generated",
                {"entity_id": entity_id, "activity_id": self.execution.id, "at": now},
            ),
        )
        return entity_id

    def model_changed(self, run: Run, state_id: str, trained: bool) -> str:
        """A model in the midst of its training, when something looks at it; returns its id."""
        entity_id, operations = self._next_state(run, state_id, self._now(), trained)
        self._write(*operations)
        return entity_id

    def compiled(
        self,
        state_id: str | None,
        started: float,
        facts: Mapping[str, Any],
        name: str | None,
        class_name: str,
    ) -> tuple[str, str]:
        """A `compile` that ended now.

        It makes a new state of the model, from `state_id` if the model was known before. Returns
        the ids of the compile and of that state.
        """
        compile_id, entity_id, now = self._id("compile"), self._id("model"), self._now()
        began = clock.iso(started)
        operations = [
            self._entity(entity_id, "model", now, name=name, class_name=class_name),
            insert("compile", self._compile(compile_id, entity_id, began, now, facts)),
            insert("generated", {"entity_id": entity_id, "activity_id": compile_id, "at": now}),
        ]
        if state_id is not None:
            operations += [
                described_like(entity_id, state_id),
                rows.used(compile_id, state_id, "model", began),
                rows.derived(entity_id, state_id, compile_id),
            ]
        self._write(*operations)
        return compile_id, entity_id

    def found_compiled(self, state_id: str, facts: Mapping[str, Any]) -> str:
        """A model that was compiled before the agent could see it; returns the compile's id."""
        compile_id = self._id("compile")
        self._write(insert("compile", self._compile(compile_id, state_id, None, None, facts)))
        return compile_id

    def _compile(
        self,
        compile_id: str,
        model_id: str,
        began: str | None,
        ended: str | None,
        facts: Mapping[str, Any],
    ) -> dict[str, Any]:
        row = {"id": compile_id, "execution_id": self.execution.id, "model_id": model_id}
        return {**row, "started_at": began, "ended_at": ended, **facts}
