"""The pages as a web application: reads, never writes, and trusts nothing that is stored.

Each request opens the record anew and has `QUERY_SECONDS` for it, so that a page never holds up a
training, and a slow question never the server. All addresses within the pages are relative: the
application may lie behind a proxy, below any prefix.
"""

from __future__ import annotations

import hmac
import inspect
import json
import os
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from kerasprov_agent import documents
from kerasprov_agent.documents.document import Document
from kerasprov_agent.documents.formats import FORMATS
from kerasprov_agent.errors import KerasProvError
from kerasprov_agent.read.record import Record, open_record
from kerasprov_agent.settings import Values
from kerasprov_agent.store.reading import STEPS
from kerasprov_agent.version import __version__
from kerasprov_agent.viewer import STATIC, pages
from kerasprov_agent.viewer.pages.values import numbers

QUERY_SECONDS = 10.0
"""A request that asks the record for longer is told so."""
LOCAL_HOSTS = frozenset(("127.0.0.1", "localhost", "::1"))
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)
COOKIE = "kerasprov_token"
LISTS: Mapping[str, Callable[[str], list[int]]] = {
    "runs": numbers,
    "after": lambda text: [int(word) for word in text.split(",") if word],
}
"""Arguments that are lists of numbers; others that are lists have their words apart by `|`."""

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class TooLong(KerasProvError):
    """A question took longer than a request may."""


def application(
    database: str, token: str | None = None, hosts: frozenset[str] = LOCAL_HOSTS
) -> Callable[[Scope, Receive, Send], Awaitable[None]]:
    """The web application (ASGI) over one database.

    token: what a visitor has to give once, as `?token=`; None: nobody is asked. hosts: the names
    by which the server may be called, against DNS rebinding; empty: any.
    """

    async def data(request: Request) -> Response:
        name = request.path_params["name"]
        function = getattr(pages, name) if name in pages.__all__ else None
        if function is None:
            return _problem(404, f"there is no page {name!r}")
        try:
            arguments = _arguments(function, request.query_params)
        except ValueError as exc:
            return _problem(400, f"the address is not understood: {exc}")
        return await _answered(lambda: _asked(database, function, arguments))

    async def document(request: Request) -> Response:
        form, run = request.query_params.get("format", "json"), request.query_params.get("run", "")
        if form not in FORMATS:
            return _problem(400, f"there is no format {form!r}")
        return await _answered(lambda: _document(database, run, form))

    async def about(_request: Request) -> Response:
        return JSONResponse(
            {
                "version": __version__,
                "database": os.path.basename(database),
                "data": find_spec("datasette") is not None,
            }
        )

    async def index(_request: Request) -> Response:
        return FileResponse(STATIC / "index.html", media_type="text/html")

    routes: list[Any] = [
        Route("/", index),
        Route("/api/about", about),
        Route("/api/document", document),
        Route("/api/{name}", data),
        Mount("/static", StaticFiles(directory=STATIC)),
    ]
    if find_spec("datasette") is not None:
        routes.append(Mount("/data", _datasette(database)))
    return _Guarded(Starlette(routes=routes), token, hosts)


class _Guarded:
    """Checks who asks, and puts the headers that keep a page from running what is stored."""

    def __init__(self, app: Starlette, token: str | None, hosts: frozenset[str]) -> None:
        self._app = app
        self._token = token
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        refusal = self._refusal(request)
        if refusal is not None:
            await refusal(scope, receive, _with_headers(send))
        elif scope["path"].startswith("/data/"):
            await self._app(scope, receive, send)  # Datasette has scripts of its own in its pages
        else:
            await self._app(scope, receive, _with_headers(send))

    def _refusal(self, request: Request) -> Response | None:
        if request.method not in ("GET", "HEAD"):
            return _problem(405, "this server only shows; nothing can be changed here")
        host = _host(request.headers.get("host", ""))
        if self._hosts and host not in self._hosts:
            return _problem(
                403, f"this server is not {host}; if it is meant to be, start it with --host {host}"
            )
        origin = request.headers.get("origin")
        if origin not in (None, "null") and _host(str(origin).partition("//")[2]) != host:
            return _problem(403, "a page of another site asks; it gets nothing")
        if self._token is None:
            return None
        given = request.query_params.get("token")
        if given is not None and hmac.compare_digest(given.encode(), self._token.encode()):
            answer = RedirectResponse("./")
            answer.set_cookie(COOKIE, self._token, httponly=True, samesite="strict")
            return answer
        known = request.cookies.get(COOKIE, "")
        if hmac.compare_digest(known.encode(), self._token.encode()):
            return None
        return _problem(401, "open the address with its token, as `kerasprov view` printed it")


