"""What is done around a fork, at the end of the record, and when the agent stops: in which order.

Each list names modules of this package, and functions or methods in them. A module that was not
loaded has nothing to do. This is the only place where handlers of forks are registered.
"""

from __future__ import annotations

import os

from kerasprov_agent import guard
from kerasprov_agent.capture import import_hook

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

Acts = tuple[tuple[str, str], ...]

BEFORE_FORK: Acts = (
    # The child inherits the id of this process, so there must be one.
    ("identity", "own"),
    # Last: no thread of ours may run while the program forks.
    ("capture.session", "session.before_fork"),
)
IN_CHILD: Acts = (
    # First: the locks of the guard, of the worker and of the audit hook, which all others use.
    ("capture.session", "session.unlock"),
    # Before the record is left to the parent, the child becomes somebody else.
    ("identity", "forked"),
    ("capture.session", "session.forked"),
    ("capture.origins", "forked"),
)
ENDING: Acts = (
    # What is still known of open pipelines and loops becomes runs, uses and files, in that order:
    # a loop that ends evaluates what its pipelines opened, and a use belongs to its run.
    ("capture.origins.pipelines", "finish"),
    ("capture.hooks.loops", "finish"),
    ("capture.hooks.uses", "finish"),
    ("capture.origins.tfrecords", "finish"),
)
"""Before the record of this process ends; each is given the exception with which it ends."""
FORGETTING: Acts = (
    # Calls first: nothing that follows may still find itself within one.
    ("capture.hooks.calls", "forget"),
    ("capture.hooks.searches", "forget"),
    ("capture.hooks.loops", "forget"),
    ("capture.hooks.uses", "forget"),
    ("capture.origins.pipelines", "forget"),
    ("capture.origins.tfrecords", "forget"),
)
"""In a forked child, and when the record has ended: nothing is in progress any more."""
STOPPING: Acts = (
    # The wrappers go first, so that nothing new begins while the record ends.
    ("capture.patching.registry", "patches.remove"),
    ("capture.hooks", "remove"),
    ("capture.children", "remove"),
    ("capture.session", "session.finish"),
    # What is known of arrays and tags was needed until then.
    ("capture.origins", "forget"),
    ("capture.tags", "forget"),
)
"""When the agent is taken out of the process."""

_watching = False


def functions(acts: Acts) -> Iterator[Any]:
    """The functions of a list whose modules are loaded, in its order."""
    for name, function in acts:
        owner: Any = import_hook.loaded(name)
        if owner is not None:
            for part in function.split("."):
                owner = getattr(owner, part)
            yield owner


def ending(exc: BaseException | None) -> None:
    """End the record: call each function of `ENDING`; a fault in one does not stop the others."""
    for finish in functions(ENDING):
        guard.call(finish, exc)


def forgetting() -> None:
    """Forget what is in progress: call each function of `FORGETTING`."""
    for forget in functions(FORGETTING):
        forget()


def stopping() -> None:
    """Take the agent out of the process: call each function of `STOPPING`."""
    for stop in functions(STOPPING):
        guard.always(stop)


def watch_forks() -> None:
    """Register the handlers of forks, once."""
    global _watching
    if not _watching and hasattr(os, "register_at_fork"):
        _watching = True
        os.register_at_fork(before=_before_fork, after_in_child=_in_child)


def _before_fork() -> None:
    for act in functions(BEFORE_FORK):
        act()


def _in_child() -> None:
    for act in functions(IN_CHILD):
        act()
