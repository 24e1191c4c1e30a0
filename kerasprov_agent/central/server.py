"""Connecting to the central store: what can go wrong there is one line, and never a password."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from kerasprov_agent.central import dialect, views
from kerasprov_agent.errors import KerasProvError
from kerasprov_agent.store import schema

if TYPE_CHECKING:
    import psycopg

    Connection = psycopg.Connection[Any]

DEFAULTS = {
    "application_name": "kerasprov", "connect_timeout": 10, "keepalives_idle": 10,
    "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 20_000,
}  # fmt: skip
"""What an address may say otherwise. After so many seconds (the last in milliseconds) without an
answer a connection is given up: a network that was cut says nothing."""
STATEMENT_MILLISECONDS = 120_000
LOCK_MILLISECONDS = 10_000
IDLE_MILLISECONDS = 30_000
AGAIN = ("40001", "40P01", "55P03", "57014")
"""States in which the same transaction may succeed when it is tried again."""


class Unreachable(KerasProvError):
    """The server can't be used now; later it may."""


class NotCentral(KerasProvError):
    """The database is no central store of ours, or not one that this version can use."""


def shown(url: str) -> str:
    """An address without what is secret in it."""
    url = re.sub(r"(//[^/@?#:]*):[^/]*@", r"\1@", url)
    return re.sub(r"((?:^|[?&\s])(?:password|sslpassword)=)('[^']*'|[^&\s]*)", r"\1***", url)


def check_url(url: str) -> str:
    """The address of a PostgreSQL; raises `KerasProvError` for anything else."""
    if not url.startswith(("postgresql://", "postgres://")):
        raise KerasProvError(
            f"{shown(url)} is no address of a PostgreSQL, such as postgresql://ada@db.lab.org/team"
        )
    return url


@contextmanager
def connected(url: str, must_be_central: bool = True) -> Iterator[Connection]:
    """A connection while this lasts; a transaction begins with the first statement.

    Raises `Unreachable`, `NotCentral`, `KerasProvError`.
    """
    try:
        import psycopg
    except ImportError as exc:
        raise KerasProvError(
            "a central store needs psycopg: pip install 'kerasprov_agent[central]'"
        ) from exc
    check_url(url)
    try:
        # A pooler may give each transaction another connection: nothing may outlive one.
        asked = psycopg.conninfo.conninfo_to_dict(url)
        settings: dict[str, Any] = {**DEFAULTS, **asked}
        connection = psycopg.connect(url, prepare_threshold=None, **settings)
    except psycopg.OperationalError as exc:
        raise Unreachable(_told(url, exc)) from exc
    except psycopg.Error as exc:
        raise KerasProvError(_told(url, exc)) from exc
    try:
        with connection:
            if must_be_central:
                _check(connection, url)
            yield connection
    except (psycopg.OperationalError, psycopg.InterfaceError) as exc:
        raise Unreachable(_told(url, exc)) from exc
    except psycopg.Error as exc:
        if exc.sqlstate in AGAIN:
            raise Unreachable(_told(url, exc)) from exc
        raise KerasProvError(_told(url, exc)) from exc


def limit(connection: Connection) -> None:
    """Let no statement of this transaction wait for ever."""
    connection.execute(f"SET LOCAL statement_timeout = {STATEMENT_MILLISECONDS}")
    connection.execute(f"SET LOCAL lock_timeout = {LOCK_MILLISECONDS}")
    # Of a machine that is gone the server hears nothing: its locks must not outlive it.
    connection.execute(f"SET LOCAL idle_in_transaction_session_timeout = {IDLE_MILLISECONDS}")


def is_by_month(connection: Connection) -> bool:
    """Whether epochs lie in a table for each month."""
    query = "SELECT 1 FROM pg_partitioned_table WHERE partrelid = to_regclass(%s)"
    return connection.execute(query, (f"{dialect.SCHEMA}.epoch",)).fetchone() is not None


def central_id(connection: Connection) -> str:
    """The id of a central store."""
    row = connection.execute(f"SELECT value FROM {dialect.SCHEMA}.meta WHERE key = 'id'").fetchone()
    return str(row[0]) if row else ""


def _told(url: str, problem: BaseException) -> str:
    text = " ".join(str(problem).split())
    for secret in re.findall(r"//[^/@?#:]*:([^/]*)@|password=([^&\s]*)", url):
        for part in filter(None, secret):
            text = text.replace(part, "***")
    return f"{shown(url)}: {text}"


def _is_there(connection: Connection) -> bool:
    row = connection.execute("SELECT to_regclass(%s)", (f"{dialect.SCHEMA}.meta",)).fetchone()
    return row is not None and row[0] is not None


def _version(connection: Connection) -> int:
    query = f"SELECT value FROM {dialect.SCHEMA}.meta WHERE key = 'version'"
    row = connection.execute(query).fetchone()
    return int(row[0]) if row else 0


def _check(connection: Connection, url: str) -> None:
    if not _is_there(connection):
        raise NotCentral(
            f"{shown(url)} holds no central store; its owner makes one with: "
            "kerasprov central init URL"
        )
    version = _version(connection)
    if version > schema.VERSION:
        raise NotCentral(
            f"{shown(url)} has schema {version}, this kerasprov_agent knows {schema.VERSION}; "
            "upgrade with `pip install -U kerasprov_agent`"
        )
    if version < schema.VERSION:
        raise NotCentral(
            f"{shown(url)} has schema {version}; its owner brings it up to date with: "
            "kerasprov central init URL"
        )


def initialize(url: str, by_month: bool = False) -> None:
    """Make the central store, or bring it up to date; all or nothing. Raises `KerasProvError`.

    by_month: epochs lie in a table for each month, which can be exported and taken away.
    """
    with connected(url, must_be_central=False) as connection:
        limit(connection)
        connection.execute("SELECT pg_advisory_xact_lock(hashtextextended('kerasprov init', 0))")
        for role in (dialect.WRITER, dialect.READER):
            known = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (role,))
            if known.fetchone() is None:
                connection.execute(f"CREATE ROLE {role} NOLOGIN")
        if _is_there(connection):
            if _version(connection) > schema.VERSION:
                raise NotCentral(f"{shown(url)} has a newer schema; nothing was changed")
            if by_month and not is_by_month(connection):
                raise KerasProvError(
                    f"{shown(url)} has its epochs in one table; months need a new database"
                )
            by_month = is_by_month(connection)
        for statement in (*dialect.statements(by_month), *views.statements()):
            connection.execute(statement)
        meta = f"INSERT INTO {dialect.SCHEMA}.meta VALUES (%s, %s) ON CONFLICT (key)"
        connection.execute(f"{meta} DO NOTHING", ("id", str(uuid.uuid4())))
        connection.execute(
            f"{meta} DO UPDATE SET value = excluded.value", ("version", str(schema.VERSION))
        )
