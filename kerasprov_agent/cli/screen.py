"""The one way by which text goes to the terminal, and the states in which a command ends.

What was recorded may hold anything. Nothing of it may steer the terminal, break the encoding of
a pipe, or show a person a traceback.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
from collections.abc import Iterable
from typing import Any

import click
from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderableType, RenderHook
from rich.segment import Segment

from kerasprov_agent.errors import KerasProvError
from kerasprov_agent.visible import visible, visible_lines

PIPE_WIDTH = 200
"""Columns of a table that is not read on a terminal."""
FAILED = 2
NOT_DONE = 1
"""The exit status where a person said no, or nobody reads on."""
INTERRUPTED = 128 + signal.SIGINT
"""As a shell tells it of a program that Ctrl-C ended."""

FORESEEN = (KerasProvError, click.Abort, click.ClickException, MemoryError)
"""What a person can put right, besides errors of the system. Anything else is a fault of ours."""


def say(text: str = "", *, err: bool = False, newline: bool = True, **style: Any) -> None:
    """Print a text of one or more lines; `style` as `click.style` takes it."""
    shown = visible_lines(text)
    click.echo(click.style(shown, **style) if style else shown, err=err, nl=newline)


def complain(message: str) -> None:
    """Print the one line that says what is wrong."""
    say(f"kerasprov: {visible(message)}", err=True)


def console() -> Console:
    """A console as wide as the terminal or as `COLUMNS` says; else wide, without colours."""
    columns = os.environ.get("COLUMNS", "")
    is_told = sys.stdout.isatty() or (columns.isdecimal() and int(columns) > 0)
    made = Console(highlight=False, width=None if is_told else PIPE_WIDTH)
    made.push_render_hook(_OnlyVisible())
    return made


class _OnlyVisible(RenderHook):
    """Wraps whatever is printed on a console."""

    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        """All that is printed, each of it made visible."""
        return [_Visible(renderable) for renderable in renderables]


class _Visible:
    def __init__(self, content: RenderableType) -> None:
        self._content = content

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterable[Segment]:
        for segment in console.render(self._content, options):
            if segment.control:
                yield segment
            else:
                yield Segment(visible_lines(segment.text), segment.style)


def prepare() -> None:
    """Let what the terminal's encoding can't show be printed as an escape, not be an error."""
    if sys.stdout is None:  # it was closed before Python started
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - it is open as long as the program runs
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def is_unicode() -> bool:
    """Whether stdout takes every character."""
    return "utf" in (sys.stdout.encoding or "").lower()


def status_of(problem: BaseException) -> int:
    """Say in one line what ended a command; returns the exit status."""
    if isinstance(problem, click.Abort):
        if isinstance(problem.__context__, KeyboardInterrupt):
            return INTERRUPTED
        complain("nothing was done")
        return NOT_DONE
    if isinstance(problem, OSError):
        return _status_of_system(problem)
    if problem.__class__.__name__ == "NoArgsIsHelpError":  # of click 8.2 and later
        assert isinstance(problem, click.UsageError) and problem.ctx
        click.echo(problem.ctx.get_help())
        return 0
    if isinstance(problem, click.UsageError):
        command = problem.ctx.command_path if problem.ctx else "kerasprov"
        complain(f"{problem.format_message().rstrip('.')}; see {command} --help")
    elif isinstance(problem, click.ClickException):
        complain(problem.format_message())
    else:
        complain(str(problem) or "there is not enough memory for that")
    return FAILED


def _status_of_system(problem: OSError) -> int:
    if problem.errno == errno.EPIPE:
        _write_no_more()
        return NOT_DONE
    where = f": {os.fsdecode(problem.filename)}" if problem.filename else ""
    _write_no_more()
    complain(f"{problem.strerror or problem}{where}")
    return FAILED


def _write_no_more() -> None:
    """Python would try again, at its end, to write what could not be written, and complain."""
    try:
        sys.stdout.flush()
    except OSError:
        try:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, sys.stdout.fileno())
            os.close(nowhere)
        except (OSError, ValueError):
            pass  # it is no stream of the system's
