"""What the program says of its runs: a name, and tags. Never needed."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from types import TracebackType
from typing import Any, NamedTuple

from kerasprov_agent import guard, settings
from kerasprov_agent.capture import import_hook


class Said(NamedTuple):
    """A name for runs and their tags; a tag that is None takes one of the program's out."""

    name: str | None
    tags: Mapping[str, Any]

    def and_also(self, name: str | None, tags: Mapping[str, Any]) -> Said:
        """The same with another name, if there is one, and further tags."""
        return Said(name if name is not None else self.name, {**self.tags, **tags})


NOTHING = Said(None, {})


class _Threads(threading.local):
    said: Said | None = None


_threads = _Threads()
_said_by_main = NOTHING


def said() -> Said:
    """What holds for a run that begins now on this thread.

    What the main thread says holds for the threads that say nothing themselves.
    """
    return _said_by_main if _threads.said is None else _threads.said


def forget() -> None:
    """The agent stops: nothing has been said."""
    _hold(NOTHING)


def _is_main() -> bool:
    return threading.current_thread() is threading.main_thread()


def _held() -> Said | None:
    """What this thread itself has said; None: nothing."""
    return _said_by_main if _is_main() else _threads.said


def _hold(what: Said | None) -> None:
    global _said_by_main
    if _is_main():
        _said_by_main = what or NOTHING
    else:
        _threads.said = what


class Tagged:
    """What `kerasprov_agent.tag` returns; as a context manager it ends what was said."""

    def __init__(self, before: Said | None) -> None:
        self._before = before

    def __enter__(self) -> Tagged:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        _hold(self._before)


def say(name: str | None, tags: Mapping[str, Any]) -> Tagged:
    """See `kerasprov_agent.tag`."""
    name = name if isinstance(name, str) and name.strip() else None
    before = _held()
    if not settings.disabled():
        calls = import_hook.loaded("capture.hooks.calls")
        fit = guard.attempt(calls.enclosing_fit) if calls is not None else None
        if fit is None:
            _hold(said().and_also(name, tags))
        else:
            guard.call(fit.recorder.trainings.tagged, fit.run, name, tags)
    return Tagged(before)
