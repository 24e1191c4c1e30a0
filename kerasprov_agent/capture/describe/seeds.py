"""The seeds in force, where a library tells them. NumPy and Python's `random` do not."""

from __future__ import annotations

import sys
from typing import Any

from kerasprov_agent import guard
from kerasprov_agent.kinds import is_a


def seeds(backend: str | None) -> dict[str, int]:
    """`keras`, `tensorflow`, `torch`: the global seeds that have been set."""
    seeds: dict[str, Any] = {"keras": guard.attempt(_keras)}
    if backend == "tensorflow":
        seeds["tensorflow"] = guard.attempt(_tensorflow)
    if backend == "torch":
        seeds["torch"] = guard.attempt(lambda: int(sys.modules["torch"].initial_seed()))
    return {name: seed for name, seed in seeds.items() if is_a(seed, int)}


def _keras() -> int | None:
    """The seed of `keras.utils.set_random_seed` (Keras 3.10 and later tell it)."""
    rng_utils: Any = sys.modules["keras.src.utils.rng_utils"]
    seed = rng_utils.get_random_seed()
    return None if seed is None else int(seed)


def _tensorflow() -> int | None:
    context: Any = sys.modules["tensorflow.python.eager.context"]
    seed = context.global_seed()
    return None if seed is None else int(seed)
