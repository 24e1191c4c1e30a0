"""`tf.io.TFRecordWriter`: which files the records that a program writes came from.

A record is bytes: an Example with numbers or with what was made of an array, the content of a file.
What it holds is looked at and known again as arrays are; the records themselves are not kept.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from weakref import ref

from kerasprov_agent import guard
from kerasprov_agent.capture import origins
from kerasprov_agent.capture.describe import tf_data
from kerasprov_agent.capture.files import versions
from kerasprov_agent.capture.files.versions import Version
from kerasprov_agent.capture.files.watching import watch
from kerasprov_agent.capture.origins import Files, Origin
from kerasprov_agent.capture.patching import functions
from kerasprov_agent.capture.patching.unseen import unseen
from kerasprov_agent.kinds import is_a
from kerasprov_agent.tracebacks import drop_frames

RECORDS = 256
"""So many records are looked at together ..."""
BYTES_LIMIT = 16 << 20
"""... or of so many bytes."""
REST_LIMIT = 16_384
"""Where they come from a file that is known already, ever more are passed over, so many at most."""
RAW = ("float32", "float64", "uint8", "int64", "int32", "uint16", "int16", "float16")
"""What the bytes of an array may be of."""


class _Sample:
    """What was seen of the records that go into a file."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.resting = 0
        self._rest = RECORDS
        self._records: list[bytes] = []
        self._bytes = 0
        self._origins: dict[Files, str] = {}
        self._pieces: dict[str, Version | None] = {}
        self._last: str | None = None

    def add(self, record: Any) -> None:
        """A record was written."""
        if not is_a(record, bytes):
            return
        if not self._is_of_last_file(record):
            self._records.append(record)
            self._bytes += len(record)
            if len(self._records) >= RECORDS or self._bytes > BYTES_LIMIT:
                self._look()

    def _is_of_last_file(self, record: bytes) -> bool:
        """Whether the record holds what the file holds that was read last."""
        path = watch.last_read()
        if path is None or path == self._last:
            return False
        self._last = path
        file = _file_within(record, path)
        self._pieces.update([file] if file else [])
        return file is not None

    def _look(self) -> None:
        records, self._records, self._bytes = self._records, [], 0
        pieces = len(self._pieces)
        for origin in origins.of(list(_arrays(records))):
            if len(origin.files) > 1:
                self._pieces.update(origin.files)
            else:
                self._origins.setdefault(origin.files, origin.confidence)
        if len(self._pieces) == pieces:  # each record of a file of its own is looked at
            self.resting, self._rest = self._rest, min(2 * self._rest, REST_LIMIT)

    def tell(self) -> None:
        """The file is whole, or looked at for the last time."""
        self._look()
        sources = [Origin(files, confidence) for files, confidence in self._origins.items()]
        if self._pieces:
            sources.append(Origin(tuple(sorted(self._pieces.items())), origins.CONTENT_MATCH))
        if sources:
            watch.note_origins(self.path, sources)


_open: dict[int, tuple[ref[Any], _Sample]] = {}
_over: list[_Sample] = []


def install(module: Any) -> None:
    """Wrap the writer of records of an imported TensorFlow."""
    functions.apply(module.io.TFRecordWriter, "__init__", _before, _opened)
    functions.replace(module.io.TFRecordWriter, "write", _observed)
    functions.apply(module.io.TFRecordWriter, "close", lambda _f, args, _k: args[0], _closed)


def of_content(content: bytes) -> list[Origin]:
    """Where the content of a file came from that the program read as a whole."""
    path = watch.last_read()
    file = _file_within(content, path) if path is not None else None
    return (
        origins.of(list(_arrays([content])))
        if file is None
        else [Origin((file,), origins.CONTENT_MATCH)]
    )


def _file_within(content: bytes, path: str) -> tuple[str, Version | None] | None:
    """A file, if it is not empty and its whole content is part of this one."""
    version = versions.of_path(path)
    if version is None or not 0 < version[2] <= len(content):
        return None
    with watch.quiet():
        return (path, version) if Path(path).read_bytes() in content else None


