"""Which files an array came from: by its memory, or by what it holds.

What a reader of files returned is known by a weak reference and by fingerprints.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from typing import Any, NamedTuple
from weakref import ref

from kerasprov_agent import guard
from kerasprov_agent.capture.files import hashing, versions
from kerasprov_agent.capture.files.marks import Marks
from kerasprov_agent.capture.files.versions import Version
from kerasprov_agent.kinds import is_a

SAME_BUFFER = "same_buffer"
CONTENT_MATCH = "content_match"
PIPELINE = "pipeline"
DECLARED = "declared"
READ_BEFORE = "read_before"

FILES_LIMIT = 1_000_000
"""So many files below a directory are what it stands for."""
PARTS_LIMIT = 64
"""So many arrays of one file are remembered: a generator may read it in small parts for ever."""
PIECES_OF_A_FILE = 4
"""So many of the first of them may be pieces, of which each is a row of something else. A file that
is read again and again has no more."""
LEAVES_LIMIT = 64

Files = tuple[tuple[str, Version | None], ...]
"""Paths and versions."""


class Origin(NamedTuple):
    """Files that an array came from, or what a step of the program made; how that is known."""

    files: Files
    confidence: str
    entity_id: str | None = None


class _Source:
    """What a reader returned, or a step made."""

    def __init__(self, files: Files, entity_id: str | None = None) -> None:
        self.files, self.entity_id = files, entity_id


class _Contents:
    """What is known of the content of arrays."""

    def __init__(self) -> None:
        from kerasprov_agent.capture.origins.contents import Pieces, Sources

        self.pieces, self.read, self.made = Pieces(), Sources(), Sources()
        self.made_before = Sources()
        """When too much was made to be remembered, the older half of it is forgotten."""


_lock = threading.Lock()
_contents: _Contents | None = None
"""Once something was read or made."""
_parts = Marks()
"""Hashes of files with the numbers of the parts of them that were read."""
_owners: dict[int, tuple[Any, _Source]] = {}


def forget() -> None:
    """The agent stops: nothing is known of any array."""
    global _contents
    with _lock:
        _contents = None
        _parts.clear()
        _owners.clear()


def files_of(*paths: str) -> Files:
    """Paths with their present versions."""
    return tuple((path, versions.of_path(path)) for path in paths)


def all_files(path: str) -> list[str]:
    """The files that a path stands for: itself, or all files below a directory."""
    path = versions.absolute(path)
    return hashing.files_below(path, FILES_LIMIT) if os.path.isdir(path) else [path]


def was_read(value: Any, files: Files) -> None:
    """A reader of files returned an array, a frame, or several of them."""
    for array in leaves(value):
        _own(array, _Source(files))
        part = _part(files)
        if part is not None:
            guard.attempt(_describe_read, array, files, part)


def _part(files: Files) -> int | None:
    """Which part of files this is that was read; None if too many were read to remember more."""
    known = hash(files)
    if hash((known, PARTS_LIMIT - 1)) in _parts:
        return None
    return next((part for part in range(PARTS_LIMIT) if _parts.add(hash((known, part)))), None)


def _describe_read(value: Any, files: Files, part: int) -> None:
    array = _array_in_memory(value)
    if array is None and not hasattr(value, "iloc"):
        return
    contents = _known_contents()
    if not contents.read.is_full():
        contents.read.add(_Source(files), array, value if hasattr(value, "iloc") else array)
    if part < PIECES_OF_A_FILE and len(files) == 1 and array is not None and array.ndim:
        contents.pieces.add(array, files[0])


def was_made(array: Any, entity_id: str) -> None:
    """A step of the program's own made an array."""
    source = _Source((), entity_id)
    _own(array, source)
    guard.attempt(_describe_made, array, source)


def _describe_made(value: Any, source: _Source) -> None:
    array = _array_in_memory(value)
    if array is None and not hasattr(value, "iloc"):
        return
    contents = _known_contents()
    with _lock:
        if contents.made.is_full():
            contents.made_before, contents.made = contents.made, type(contents.made)()
    contents.made.add(source, array, value if hasattr(value, "iloc") else array)


def piece_was_read(array: Any, file: tuple[str, Version | None]) -> None:
    """Note that a file held one row of an array, such as an image."""
    _own(array, _Source((file,)))
    part = _part((file,))
    if part is not None and part < PIECES_OF_A_FILE:
        _known_contents().pieces.add(array, file)


def _known_contents() -> _Contents:
    global _contents
    with _lock:
        if _contents is None:
            _contents = _Contents()
        return _contents


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


def _array_in_memory(value: Any) -> Any:
    """The array of a value, unless it lies in a file or, as a frame may, is none."""
    array = _as_array(value)
    return None if array is not None and _is_mapped(array) else array


def _by_content(array: Any) -> Iterator[Origin]:
    contents = _contents
    if contents is None:
        return
    pieces = contents.pieces.find(array)
    if pieces:
        yield Origin(pieces, CONTENT_MATCH)
    for known in (contents.read, contents.made_before, contents.made):
        for source in known.find(array):
            if not source.files or not {*source.files} <= {*pieces}:
                yield Origin(source.files, CONTENT_MATCH, source.entity_id)


def forked() -> None:
    """In a forked child: another thread of the parent's may have held the lock."""
    global _lock
    _lock = threading.Lock()
    if _contents is not None:
        for part in (_contents.pieces, _contents.read, _contents.made, _contents.made_before):
            part.forked()
