"""`Model.compile` and `Model.fit`, and the feed that `fit` makes of its input."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any
from weakref import WeakKeyDictionary

from kerasprov_agent import clock, guard
from kerasprov_agent.capture.describe import data, distribution, feeds, models
from kerasprov_agent.capture.describe.values import integer, public_name, storable, to_json
from kerasprov_agent.capture.hooks import calls, frames, inputs, optimizers, packages, searches
from kerasprov_agent.capture.patching import wrapping
from kerasprov_agent.capture.recorder import Recorder, Run
from kerasprov_agent.capture.session import session
from kerasprov_agent.kinds import is_a

DATA = frozenset(("x", "y", "sample_weight", "validation_data", "callbacks"))
"""Arguments of `fit` that are described apart; the rest are parameters of the run."""

PARTS = ("x", "y", "sample_weight")

_signatures: WeakKeyDictionary[Any, inspect.Signature] = WeakKeyDictionary()


def arguments(function: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a bound method by name, defaults included."""
    key = getattr(function, "__func__", None)
    signature = _signatures.get(key) if key is not None else None
    if signature is None:
        signature = inspect.signature(function)
        if key is not None:
            _signatures[key] = signature
    try:
        bound = signature.bind(*args, **kwargs)
    except TypeError:  # Keras is about to say so itself
        return dict(kwargs)
    bound.apply_defaults()
    values = dict(bound.arguments)
    for name, parameter in signature.parameters.items():
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            values.update(values.pop(name))
    return values


def before_compile(wrapped: Any, _model: Any, args: Any, kwargs: Any) -> tuple[float, Any]:
    """Note when it began, and its arguments until it has ended."""
    wrapping.restore()
    return clock.now(), arguments(wrapped, args, kwargs)


def after_compile(
    token: tuple[float, Any] | None, model: Any, _result: Any, exc: BaseException | None
) -> None:
    """Record what the model is compiled with; a `compile` that raised compiled nothing."""
    if exc is not None or token is None:
        return
    started, given = token
    record = session.current()
    known = calls.known(model)
    facts = {**models.compiled(model, given), **_optimizer(model)}
    known.compile_id, known.state_id = record.models.compiled(
        known.state_id, started, facts, *identity(model)
    )


def ensure_state(record: Recorder, model: Any) -> str:
    """The entity of the model in its present state, made when the model is first seen."""
    known = calls.known(model)
    if known.state_id is None:
        known.state_id = record.models.seen(*identity(model))
    return known.state_id


def identity(model: Any) -> tuple[str | None, str]:
    """A model's name and class."""
    return guard.attempt(lambda: str(model.name)), public_name(type(model))


def ensure_compiled(record: Recorder, model: Any) -> str | None:
    """The compile in force; described now where it happened before the agent was armed."""
    known = calls.known(model)
    if known.compile_id is None and getattr(model, "optimizer", None) is not None:
        config = getattr(getattr(model, "_compile_config", None), "config", None) or {}
        facts = {**models.compiled(model, config), **_optimizer(model)}
        known.compile_id = record.models.found_compiled(ensure_state(record, model), facts)
    return known.compile_id


def _optimizer(model: Any) -> dict[str, Any]:
    facts = optimizers.describe(getattr(model, "optimizer", None))
    if facts is None:
        return {"optimizer": None, "learning_rate": None, "optimizer_config": None}
    return {
        "optimizer": facts["class_name"],
        "learning_rate": facts["learning_rate"],
        "optimizer_config": to_json(facts["config"]),
    }


@guard.begins
def before_fit(wrapped: Any, model: Any, args: Any, kwargs: Any) -> calls.Fit:
    """A run begins: record it before Keras prepares anything, which may take minutes."""
    return start_run(model, arguments(wrapped, args, kwargs))


def start_run(model: Any, given: Mapping[str, Any]) -> calls.Fit:
    """Record a run of `model` and make it the innermost call of this thread."""
    calls.settle(model)
    record = session.current()
    outer = calls.enclosing_fit()
    held_optimizers = optimizers.of_model(model)
    trial_id, hyperparameters = searches.current_trial()
    run = record.trainings.started(
        kind="fit",
        parent_id=outer.run.id if outer else None,
        caller=frames.calling_module(),
        trial_id=trial_id,
        state_id=ensure_state(record, model),
        compile_id=ensure_compiled(record, model),
        loss=models.name_of(getattr(model, "loss", None)),
        optimizers=[optimizer.row for optimizer in held_optimizers],
        params={
            "fit": _plain_arguments(given),
            "trial": hyperparameters,
            "distribution": distribution.distribution(model),
            "keras": packages.in_use(model, record),
        },
        training_data=_training_data(given),
        validation_data=_validation_data(given),
        validation_source=_validation_source(given),
    )
    try:
        return _begun(record, run, model, given, held_optimizers)
    except BaseException as exc:  # Ctrl-C, or a signal handler that raises: Keras is not called
        calls.pop_run(run)
        record.trainings.ended(run, ensure_state(record, model), exc, trained=False, optimizers=[])
        raise


