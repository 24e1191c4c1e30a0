"""What a model was fed: arrays, frames, tensors, datasets, generators. Never iterated over."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from kerasprov_agent import guard
from kerasprov_agent.capture.describe import loaders, tf_data
from kerasprov_agent.capture.describe.values import dtype_name, list_shape, public_name
from kerasprov_agent.kinds import is_a

FEED_LIMIT = 64
"""At most so many arrays of one nested input are described."""
COLUMN_LIMIT = 200


def dataset(x: Any, y: Any = None, sample_weight: Any = None) -> dict[str, Any] | None:
    """Describe one input of `fit` or `evaluate`.

    Returns None for no input, else `class_name`, `samples`, `batches` and `batch_size` as far as
    the object tells them without being read, `batched`: whether it makes batches itself, whatever
    `batch_size` is asked for, `arrays`: one dict an array with `role` (x, y,
    sample_weight), `path` in a nested structure, `class_name`, `shape` (None where open), `dtype`,
    and `details`: settings of a pipeline or a loader, columns of a frame.
    """
    if x is None:
        return None
    facts: dict[str, Any] = {
        "class_name": public_name(type(x)),
        "samples": None,
        "batches": None,
        "batch_size": None,
        "batched": True,
        "arrays": [],
        "details": {},
    }
    if loaders.makes_batches(x):
        facts["batch_size"] = loaders.batch_size(x)
        if loaders.is_torch(x):
            tensors = loaders.torch_tensors(x)
            facts.update(
                samples=loaders.length(x.dataset),
                arrays=_by_role(tensors) if tensors else [],
                details=guard.attempt(loaders.torch_details, x) or {},
            )
        else:
            facts["details"] = guard.attempt(loaders.details, x) or {}
    elif _is_array(x) or is_a(x, (list, tuple, dict)):
        arrays = [
            *_arrays(x, "x"),
            *_arrays(y, "y"),
            *_arrays(sample_weight, "sample_weight"),
        ][:FEED_LIMIT]
        shape = next((array["shape"] for array in arrays if array["shape"]), None)
        facts.update(
            samples=shape[0] if shape else None,
            batched=False,
            arrays=arrays,
            details=_columns(x, y),
        )
    elif hasattr(x, "element_spec"):
        facts.update(
            samples=guard.attempt(tf_data.samples, x),
            batches=tf_data.batches(x),
            batch_size=tf_data.batch_size(x),
            arrays=_by_role(x.element_spec),
            details=guard.attempt(tf_data.details, x) or {},
        )
    else:
        facts["details"] = guard.attempt(loaders.details, x) or {}
    return facts


def batch(given_arrays: Any) -> dict[str, Any]:
    """The arrays of a batch that Keras has looked at, their first dimension open; `batch_size`."""
    arrays = _by_role(given_arrays)
    size = next((array["shape"][0] for array in arrays if array["shape"]), None)
    for array in arrays:
        if array["shape"]:
            array["shape"] = [None, *array["shape"][1:]]
    return {"arrays": arrays, "batch_size": size}


def _by_role(given: Any) -> list[dict[str, Any]]:
    """The parts of what a dataset gives: x, or x and y, or these and sample_weight."""
    parts = given if is_a(given, (tuple, list)) else (given,)
    return [
        row
        for role, part in zip(("x", "y", "sample_weight"), parts, strict=False)
        for row in _arrays(part, role)
    ][:FEED_LIMIT]


def _columns(*frames: Any) -> dict[str, Any]:
    """The names of the columns of pandas frames."""
    names: list[Any] = []
    for frame in frames:
        if hasattr(frame, "columns") and hasattr(frame, "dtypes"):
            names += list(frame.columns)
        elif hasattr(frame, "to_frame") and hasattr(frame, "name"):
            names.append(frame.name)
    return {"columns": [str(name) for name in names[:COLUMN_LIMIT]]} if names else {}


def _is_array(value: Any) -> bool:
    return getattr(value, "shape", None) is not None


def _arrays(value: Any, role: str, path: str = "") -> Iterator[dict[str, Any]]:
    if value is None:
        return
    if is_a(value, Mapping):
        for key, item in value.items():
            yield from _arrays(item, role, f"{path}/{key}" if path else str(key))
    elif is_a(value, (list, tuple)):
        if value and not _is_array(value[0]) and not is_a(value[0], (list, tuple, Mapping)):
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
