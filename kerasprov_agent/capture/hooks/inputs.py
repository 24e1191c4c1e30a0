"""Where the data that a model is fed came from: files, as far as that is known."""

from __future__ import annotations

from types import CodeType, GeneratorType
from typing import Any
from weakref import ref

from kerasprov_agent import guard
from kerasprov_agent.capture import origins
from kerasprov_agent.capture.describe import loaders
from kerasprov_agent.capture.files.input_code import Input, InputCode
from kerasprov_agent.capture.files.watching import watch
from kerasprov_agent.capture.recorder import Recorder
from kerasprov_agent.kinds import is_a


def given(record: Recorder, activity_id: str, data_id: str | None, *parts: Any) -> None:
    """Record what the parts (x, y, sample_weight) of an activity's data set came from."""
    if data_id is None or not record.execution.settings.files:
        return
    catch_up(record)
    x = parts[0]
    # What makes batches itself is no array; its attributes may be properties of the program's.
    sources = origins.of([None if loaders.makes_batches(part) else part for part in parts])
    sources += guard.attempt(_of_pipeline, x, activity_id) or []
    code = guard.attempt(_codes, x) or []
    source = x.dataset if loaders.is_torch(x) else x
    if code:
        if watch.input_code is None:
            watch.input_code = InputCode()
        watch.input_code.add(code, Input(ref(source), data_id, activity_id))
    if sources:
        record.files.came_from(data_id, sources)
    elif not code:
        record.files.came_perhaps_from(data_id)


def catch_up(record: Recorder) -> None:
    """Write down which files were seen so far; the worker has not come to it yet."""
    record.files.look()


def _of_pipeline(x: Any, activity_id: str) -> list[origins.Origin]:
    """The files that a tf.data pipeline names, and where the arrays in it came from."""
    if loaders.is_torch(x):
        return origins.of(list(loaders.torch_tensors(x)))
    if loaders.makes_batches(x) or not hasattr(x, "_inputs"):
        return []
    from kerasprov_agent.capture.origins import pipelines

    pipelines.used(x, activity_id)
    return pipelines.of(x)


def _codes(x: Any) -> list[CodeType]:
    """The code by which a generator, PyDataset or DataLoader gets its data."""
    codes = [x.gi_code if is_a(x, GeneratorType) else None]
    source = x.dataset if loaders.is_torch(x) else x
    if loaders.makes_batches(x) or not (hasattr(x, "shape") or hasattr(x, "element_spec")):
        names = ("__getitem__", "__iter__", "__next__", "__call__", "__getitems__")
        codes += [getattr(getattr(type(source), name, None), "__code__", None) for name in names]
    return [code for code in codes if is_a(code, CodeType)]


def forget_codes(data_id: str | None) -> None:
    """The data set is no longer in use."""
    if watch.input_code is not None:
        watch.input_code.remove(data_id)
