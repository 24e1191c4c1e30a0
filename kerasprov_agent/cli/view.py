"""`kerasprov view`: the record in the browser. `kerasprov report`: the same as one file."""

from __future__ import annotations

import os
import secrets
import socket
import webbrowser
from collections.abc import Sequence
from threading import Timer
from typing import Any

import click

from kerasprov_agent.cli import database_option
from kerasprov_agent.cli.screen import say
from kerasprov_agent.errors import KerasProvError
from kerasprov_agent.read.record import open_record
from kerasprov_agent.replacing import replaced

PORT = 8765
PORTS_TRIED = 20


@click.command()
@database_option
@click.option("--port", type=click.IntRange(0, 65535), help=f"The port  [default: {PORT}, or next]")
@click.option("--no-open", is_flag=True, help="Do not open a browser.")
@click.option(
    "--host", "hosts", multiple=True, metavar="NAME",
    help="Another name by which the server may be called, as a proxy does; repeatable.",
)  # fmt: skip
@click.option(
    "--public", is_flag=True,
    help="Listen on all addresses of this machine; visitors need the token in the address.",
)  # fmt: skip
def view(db: str, port: int | None, no_open: bool, hosts: tuple[str, ...], public: bool) -> None:
    """Look at the record in the browser: runs, curves, comparisons, lineage, questions.

    It listens on this machine only, needs no network, never writes, and follows trainings that go
    on. Ctrl-C ends it.
    """
    try:
        import uvicorn

        from kerasprov_agent.viewer import server
    except ImportError as exc:
        raise KerasProvError(
            f"the pages need {exc.name}: pip install 'kerasprov_agent[view]'"
        ) from exc
    with open_record(db):
        pass  # a database that can't be read is told of before anything begins
    token = secrets.token_urlsafe(16) if public else None
    address = "0.0.0.0" if public else "127.0.0.1"  # asked for by --public
    listener = _listener(address, port)
    host = socket.gethostname() if public else "127.0.0.1"
    # Whoever is let in from outside may know the machine by any name; the token decides.
    names = frozenset() if public and not hosts else server.LOCAL_HOSTS | {*hosts, host}
    place = f"http://{host}:{listener.getsockname()[1]}/"
    shown = f"{place}?token={token}" if token else place
    say(f"{os.path.basename(db)} is shown at {shown}  (Ctrl-C ends it)")
    if not no_open:
        opening = Timer(0.3, _open, (shown,))
        opening.daemon = True
        opening.start()
    config = uvicorn.Config(
        server.application(os.path.abspath(db), token, names), log_level="error", lifespan="off"
    )
    _serve(uvicorn.Server(config), listener)


def _serve(server: Any, listener: socket.socket) -> None:
    try:
        server.run(sockets=[listener])
    except KeyboardInterrupt:
        pass
    finally:
        listener.close()


def _listener(address: str, port: int | None) -> socket.socket:
    """A socket that listens; raises `KerasProvError` if the port is taken."""
    for tried in [port] if port is not None else [*range(PORT, PORT + PORTS_TRIED), 0]:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((address, tried))
            listener.listen(128)
        except OSError as exc:
            listener.close()
            problem = exc
            continue
        return listener
    raise KerasProvError(
        f"port {port} can't be used: {problem.strerror}; name another with --port, or none"
    )


def _open(address: str) -> None:
    try:
        webbrowser.open(address)
    except webbrowser.Error:
        pass  # there is none; the address was printed


@click.command()
@click.argument("runs", metavar="[RUN]...", nargs=-1)
@database_option
@click.option("--where", metavar="CONDITION", help="Only runs for which this holds.")
@click.option("-o", "--output", metavar="FILE", required=True, help="The HTML file to write.")
def report(runs: Sequence[str], db: str, where: str | None, output: str) -> None:
    """Write runs as one HTML file with the pages' charts, which needs no server.

    Without RUN the newest runs are in it, 20 at most.
    """
    from kerasprov_agent.viewer import report as reports

    with open_record(db) as record:
        text, left_out = reports.html(record, runs, where)
    with replaced(output) as path, open(path, "w", encoding="utf-8") as stream:
        stream.write(text)
    if left_out:
        say(left_out)


COMMANDS = (view, report)
