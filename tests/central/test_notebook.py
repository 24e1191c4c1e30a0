"""The notebook of docs/colab.ipynb, as a kernel runs it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from kerasprov_agent.central import checking
from tests.conftest import ROOT, rows

NOTEBOOK = ROOT / "docs" / "colab.ipynb"


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, with the command `kerasprov` of this environment to be found."""
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    for name in ("KERASPROV_DB", "KERASPROV_DEBUG", "KERASPROV_CENTRAL", "KERASPROV_DISABLED"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def execute(directory: Path) -> None:
    nbclient = pytest.importorskip("nbclient")
    nbformat = pytest.importorskip("nbformat")
    notebook = nbformat.read(NOTEBOOK, 4)
    place = {"metadata": {"path": str(directory)}}
    nbclient.NotebookClient(notebook, kernel_name="python3", resources=place).execute()
    shown = [out for cell in notebook.cells for out in cell.get("outputs", ())]
    assert any("iframe" in out.get("data", {}).get("text/html", "") for out in shown)


def test_it_sends_to_the_central_store(
    directory: Path, central: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERASPROV_CENTRAL", central)
    execute(directory)
    assert checking.differences(str(directory / "kerasprov.db"), central) == []
    assert rows(directory / "kerasprov.db", "SELECT count(*) AS n FROM epoch") == [{"n": 5}]


@pytest.mark.slow
def test_without_one_it_keeps_a_copy_on_a_drive(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drive = directory / "drive"
    drive.mkdir()
    monkeypatch.setenv("DRIVE", str(drive))
    execute(directory)
    assert [path.name for path in drive.iterdir()] == ["kerasprov.db"]
    query = "SELECT run, epoch, loss, val_loss FROM epochs"
    assert rows(drive / "kerasprov.db", query) == rows(directory / "kerasprov.db", query)
    assert len(rows(drive / "kerasprov.db", query)) == 5
