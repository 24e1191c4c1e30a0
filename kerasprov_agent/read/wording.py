"""How a person is told a value, a time, how long something took."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any

BARS = "▁▂▃▄▅▆▇█"
USUAL_METRICS = ("loss", "accuracy", "val_loss", "val_accuracy")


def usual_first(names: Iterable[str]) -> list[str]:
    """Names of metrics, each once: the usual ones first, the learning rate left out."""
    given = dict.fromkeys(names)
    usual = [name for name in USUAL_METRICS if name in given]
    return usual + [name for name in given if name not in (*usual, "learning_rate")]


def short(value: Any) -> str:
    """A value as text: four significant digits, nothing for NULL."""
    if value is None:
        return ""
    if isinstance(value, float):
        return str(value) if math.isnan(value) or math.isinf(value) else f"{value:.4g}"
    if isinstance(value, bytes):
        return f"({len(value)} bytes)"
    return str(value)


def moment(text: str | None) -> str:
    """A time in the local zone, to the second, with the zone's name."""
    if text is None:
        return ""
    try:
        return f"{datetime.fromisoformat(text).astimezone():%Y-%m-%d %H:%M:%S %Z}".rstrip()
    except (ValueError, TypeError, OverflowError, OSError):
        return str(text)  # a time that no calendar here has, as it stands there


def duration(seconds: float | None) -> str:
    """Seconds as a person says them: 0.42 s, 1 min 05 s, 2 h 10 min."""
    if not isinstance(seconds, (int, float)) or not math.isfinite(seconds):
        return short(seconds)
    if seconds < 60:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02} s"
    return f"{minutes // 60} h {minutes % 60:02} min"


def bars(values: Sequence[Any], width: int) -> str:
    """Numbers as a row of bars; where there are more than `width`, the mean of those together."""
    groups = min(width, len(values))
    edges = [round(place * len(values) / groups) for place in range(groups + 1)]
    means = [_mean(values[a:b]) for a, b in pairwise(edges)]
    known = [value for value in means if value is not None]
    if not known:
        return ""
    low, span = min(known), (max(known) - min(known)) or 1.0
    return "".join(
        " " if value is None else BARS[min(int((value - low) / span * len(BARS)), len(BARS) - 1)]
        for value in means
    )


def _mean(values: Sequence[Any]) -> float | None:
    numbers = [
        value for value in values if isinstance(value, (int, float)) and math.isfinite(value)
    ]
    return sum(numbers) / len(numbers) if numbers else None
