"""The program's own code: the modules that it has imported, the cells of its notebook."""

from __future__ import annotations

import sys
import threading
from collections.abc import Mapping
from typing import Any

from kerasprov_agent.capture.describe import code
from kerasprov_agent.capture.files import watching
from kerasprov_agent.capture.recorder.base import Base
from kerasprov_agent.store.operations import Operation, Row, insert


class Code(Base):
    """Records code."""

    def __init__(self, keras: Mapping[str, Any]) -> None:
        super().__init__(keras)
        self._modules: set[str] = set()
        self._scanned = 0
        self._cells = 0
        self._reading = threading.Lock()

    def code_seen(self) -> None:
        """Modules that were imported, and cells that ran, since the last time."""
        with self._reading:
            operations = [*self._new_modules(), *self._new_cells()]
        if operations:
            self._write(*operations)

    def current_cell(self) -> int | None:
        """The number of the cell that is running, in a notebook."""
        return len(code.cells()) - 1 if code.cells() else None

    def _new_modules(self) -> list[Operation]:
        if len(sys.modules) == self._scanned:
            return []
        self._scanned = len(sys.modules)
        found = code.modules(self._modules, watching.is_outside)
        self._modules.update(found)
        operations = []
        for name, path in found.items():
            source = code.source(path, self.execution.settings.redact_source)
            row: Row = {"execution_id": self.execution.id, "name": name, "path": path}
            if source is not None:
                operations.append(insert("source", source.row()))
                row |= {"sha256": source.sha256, "original_sha256": source.original_sha256}
            operations.append(insert("module", row))
        return operations

    def _new_cells(self) -> list[Operation]:
        found = code.cells()
        operations = []
        for number in range(max(self._cells, 1), len(found)):
            source = code.text(found[number], self.execution.settings.redact_source)
            row: Row = {"execution_id": self.execution.id, "number": number}
            row |= {"sha256": source.sha256, "original_sha256": source.original_sha256}
            operations += [insert("source", source.row()), insert("cell", row)]
        self._cells = len(found)
        return operations
