"""A `tf.data` pipeline: its steps, files, batch size and shuffling. Walked, never iterated over."""

from __future__ import annotations

import os
from collections.abc import Iterator
from glob import escape, glob
from typing import Any, NamedTuple

from kerasprov_agent import guard
from kerasprov_agent.capture.describe import numbers
from kerasprov_agent.capture.describe.values import public_name
from kerasprov_agent.capture.files import versions
from kerasprov_agent.kinds import is_a

FILE_LIMIT = 100
"""So many files of a pipeline are named; of more the first and how many there are."""
STEP_LIMIT = 64
DEFAULT_SEED = 87654321
"""What TensorFlow puts in place of a global seed that was not set."""


def batches(x: Any) -> int | None:
    """How many batches an epoch has; None where TensorFlow can't tell, or would be seen to."""
    if not hasattr(x, "cardinality") or numbers.is_seen("tensorflow"):
        return None
    number = guard.attempt(lambda: int(x.cardinality()))
    return number if number is not None and number >= 0 else None


class Count(NamedTuple):
    """How much a pipeline gives in an epoch: samples, in elements of `size` samples each."""

    samples: int
    elements: int
    size: int | None = None
    """None: not in batches."""


THE_SAME = frozenset(
    ("Map", "ParallelMap", "Shuffle", "Prefetch", "Cache", "Options", "Assert", "Snapshot")
)
"""Steps that give as many elements as they get."""


def samples(x: Any) -> int | None:
    """How many samples an epoch has; None where that depends on what is read.

    Told from the sizes of the tensors at the sources; nothing is executed.
    """
    count = _count(x)
    return count.samples if count else None


def _count(node: Any) -> Count | None:
    name = _name(node)
    if name == "TensorSlice":
        size = int(node._tensors[0].shape[0])
        return Count(size, size)
    counts = [of_input for source in node._inputs() if (of_input := _count(source)) is not None]
    if not counts or len(counts) < len(node._inputs()):
        return None
    first = min(counts, key=lambda source: source.elements)
    if name in THE_SAME or name == "Zip":
        return first
    count = number(node, "_count")
    if name in ("Batch", "ParallelBatch"):
        in_batch = number(node, "_batch_size")
        is_whole = bool(number(node, "_drop_remainder"))
        return _batched(first, in_batch, is_whole) if in_batch else None
    if name == "Take" and count is not None:
        return _first(first, count) if count >= 0 else first
    if name == "Skip" and count is not None and count >= 0:
        skipped = _first(first, count)
        return Count(first.samples - skipped.samples, first.elements - skipped.elements, first.size)
    if name == "Repeat" and count is not None and count >= 0:
        return Count(first.samples * count, first.elements * count, first.size)
    return None


