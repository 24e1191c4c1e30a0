"""The command `kerasprov`: looks at what was recorded. One module a group of commands."""

from __future__ import annotations

import importlib
import sqlite3
import sys
from collections.abc import Callable, Sequence
from typing import Any

import click

from kerasprov_agent import guard
from kerasprov_agent.cli import screen
from kerasprov_agent.errors import Unusable
from kerasprov_agent.settings import Values
from kerasprov_agent.store import database
from kerasprov_agent.version import __version__

COMMANDS = {
    "runs": ("runs",),
    "show": ("show",),
    "compare": ("diff",),
    "plot": ("plot",),
    "questions": ("best", "query", "sql"),
    "trials": ("trials",),
    "lineage": ("lineage",),
    "documents": ("prov",),
    "imports": ("import",),
    "export": ("export",),
    "care": ("doctor", "salvage", "pack", "merge", "rename", "tag", "note", "delete", "prune"),
    "evidence": ("card", "seal", "verify"),
    "reproduce": ("reproduce",),
    "view": ("view", "report"),
    "central": ("push", "pull", "central"),
    "setup": ("config", "path"),
}
"""The modules here, each with its commands."""


class Group(click.Group):
    """Imports a command's module when it is called for; prints errors of ours in one line."""

    def list_commands(self, _context: click.Context) -> list[str]:
        """All commands, in the order of the help."""
        return [name for names in COMMANDS.values() for name in names]

    def get_command(self, _context: click.Context, name: str) -> click.Command | None:
        """The command of a name."""
        for module, names in COMMANDS.items():
            if name in names:
                module_found = importlib.import_module(f"kerasprov_agent.cli.{module}")
                commands: tuple[click.Command, ...] = module_found.COMMANDS
                return next(command for command in commands if command.name == name)
        return None

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """Run the program; whatever goes wrong, a person sees one line and no traceback."""

        def run() -> Any:
            return super(Group, self).main(args, prog_name, complete_var, False, **extra)

        if not standalone_mode:
            return run()
        screen.prepare()
        status = guard.tell(lambda: _status(run), screen.complain)
        sys.exit(screen.FAILED if status is None else status)

    def invoke(self, context: click.Context) -> Any:
        """Run a command, to the last byte that it prints."""
        try:
            super().invoke(context)
            sys.stdout.flush()
        except OSError as exc:
            context.exit(screen.status_of(exc))


def _status(run: Callable[[], Any]) -> int:
    try:
        return run() or 0
    except (*screen.FORESEEN, OSError) as exc:
        return screen.status_of(exc)
    except sqlite3.DatabaseError as exc:
        if "malformed" not in str(exc):
            raise
        return screen.status_of(Unusable(database.damaged("the database", exc)))


def database_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command `--db`, the database's path as `KERASPROV_DB` has it by default."""

    def resolve(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str:
        return value or Values(strict=True).db

    return click.option(
        "--db",
        metavar="PATH",
        callback=resolve,
        help="The database  [default: KERASPROV_DB, else kerasprov.db here]",
    )(command)


def form_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command `--json` and `--csv`; it gets `form`: table, json or csv."""
    for name in ("csv", "json"):
        option = click.option(
            f"--{name}", "form", flag_value=name, help=f"Print {name.upper()} instead of a table."
        )
        command = option(command)
    return command


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="kerasprov")
def main() -> None:
    """Look at the Keras trainings that kerasprov_agent has recorded.

    RUN is a run's number or name, the beginning of its id, or `last`.
    """
