"""Any object as a plain value: None, bool, int, float, str, list, dict. The gate to the store.

Every value that a program holds passes here before it is stored, so here secrets are dropped.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from kerasprov_agent import guard
from kerasprov_agent.describe import redaction
from kerasprov_agent.store import text

TEXT_LIMIT = 4096
DEPTH_LIMIT = 24

Plain = None | bool | int | float | str | list[Any] | dict[str, Any]


def plain(value: Any, depth: int = 0) -> Plain:
    """Turn `value` into JSON's types; what has no such form becomes its class or its name."""
    if value is None or isinstance(value, (bool, int)):
        return bool(value) if isinstance(value, bool) else None if value is None else int(value)
    if isinstance(value, float):
        return float(value)
    if isinstance(value, str):
        return redaction.text(text.exact(value))
    if depth > DEPTH_LIMIT:
        return f"<{type(value).__name__}>"
    if isinstance(value, Mapping):
        return plain_dict(value, depth + 1)
    if isinstance(value, (list, tuple, set, frozenset)):
        items = sorted(value, key=repr) if isinstance(value, (set, frozenset)) else value
        return [plain(item, depth + 1) for item in items]
    return _from_object(value, depth)


def plain_dict(values: Mapping[Any, Any], depth: int = 0) -> dict[str, Any]:
    """A mapping as `plain` makes it: secrets among its keys are blanked out."""
    return {str(key): plain(redaction.value(str(key), item), depth) for key, item in values.items()}


def _from_object(value: Any, depth: int) -> Plain:
    if isinstance(value, bytes):
        return f"<{len(value)} bytes>"
    number = scalar(value)
    if number is not None:
        return number
    if isinstance(value, type):
        return public_name(value)
    if getattr(value, "shape", None) is not None and hasattr(value, "dtype"):
        return f"<{type(value).__name__} {list_shape(value.shape)} {dtype_name(value.dtype)}>"
    if hasattr(value, "get_config"):
        return described(value, depth)
    if callable(value):
        return str(getattr(value, "__name__", type(value).__name__))
    if hasattr(value, "__fspath__"):
        return str(value)
    return f"<{public_name(type(value))}>"


def described(value: Any, depth: int = 0) -> dict[str, Any]:
    """An object with a `get_config` as its class and configuration."""
    name = public_name(type(value))
    config = guard.attempt(value.get_config)
    if config is None:
        config = {key: item for key, item in vars(value).items() if is_scalar(item)}
    plain_config = plain(config, depth + 1)
    return {"class_name": name, "config": plain_config}


def public_name(cls: type) -> str:
    """A class's name, with its module unless it is Keras' own or a built-in."""
    module = cls.__module__
    if (
        module.split(".")[0] in ("keras", "tf_keras", "keras_tuner", "builtins")
        or module == "__main__"
    ):
        return cls.__qualname__
    return f"{module}.{cls.__qualname__}"


def is_scalar(value: Any) -> bool:
    """Whether a value is None, a bool, a number or a short text by itself."""
    return value is None or isinstance(value, (bool, int, float, str))


def scalar(value: Any) -> bool | int | float | None:
    """The number in a NumPy scalar or an array without dimensions, else None."""
    if not hasattr(value, "dtype") or getattr(value, "shape", None) != ():
        return None
    number = value.item() if hasattr(value, "item") else value
    return number if isinstance(number, (bool, int, float)) else None


@lru_cache(maxsize=256)
def shortest(value: float) -> float:
    """The number a person would have written for a float32: 0.001 for 0.0010000000474974513.

    A value that is not exactly a float32 is returned as it is.
    """
    if not math.isfinite(value):
        return value
    try:
        single = struct.unpack("f", struct.pack("f", value))[0]
    except OverflowError:
        return value
    if single != value:
        return value
    for digits in range(1, 10):
        candidate = float(f"{value:.{digits}g}")
        if struct.unpack("f", struct.pack("f", candidate))[0] == value:
            return candidate
    return value


def list_shape(shape: Any) -> list[int | None]:
    """A shape as a list; unknown dimensions are None."""
    try:
        return [None if size is None else int(size) for size in shape]
    except (TypeError, ValueError):
        return []


def dtype_name(dtype: Any) -> str:
    """`float32` for NumPy's, TensorFlow's, JAX's and torch's float32 alike."""
    return str(getattr(dtype, "name", dtype)).removeprefix("torch.")


def to_json(value: Any) -> str:
    """Plain JSON text, keys in their order; NaN and infinities as the strings that name them."""
    return text.as_json(value)


def flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """A nested configuration as one level: `{"schedule": {"rate": 1}}` → `{"schedule.rate": 1}`."""
    rows: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, dict) and value:
            rows.update(flat(value, f"{prefix}{key}."))
        else:
            rows[f"{prefix}{key}"] = to_json(value) if isinstance(value, (list, dict)) else value
    return rows
