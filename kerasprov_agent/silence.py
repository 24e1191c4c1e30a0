"""Hides the warnings that our own code causes in somebody else's program."""

from __future__ import annotations

import sys
from _thread import get_ident

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class beside:
    """A context on a thread of our own: the program can see nothing of what it does."""

    def __enter__(self) -> None:
        _beside.add(get_ident())

    def __exit__(self, *_: object) -> None:
        _beside.discard(get_ident())


class _InOurCode(type):
    """The class of a category of warnings: all are of it that arise where we work."""

    def __subclasscheck__(cls, category: type) -> bool:
        # A file that the program has left open is collected at any time, also while we work.
        return get_ident() in _within and category is not ResourceWarning


class OurWarning(Warning, metaclass=_InOurCode):
    """What warns while a thread of the program's is in our code; never raised.

    It stands in a filter of `warnings` while that is so. Other threads may copy the filters just
    then, and scikit-learn does, so the filter has nothing that others have not.
    """


_within: set[int] = set()
_beside: set[int] = set()
_FILTER = ("ignore", None, OurWarning, None, 0)


def begin() -> list[Any] | None:
    """Hide warnings that our own code causes on this thread; the program alone would show none.

    `warnings.catch_warnings` would forget which of the program's warnings were shown already, and
    would silence other threads. Returns the filters to be put right; None: it is so already.
    """
    # The module may be missing, or only just being imported.
    filters: list[Any] | None = getattr(sys.modules.get("warnings"), "filters", None)
    ident = get_ident()
    if not isinstance(filters, list) or ident in _within or ident in _beside:
        return None
    copyreg: Any = sys.modules.get("copyreg")
    if copyreg is not None:
        copyreg.dispatch_table.setdefault(_InOurCode, _pickled)
    _within.add(ident)
    filters.insert(0, _FILTER)
    return filters


def _pickled(_category: type) -> tuple[Any, ...]:
    """joblib hands the filters to its processes; none is to import us there, and so be armed.

    They get the category of which the fewest know: Python has to be told to use it.
    """
    return type, (EncodingWarning(),)


def end(filters: list[Any]) -> None:
    """Hear warnings on this thread again; `filters` is what `begin` returned."""
    _within.discard(get_ident())
    _take_out(filters)
    current = getattr(sys.modules.get("warnings"), "filters", filters)
    # Another thread may have copied the filters meanwhile, and put the copy in their place.
    if current is not filters and not _within and isinstance(current, list):
        _take_out(current)


def _take_out(filters: list[Any]) -> None:
    try:
        filters.remove(_FILTER)
    except ValueError:  # the program has set its filters anew
        pass


def is_at_work() -> bool:
    """Whether this thread is in our code, or in what our code calls of the program's."""
    return get_ident() in _within


def forked() -> None:
    """In a forked child: the threads of the parent that were in our code are not here."""
    _within.clear()
    _beside.clear()
    filters = getattr(sys.modules.get("warnings"), "filters", None)
    while isinstance(filters, list) and _FILTER in filters:
        _take_out(filters)
