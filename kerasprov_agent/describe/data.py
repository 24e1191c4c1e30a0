"""What a model was fed: arrays, frames, tensors, datasets, generators. Never iterated over."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from kerasprov_agent import guard
from kerasprov_agent.describe.values import dtype_name, list_shape, public_name

FEED_LIMIT = 64
"""At most so many arrays of one nested input are described."""


def dataset(x: Any, y: Any = None, sample_weight: Any = None) -> dict[str, Any] | None:
    """Describe one input of `fit` or `evaluate`.

    Returns None for no input, else `class_name`, `samples`, `batches` and `batch_size` as far as
    the object tells them without being read, and `arrays`: one dict an array with `role` (x, y,
    sample_weight), `path` in a nested structure, `class_name`, `shape` (None where open), `dtype`.
    """
    if x is None:
        return None
    if _is_array(x) or isinstance(x, (list, tuple, dict)):
        arrays = [
            *_arrays(x, "x"),
            *_arrays(y, "y"),
            *_arrays(sample_weight, "sample_weight"),
        ][:FEED_LIMIT]
        first = next((array["shape"] for array in arrays if array["shape"]), None)
        return {
            "class_name": public_name(type(x)),
            "samples": first[0] if first else None,
            "batches": None,
            "batch_size": None,
            "arrays": arrays,
        }
    if hasattr(x, "element_spec"):
        return _tf_dataset(x)
    if hasattr(x, "dataset") and hasattr(x, "batch_sampler"):
        return _torch_loader(x)
    return {
        "class_name": public_name(type(x)),
        "samples": None,
        "batches": _length(x),
        "batch_size": _batch_size(x),
        "arrays": [],
    }


def _is_array(value: Any) -> bool:
    return getattr(value, "shape", None) is not None


def _arrays(value: Any, role: str, path: str = "") -> Iterator[dict[str, Any]]:
    if value is None:
        return
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _arrays(item, role, f"{path}/{key}" if path else str(key))
    elif isinstance(value, (list, tuple)):
        if value and not _is_array(value[0]) and not isinstance(value[0], (list, tuple, Mapping)):
            yield _array_row(role, path, value, [len(value)], type(value[0]).__name__)
            return
        for index, item in enumerate(value[:FEED_LIMIT]):
            yield from _arrays(item, role, f"{path}/{index}" if path else str(index))
    elif _is_array(value):
        yield _array_row(role, path, value, list_shape(value.shape), _dtype(value))


def _array_row(
    role: str, path: str, value: Any, shape: list[int | None], dtype: str | None
) -> dict[str, Any]:
    return {
        "role": role,
        "path": path,
        "class_name": public_name(type(value)),
        "shape": shape,
        "dtype": dtype,
    }


def _dtype(value: Any) -> str | None:
    if hasattr(value, "dtype"):
        return dtype_name(value.dtype)
    if hasattr(value, "dtypes"):  # a pandas frame: one type, or several
        names = {dtype_name(dtype) for dtype in value.dtypes}
        return names.pop() if len(names) == 1 else ", ".join(sorted(names))
    return None


def _tf_dataset(x: Any) -> dict[str, Any]:
    spec = x.element_spec
    parts = spec if isinstance(spec, tuple) else (spec,)
    arrays = [
        row
        for role, part in zip(("x", "y", "sample_weight"), parts, strict=False)
        for row in _arrays(part, role)
    ]
    batches = None
    if hasattr(x, "cardinality"):
        batches = guard.attempt(lambda: int(x.cardinality()))
    batch_size = next((size for size in map(_own_batch_size, _graph(x)) if size), None)
    return {
        "class_name": public_name(type(x)),
        "samples": None,
        "batches": batches if batches is not None and batches >= 0 else None,
        "batch_size": batch_size,
        "arrays": arrays[:FEED_LIMIT],
    }


def _graph(x: Any) -> Iterator[Any]:
    """A `tf.data` pipeline from its end to its sources (`Dataset._inputs`)."""
    stack = [x]
    while stack:
        node = stack.pop()
        yield node
        stack.extend(node._inputs() if hasattr(node, "_inputs") else ())


def _own_batch_size(node: Any) -> int | None:
    size = getattr(node, "_batch_size", None)
    try:
        return None if size is None else int(size)
    except (TypeError, ValueError):
        return None


def _torch_loader(x: Any) -> dict[str, Any]:
    return {
        "class_name": public_name(type(x)),
        "samples": _length(x.dataset),
        "batches": _length(x),
        "batch_size": _batch_size(x),
        "arrays": [],
    }


def _length(x: Any) -> int | None:
    """`len(x)`; `num_batches` of a PyDataset, which Keras itself asks."""
    if hasattr(x, "num_batches") and not callable(x.num_batches):
        number = x.num_batches
        return number if isinstance(number, int) else None
    if not hasattr(type(x), "__len__"):
        return None
    return guard.attempt(len, x)


def _batch_size(x: Any) -> int | None:
    size = getattr(x, "batch_size", None)
    return size if isinstance(size, int) and not isinstance(size, bool) else None
