"""Generators, `PyDataset`s and torch's `DataLoader`s: what they tell without being read."""

from __future__ import annotations

from types import GeneratorType
from typing import Any

from kerasprov_agent import guard
from kerasprov_agent.capture.describe.values import (
    integer,
    is_scalar,
    own_attributes,
    plain_dict,
    public_name,
)
from kerasprov_agent.kinds import is_a


def length(dataset: Any) -> int | None:
    """How many samples a data set of torch has; None where only code of the program's knows."""
    owner = next((cls for cls in type(dataset).__mro__ if "__len__" in vars(cls)), None)
    if owner is None or not owner.__module__.startswith("torch."):
        return None
    # A part of a data set, or several in a row, may still ask one of the program's own.
    return guard.attempt(len, dataset)


def samples(x: Any) -> int | None:
    """How many samples an epoch of a DataLoader has; None where only the program's code knows."""
    sampler, size = getattr(x, "sampler", None), batch_size(x)
    known = length(x.dataset)
    if known is None or size is None:
        return None
    if type(sampler).__name__ == "RandomSampler":
        known = integer(vars(sampler).get("_num_samples")) or known
    elif type(sampler).__name__ != "SequentialSampler":
        return None
    return known // size * size if vars(x).get("drop_last") is True else known


def batch_size(x: Any) -> int | None:
    """The attribute of that name, as it lies in memory; a property of the program's is not run."""
    return integer(vars(x).get("batch_size")) if hasattr(x, "__dict__") else None


def makes_batches(x: Any) -> bool:
    """Whether this is a generator, a PyDataset or Sequence, or a DataLoader."""
    names = ("PyDataset", "Sequence")
    return (
        is_a(x, GeneratorType)
        or is_torch(x)
        or any(
            cls.__name__ in names and cls.__module__.startswith(("keras.", "tf_keras."))
            for cls in type(x).__mro__
        )
    )


def is_torch(x: Any) -> bool:
    """Whether this is a `torch.utils.data.DataLoader`, or of a class derived from it."""
    return any(
        cls.__name__ == "DataLoader" and cls.__module__.startswith("torch.utils.data")
        for cls in type(x).__mro__
    )


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
    facts = {
        "dataset": public_name(type(x.dataset)),
        "sampler": public_name(type(sampler)).rpartition(".")[2] if sampler is not None else None,
        "shuffle": type(sampler).__name__ == "RandomSampler",
        "seed": guard.attempt(generator.initial_seed) if generator is not None else None,
        "drop_last": getattr(x, "drop_last", None),
        "num_workers": getattr(x, "num_workers", None),
    }
    return {name: value for name, value in facts.items() if value is not None}


def details(x: Any) -> dict[str, Any]:
    """A generator's function and place; the plain attributes of a PyDataset of the user's."""
    if is_a(x, GeneratorType):
        code = x.gi_code
        return {
            "function": x.__qualname__,
            "place": f"{code.co_filename}:{code.co_firstlineno}",
        }
    facts = {
        name.lstrip("_"): value
        for name, value in own_attributes(x).items()
        if value is not None and is_scalar(value)
    }
    return plain_dict(facts)
