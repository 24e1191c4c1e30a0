"""Trainings without `fit`: `train_on_batch`, and loops of the program over an optimizer.

A loop of the program is seen when its optimizer is built, which happens once; nothing is done a
step. How many steps it took stands in the optimizer's own counter when it is over: when the
optimizer is gone, its model goes into a `fit`, or the program ends.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Mapping
from time import perf_counter
from typing import Any
from weakref import ref

from kerasprov_agent import clock, guard
from kerasprov_agent.capture.describe import data, distribution, models
from kerasprov_agent.capture.describe import optimizers as describe
from kerasprov_agent.capture.device import meters
from kerasprov_agent.capture.hooks import (
    calls,
    frames,
    optimizers,
    owners,
    packages,
    searches,
    training,
)
from kerasprov_agent.capture.hooks.weak import ByIdentity, Objects
from kerasprov_agent.capture.recorder import Recorder, Run
from kerasprov_agent.capture.session import session

APPLYING = frozenset(("apply", "apply_gradients", "minimize"))


class Loop:
    """A training without `fit` that is in progress."""

    epoch = None

    def __init__(self, recorder: Recorder, run: Run, models: list[Any], code: Any) -> None:
        self.recorder, self.run, self.code = recorder, run, code
        self.thread = threading.get_ident()
        self.models = Objects(models)
        self.optimizers: list[optimizers.Held] = []
        self.rates: ByIdentity[float | None] = ByIdentity()
        self.steps = 0
        self.has_trained = True
        self.last_call: float | None = None
        self.written = perf_counter()
        self.described = False
        self._watching: list[ref[Any]] = []

    def add(self, held_optimizer: optimizers.Held) -> None:
        """An optimizer takes part."""
        self.optimizers.append(held_optimizer)
        optimizer = held_optimizer.optimizer()
        self._watching.append(ref(optimizer, lambda _: _gone.append((self, clock.now()))))
        self.rates[optimizer] = held_optimizer.row["learning_rate"]


_loops: list[Loop] = []
_gone: deque[tuple[Loop, float]] = deque()
_lock = threading.RLock()
_built = Objects()
on_batch: ByIdentity[Loop] = ByIdentity()
"""The loop of each model that is trained by `train_on_batch`."""
on_thread = threading.local()
"""`model`: a weak reference to the one whose `train_on_batch` is at work on this thread."""


def optimizer_built(args: Any, optimizer: Any, _result: Any, _exc: BaseException | None) -> None:
    """An optimizer got its variables: in a loop of the program's own, training begins."""
    if args:
        optimizers.remember_variables(optimizer, args[0])
    if _is_of_a_call(optimizer) or any(_is_inner(frame, optimizer) for frame in frames.callers()):
        return
    code, through = None, set()
    for frame in frames.callers():
        if not frames.is_library(frame):
            code = frame.f_code
            break
        through.add(frame.f_code.co_name.removeprefix("tf__"))  # as AutoGraph renames them
    if through & APPLYING:
        with meters.outside_of_graphs():
            _start(optimizer, code, args[0] if args else ())
    elif code is not None and through <= {"build", "wrapper"}:
        _built.add(optimizer)


def stateless_applied(_args: Any, optimizer: Any, _result: Any, _exc: BaseException | None) -> None:
    """JAX: called when a step is traced, by an optimizer that the program has built itself."""
    if optimizer in _built and not _is_of_a_call(optimizer):
        frame = next((f for f in frames.callers() if not frames.is_library(f)), None)
        _start(optimizer, frame.f_code if frame else None, optimizer._trainable_variables)


def of(model: Any) -> Loop | None:
    """The loop in progress that trains a model."""
    return next((loop for loop in _loops if model in loop.models), None)


def assigned(optimizer: Any, new: float | None) -> None:
    """The learning rate of an optimizer was set by hand."""
    for loop in _loops:
        if optimizer in loop.rates:
            old = loop.rates.get(optimizer)
            if new is not None and (old is None or not describe.same_float32(old, new)):
                loop.rates[optimizer] = new
                by = frames.actor()
                loop.recorder.trainings.changed(loop.run, None, "learning_rate", old, new, by)


def settle(model: Any) -> None:
    """A loop that trained this model is over: something else begins with it."""
    sweep()
    loop = of(model)
    if loop is not None:
        _end(loop, loop.last_call, None)


def finish(exc: BaseException | None) -> None:
    """The program ends; so do its loops."""
    sweep()
    for optimizer in list(_built):
        if (describe.iterations(optimizer) or 0) > 0:
            _start(optimizer, None, getattr(optimizer, "_trainable_variables", ()))
    for loop in list(_loops):
        _end(loop, loop.last_call, exc)


def forget() -> None:
    """In a forked child: these are the parent's."""
    _loops.clear()
    _gone.clear()
    on_batch.clear()


def _is_of_a_call(optimizer: Any) -> bool:
    """Whether it belongs to a model that is in a `fit` or `train_on_batch`, on any thread."""
    model_on_thread = getattr(on_thread, "model", None)
    in_progress = [
        *(call.model for call in calls.fits()),
        model_on_thread() if model_on_thread else None,
    ]
    return any(
        optimizer is candidate or optimizer is getattr(candidate, "inner_optimizer", None)
        for model in in_progress
        if model is not None
        for _, candidate in describe.of_model(model)
    )