def settle() -> None:
    """Tell of the files whose writers are gone."""
    while _over:
        _over.pop().tell()


def _before(_function: Any, args: Any, kwargs: Any) -> tuple[Any, str] | None:
    path = tf_data.path_of(args[1] if len(args) > 1 else kwargs.get("path"))
    return None if path is None or watch.is_quiet() else (args[0], path)


def _opened(token: tuple[Any, str], _result: Any, exc: BaseException | None) -> None:
    writer, path = token
    if exc is not None:
        return
    settle()
    watch.note(path, written=True)
    key, sample = id(writer), _Sample(path)

    def gone(_: Any) -> None:  # maybe in the midst of anything: what it takes is done later
        _open.pop(key, None)
        _over.append(sample)

    writer_ref = ref(writer, gone)
    _open[key] = writer_ref, sample


def _observed(original: Any) -> Any:
    """`write` of all writers. A million records must not notice it: no wrapper of wrapt's."""

    @unseen
    def write(*args: Any, **kwargs: Any) -> Any:
        try:
            result = original(*args, **kwargs)
        except BaseException as exc:
            drop_frames(exc)
            raise
        entry = _open.get(id(args[0]))
        if entry is not None:
            sample = entry[1]
            if sample.resting:
                sample.resting -= 1
            else:
                guard.call(sample.add, args[1] if len(args) > 1 else kwargs.get("record"))
        return result

    return write


def _closed(writer: Any, _result: Any, _exc: BaseException | None) -> None:
    entry = _open.pop(id(writer), None)
    if entry is not None:
        entry[1].tell()


def _arrays(records: list[bytes]) -> Iterator[Any]:
    """The arrays that records may have been made of, a row a record."""
    import numpy as np

    features: dict[tuple[str, Any, int], list[Any]] = {}
    for record in records:
        for name, values in guard.attempt(_features, record) or [("", record)]:
            for kind, array in _decoded(np, values):
                features.setdefault((name, kind, array.size), []).append(array)
    for (_, kind, size), rows in features.items():
        if kind == "tensor" and len(rows) == 1:
            yield rows[0]
        elif size == 1:
            yield np.concatenate([row.reshape(1) for row in rows])
        elif size:
            yield np.stack([row.reshape(-1) for row in rows])


def _features(record: bytes) -> list[tuple[str, Any]]:
    """The features of an Example by name; none where a record is something else."""
    example = sys.modules["tensorflow"].train.Example.FromString(record)
    features = []
    for name, feature in example.features.feature.items():
        kind = feature.WhichOneof("kind")
        if kind == "bytes_list":
            features += [
                (f"{name}/{i}", item) for i, item in enumerate(feature.bytes_list.value[:16])
            ]
        elif kind is not None:
            features.append((name, getattr(feature, kind).value))
    return features


def _decoded(np: Any, values: Any) -> Iterator[tuple[str, Any]]:
    if not is_a(values, bytes):
        numbers = np.array(values)
        yield (
            numbers.dtype.name,
            numbers.astype("float32") if numbers.dtype.kind == "f" else numbers,
        )
        return
    tensor = guard.attempt(_tensor, values)
    if tensor is not None and tensor.dtype.kind in "biuf":
        yield "tensor", tensor
        return
    for kind in RAW:
        if values and len(values) % np.dtype(kind).itemsize == 0:
            yield kind, np.frombuffer(values, kind)


def _tensor(values: bytes) -> Any:
    """The array of which `tf.io.serialize_tensor` made bytes."""
    tensorflow: Any = sys.modules["tensorflow"]
    proto = type(tensorflow.make_tensor_proto(0)).FromString(values)
    return tensorflow.make_ndarray(proto) if proto.dtype and proto.tensor_content else None


def finish(_exc: BaseException | None) -> None:
    """The record ends: what is still open is told of."""
    settle()
    while _open:
        _open.popitem()[1][1].tell()


def forget() -> None:
    """In a forked child, or when the agent stops: what was written is the parent's, or told of."""
    _open.clear()
    _over.clear()
