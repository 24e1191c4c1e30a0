"""Finds out which input reads a file, by the code that is running: a generator, a PyDataset, …"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from types import CodeType
from typing import Any, NamedTuple


class Input(NamedTuple):
    """An input in use: a weak reference to it, its data set, the activity that it is given to."""

    reference: Any
    data_id: str
    activity_id: str


class InputCode:
    """The code of inputs in use."""

    def __init__(self) -> None:
        self._inputs: dict[CodeType, list[Input]] = {}

    def add(self, codes: Iterable[CodeType], given: Input) -> None:
        """Remember that an input is in use and that its data are read by this code."""
        for code in codes:
            self._inputs.setdefault(code, []).append(given)

    def remove(self, data_id: str | None) -> None:
        """Forget the code of a data set that is no longer in use."""
        for code, inputs in self._inputs.copy().items():
            left = [given for given in inputs if given.data_id != data_id]
            if left:
                self._inputs[code] = left
            else:
                del self._inputs[code]

    def under_way(self) -> Input | None:
        """The input whose code is at work on this thread."""
        if not self._inputs:
            return None
        frame: Any = sys._getframe(1)
        while frame is not None:
            inputs = self._inputs.get(frame.f_code)
            if inputs is not None:
                return _at_work(frame, inputs)
            frame = frame.f_back
        return None


def _at_work(frame: Any, inputs: list[Input]) -> Input | None:
    """Find out which of several inputs with the same code is running in a frame."""
    if len(inputs) == 1:
        return inputs[0]
    names = frame.f_code.co_varnames
    this = frame.f_locals.get(names[0]) if frame.f_code.co_argcount else None
    for given in inputs:
        source = given.reference()
        if source is not None and (source is this or getattr(source, "gi_frame", None) is frame):
            return given
    return None
