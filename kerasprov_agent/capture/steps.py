"""Steps that the program itself tells of: `kerasprov_agent.activity`.

Never needed: for preprocessing that can't be seen from outside.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from types import TracebackType
from typing import Any, TypeVar

from kerasprov_agent import guard, settings

F = TypeVar("F", bound=Callable[..., Any])


class Activity:
    """A step, as a context manager and as a decorator.

    Inputs and outputs are paths, arrays or frames, one or several. Where they are not given, they
    are the files that the step reads and writes.
    """

    def __init__(self, name: str, inputs: Any, outputs: Any, attributes: dict[str, Any]) -> None:
        self.name, self.attributes = name, attributes
        self._inputs, self._outputs = inputs, outputs
        self._given: list[list[Any]] = [_listed(inputs), _listed(outputs)]
        self._step: Any = None
        self._process: int | None = None

    def used(self, *inputs: Any) -> None:
        """Tell of further inputs."""
        self._given[0] += inputs

    def made(self, *outputs: Any) -> None:
        """Tell of further outputs."""
        self._given[1] += outputs

    def set(self, **attributes: Any) -> None:
        """Tell of further attributes."""
        self.attributes.update(attributes)

    def __enter__(self) -> Activity:
        if not settings.disabled():
            self._step = guard.call(_begin, self.name, self.attributes)
            self._process = os.getpid()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        step, self._step = self._step, None
        # A child that was forked within a step leaves it, too: its parent ends it.
        if step is not None and self._process == os.getpid():
            guard.call(step.end, exc, self._given[0], self._given[1], self.attributes)

    def __call__(self, function: F) -> F:
        @functools.wraps(function)
        def step(*args: Any, **kwargs: Any) -> Any:
            with Activity(self.name, self._inputs, self._outputs, dict(self.attributes)):
                return function(*args, **kwargs)

        return step  # type: ignore[return-value]


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, (list, tuple, set)) else [value]


def _begin(name: str, attributes: dict[str, Any]) -> Any:
    from kerasprov_agent.capture.origins import stepping

    return stepping.Step(name, attributes)
