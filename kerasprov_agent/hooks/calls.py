"""The calls in progress, a stack a thread, and what is known of each model between calls.

Nothing here outlives a call but weak references.
"""

from __future__ import annotations

import threading
from typing import Any
from weakref import WeakKeyDictionary

from kerasprov_agent.recorder import Recorder, Run


class Known:
    """What the record says of a live model."""

    def __init__(self) -> None:
        self.state_id: str | None = None
        self.compile_id: str | None = None
        self.run_id: str | None = None


class Fit:
    """A `fit` in progress."""

    def __init__(self, recorder: Recorder, run: Run, model: Any) -> None:
        self.recorder, self.run, self.model = recorder, run, model
        self.callbacks: Any = None
        self.feed_facts: dict[str, Any] | None = None
        self.validation_facts: dict[str, Any] | None = None
        self.epoch: Any = None
        self.described = False
        self.gpus = 0
        self.rate: float | None = None
        self.rate_value: Any = None
        self.rate_settled = False
        self.acts_at_begin = True
        self.bypassed = False


class Evaluation:
    """An `evaluate` in progress, other than the validation within a `fit`."""

    def __init__(self, recorder: Recorder, evaluation_id: str, model: Any) -> None:
        self.recorder, self.id, self.model = recorder, evaluation_id, model
        self.logs: dict[str, Any] | None = None
        self.feed_facts: dict[str, Any] | None = None


class _Stack(threading.local):
    def __init__(self) -> None:
        self.calls: list[Fit | Evaluation] = []


_stack = _Stack()
_models: WeakKeyDictionary[Any, Known] = WeakKeyDictionary()


def known(model: Any) -> Known:
    """What is known of a model, to be read and written."""
    found = _models.get(model)
    if found is None:
        found = _models[model] = Known()
    return found


def push(call: Fit | Evaluation) -> None:
    """A call begins on this thread."""
    _stack.calls.append(call)


def pop(call: Fit | Evaluation) -> None:
    """A call has ended on this thread."""
    if call in _stack.calls:
        _stack.calls.remove(call)


def top() -> Fit | Evaluation | None:
    """The innermost call in progress on this thread."""
    return _stack.calls[-1] if _stack.calls else None


def fit_of(callbacks: Any) -> Fit | None:
    """The `fit` on this thread that this CallbackList belongs to."""
    for call in reversed(_stack.calls):
        if isinstance(call, Fit) and call.callbacks is callbacks:
            return call
    return None


def enclosing_fit(model: Any = None) -> Fit | None:
    """The innermost `fit` in progress on this thread, of `model` if given."""
    for call in reversed(_stack.calls):
        if isinstance(call, Fit) and (model is None or call.model is model):
            return call
    return None


def forget() -> None:
    """In a forked child, or when the agent stops: nothing is in progress, nothing is known."""
    _stack.calls.clear()
    _models.clear()