def _batched(given: Count, size: int, is_whole: bool) -> Count | None:
    if given.size is not None:
        return None
    kept = given.samples // size * size if is_whole else given.samples
    return Count(kept, -(-kept // size), size)


def _first(given: Count, elements: int) -> Count:
    elements = min(elements, given.elements)
    return Count(min(elements * (given.size or 1), given.samples), elements, given.size)


def batch_size(x: Any) -> int | None:
    """The size of the last batching in the pipeline."""
    for node in nodes(x):
        if "Unbatch" in type(node).__name__:
            return None
        size = number(node, "_batch_size")
        if size:
            return size
    return None


def details(x: Any) -> dict[str, Any]:
    """The pipeline from its sources to its end: `steps`, `files`, and what shuffling was asked."""
    steps = [step(node) for node in nodes(x)][:STEP_LIMIT]
    facts: dict[str, Any] = {"steps": steps[::-1]}
    named = guard.attempt(files, x)
    if named:
        facts["files"] = named
    return facts


def nodes(x: Any) -> Iterator[Any]:
    """From the end of a pipeline to its sources (`Dataset._inputs`)."""
    stack = [x]
    while stack:
        node = stack.pop()
        yield node
        names = getattr(node, "_filenames", None)  # those of a reader of files are a dataset too
        stack.extend([names] if hasattr(names, "_inputs") else [])
        stack.extend(reversed(node._inputs()) if hasattr(node, "_inputs") else ())


def _name(node: Any) -> str:
    """What a transformation is called, as `Batch`."""
    return type(node).__name__.lstrip("_").removesuffix("V2").removesuffix("Dataset")


def step(node: Any) -> dict[str, Any]:
    """One transformation, with its settings."""
    facts: dict[str, Any] = {"name": _name(node) or public_name(type(node))}
    for setting in ("batch_size", "buffer_size", "count", "cycle_length"):
        value = number(node, f"_{setting}")
        if value is not None and value >= 0:
            facts[setting] = value
    if number(node, "_drop_remainder"):
        facts["drop_remainder"] = True
    seeds = number(node, "_seed"), number(node, "_seed2")
    if any(seeds):
        facts["seed"] = seeds[1]
        if seeds[0] != DEFAULT_SEED:
            facts["global_seed"] = seeds[0]
    if hasattr(node, "_reshuffle_each_iteration"):
        facts["reshuffle_each_iteration"] = node._reshuffle_each_iteration
    function = getattr(node, "_map_func", None) or getattr(node, "_predicate", None)
    original = getattr(function, "_func", None)
    if original is not None:
        facts["function"] = getattr(original, "__qualname__", type(original).__name__)
    return facts


def number(node: Any, name: str) -> int | None:
    """A setting of a node, which holds it as an eager tensor."""
    value = getattr(node, name, None)
    try:
        return None if value is None else int(value)
    except (TypeError, ValueError):
        return None


def paths(x: Any) -> list[str]:
    """The files that a pipeline reads: its strings that name some, not the user's texts.

    A directory stands for all below it.
    """
    paths_found: dict[str, None] = {}
    for node in nodes(x):
        for tensor in getattr(node, "_tensors", None) or ():
            if getattr(getattr(tensor, "dtype", None), "name", None) != "string":
                continue
            values = tensor.numpy() if hasattr(tensor, "numpy") else None
            if values is None or not getattr(values, "size", 1):
                continue
            texts = [values] if is_a(values, bytes) else values.reshape(-1)
            if os.path.isfile(texts[0]) and os.path.isfile(texts[-1]):
                paths_found.update(dict.fromkeys(os.fsdecode(text) for text in texts))
        kept = target(node) or ""
        directory = kept or path_of(getattr(node, "_path", None))  # of Dataset.load
        if directory is not None and os.path.isdir(directory):
            paths_found[directory] = None
        paths_found.update(dict.fromkeys(files_of_cache(kept) if kept else ()))
    return list(paths_found)


def target(node: Any) -> str | None:
    """Where a step keeps what has passed through it: the path of a `cache` or `snapshot`."""
    name = type(node).__name__
    if "Cache" in name:
        return path_of(getattr(node, "_filename", None))
    return path_of(getattr(node, "_path", None)) if "Snapshot" in name else None


def path_of(value: Any) -> str | None:
    """The absolute path in a text, a path or an eager tensor; None where there is none."""
    if hasattr(value, "numpy"):
        value = value.numpy()
    if not is_a(value, (str, bytes, os.PathLike)) or not value:
        return None
    path = os.fsdecode(value)
    return None if "://" in path else versions.absolute(path)


def files_of_cache(path: str) -> list[str]:
    """The files of a `cache` that is complete, which its index tells."""
    index = f"{path}.index"
    return [index, *sorted(glob(f"{escape(path)}.data-*"))] if os.path.isfile(index) else []


def files(x: Any) -> dict[str, Any] | None:
    """How many files, the directory that they have in common, and the first of them."""
    known = paths(x)
    if not known:
        return None
    absolute = [versions.absolute(path) for path in known]
    return {
        "count": len(known),
        "directory": os.path.commonpath(map(os.path.dirname, absolute)),
        "first": absolute[:FILE_LIMIT],
    }
