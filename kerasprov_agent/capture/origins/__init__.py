"""Which files an array came from: by its memory, or by what it holds.

What a reader of files returned is known by a weak reference and by fingerprints.
"""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple
from weakref import ref

from kerasprov_agent import guard
from kerasprov_agent.capture.files import hashing, versions
from kerasprov_agent.capture.files.versions import Version
from kerasprov_agent.capture.origins import fingerprints
from kerasprov_agent.kinds import is_a

SAME_BUFFER = "same_buffer"
CONTENT_MATCH = "content_match"
PIPELINE = "pipeline"
DECLARED = "declared"
READ_BEFORE = "read_before"

SOURCES_LIMIT = 2000
"""So many arrays that were read are remembered ..."""
PARTS_LIMIT = 64
"""... and so many of one file: a generator may read it in small parts for ever."""
PIECES_LIMIT = 1_000_000
"""So many files of which each held one row, as images do, are remembered."""
LEAST_SHARE = 0.25
"""Minimum share of the expected rows that must match; fewer may be chance ..."""
LEAST_ROWS = 3
"""... and so many."""
LEAVES_LIMIT = 64

Files = tuple[tuple[str, Version | None], ...]
"""Paths and versions."""


class Origin(NamedTuple):
    """Files that an array came from, or what a step of the program made; how that is known."""

    files: Files
    confidence: str
    entity_id: str | None = None


class _Source:
    """What a reader returned."""

    def __init__(self, files: Files, entity_id: str | None = None) -> None:
        self.files, self.entity_id = files, entity_id
        self.length = 0
        self.rows: Any = None
        self.values: Any = None
        self.columns: Any = None


_lock = threading.Lock()
_sources: list[_Source] = []
_parts: Counter[Files] = Counter()
_owners: dict[int, tuple[Any, _Source]] = {}
_pieces: dict[int, Files] = {}


def forget() -> None:
    """The agent stops: nothing is known of any array."""
    with _lock:
        _sources.clear()
        _parts.clear()
        _owners.clear()
        _pieces.clear()


def files_of(*paths: str) -> Files:
    """Paths with their present versions."""
    return tuple((path, versions.of_path(path)) for path in paths)


def all_files(path: str) -> list[str]:
    """The files that a path stands for: itself, or all files below a directory."""
    path = versions.absolute(path)
    return hashing.files_below(path, PIECES_LIMIT) if os.path.isdir(path) else [path]


def was_read(value: Any, files: Files) -> None:
    """A reader of files returned an array, a frame, or several of them."""
    for array in leaves(value):
        with _lock:
            _parts[files] += 1
            if _parts[files] > PARTS_LIMIT or len(_sources) > SOURCES_LIMIT:
                return
        source = _Source(files)
        _own(array, source)
        guard.attempt(_describe, array, source)
        with _lock:
            _sources.append(source)


def was_made(array: Any, entity_id: str) -> None:
    """A step of the program's own made an array."""
    source = _Source((), entity_id)
    _own(array, source)
    guard.attempt(_describe, array, source)
    with _lock:
        _sources.append(source)


def piece_was_read(array: Any, file: tuple[str, Version | None]) -> None:
    """Note that a file held one row of an array, such as an image."""
    if len(_pieces) < PIECES_LIMIT:
        _own(array, _Source((file,)))
        for fingerprint in fingerprints.piece(array):
            entry = _pieces.get(fingerprint, ())
            if file not in entry:  # the same picture may lie in several files
                _pieces[fingerprint] = (*entry, file)


def follows(value: Any, origin: Any) -> None:
    """Note that an array is a selection of another one, made by a function that we wrap."""
    source = _owner_source(origin) or _owner_source(guard.attempt(_as_array, origin))
    if source is not None:
        _own(value, source)


def of(value: Any) -> list[Origin]:
    """The files that arrays, frames or tensors came from, as far as it is known."""
    origins: dict[Any, Origin] = {}
    for array in leaves(value):
        for origin in _of_array(array):
            key = origin.files, origin.entity_id
            if key not in origins or origin.confidence == SAME_BUFFER:
                origins[key] = origin
    return list(origins.values())


def leaves(value: Any) -> Iterator[Any]:
    """The arrays and frames in a structure."""
    stack, count = [value], 0
    while stack and count < LEAVES_LIMIT:
        leaf = stack.pop()
        # No other mapping: an npz or HDF5 file is one, too, and would be read as a whole.
        if is_a(leaf, dict):
            stack.extend(leaf.values())
        elif is_a(leaf, (list, tuple)):
            stack.extend(leaf[:LEAVES_LIMIT] if len(leaf) < 1000 else ())
        elif getattr(leaf, "shape", None) is not None:
            count += 1
            yield leaf


def _own(value: Any, source: _Source) -> None:
    owner = _owner(value)
    key = id(owner)
    try:
        _owners[key] = ref(owner, lambda _: _owners.pop(key, None)), source
    except TypeError:  # a kind that can't be referred to
        pass


def _owner(value: Any) -> Any:
    """The array whose memory a view looks at; anything else is its own."""
    base = getattr(value, "base", None)
    while base is not None and type(base).__module__ == "numpy":
        value, base = base, getattr(base, "base", None)
    return value


