"""Functions of ours that a warning looks through, to the program's line that it is about."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])

PLACE = "<kerasprov_agent, passed over as importlib's _bootstrap is>"
"""`warnings.warn(stacklevel=2)` passes over frames whose file has both of these words."""


def unseen(function: F) -> F:
    """Let `function` stand between a caller and a function without a warning naming it."""
    inner: Any = function
    inner.__code__ = inner.__code__.replace(co_filename=PLACE)
    return function
