"""`predict`, `predict_on_batch`, `test_on_batch`: many calls on one state of a model are one row.

A loop of reinforcement learning calls `predict` thousands of times a minute, so the row is brought
up to date once a second.
"""

from __future__ import annotations

from time import perf_counter
from typing import Any

from kerasprov_agent import clock, guard
from kerasprov_agent.capture.describe import data
from kerasprov_agent.capture.hooks import calls, loops, training
from kerasprov_agent.capture.hooks.weak import ByIdentity
from kerasprov_agent.capture.recorder import Recorder
from kerasprov_agent.capture.session import session

WRITE_SECONDS = 1.0


class Use:
    """The calls of one kind on one state of a model."""

    def __init__(self, recorder: Recorder, activity_id: str, state_id: str) -> None:
        self.recorder, self.id, self.state_id = recorder, activity_id, state_id
        self.calls = 0
        self.seconds = 0.0
        self.last_call = clock.now()
        self.written = 0.0
        self.pending = False

    def write(self) -> None:
        """Bring the row up to date."""
        if self.pending:
            self.written, self.pending = perf_counter(), False
            self.recorder.uses.used(self.id, self.calls, self.seconds, self.last_call)


_uses: ByIdentity[dict[str, Use]] = ByIdentity()
_open: list[Use] = []


def before(wrapped: Any, model: Any, args: Any, kwargs: Any) -> tuple[Use, float, calls.Prediction]:
    """Note the begin of a call; the first call on this state of the model makes a row."""
    kind = str(wrapped.__name__)
    of_model = _uses.get(model)
    if of_model is None:
        of_model = _uses[model] = {}
    use = of_model.get(kind)
    if use is None or use.state_id != calls.known(model).state_id:
        if use is not None:
            _close(use)
        use = of_model[kind] = _begin(kind, model, training.arguments(wrapped, args, kwargs))
    call = calls.Prediction(use.id)
    calls.push(call)
    return use, perf_counter(), call


def after(
    token: tuple[Use, float, calls.Prediction] | None,
    _model: Any,
    _result: Any,
    exc: BaseException | None,
) -> None:
    """It returned: count it."""
    if token is None:
        return
    use, start, call = token
    calls.pop(call)
    if exc is not None:
        return
    use.calls += 1
    now = perf_counter()
    use.seconds += now - start
    use.last_call = clock.now()
    use.pending = True
    if now - use.written > WRITE_SECONDS:
        use.write()


def _begin(kind: str, model: Any, given: dict[str, Any]) -> Use:
    record = session.current()
    state_id = training.ensure_state(record, model)
    fit = calls.enclosing_fit(model) or loops.of(model)
    facts = guard.attempt(data.dataset, given.get("x"), given.get("y"))
    run_id = fit.run.id if fit else calls.known(model).run_id
    use = Use(record, record.uses.started(kind, run_id, state_id, facts), state_id)
    _open.append(use)
    return use


def _close(use: Use) -> None:
    use.write()
    if use in _open:
        _open.remove(use)


def finish(_exc: BaseException | None) -> None:
    """The program ends."""
    for use in list(_open):
        _close(use)
    _uses.clear()


def forget() -> None:
    """In a forked child: these are the parent's."""
    _uses.clear()
    _open.clear()
