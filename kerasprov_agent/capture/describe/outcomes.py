"""How a run, an evaluation or a program ended."""

from __future__ import annotations

from typing import Any

from kerasprov_agent import guard, redaction
from kerasprov_agent.store import text


def outcome(exc: BaseException | None) -> str:
    """finished, failed, or interrupted by Ctrl-C or `sys.exit`."""
    if exc is None:
        return "finished"
    return "failed" if isinstance(exc, Exception) else "interrupted"


def columns(exc: BaseException | None) -> dict[str, Any]:
    """`status`, and the exception if there was one."""
    return {"status": outcome(exc), **exception_columns(exc)}


def exception_columns(exc: BaseException | None) -> dict[str, Any]:
    """The class and the message of an exception, for the columns of those names."""
    if exc is None:
        return {}
    message = guard.ask(str, exc)
    return {
        "exception_type": type(exc).__name__,
        "exception": None if message is None else redaction.text(text.exact(message)),
    }
