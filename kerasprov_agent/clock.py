"""Time: the wall clock is read once, everything after it is measured on the monotonic clock.

A clock that is set back while a program trains would otherwise end an epoch before it began.
"""

from __future__ import annotations

from time import perf_counter, time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_wall = 0.0
_origin = 0.0


def start() -> None:
    """Read the wall clock, the first time only."""
    global _wall, _origin
    if not _wall:
        _wall, _origin = time(), perf_counter()


def now() -> float:
    """Seconds since 1970 (UTC), never running backwards within a process."""
    return _wall + (perf_counter() - _origin)


def started() -> float:
    """When the agent was armed, in seconds since 1970 (UTC)."""
    return _wall


def iso(seconds: float) -> str:
    """Write seconds since 1970 as ISO 8601 in UTC, microseconds and zone included."""
    import datetime

    moment = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)
    return moment.isoformat(timespec="microseconds")


def stamp() -> str:
    """This moment as `iso` writes it, also in a process in which the agent was never armed."""
    start()
    return iso(now())


def seconds(text: str) -> float:
    """Read back what `iso` wrote."""
    from datetime import datetime

    return datetime.fromisoformat(text).timestamp()


def deadline(duration: float) -> Callable[[], bool]:
    """Says whether to go on: until so many seconds from now."""
    end = perf_counter() + duration
    return lambda: perf_counter() < end
