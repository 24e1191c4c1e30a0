"""`kerasprov config` and `kerasprov path`: how the agent is set up here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

import kerasprov_agent
from kerasprov_agent import redaction
from kerasprov_agent.cli import form_options
from kerasprov_agent.cli.screen import say
from kerasprov_agent.cli.tables import print_rows
from kerasprov_agent.errors import KerasProvError
from kerasprov_agent.settings import SETTINGS, Values


@click.command()
@form_options
def config(form: str | None) -> None:
    """Show every setting, its value here and where the value comes from."""
    values = Values(strict=True)
    rows = [
        {
            "setting": setting.name,
            "value": _shown(getattr(values, setting.name)),
            "from": values.source.get(setting.name),
            "variable": setting.variable,
            "option": f"{setting.option} {setting.form}".strip(),
            "meaning": setting.meaning,
        }
        for setting in SETTINGS
    ]
    print_rows(rows, form)


def _shown(value: Any) -> Any:
    """A value without what is secret in it, as the password of an address."""
    return redaction.text(value) if isinstance(value, str) else value


@click.command()
def path() -> None:
    """Print the folder to put on PYTHONPATH, so that every Python process is recorded."""
    folder = Path(kerasprov_agent.__file__).parent / "bootstrap"
    if not (folder / "sitecustomize.py").is_file():
        raise KerasProvError(f"{folder} is not there; install kerasprov_agent anew")
    say(str(folder))


COMMANDS = (config, path)
