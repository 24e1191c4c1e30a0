"""Generators, `PyDataset`s and torch's `DataLoader`s: what they tell without being read."""

from __future__ import annotations

from typing import Any

from kerasprov_agent import guard
from kerasprov_agent.describe.values import is_scalar, plain_dict, public_name


def length(x: Any) -> int | None:
    """`len(x)`; `num_batches` of a PyDataset, which Keras itself asks."""
    if hasattr(x, "num_batches") and not callable(x.num_batches):
        number = x.num_batches
        return number if isinstance(number, int) else None
    if not hasattr(type(x), "__len__"):
        return None
    return guard.attempt(len, x)


def batch_size(x: Any) -> int | None:
    """The attribute of that name."""
    size = getattr(x, "batch_size", None)
    return size if isinstance(size, int) and not isinstance(size, bool) else None


def is_torch(x: Any) -> bool:
    """Whether this is a `torch.utils.data.DataLoader`."""
    return hasattr(x, "dataset") and hasattr(x, "batch_sampler")


def torch_tensors(x: Any) -> tuple[Any, ...]:
    """The tensors of a DataLoader over a TensorDataset, or over a part of one."""
    dataset = x.dataset
    while not hasattr(dataset, "tensors") and hasattr(dataset, "dataset"):
        dataset = dataset.dataset
    return tuple(getattr(dataset, "tensors", ()))


def torch_details(x: Any) -> dict[str, Any]:
    """Settings of a DataLoader; `shuffle` as its sampler tells it."""
    generator = getattr(x, "generator", None)
    sampler = getattr(x, "sampler", None)
    found = {
        "dataset": public_name(type(x.dataset)),
        "sampler": public_name(type(sampler)).rpartition(".")[2] if sampler is not None else None,
        "shuffle": type(sampler).__name__ == "RandomSampler",
        "seed": guard.attempt(generator.initial_seed) if generator is not None else None,
        "drop_last": getattr(x, "drop_last", None),
        "num_workers": getattr(x, "num_workers", None),
    }
    return {name: value for name, value in found.items() if value is not None}


def details(x: Any) -> dict[str, Any]:
    """A generator's function and place; the plain attributes of a PyDataset of the user's."""
    code = getattr(x, "gi_code", None)
    if code is not None:
        return {
            "function": x.__qualname__,
            "place": f"{code.co_filename}:{code.co_firstlineno}",
        }
    found = {
        name.lstrip("_"): value
        for name, value in (getattr(x, "__dict__", None) or {}).items()
        if value is not None and is_scalar(value)
    }
    return plain_dict(found)