def _is_inner(frame: Any, optimizer: Any) -> bool:
    """Whether this is the `build` of a LossScaleOptimizer around it."""
    if frame.f_code.co_name != "build" or not frames.is_library(frame):
        return False
    return getattr(frames.instance(frame), "inner_optimizer", None) is optimizer


def _start(optimizer: Any, code: Any, variables: Iterable[Any]) -> None:
    """Record a loop, or that one in progress has another optimizer, as a GAN's has."""
    _built.discard(optimizer)
    if any(optimizer in loop.rates for loop in _loops):
        return  # Keras 2 builds it twice
    sweep()
    models = list(owners.with_variables(set(map(id, variables))))
    with _lock:
        for loop in _loops:
            if code is not None and loop.code is code and _has_just_begun(loop):
                _join(loop, _held(models, optimizer), models)
                return
    for model in models:
        settle(model)
    loop = begin("loop", models, [_held(models, optimizer)], {}, code)
    for model in models[:1]:
        describe_structure(loop, model)


def begin(
    kind: str,
    owning_models: list[Any],
    optimizers_held: list[optimizers.Held],
    given: Mapping[str, Any],
    code: Any,
) -> Loop:
    """Record that a training of the models `found`, by the optimizers `held`, begins."""
    record = session.current()
    outer = calls.enclosing_fit()
    for model in owning_models:
        settle(model)
    first = owning_models[0] if owning_models else None
    own = getattr(first, "optimizer", None)
    compiled = own is not None and any(
        optimizer.optimizer() is own for optimizer in optimizers_held
    )
    trial_id, hyperparameters = searches.current_trial()
    run = record.trainings.started(
        kind=kind,
        parent_id=outer.run.id if outer else None,
        caller=frames.calling_module(),
        trial_id=trial_id,
        state_id=training.ensure_state(record, first) if owning_models else None,
        compile_id=training.ensure_compiled(record, first) if compiled else None,
        loss=models.name_of(getattr(first, "loss", None)) if compiled else None,
        optimizers=[optimizer.row for optimizer in optimizers_held],
        params={
            "trial": hyperparameters,
            "distribution": distribution.distribution(first),
            "keras": packages.in_use(
                optimizers_held[0].optimizer() if optimizers_held else first, record
            ),
        },
        training_data=_first_batch(given),
        validation_data=None,
        validation_source=None,
    )
    loop = Loop(record, run, owning_models, code)
    for optimizer in optimizers_held:
        loop.add(optimizer)
    for model in owning_models:
        calls.known(model).run_id = run.id
        training.ensure_state(record, model)
    with _lock:
        _loops.append(loop)
    return loop


def _first_batch(given: Mapping[str, Any]) -> dict[str, Any] | None:
    """What the first call was given; of how many samples later ones are is not known."""
    facts = guard.attempt(data.dataset, given.get("x"), given.get("y"))
    return facts and {**facts, "samples": None}


def _join(loop: Loop, optimizer: optimizers.Held, models: list[Any]) -> None:
    loop.recorder.trainings.optimizer_joined(loop.run, len(loop.optimizers), optimizer.row)
    loop.add(optimizer)
    for model in models:
        loop.models.add(model)
        calls.known(model).run_id = loop.run.id
        training.ensure_state(loop.recorder, model)


def describe_structure(loop: Loop, model: Any) -> None:
    """Record the model's structure, once its variables are there."""
    facts = guard.attempt(models.architecture, model)
    if facts is not None:
        loop.described = facts["parameters"] is not None
        loop.recorder.trainings.architecture_seen(loop.run, facts)


def _held(models: list[Any], optimizer: Any) -> optimizers.Held:
    """It is just being built, maybe while a graph is traced: it has not counted yet."""
    candidates = (
        (name, candidate) for model in models for name, candidate in describe.of_model(model)
    )
    attribute = next((name for name, candidate in candidates if candidate is optimizer), None)
    return optimizers.Held(attribute, optimizer, before=0)


def _has_just_begun(loop: Loop) -> bool:
    """Whether its optimizers have done no more than a step, as far as can be told."""
    if loop.thread != threading.get_ident():
        return False
    return all((describe.count(optimizer.counter) or 0) <= 1 for optimizer in loop.optimizers)


def sweep() -> None:
    """End the loops whose optimizers are gone."""
    while _gone:
        loop, at = _gone.popleft()
        if loop in _loops and all(optimizer.optimizer() is None for optimizer in loop.optimizers):
            _end(loop, at, None)


def _end(loop: Loop, at: float | None, exc: BaseException | None) -> None:
    with _lock:
        if loop not in _loops:
            return
        _loops.remove(loop)
    after = [optimizer.after() for optimizer in loop.optimizers]
    steps: int | None = loop.steps
    if loop.last_call is None:
        # A step of JAX without a state leaves the counter at rest: then nobody has counted.
        steps = max(
            (optimizer.steps for optimizer in loop.optimizers if optimizer.steps), default=None
        )
    for model in list(loop.models):
        on_batch.pop(model)
    first = next(iter(loop.models), None)
    known = calls.known(first) if first is not None else None
    trained = loop.recorder.trainings.ended(
        loop.run,
        known.state_id if known else None,
        exc,
        trained=steps != 0,
        ended_at=at,
        optimizers=after,
        steps=steps,
        **(optimizers.used_ones(loop.optimizers) if steps else {}),
    )
    for model in loop.models:
        state = calls.known(model)
        if model is first:
            state.state_id = trained
        elif state.state_id is not None:
            state.state_id = loop.recorder.models.changed(loop.run, state.state_id, True)


calls.settling.append(settle)
