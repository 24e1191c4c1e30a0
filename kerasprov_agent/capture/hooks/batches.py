"""`train_on_batch`: the calls on one model are one run."""

from __future__ import annotations

from time import perf_counter
from typing import Any
from weakref import ref

from kerasprov_agent import clock
from kerasprov_agent.capture.hooks import loops, optimizers, training

WRITE_SECONDS = 1.0
"""How often the number of calls is brought up to date."""


def before(wrapped: Any, model: Any, args: Any, kwargs: Any) -> loops.Loop:
    """`train_on_batch`: the first call begins a run."""
    loops.sweep()
    loop = loops.on_batch.get(model)
    if loop is None:
        given = training.arguments(wrapped, args, kwargs)
        loop = loops.begin("train_on_batch", [model], optimizers.of_model(model), given, None)
        loops.on_batch[model] = loop
    loops.on_thread.model = ref(model)
    return loop


def after(loop: loops.Loop | None, model: Any, _result: Any, exc: BaseException | None) -> None:
    """Count it; written once a second."""
    loops.on_thread.model = None
    if loop is None or exc is not None:
        return
    loop.steps += 1
    loop.last_call = clock.now()
    if not loop.described:
        loops.describe_structure(loop, model)
    if perf_counter() - loop.written > WRITE_SECONDS:
        loop.written = perf_counter()
        loop.recorder.trainings.loop_goes_on(loop.run, loop.steps)
