"""How a person is told a value, a time, how long something took."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any


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
