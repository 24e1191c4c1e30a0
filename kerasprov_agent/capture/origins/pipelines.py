"""`tf.data` pipelines: where what they give came from, and the files that they write themselves.

`save` writes while it is called; `cache` and `snapshot` write when the pipeline is iterated over,
so that what they are expected to write is looked for when something else begins, and at the end.
"""

from __future__ import annotations

import os
import sys
from typing import Any
from weakref import WeakSet

from kerasprov_agent import guard
from kerasprov_agent.capture import origins
from kerasprov_agent.capture.describe import tf_data
from kerasprov_agent.capture.files import hashing, versions
from kerasprov_agent.capture.files.versions import Version
from kerasprov_agent.capture.files.watching import watch
from kerasprov_agent.capture.origins import Origin
from kerasprov_agent.capture.patching import functions

FILES_LIMIT = 10_000

Files = dict[str, Version | None]


class _Expected:
    """Files that a step of a pipeline writes once it is iterated over."""

    def __init__(self, target: str, sources: list[Origin]) -> None:
        self.target, self.origins = target, sources
        self.known = _files_at(target)
        self.activity: str | None = None


_expected: dict[str, _Expected] = {}
"""By the path that the program gave."""
_iterated: WeakSet[Any] = WeakSet()


def install(module: Any) -> None:
    """Wrap what makes pipelines of an imported TensorFlow write and read files."""
    dataset = module.data.Dataset
    functions.apply(dataset, "save", _before_save, _saved)
    functions.apply(dataset, "cache", _before_later, _will_write)
    functions.apply(dataset, "snapshot", _before_later, _will_write)
    functions.apply(dataset, "__iter__", _before_iteration, _iterating)
    writer = getattr(module.data.experimental, "TFRecordWriter", None)
    if writer is not None:
        functions.apply(writer, "write", _before_write, _saved)


def of(x: Any) -> list[Origin]:
    """The files that a pipeline names, and where the arrays in it came from."""
    sources = [
        origin
        for node in tf_data.nodes(x)
        for tensor in getattr(node, "_tensors", None) or ()
        if getattr(tensor.dtype, "name", None) != "string"
        for origin in origins.of(tensor)
    ]
    paths = [path for origin in tf_data.paths(x) for path in origins.all_files(origin)]
    if paths:
        sources.append(Origin(origins.files_of(*paths), origins.PIPELINE))
    return sources


def used(x: Any, activity_id: str) -> None:
    """An activity iterates over a pipeline: what that writes is made by it."""
    settle()
    if _expected and hasattr(x, "_inputs"):
        for node in tf_data.nodes(x):
            target = tf_data.target(node)
            expected = _expected.get(versions.absolute(target)) if target else None
            if expected is not None:
                expected.activity = activity_id


def settle() -> None:
    """Tell of the files that pipelines have written since the last time."""
    for expected in list(_expected.values()):
        now = _files_at(expected.target)
        _tell(_new(now, expected.known), expected.origins, expected.activity)
        expected.known = now


def forget() -> None:
    """In a forked child, or when the agent stops: these pipelines are the parent's, or over."""
    _expected.clear()


def _is_at_work() -> bool:
    """Whether TensorFlow executes what it is told; in a graph a path is a symbol."""
    return not watch.is_quiet() and sys.modules["tensorflow"].executing_eagerly()


def _before_save(_function: Any, args: Any, kwargs: Any) -> Any:
    return _begun(args[0], args[1] if len(args) > 1 else kwargs.get("path"))


def _before_write(_function: Any, args: Any, kwargs: Any) -> Any:
    dataset = args[1] if len(args) > 1 else kwargs.get("dataset")
    return _begun(dataset, getattr(args[0], "_filename", None))


def _begun(dataset: Any, path: Any) -> tuple[str, Files, list[Origin]] | None:
    target = tf_data.path_of(path) if _is_at_work() else None
    if target is None:
        return None
    return target, _files_at(target), guard.attempt(of, dataset) or []


def _saved(token: tuple[str, Files, list[Origin]], _result: Any, exc: BaseException | None) -> None:
    target, before, sources = token
    if exc is None:
        _tell(_new(_files_at(target), before), sources, None)


def _before_later(_function: Any, args: Any, _kwargs: Any) -> Any:
    return args[0] if _is_at_work() else None


def _will_write(dataset: Any, result: Any, exc: BaseException | None) -> None:
    target = None if exc is not None else tf_data.target(result)
    if target is not None:
        settle()
        target = versions.absolute(target)
        _expected[target] = _Expected(target, guard.attempt(of, dataset) or [])


def _before_iteration(_function: Any, args: Any, _kwargs: Any) -> Any:
    # What an activity of Keras' is fed is known as its input.
    at_work = watch.activity() is None and args[0] not in _iterated and _is_at_work()
    return args[0] if at_work else None


def _iterating(dataset: Any, _result: Any, exc: BaseException | None) -> None:
    """The program itself reads the files of a pipeline."""
    if exc is None:
        _iterated.add(dataset)
        for names in guard.attempt(tf_data.paths, dataset) or ():
            for path in origins.all_files(names):
                watch.note(path)


def _files_at(target: str) -> Files:
    """What lies there: a file, the files of a cache, all those below a directory."""
    if os.path.isdir(target):
        paths = hashing.files_below(target, FILES_LIMIT)
    else:
        paths = [target, *tf_data.files_of_cache(target)]
    versions_at = {path: versions.of_path(path) for path in paths}
    return {path: version for path, version in versions_at.items() if version is not None}


def _new(now: Files, before: Files) -> list[str]:
    return [path for path, version in now.items() if before.get(path) != version]


def _tell(paths: list[str], sources: list[Origin], activity: str | None) -> None:
    for path in paths:
        # A cache that was read before is no source of itself.
        other = [origin for origin in sources if path not in dict(origin.files)]
        watch.note_origins(path, other, activity)


def finish(_exc: BaseException | None) -> None:
    """The record ends: what is still open is told of."""
    settle()
