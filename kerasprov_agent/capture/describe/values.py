"""Any object as a plain value: None, bool, int, float, str, list, dict. The gate to the store.

Every value that a program holds passes here before it is stored, so here secrets are dropped.
"""

from __future__ import annotations

import math
import operator
import struct
import sys
from collections.abc import Mapping
from functools import lru_cache
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any

from kerasprov_agent import guard, redaction
from kerasprov_agent.capture.describe import numbers
from kerasprov_agent.kinds import is_a
from kerasprov_agent.store import text

TEXT_LIMIT = 4096
DEPTH_LIMIT = 24
NAMED = (FunctionType, BuiltinFunctionType, MethodType)

Plain = None | bool | int | float | str | list[Any] | dict[str, Any]


def plain(value: Any, depth: int = 0) -> Plain:
    """Turn `value` into JSON's types; what has no such form becomes its class or its name.

    A program's own object may answer whatever it is asked with an exception: that costs it alone.
    """
    value_as_json = guard.ask(_plain, value, depth)
    return (
        f"<{public_name(type(value))}>"
        if value_as_json is None and value is not None
        else value_as_json
    )


def _plain(value: Any, depth: int) -> Plain:
    if value is None:
        return None
    if is_a(value, (bool, int, float)):
        return _builtin(value)
    if is_a(value, str):
        return redaction.text(text.exact(value))
    if depth > DEPTH_LIMIT:
        return f"<{type(value).__name__}>"
    if is_a(value, Mapping):
        return plain_dict(value, depth + 1)
    if is_a(value, (list, tuple)):
        words = [item for item in value if type(item) is str]
        if len(words) == len(value) and any(word.startswith("-") for word in words):
            return list(redaction.arguments(words))  # a command line that the program runs
        return [plain(item, depth + 1) for item in value]
    if is_a(value, (set, frozenset)):
        return sorted((plain(item, depth + 1) for item in value), key=to_json)
    return _from_object(value, depth)


def plain_dict(values: Mapping[Any, Any], depth: int = 0) -> dict[str, Any]:
    """A mapping as `plain` makes it: secrets among its keys are blanked out."""
    return {str(key): plain(redaction.value(str(key), item), depth) for key, item in values.items()}


def _from_object(value: Any, depth: int) -> Plain:
    if is_a(value, bytes):
        return f"<{len(value)} bytes>"
    single = number(value)
    if single is not None:
        return single
    if is_a(value, type):
        return public_name(value)
    if has(value, "shape") and has(value, "dtype") and value.shape is not None:
        return f"<{type(value).__name__} {list_shape(value.shape)} {dtype_name(value.dtype)}>"
    if has(value, "get_config"):
        return described(value, depth)
    if callable(value):
        is_named = is_a(value, NAMED) or "__name__" in own_attributes(value)
        return str(value.__name__ if is_named else type(value).__name__)
    if _is_path(value):
        return str(value)
    return f"<{public_name(type(value))}>"


def _is_path(value: Any) -> bool:
    """Whether it is a path of `pathlib`; one of another class may do anything when it is asked."""
    pathlib: Any = sys.modules.get("pathlib")
    return hasattr(pathlib, "PurePath") and is_a(value, pathlib.PurePath)


def has(value: Any, name: str) -> bool:
    """Whether an object or its class has an attribute, without asking its `__getattr__`."""
    return hasattr(type(value), name) or name in own_attributes(value)


def own_attributes(value: Any) -> Mapping[str, Any]:
    """What stands in an object's `__dict__`; nothing where it has none, or tells of none."""
    attributes = guard.ask(object.__getattribute__, value, "__dict__")
    return attributes if is_a(attributes, Mapping) else {}


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
    """Whether a value is None, a bool, a number of any library, or a text by itself."""
    return value is None or is_a(value, str) or number(value) is not None


def storable(value: Any) -> bool | int | float | str | None:
    """A plain value as a column holds it: lists and dicts become JSON text."""
    simple = plain(value)
    return to_json(simple) if is_a(simple, (list, dict)) else simple


def number(value: Any) -> bool | int | float | None:
    """The Python number that a value is: a NumPy scalar, an array without dimensions, a Decimal.

    None for everything else, texts among them: "3.5" is a text.
    """
    if is_a(value, (bool, int, float)):
        return _builtin(value)
    return None if is_a(value, str) else guard.ask(_number, value)


def _number(value: Any) -> bool | int | float | None:
    if has(value, "dtype"):
        numeral = numbers.number(value) if getattr(value, "shape", None) == () else None
        return _builtin(numeral) if is_a(numeral, (bool, int, float)) else None
    # Decimal, Fraction
    return float(value) if hasattr(type(value), "as_integer_ratio") else None


def attribute(value: Any, name: str) -> Any:
    """What an object has of a name, or None; the program's own class may raise anything."""
    return guard.ask(getattr, value, name, None)


def integer(value: Any) -> int | None:
    """The whole number that a value is, as `range` would take it; None for anything else."""
    if value is None or is_a(value, str):
        return None
    return guard.attempt(lambda: int(operator.index(value)))


def _builtin(value: bool | int | float) -> bool | int | float:
    """A number as one of Python's own types: subclasses may print or bind as something else."""
    if is_a(value, bool):
        return value
    return int(value) if is_a(value, int) else float(value)


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
        if is_a(value, dict) and value:
            rows.update(flat(value, f"{prefix}{key}."))
        else:
            rows[f"{prefix}{key}"] = to_json(value) if is_a(value, (list, dict)) else value
    return rows
