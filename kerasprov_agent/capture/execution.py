"""One process of a program: how its record begins, and how it ends."""

from __future__ import annotations

import hashlib
import os
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from kerasprov_agent import clock, guard, identity, settings, silence
from kerasprov_agent.capture import import_hook
from kerasprov_agent.capture.describe import arguments, code, job, machine, outcomes
from kerasprov_agent.capture.describe.values import to_json
from kerasprov_agent.capture.files.watching import watch
from kerasprov_agent.store.operations import Operation, insert, update
from kerasprov_agent.store.text import bindable
from kerasprov_agent.store.writer import Writer
from kerasprov_agent.version import __version__

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

FACTS_SECONDS = 2.0
"""How long the end of a program waits for what git has not told yet."""
LOG_SECONDS = 1.0
"""What was recorded stands in SQLite's log alone for about so long; then the file itself has it."""
SENDER_SECONDS = 20.0
"""So often it is looked whether a process sends to the central store: somebody may kill it."""
DOCUMENT_SECONDS = 60.0
"""A notebook's document is written at most so often while the kernel lives."""


class Execution:
    """The row of `execution`, and the way to the database for all that belongs to it."""

    def __init__(self, keras: Mapping[str, Any]) -> None:
        self.id = identity.own()
        self.settings = settings.Values()
        self._program = code.program(identity.program)
        self.label = self.settings.name or _label(self._program)
        self.arguments = guard.attempt(arguments.named, self._program["arguments"]) or {}
        """The settings on the command line."""
        self._writer = Writer(self.settings.db, self.id)
        self._writing = threading.RLock()
        self._begin: Sequence[Operation] = self._first_operations(keras)
        self._found: list[Operation] = []
        self.when_written: Callable[[], object] | None = None
        """Called after each write: for what is done beside the program, or at its very end."""
        self._told = False
        self._in_log_since: float | None = None
        self._documented_at = -DOCUMENT_SECONDS
        self._document_is_due = False
        self._sending_checked = 0.0
        self._git = threading.Thread(target=self._ask_git_beside, name="kerasprov-git", daemon=True)
        try:
            self._git.start()
        except RuntimeError:  # Python is ending; a record that begins so late waits for git
            self._ask_git()

    def _first_operations(self, keras: Mapping[str, Any]) -> Sequence[Operation]:
        packages = machine.packages()
        digest = hashlib.sha256(to_json(packages).encode()).hexdigest()
        script = code.source(self._program["source_file"], self.settings.redact_source)
        facts = machine.facts()
        row = {
            "id": self.id,
            "parent_id": identity.parent(),
            "label": self.label,
            "tags": to_json(self.settings.tags) if self.settings.tags else None,
            "kind": self._program["kind"],
            "script": self._program["script"],
            "script_sha256": script and script.sha256,
            "script_original_sha256": script and script.original_sha256,
            "arguments": to_json(self._program["arguments"]),
            "orcid": self.settings.orcid,
            "working_directory": settings.working_directory(),
            "started_at": clock.iso(clock.started()),
            "status": "running",
            **keras,
            **facts,
            **(guard.attempt(job.job) or {}),
            "environment": to_json(facts["environment"]),
            "agent_version": __version__,
            "packages_sha256": digest,
        }
        return [
            *([insert("source", script.row())] if script else []),
            insert("execution", row),
            *(
                insert("package", {"packages_sha256": digest, "name": name, "version": version})
                for name, version in packages.items()
            ),
        ]

    def _ask_git_beside(self) -> None:
        with silence.beside():
            self._ask_git()

    def _ask_git(self) -> None:
        guard.attempt(self._find_git)

    def _find_git(self) -> None:
        """On a thread of its own: git may take seconds in a large repository."""
        file = self._program["source_file"]
        directory = os.path.dirname(file) if file else settings.working_directory()
        own = [
            self.settings.db,
            *([os.path.join(self.settings.prov, "")] if self.settings.prov else []),
        ]
        state = code.git(directory, own) if directory else None
        if state is None:
            return
        diff = code.text(state["diff"], self.settings.redact_source) if state["diff"] else None
        row = {
            "git_commit": state["commit"],
            "git_branch": state["branch"],
            "git_remote": state["remote"],
            "git_dirty": int(state["dirty"]),
            "git_diff_sha256": diff and diff.sha256,
            "git_diff_original_sha256": diff and diff.original_sha256,
        }
        operations = [insert("source", diff.row())] if diff else []
        with self._writing:
            self._found = [*operations, update("execution", row, {"id": self.id})]

    def write(self, operations: Sequence[Operation]) -> None:
        """Commit operations, together with what git has told since the last commit."""
        with self._writing:
            self._writer.write([*self._begin, *operations, *self._found])
            self._begin, self._found = (), []
        if self._in_log_since is None:
            self._in_log_since = perf_counter()
        if self.when_written is not None:
            self.when_written()

    def ask(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """The rows of a query on the database."""
        return self._writer.ask(query, *map(bindable, values))

    def run_ended(self) -> None:
        """A run is over: the file is made whole, and a notebook's document is brought up to date.

        A kernel seldom ends in order, so its document can't wait for the end.
        """
        self._checkpoint()
        if self._program["kind"] == "notebook":
            guard.call(self._update_document)

    def checkpoint(self) -> bool:
        """Move SQLite's log into the database file; returns whether that is still to be done."""
        since = self._in_log_since
        if since is None:
            return False
        if perf_counter() - since < LOG_SECONDS:
            return True
        self._checkpoint()
        return self._in_log_since is not None

    def _checkpoint(self) -> None:
        # While somebody reads, a part of the log has to stay: that is tried once more.
        self._in_log_since = None if self._writer.checkpoint() else perf_counter()

    def _update_document(self) -> None:
        """Write a notebook's document now, or later, when the kernel is idle.

        The more a notebook has trained, the longer its document takes.
        """
        wait = self._documented_at + DOCUMENT_SECONDS - perf_counter()
        if wait <= 0:
            self._write_document()
            self._documented_at = perf_counter()
        elif not self._document_is_due:
            loop = _event_loop()
            if loop is not None:
                self._document_is_due = True
                loop.call_later(wait, guard.call, self._document_when_idle)

    def _document_when_idle(self) -> None:
        self._document_is_due = False
        with watch.quiet():
            self._update_document()

    def end(self, exc: BaseException | None, at_exit: bool, runs: int, epochs: int) -> None:
        """Write the end of the program's record; `exc` is the exception with which it ends."""
        if self._git.ident is not None:
            self._git.join(FACTS_SECONDS)
        now = clock.iso(clock.now())
        row = {"ended_at": now, **self._outcome(exc, at_exit)}
        if row.get("status") is None:
            row.update(outcomes.columns(exc))
        self.write([*self._cut_off(now), update("execution", row, {"id": self.id})])
        self._checkpoint()
        self._writer.close()
        document = guard.call(self._write_document)
        if self.settings.verbose and not self._told:
            self._told = True
            where = f", {document}" if document else ""
            print(
                f"kerasprov_agent: {runs} runs, {epochs} epochs in {self.settings.db}{where}",
                file=sys.stderr,
            )

    def _cut_off(self, now: str) -> list[Operation]:
        """Mark what still runs as interrupted: threads that nobody joins end with the program."""
        row = {"status": "interrupted", "ended_at": now}
        operations: list[Operation] = [
            update(table, row, {"execution_id": self.id, "status": "running"})
            for table in ("run", "evaluation", "activity", "search")
        ]
        searches = self.ask("SELECT id FROM search WHERE execution_id = ?", self.id)
        keys = ({"search_id": search_id, "status": "running"} for (search_id,) in searches)
        return [*operations, *(update("trial", row, key) for key in keys)]

    def _outcome(self, exc: BaseException | None, at_exit: bool) -> dict[str, Any]:
        """The exit status, known under the runner; `sys.exit` alone is no exception to report."""
        if not at_exit or import_hook.loaded("capture.runner") is None:
            return {}
        if exc is None:
            return {"exit_status": 0}
        if isinstance(exc, SystemExit):
            status = exc.code if isinstance(exc.code, int) else 0 if exc.code is None else 1
            return {"exit_status": status, "status": "failed" if status else "finished"}
        # A hook of the program's own may have ended it with a status of its own.
        known = isinstance(exc, Exception) and sys.excepthook is sys.__excepthook__
        return {"exit_status": 1} if known else {}

    def _write_document(self) -> str | None:
        if self.settings.prov is None or not os.path.exists(self.settings.db):
            return None
        from kerasprov_agent import documents
        from kerasprov_agent.replacing import file_name

        name = file_name(Path(self.label).name, f"-{self.id}.json")
        path = os.path.join(self.settings.prov, name)
        documents.write_file(self.settings.db, self.id, path, self.settings.base)
        return path

    def keep_sending(self) -> None:
        """See to it that a process sends what is recorded to the central store, if one is set."""
        if self.settings.central is not None and perf_counter() >= self._sending_checked:
            from kerasprov_agent.capture import sending

            self._sending_checked = perf_counter() + SENDER_SECONDS
            sending.keep(self.settings.db, self.settings.central)

    def await_sending(self) -> None:
        """Wait a limited time until all was sent; what was not waits in the database."""
        if self.settings.central is not None and os.path.exists(self.settings.db):
            from kerasprov_agent.capture import sending

            self._sending_checked = 0.0
            self.keep_sending()
            sending.wait(self.settings.db, self.settings.central_seconds)

    def close(self) -> None:
        """Close the database, which the next write opens again."""
        self._writer.close()

    def abandon(self) -> None:
        """In a forked child: leave the database connection to the parent."""
        self._writer.abandon()


def _event_loop() -> AbstractEventLoop | None:
    """The loop in which a kernel runs one cell after the other; None outside of it."""
    if "asyncio" not in sys.modules:
        return None
    import asyncio

    return guard.attempt(asyncio.get_running_loop)


def _label(program: Mapping[str, Any]) -> str:
    script = program["script"]
    if not script:
        return str(program["kind"])
    if program["kind"] == "module":
        return str(script)
    return Path(script).stem or str(program["kind"])