def _owner_source(array: Any) -> _Source | None:
    owner = _owner(array)
    entry = _owners.get(id(owner))
    return entry[1] if entry is not None and entry[0]() is owner else None


def _of_array(value: Any) -> Iterator[Origin]:
    source = _owner_source(value)
    if source is not None:
        yield Origin(source.files, SAME_BUFFER, source.entity_id)
        return
    array = guard.attempt(_as_array, value)
    if array is None:
        return
    source = _owner_source(array)
    if source is not None:
        yield Origin(source.files, SAME_BUFFER, source.entity_id)
        return
    name = getattr(array, "filename", None)  # of a memmap
    if is_a(name, str):
        yield Origin(files_of(name), SAME_BUFFER)
        return
    if not _is_mapped(array):
        yield from guard.attempt(lambda: list(_by_content(array))) or ()


def _is_mapped(array: Any) -> bool:
    """Whether an array lies in a file, from which a look at it would read."""
    return "memmap" in type(_owner(array)).__name__


def _as_array(value: Any) -> Any:
    """A numpy array that shares the memory of an array, tensor or frame; None where there is none.

    Nothing is copied from a device.
    """
    import numpy as np

    if is_a(value, np.ndarray):
        return value
    if hasattr(value, "dtypes") or hasattr(value, "iloc"):  # pandas
        types = {value.dtype} if value.ndim == 1 else {*value.dtypes}
        numbers = len(types) == 1 and getattr(types.pop(), "kind", "O") in "biuf"
        return value.to_numpy() if numbers else None
    module = type(value).__module__.partition(".")[0]
    if module == "torch":
        return value.detach().numpy() if value.device.type == "cpu" else None
    if module == "tensorflow":
        on_host = "CPU" in str(getattr(value, "device", ""))
        return guard.attempt(np.asarray, memoryview(value)) if on_host else None
    if module in ("jax", "jaxlib") and hasattr(value, "is_ready"):
        on_host = all(device.platform == "cpu" for device in value.devices())
        # What is still being computed is not waited for.
        return np.asarray(value) if on_host and value.is_ready() else None
    return None


def _describe(value: Any, source: _Source) -> None:
    array = _as_array(value)
    if array is not None and _is_mapped(array):
        return
    if array is not None:
        source.length = len(array) if array.ndim else 0
        source.rows = fingerprints.rows(array, fingerprints.ROWS)
        source.values = fingerprints.values(array)
    source.columns = _columns(value if hasattr(value, "iloc") else array, fingerprints.ROWS)


def _columns(value: Any, limit: int) -> Any:
    """Fingerprints of the single values of a table's columns, together."""
    import numpy as np

    if value is None or value.ndim not in (1, 2):
        return None
    if value.ndim == 2 and value.shape[1] > LEAVES_LIMIT:
        return None
    if hasattr(value, "iloc") and value.ndim == 2:  # its columns may be of several types
        tables = [value.iloc[:, i].to_numpy() for i in range(value.shape[1])]
    else:
        tables = [value.to_numpy() if hasattr(value, "to_numpy") else value]
    tables = [table[:, None] if table.ndim == 1 else table for table in tables]
    prints = [fingerprints.columns(table, limit) for table in tables]
    kept = [of_table for of_table in prints if of_table is not None]
    return np.concatenate(kept) if kept else None


def _by_content(array: Any) -> Iterator[Origin]:
    import numpy as np

    with _lock:
        sources = list(_sources)
    if _pieces:
        yield from _of_pieces(fingerprints.piece_rows(array))
    if not sources:
        return
    rows = fingerprints.rows(array, fingerprints.ROWS_COMPARED)
    values = fingerprints.values(array)
    columns = _columns(array, fingerprints.ROWS_COMPARED) if array.ndim <= 2 else None
    compared = None if rows is None else np.unique(rows)
    for source in sources:
        if (
            _equal(values, source.values)
            or _shared(np, compared, source.rows, len(array), source.length)
            or _shared(np, columns, source.columns, len(array), source.length)
        ):
            yield Origin(source.files, CONTENT_MATCH, source.entity_id)


def _equal(ours: Any, theirs: Any) -> bool:
    return ours is not None and theirs is not None and bool(ours[0] == theirs[0])


def _shared(np: Any, ours: Any, theirs: Any, length: int, of: int) -> bool:
    """Whether enough rows are shared for one array to be a selection of the other."""
    if ours is None or theirs is None or not len(ours) or not len(theirs):
        return False
    theirs = np.unique(theirs)
    share = min(1.0, fingerprints.ROWS_COMPARED / max(length, 1)) * min(1.0, length / max(of, 1))
    expected = len(theirs) * share
    return int(np.isin(theirs, ours).sum()) >= max(LEAST_ROWS, LEAST_SHARE * expected)


def _of_pieces(rows: Any) -> Iterator[Origin]:
    """The files that each hold one row of the array."""
    sources = {
        file
        for pair in (() if rows is None else rows.tolist())
        for fingerprint in pair
        for file in _pieces.get(fingerprint, ())
    }
    if sources:
        yield Origin(tuple(sorted(sources, key=lambda file: file[0])), CONTENT_MATCH)


def forked() -> None:
    """In a forked child: another thread of the parent's may have held the lock."""
    global _lock
    _lock = threading.Lock()
