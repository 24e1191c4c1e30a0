"""The program's own code: the modules that it has imported, the cells of its notebook."""

from __future__ import annotations

import sys
import threading

from kerasprov_agent.capture.describe import code
from kerasprov_agent.capture.files.watching import watch
from kerasprov_agent.capture.recorder.ledger import Ledger
from kerasprov_agent.store.operations import Operation, Row, insert


class Code:
    """Records code."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._modules: set[str] = set()
        self._scanned = 0
        self._cells = 0
        self._reading = threading.Lock()

    def look(self) -> None:
        """Record modules that were imported, and cells that ran, since the last call."""
        with self._reading:
            operations = [*self._new_modules(), *self._new_cells()]
        if operations:
            self._ledger.write(*operations)

    def current_cell(self) -> int | None:
        """The number of the cell that is running, in a notebook."""
        return len(code.cells()) - 1 if code.cells() else None

    def _new_modules(self) -> list[Operation]:
        if len(sys.modules) == self._scanned:
            return []
        self._scanned = len(sys.modules)
        modules = code.modules(self._modules, watch.is_outside)
        self._modules.update(modules)
        operations = []
        for name, path in modules.items():
            source = code.source(path, self._ledger.execution.settings.redact_source)
            row: Row = {"execution_id": self._ledger.execution.id, "name": name, "path": path}
            if source is not None:
                operations.append(insert("source", source.row()))
                row |= {"sha256": source.sha256, "original_sha256": source.original_sha256}
            operations.append(insert("module", row))
        return operations

    def _new_cells(self) -> list[Operation]:
        cells = code.cells()
        operations = []
        for number in range(max(self._cells, 1), len(cells)):
            source = code.text(cells[number], self._ledger.execution.settings.redact_source)
            row: Row = {"execution_id": self._ledger.execution.id, "number": number}
            row |= {"sha256": source.sha256, "original_sha256": source.original_sha256}
            operations += [insert("source", source.row()), insert("cell", row)]
        self._cells = len(cells)
        return operations
