"""The training in `history.history`, written as JSON or as Python prints it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from kerasprov_agent.exchange.imports.csv_logger import METRICS, label_of, value
from kerasprov_agent.exchange.imports.found import Epoch, Training, finish

FORMAT = "Keras history"


def read(path: str, document: Any) -> Iterator[Training]:
    """The training in a document: lists of numbers by the names of metrics."""
    inner = document.get("history") if isinstance(document, dict) else None
    params = document.get("params") if isinstance(document, dict) else None
    curves = _curves(inner if isinstance(inner, dict) else document)
    listed = document.get("epoch") if isinstance(inner, dict) else None
    count = max(map(len, curves.values()))
    numbers = (
        [number_of for number_of in listed if isinstance(number_of, int)]
        if isinstance(listed, list)
        else []
    )
    if len(set(numbers)) != count:
        numbers = list(range(count))
    epochs = [
        Epoch(
            {
                name: values[place]
                for name, values in curves.items()
                if place < len(values) and values[place] is not None
            },
            int(number),
        )
        for place, number in enumerate(numbers)
    ]
    first = sorted((name, str(value)) for name, value in epochs[0].metrics.items())
    key = f"{os.path.realpath(path)}\nhistory\n{first}"
    planned = params.get("epochs") if isinstance(params, dict) else None
    values = {"epochs_planned": planned} if isinstance(planned, int) else {}
    others = [] if isinstance(inner, dict) or not isinstance(document, dict) else [
        name for name in document if name not in curves
    ]  # fmt: skip
    yield finish(
        Training(
            FORMAT,
            os.path.realpath(path),
            key,
            label_of(path),
            values=values,
            epochs=epochs,
            repairs=[] if isinstance(inner, dict) else ["rows are taken for epochs"],
            left_out=[f"{name}: no list of numbers" for name in others],
        )
    )


def is_history(document: Any) -> bool:
    """Whether a document holds lists of numbers by the names of metrics."""
    if not isinstance(document, dict):
        return False
    inner = document.get("history")
    curves = _curves(inner if isinstance(inner, dict) else document)
    return any(METRICS.fullmatch(name.lower()) for name in curves)


def _curves(document: Any) -> dict[str, list[Any]]:
    """Lists of numbers by their names; pandas writes dictionaries by row in their place."""
    curves = {}
    for name, values in document.items():
        listed = list(values.values()) if isinstance(values, dict) else values
        is_numbers = isinstance(listed, list) and all(
            item is None or isinstance(item, (int, float, str, list)) for item in listed
        )
        if is_numbers and listed and not isinstance(name, int):
            numbers = [value(item) if isinstance(item, str) else item for item in listed]
            if all(item is None or isinstance(item, (int, float, list)) for item in numbers):
                curves[str(name)] = numbers
    return curves
