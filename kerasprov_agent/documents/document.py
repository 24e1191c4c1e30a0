"""A document to be written: which executions and runs, in which profile, merged or in bundles."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from kerasprov_agent.documents.scope import FULL_EPOCHS
from kerasprov_agent.documents.statement import Statement
from kerasprov_agent.documents.statements import Part, statements
from kerasprov_agent.settings import BASE

if TYPE_CHECKING:
    from prov.model import ProvDocument

EPOCH_STATEMENTS = 5
"""An activity, its metrics, and what links them to the fit, the history and the epoch before."""
PROGRAM_STATEMENTS = 60


class Document:
    """What a document is made of; nothing is read before it is asked for."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        parts: Sequence[Part],
        profile: str | None = None,
        bundles: bool = False,
        base: str = BASE,
        detail: bool = False,
    ) -> None:
        self.connection, self.parts = connection, list(parts)
        self.profile, self.bundles, self.base = profile, bundles, base
        self.detail = detail
        """Whether a picture shows each of what is alike, such as epochs."""

    def statements(self) -> Iterator[Statement]:
        """Its statements, in order."""
        return statements(self.connection, self.parts, self.profile, self.bundles, self.base)

    def build(self) -> ProvDocument:
        """As `prov.model.ProvDocument`, in memory as a whole."""
        from kerasprov_agent.documents import prov_document

        return prov_document.build(self.statements())

    def size(self) -> int:
        """About how many statements there are, without making them."""
        epochs = 0
        if self.profile != "summary":
            query = (
                "SELECT r.execution_id, r.id, (SELECT count(*) FROM epoch e WHERE e.run = r.number)"
                " FROM run r"
            )
            counts: dict[str, dict[str, int]] = {}
            for execution_id, run_id, count in self.connection.execute(query):
                counts.setdefault(execution_id, {})[run_id] = count
            for execution_id, run_ids in self.parts:
                for run_id, count in counts.get(execution_id, {}).items():
                    is_told = self.profile == "full" or count <= FULL_EPOCHS
                    if is_told and (run_ids is None or run_id in run_ids):
                        epochs += count
        return epochs * EPOCH_STATEMENTS + len(self.parts) * PROGRAM_STATEMENTS
