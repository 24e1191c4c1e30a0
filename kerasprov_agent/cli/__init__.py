"""The command `kerasprov`: looks at what was recorded. One module a group of commands."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import click

from kerasprov_agent import __version__
from kerasprov_agent.errors import KerasProvError
from kerasprov_agent.settings import Values


class Group(click.Group):
    """Prints errors of ours in one line and ends with status 2."""

    def invoke(self, context: click.Context) -> Any:
        """Run a command."""
        try:
            return super().invoke(context)
        except KerasProvError as exc:
            click.echo(f"kerasprov: {exc}", err=True)
            sys.exit(2)
        except BrokenPipeError:
            raise
        except OSError as exc:
            where = f": {exc.filename}" if exc.filename else ""
            click.echo(f"kerasprov: {exc.strerror or exc}{where}", err=True)
            sys.exit(2)


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


def json_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command `--json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")(
        command
    )


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


from kerasprov_agent.cli import (  # noqa: E402
    care,
    compare,
    documents,
    export,
    imports,
    lineage,
    plot,
    questions,
    runs,
    setup,
    show,
)

for _module in (
    runs, show, compare, plot, questions, lineage, documents, imports, export, care, setup,
):  # fmt: skip
    for _command in _module.COMMANDS:
        main.add_command(_command)
