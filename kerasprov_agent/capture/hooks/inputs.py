"""Where the data that a model is fed came from: files, as far as that is known."""

from __future__ import annotations

from types import CodeType, GeneratorType
from typing import Any
from weakref import ref

from kerasprov_agent import guard
from kerasprov_agent.capture import origins
from kerasprov_agent.capture.describe import loaders
from kerasprov_agent.capture.files import watching
from kerasprov_agent.capture.recorder import Recorder
from kerasprov_agent.kinds import is_a


def given(record: Recorder, activity_id: str, data_id: str | None, *parts: Any) -> None:
    """Record what the parts (x, y, sample_weight) of an activity's data set came from."""
    if data_id is None or not record.execution.settings.files:
        return
    catch_up(record)
    x = parts[0]
    # What makes batches itself is no array; its attributes may be properties of the program's.
    found = origins.of([None if loaders.makes_batches(part) else part for part in parts])
    found += guard.attempt(_of_pipeline, x, activity_id) or []
    code = guard.attempt(_codes, x) or []
    source = x.dataset if loaders.is_torch(x) else x
    for one in code:
        watching.input_code.setdefault(one, []).append((ref(source), data_id, activity_id))
    if found:
        record.came_from(data_id, found)
    elif not code:
        record.came_perhaps_from(data_id)


def catch_up(record: Recorder) -> None:
    """Write down which files were seen so far; the worker has not come to it yet."""
    record.files_seen()


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
    found = [x.gi_code if is_a(x, GeneratorType) else None]
    source = x.dataset if loaders.is_torch(x) else x
    if loaders.makes_batches(x) or not (hasattr(x, "shape") or hasattr(x, "element_spec")):
        names = ("__getitem__", "__iter__", "__next__", "__call__", "__getitems__")
        found += [getattr(getattr(type(source), name, None), "__code__", None) for name in names]
    return [one for one in found if is_a(one, CodeType)]


def forget_codes(data_id: str | None) -> None:
    """The data set is no longer in use."""
    for code, held in watching.input_code.copy().items():
        left = [one for one in held if one[1] != data_id]
        if left:
            watching.input_code[code] = left
        else:
            del watching.input_code[code]


def forget() -> None:
    """In a forked child, or when the record has ended: no input is in use."""
    watching.input_code.clear()
