"""`Model.evaluate`: the user's own, or the validation within a `fit`."""

from __future__ import annotations

from typing import Any

from kerasprov_agent import guard
from kerasprov_agent.capture.describe import data
from kerasprov_agent.capture.describe.metrics import metric
from kerasprov_agent.capture.hooks import calls, epochs, inputs, loops, training
from kerasprov_agent.capture.session import session
from kerasprov_agent.kinds import is_a


def before_evaluate(wrapped: Any, model: Any, args: Any, kwargs: Any) -> calls.Evaluation | None:
    """An evaluation begins; one that `fit` gives its CallbackList is the epoch's validation."""
    callbacks = kwargs.get("callbacks")
    fit = calls.fit_of(callbacks) if callbacks is not None else None
    if fit is not None:
        epochs.validation_begins(fit)
        return None
    given = training.arguments(wrapped, args, kwargs)
    record = session.current()
    known = calls.known(model)
    within = calls.enclosing_fit(model) or loops.of(model)
    state_id = training.ensure_state(record, model)
    training.ensure_compiled(record, model)
    if within is not None:
        state_id = known.state_id = record.models.changed(within.run, state_id, within.has_trained)
    evaluation_id, data_id = record.uses.evaluation_started(
        run_id=within.run.id if within else known.run_id,
        epoch=within.epoch.number if within and within.epoch else None,
        state_id=state_id,
        test_data=guard.attempt(
            data.dataset, given.get("x"), given.get("y"), given.get("sample_weight")
        ),
    )
    guard.call(inputs.given, record, evaluation_id, data_id, *map(given.get, training.PARTS))
    call = calls.Evaluation(record, evaluation_id, data_id)
    calls.push(call)
    return call


def before_test_end(_wrapped: Any, _callbacks: Any, args: Any, kwargs: Any) -> None:
    """The results by name: `evaluate` itself returns them as a bare list."""
    call = calls.top()
    if isinstance(call, calls.Evaluation):
        logs = args[0] if args else kwargs.get("logs")
        call.logs = dict(logs) if is_a(logs, dict) else None


def after_evaluate(
    call: calls.Evaluation | None, _model: Any, result: Any, exc: BaseException | None
) -> None:
    """Record the values that were returned, and how it ended."""
    if call is None:
        return
    calls.pop(call)
    inputs.forget_codes(call.data_id)
    values = result if is_a(result, dict) else call.logs or {}
    results = {str(name): metric(value) for name, value in values.items()}
    training.write_feed(call.recorder, None, call.data_id, call.feed_facts)
    call.recorder.uses.evaluation_ended(call.id, results, call.feed_facts or {}, exc)
