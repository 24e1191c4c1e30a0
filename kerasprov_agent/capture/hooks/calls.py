"""The calls in progress, a stack a thread, and what is known of each model between calls.

Nothing here outlives a call but weak references.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol
from weakref import ReferenceType, ref

from kerasprov_agent.capture.hooks.weak import ByIdentity, Objects
from kerasprov_agent.capture.recorder import Recorder, Run

if TYPE_CHECKING:
    from kerasprov_agent.capture.device.gpu import Sampler
    from kerasprov_agent.capture.hooks.changes import Watch
    from kerasprov_agent.capture.hooks.epochs import Epoch
    from kerasprov_agent.capture.hooks.optimizers import Held

settling: list[Callable[[Any], None]] = []
"""Told of a model with which something new begins: a loop that trained it is over."""


def settle(model: Any) -> None:
    """Call what has to be finished before something new begins with a model."""
    for tell in settling:
        tell(model)


class Known:
    """What has been recorded about a model that is still alive."""

    def __init__(self) -> None:
        self.state_id: str | None = None
        self.compile_id: str | None = None
        self.run_id: str | None = None


class Fit:
    """A `fit` in progress.

    Model and callbacks are alive while it is, and held by `fit` itself; we only know of them.
    """

    def __init__(self, recorder: Recorder, run: Run, model: Any) -> None:
        self.recorder, self.run, self.id = recorder, run, run.id
        self._model = ref(model)
        self._callbacks: ReferenceType[Any] | None = None
        self.feed_facts: dict[str, Any] | None = None
        self.validation_facts: dict[str, Any] | None = None
        self.epoch: Epoch | None = None
        self.described = False
        self.gpus: list[int] = []
        self.sampler: Sampler | None = None
        self.first_epoch = 0
        self.last_epoch: int | None = None
        self.last_loss: Any = None
        self.optimizers: list[Held] = []
        self.watch: Watch | None = None
        self.bypassed = False

    @property
    def model(self) -> Any:
        """The model that is trained."""
        return self._model()

    @property
    def callbacks(self) -> Any:
        """Its CallbackList, None before training begins."""
        return self._callbacks and self._callbacks()

    def bind(self, callbacks: Any) -> None:
        """Note that training has begun with this CallbackList."""
        self._callbacks = ref(callbacks)

    @property
    def has_trained(self) -> bool:
        """Whether an epoch has begun, so that the model may have been altered."""
        return self.epoch is not None or self.run.epochs > 0

    def is_over(self) -> bool:
        """Whether it ended unseen: nobody holds its CallbackList any more."""
        return self._callbacks is not None and self._callbacks() is None


class Evaluation:
    """An `evaluate` in progress, other than the validation within a `fit`."""

    def __init__(self, recorder: Recorder, evaluation_id: str, data_id: str | None) -> None:
        self.recorder, self.id, self.data_id = recorder, evaluation_id, data_id
        self.logs: dict[str, Any] | None = None
        self.feed_facts: dict[str, Any] | None = None

    def is_over(self) -> bool:
        """It is not, as long as it lies on the stack."""
        return False


class Prediction:
    """A `predict` in progress, whose input is not that of the `fit` around it."""

    def __init__(self, activity_id: str) -> None:
        self.id = activity_id

    def is_over(self) -> bool:
        """It is not, as long as it lies on the stack."""
        return False


class Call(Protocol):
    """Anything in progress."""

    @property
    def id(self) -> str:
        """The activity's id in the record."""

    def is_over(self) -> bool:
        """Whether it ended unseen."""


class _Stack(threading.local):
    def __init__(self) -> None:
        self.calls: list[Call] = []


_stack = _Stack()
_fits = Objects()
_models: ByIdentity[Known] = ByIdentity()


def known(model: Any) -> Known:
    """What is known of a model, to be read and written."""
    of_model = _models.get(model)
    if of_model is None:
        of_model = _models[model] = Known()
    return of_model


def push(call: Call) -> None:
    """A call begins on this thread."""
    try:
        _stack.calls.append(call)
        if isinstance(call, Fit):
            _fits.add(call)
    except BaseException:  # Ctrl-C: Keras will not be called, and nobody would take it out
        pop(call)
        raise


def pop(call: Call) -> None:
    """A call has ended on this thread."""
    if isinstance(call, Fit):
        _fits.discard(call)
    if call in _stack.calls:
        _stack.calls.remove(call)


def pop_run(run: Run) -> None:
    """Remove the calls of a run that was interrupted before Keras was called."""
    for call in [fit for fit in _stack.calls if isinstance(fit, Fit) and fit.run is run]:
        pop(call)


def top() -> Call | None:
    """The innermost call in progress on this thread."""
    _drop_what_is_over()
    return _stack.calls[-1] if _stack.calls else None


def activity() -> str | None:
    """The innermost activity in progress on this thread: its id in the record."""
    return _stack.calls[-1].id if _stack.calls else None


def fit_of(callbacks: Any) -> Fit | None:
    """The `fit` on this thread that this CallbackList belongs to."""
    for call in reversed(_stack.calls):
        if isinstance(call, Fit) and call.callbacks is callbacks:
            return call
    return None


def enclosing_fit(model: Any = None) -> Fit | None:
    """The innermost `fit` in progress on this thread, of `model` if given."""
    _drop_what_is_over()
    for call in reversed(_stack.calls):
        if isinstance(call, Fit) and (model is None or call.model is model):
            return call
    return None


def fits() -> list[Fit]:
    """The `fit`s in progress, on any thread."""
    return [call for call in list(_fits) if not call.is_over()]


def _drop_what_is_over() -> None:
    """A `fit` that was bound before it was wrapped may have raised without our seeing it."""
    _stack.calls[:] = [call for call in _stack.calls if not call.is_over()]


def forget() -> None:
    """In a forked child, or when the agent stops: nothing is in progress, nothing is known."""
    _stack.calls.clear()
    _fits.clear()
    _models.clear()