def _begun(
    record: Recorder, run: Run, model: Any, given: Mapping[str, Any], held_optimizers: list[Any]
) -> calls.Fit:
    validation = given.get("validation_data")
    guard.call(inputs.given, record, run.id, run.training_data_id, *map(given.get, PARTS))
    guard.call(
        inputs.given,
        record,
        run.id,
        run.validation_data_id,
        *(validation if is_a(validation, (tuple, list)) else (validation,)),
    )
    call = calls.Fit(record, run, model)
    call.first_epoch = integer(given.get("initial_epoch")) or 0
    call.optimizers = held_optimizers
    calls.push(call)
    return call


def _plain_arguments(given: Mapping[str, Any]) -> dict[str, Any]:
    return {name: storable(value) for name, value in given.items() if name not in DATA}


def _training_data(given: Mapping[str, Any]) -> dict[str, Any] | None:
    return guard.attempt(data.dataset, given.get("x"), given.get("y"), given.get("sample_weight"))


def _validation_data(given: Mapping[str, Any]) -> dict[str, Any] | None:
    given_data = given.get("validation_data")
    if is_a(given_data, (tuple, list)):
        return guard.attempt(data.dataset, *given_data[:3])
    return guard.attempt(data.dataset, given_data)


def _validation_source(given: Mapping[str, Any]) -> str | None:
    if given.get("validation_data") is not None:
        return "validation_data"
    return "validation_split" if given.get("validation_split") else None


def after_feed(_token: None, feed: Any, _result: Any, exc: BaseException | None) -> None:
    """Note the batch size and number of batches that Keras derived for a call."""
    call = calls.top()
    if exc is not None or not isinstance(call, (calls.Fit, calls.Evaluation)):
        return
    facts = guard.attempt(feeds.feed, feed)
    if isinstance(call, calls.Evaluation) or call.callbacks is None:
        call.feed_facts = facts
    else:
        call.validation_facts = facts


def after_fit(call: calls.Fit | None, _model: Any, _result: Any, exc: BaseException | None) -> None:
    """Record that the run has ended, normally or by an exception."""
    if call is not None:
        end_run(call, exc)


def end_run(call: calls.Fit, exc: BaseException | None) -> None:
    """Record the end of a run and the state in which it left the model."""
    calls.pop(call)
    for data_id in (call.run.training_data_id, call.run.validation_data_id):
        inputs.forget_codes(data_id)
    if call.sampler is not None:
        call.sampler.stop()
    if call.callbacks is not None:
        call.callbacks.__dict__.pop("on_train_batch_end", None)
    if not call.described:
        describe_architecture(call)
    write_feeds(call)
    run, known = call.run, calls.known(call.model)
    after = [optimizer.after() for optimizer in call.optimizers]
    columns: dict[str, Any] = {
        "epochs_finished": run.epochs,
        "stopped_early": None if exc is not None else _stopped_early(call),
        "validation_samples": (call.validation_facts or {}).get("samples"),
    }
    if run.epochs:
        columns.update(optimizers.used_ones(call.optimizers))
    known.state_id = call.recorder.trainings.ended(
        run,
        ensure_state(call.recorder, call.model),
        exc,
        trained=bool(run.epochs),
        optimizers=after,
        **columns,
    )
    known.run_id = run.id


def _stopped_early(call: calls.Fit) -> int | None:
    """Whether epochs were left to do; None where it is not known how many were planned.

    `epochs` is the number of the last epoch, from which `initial_epoch` is not subtracted.
    """
    planned = call.run.planned
    if planned is None:
        return None
    return int(call.last_epoch is not None and call.last_epoch + 1 < planned)


def write_feeds(call: calls.Fit) -> None:
    """Record what the inputs turned out to be, once Keras has looked at them."""
    run = call.run
    write_feed(call.recorder, run, run.training_data_id, call.feed_facts)
    write_feed(call.recorder, run, run.validation_data_id, call.validation_facts)


def write_feed(
    record: Recorder, run: Run | None, data_id: str | None, facts: dict[str, Any] | None
) -> None:
    """Record the first batch of an input that makes batches itself, and how many it has."""
    if not facts or not data_id:
        return
    arrays, facts["arrays"] = facts["arrays"], None
    if arrays:
        record.trainings.batch_seen(run, data_id, arrays)
    batches, facts["own_batches"] = facts["own_batches"], None
    if batches is not None:
        record.trainings.batches_counted(data_id, batches)


def describe_architecture(call: calls.Fit) -> None:
    """Record the model's structure, once its variables are there."""
    facts = guard.attempt(models.architecture, call.model)
    if facts is not None:
        call.described = facts["parameters"] is not None
        call.recorder.trainings.architecture_seen(call.run, facts)
