"""A step of the program's own in progress, and what becomes of its inputs and outputs."""

from __future__ import annotations

import os
from contextvars import ContextVar
from typing import Any

from kerasprov_agent import guard
from kerasprov_agent.capture import origins
from kerasprov_agent.capture.describe import data
from kerasprov_agent.capture.describe.values import plain_dict, to_json
from kerasprov_agent.capture.files import paths
from kerasprov_agent.capture.files.watching import watch
from kerasprov_agent.capture.origins import Origin
from kerasprov_agent.capture.session import session

_here: ContextVar[str | None] = ContextVar("kerasprov_agent.step", default=None)
_under_way: dict[str, str | None] = {}
"""The steps under way, and in which other step each of them began."""


class Step:
    """A step that has begun."""

    def __init__(self, name: str, attributes: dict[str, Any]) -> None:
        self.recorder = session.current()
        self.recorder.files.look()
        self.id = self.recorder.steps.started(name, _told(attributes))
        if watch.ask_steps(current):  # none yet, or others before a fork or a stop
            _under_way.clear()
        self._outer = _here.get()
        _under_way[self.id] = current()
        _here.set(self.id)

    def end(
        self,
        exc: BaseException | None,
        inputs: list[Any],
        outputs: list[Any],
        attributes: dict[str, Any],
    ) -> None:
        """It has ended; `exc` is what it raised."""
        _under_way.pop(self.id, None)
        if _here.get() == self.id:
            _here.set(self._outer)
        record = self.recorder
        record.files.look()
        sources = [origin for item in inputs for origin in _origins(item)]
        files = [
            path
            for item in outputs
            if paths.is_path(item)
            for path in origins.all_files(os.fspath(item))
        ]
        arrays = list(origins.leaves([item for item in outputs if not paths.is_path(item)]))
        facts = guard.attempt(data.dataset, arrays) if arrays else None
        made_id = record.steps.ended(self.id, exc, sources, files, facts, _told(attributes))
        if made_id is not None:
            for array in arrays:
                origins.was_made(array, made_id)


def current() -> str | None:
    """The step under way in this thread or task; in one that has none, the only one there is."""
    here = _here.get()
    if here in _under_way:
        return here
    steps = _under_way.copy()
    innermost = steps.keys() - steps.values()
    return innermost.pop() if len(innermost) == 1 else None


def _told(attributes: dict[str, Any]) -> str | None:
    return to_json(plain_dict(attributes)) if attributes else None


def _origins(value: Any) -> list[Origin]:
    if paths.is_path(value):
        files = origins.files_of(*origins.all_files(os.fspath(value)))
        return [Origin(files, origins.DECLARED)]
    return origins.of(value)
