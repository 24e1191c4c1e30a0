"""A real PostgreSQL on a port of its own, made for these tests alone."""

from __future__ import annotations

import glob
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

PLACES = ["", *sorted(glob.glob("/usr/lib/postgresql/*/bin"), reverse=True)]
PASSWORD = "s3cret-for-the-tests"


def program(name: str) -> str | None:
    """A program of PostgreSQL's, which Debian keeps off the path."""
    return next(
        (found for place in PLACES if (found := shutil.which(name, path=place or None))), None
    )


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def as_owner() -> dict[str, Any]:
    """PostgreSQL does not run as root: there it runs as the user that its package made."""
    return {"user": "postgres", "group": "postgres"} if os.geteuid() == 0 else {}


class Server:
    """A PostgreSQL that can be stopped, killed and started again."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self._child: subprocess.Popen[bytes] | None = None
        password = folder / "password"
        password.write_text(PASSWORD)
        initdb = program("initdb")
        assert initdb is not None
        subprocess.run(
            [initdb, "-D", folder / "data", "-U", "owner", "--auth=scram-sha-256", "-E", "UTF8",
             f"--pwfile={password}", "--no-sync", "--locale=C"],
            check=True, capture_output=True, cwd=folder, **as_owner(),
        )  # fmt: skip

    def start(self) -> None:
        postgres = program("postgres")
        assert postgres is not None
        self._child = subprocess.Popen(
            [postgres, "-D", self.folder / "data", "-p", str(self.port), "-h", "127.0.0.1", "-k",
             self.folder, "-F", "-c", "max_connections=120"],
            stdout=subprocess.DEVNULL, stderr=(self.folder / "log").open("ab"), cwd=self.folder,
            **as_owner(),
        )  # fmt: skip
        end = time.monotonic() + 60
        while True:
            try:
                with socket.create_connection(("127.0.0.1", self.port), 1):
                    break
            except OSError:
                assert time.monotonic() < end, (self.folder / "log").read_text()
                time.sleep(0.05)
        self.wait_until_ready()

    def wait_until_ready(self) -> None:
        import psycopg

        end = time.monotonic() + 60
        while True:
            try:
                psycopg.connect(self.url("postgres"), connect_timeout=5).close()
                return
            except psycopg.OperationalError:
                assert time.monotonic() < end
                time.sleep(0.05)

    def stop(self, how: int = signal.SIGINT) -> None:
        """End it; by SIGINT its connections are broken off, by SIGQUIT it crashes."""
        assert self._child is not None
        self._child.send_signal(how)
        self._child.wait(60)

    def url(self, name: str, user: str = "owner", password: str = PASSWORD) -> str:
        return f"postgresql://{user}:{password}@127.0.0.1:{self.port}/{name}"

    def execute(self, statement: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        import psycopg

        with psycopg.connect(self.url(database), autocommit=True) as connection:
            cursor = connection.execute(statement)  # type: ignore[call-overload]
            return cursor.fetchall() if cursor.description else []


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """The server, for the whole session."""
    if program("initdb") is None:
        assert "KERASPROV_NEEDS_POSTGRESQL" not in os.environ, "CI must not skip this"
        pytest.skip("no PostgreSQL is installed (Debian: apt install postgresql)")
    pytest.importorskip("psycopg")
    folder = Path(tempfile.mkdtemp(prefix="kerasprov-pg-"))
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres", "postgres")
    made = Server(folder)
    made.start()
    yield made
    made.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def empty(server: Server) -> Iterator[str]:
    """The address of an empty database, as its owner."""
    name = f"team_{secrets.token_hex(4)}"
    server.execute(f"CREATE DATABASE {name}")
    yield server.url(name)
    server.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def central(empty: str) -> str:
    """The address of a central store, as its owner."""
    from kerasprov_agent.central.server import initialize

    initialize(empty)
    return empty


@pytest.fixture
def writer(server: Server, central: str) -> Iterator[Callable[[str], str]]:
    """Gives the address of the central store for a role that may write; made when asked for."""
    database = central.rpartition("/")[2]
    made: list[str] = []

    def url(name: str, group: str = "kerasprov_writer") -> str:
        role = f"{name}_{database}"
        if role not in made:
            server.execute(f"CREATE ROLE {role} LOGIN PASSWORD '{PASSWORD}' IN ROLE {group}")
            made.append(role)
        return server.url(database, role)

    yield url
    for role in made:
        server.execute(f"REASSIGN OWNED BY {role} TO owner", database)
        server.execute(f"DROP OWNED BY {role}", database)
        server.execute(f"DROP ROLE {role}")
