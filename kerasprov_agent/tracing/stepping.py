"""A step of the program's own in progress, and what becomes of its inputs and outputs."""

from __future__ import annotations

import os
from typing import Any

from kerasprov_agent import guard, process, steps
from kerasprov_agent.describe import data
from kerasprov_agent.describe.values import plain_dict, to_json
from kerasprov_agent.tracing import origins, watching
from kerasprov_agent.tracing.origins import Origin


class Step:
    """A step that has begun."""

    def __init__(self, name: str, attributes: dict[str, Any]) -> None:
        self.recorder = process.current()
        self.recorder.files_seen()
        self.id = self.recorder.step_started(name, _told(attributes))
        self._outer, watching.step = watching.step, self.id

    def end(
        self,
        exc: BaseException | None,
        inputs: list[Any],
        outputs: list[Any],
        attributes: dict[str, Any],
    ) -> None:
        """It has ended; `exc` is what it raised."""
        watching.step = self._outer
        record = self.recorder
        record.files_seen()
        found = [origin for one in inputs for origin in _origins(one)]
        paths = [
            path
            for one in outputs
            if steps.is_path(one)
            for path in origins.all_files(os.fspath(one))
        ]
        arrays = list(origins.leaves([one for one in outputs if not steps.is_path(one)]))
        facts = guard.attempt(data.dataset, arrays) if arrays else None
        made_id = record.step_ended(self.id, exc, found, paths, facts, _told(attributes))
        if made_id is not None:
            for array in arrays:
                origins.was_made(array, made_id)


def _told(attributes: dict[str, Any]) -> str | None:
    return to_json(plain_dict(attributes)) if attributes else None


def _origins(value: Any) -> list[Origin]:
    if steps.is_path(value):
        paths = origins.all_files(os.fspath(value))
        return [Origin(origins.files_of(*paths), origins.DECLARED)]
    return origins.of(value)