def _host(text: str) -> str:
    """The name of a host without its port."""
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition("/")[0].rpartition(":")[0] if ":" in text else text.partition("/")[0]


def _with_headers(send: Send) -> Send:
    async def sending(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [
                *message.get("headers", ()),
                (b"content-security-policy", POLICY.encode()),
                (b"x-content-type-options", b"nosniff"),
                (b"referrer-policy", b"no-referrer"),
                (b"cache-control", b"no-cache"),
            ]
        await send(message)

    return sending


def _arguments(function: Callable[..., Any], given: Mapping[str, str]) -> dict[str, Any]:
    """The arguments of a page's function, from an address; raises ValueError."""
    arguments: dict[str, Any] = {}
    for name, parameter in inspect.signature(function).parameters.items():
        if name == "record":
            continue
        if name not in given:
            if parameter.default is parameter.empty:
                raise ValueError(f"{name} is missing")
            continue
        text, kind = given[name], str(parameter.annotation)
        if name in LISTS and "Sequence" in kind:
            arguments[name] = LISTS[name](text)
        elif "Sequence" in kind:
            arguments[name] = [word for word in text.split("|") if word]
        elif kind == "int":
            arguments[name] = int(text)
        elif kind == "bool":
            arguments[name] = text in ("1", "true")
        else:
            arguments[name] = text
    return arguments


async def _answered(work: Callable[[], Response]) -> Response:
    try:
        return await run_in_threadpool(work)
    except TooLong as exc:
        return _problem(504, str(exc))
    except KerasProvError as exc:
        return _problem(400, str(exc))


def _asked(database: str, function: Callable[..., Any], arguments: dict[str, Any]) -> Response:
    """Ask the record, within the time that a request has; raises `KerasProvError`."""
    with _limited(database) as record:
        value = function(record, **arguments)
    return Response(json.dumps(value, allow_nan=False), media_type="application/json")


class _limited:
    """Opens a record whose questions end after `QUERY_SECONDS`; raises `TooLong` then."""

    def __init__(self, database: str) -> None:
        self._open = open_record(database)

    def __enter__(self) -> Record:
        record = self._open.__enter__()
        end = time.monotonic() + QUERY_SECONDS
        record.connection.set_progress_handler(lambda: time.monotonic() > end, STEPS)
        return record

    def __exit__(self, kind: Any, exc: Any, traceback: Any) -> None:
        # What SQLite was stopped in looks like Ctrl-C, which never comes to a thread of a request.
        try:
            self._open.__exit__(kind, exc, traceback)
        except KeyboardInterrupt:
            kind = KeyboardInterrupt
        if kind is KeyboardInterrupt:
            message = f"this took longer than {QUERY_SECONDS:.0f} s and was stopped; ask for less"
            raise TooLong(message) from None


def _document(database: str, run: str, form: str) -> Response:
    """A PROV document of a run, in one of its formats; raises `KerasProvError`."""
    with tempfile.TemporaryDirectory(prefix="kerasprov-") as directory:
        path = os.path.join(directory, "document")
        with _limited(database) as record:
            name = record.find(run)["name"]
            document = Document(record.connection, record.parts([run]), base=Values().base)
            documents.write_to(path, document, form)
        content = Path(path).read_bytes()
    media = {"svg": "image/svg+xml", "json": "application/json", "crate": "application/zip"}
    ending = "zip" if form == "crate" else form
    safe = "".join(c if c.isalnum() and c.isascii() else "-" for c in str(name))[:80]
    answer = Response(content, media_type=media.get(form, "text/plain; charset=utf-8"))
    answer.headers["content-disposition"] = f'attachment; filename="{safe}.{ending}"'
    return answer


def _problem(status: int, message: str) -> JSONResponse:
    return JSONResponse({"error": message}, status_code=status)


def _datasette(database: str) -> Any:
    """Datasette over the same file, for tables, SQL, facets and CSV; it only reads."""
    from datasette.app import Datasette  # type: ignore[import-not-found,import-untyped,unused-ignore]

    settings = {"base_url": "/data/", "sql_time_limit_ms": 5000, "suggest_facets": False}
    return Datasette([database], settings=settings).app()
