"""Trainings in the files of Keras' callback `CSVLogger`: epochs and metrics, nothing else."""

from __future__ import annotations

import ast
import csv
import os
from collections.abc import Iterator
from typing import Any

from kerasprov_agent.errors import KerasProvError
from kerasprov_agent.imports.found import Epoch, Training, whole

FORMAT = "CSVLogger"
SEPARATORS = ",;\t|"


def looks_like_one(text: str) -> bool:
    """Whether a text begins with the names that CSVLogger writes: `epoch`, then the metrics."""
    return _separator(text.partition("\n")[0]) is not None


def _separator(header: str) -> str | None:
    return next((mark for mark in SEPARATORS if header.startswith(f"epoch{mark}")), None)


def read(path: str) -> Iterator[Training]:
    """The trainings of a file: appended ones begin where the epoch does not go on."""
    with open(path, encoding="utf-8", errors="replace", newline="") as file:
        header = file.readline()
        mark = _separator(header) or ","
        file.seek(0)
        names, *lines = csv.reader(file, delimiter=mark)
        runs: list[list[Epoch]] = []
        for place, line in enumerate(lines, 2):
            if not line or line == names:  # appended by a program that wrote the names again
                continue
            epoch = _epoch(path, place, names, line)
            if not runs or epoch.number <= runs[-1][-1].number:
                runs.append([])
            runs[-1].append(epoch)
    label = os.path.splitext(os.path.basename(path))[0]
    for place, epochs in enumerate(runs):
        # Nothing in the file tells two trainings apart but where it lies and how it began.
        first = sorted(epochs[0].metrics.items())
        key = f"{os.path.realpath(path)}\n{place}\n{epochs[0].number}\n{first}"
        yield Training(FORMAT, os.path.realpath(path), key, label, epochs=epochs)


def _epoch(path: str, place: int, names: list[str], line: list[str]) -> Epoch:
    if len(line) != len(names):
        raise KerasProvError(
            f"{path}, line {place}: {len(line)} values for {len(names)} columns; "
            "nothing was imported"
        )
    told = dict(zip(names, map(_value, line), strict=True))
    number = told.pop("epoch")
    if not isinstance(number, (int, float)) or number != int(number):
        raise KerasProvError(f"{path}, line {place}: {number!r} is no epoch; nothing was imported")
    return Epoch({name: value for name, value in told.items() if value is not None}, int(number))


def _value(text: str) -> Any:
    """A number, a list of them, or nothing: CSVLogger writes NA where a metric is absent."""
    if text in ("NA", ""):
        return None
    try:
        return whole(float(text)) if "." not in text and "n" not in text else float(text)
    except ValueError:
        try:
            return ast.literal_eval(text)
        except (ValueError, SyntaxError):
            return text
