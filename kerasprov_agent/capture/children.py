"""Children that multiprocessing spawns: armed as their parent is, and told who that is.

A spawned child is a new interpreter, which knows nothing of `python -m kerasprov_agent` or of an
import in its parent. What `multiprocessing.spawn` hands to it gets one more entry, which arms the
agent when it is unpickled; the environment, which every other child sees too, stays as it is.
"""

from __future__ import annotations

import os

from kerasprov_agent import guard, identity, settings
from kerasprov_agent.capture.files import versions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

ARM = """
try:
    import sys
    there = {location!r} in sys.path
    if not there:
        sys.path.append({location!r})
    try:
        from kerasprov_agent.capture import children
        children.born(**{inherited!r})
    finally:
        if not there:
            sys.path.pop()
except Exception:
    pass
"""

_originals: list[tuple[Any, Any, Any]] = []


class Arming:
    """Pickles as a call of `exec`, so that a child which can't import us takes no harm."""

    def __init__(self, code: str) -> None:
        self.code = code

    def __reduce__(self) -> tuple[Any, ...]:
        return exec, (self.code, {})


def watch(spawn: Any) -> None:
    """Add to what `multiprocessing.spawn`, or loky's like it, hands to its children.

    A forked child inherits everything except its parent's id.
    """
    original = getattr(spawn, "get_preparation_data", None)
    if original is None:
        return

    def get_preparation_data(*args: Any, **kwargs: Any) -> Any:
        data = original(*args, **kwargs)
        guard.call(_add, data)
        return data

    if not any(ours is original for _, _, ours in _originals):
        _originals.append((spawn, original, get_preparation_data))
        spawn.get_preparation_data = get_preparation_data


def _add(counts: dict[str, Any]) -> None:
    location = os.path.dirname(os.path.dirname(os.path.dirname(versions.absolute(__file__))))
    inherited = {
        "parent_id": identity.own(),
        "options": settings.options(),
        "start_directory": settings.start_directory(),
        "program": identity.program,
    }
    counts["kerasprov_agent"] = Arming(ARM.format(location=location, inherited=inherited))


def born(
    parent_id: str, options: dict[str, str], start_directory: str, program: dict[str, str]
) -> None:
    """In the child: take over what the parent was told."""
    identity.inherit(parent_id)
    identity.program.update(program)
    settings.inherit(options, start_directory)


def remove() -> None:
    """Undo `watch`, unless another tool has laid itself on top."""
    while _originals:
        spawn, original, ours = _originals.pop()
        if spawn.get_preparation_data is ours:
            spawn.get_preparation_data = original
