"""In a notebook's kernel, in cells of any order, and a document after each run."""

from __future__ import annotations

import json
import re
import sys
import time
from pathlib import Path

import nbclient
import nbformat
import pytest

from kerasprov_agent.read.record import open_record
from tests.conftest import TINY, row

CELLS = {
    "keras first": [TINY, "import kerasprov_agent", "model = build(); model.compile('sgd', 'mse')"],
    "agent first": ["import kerasprov_agent", TINY],
}


@pytest.mark.parametrize("order", CELLS)
def test_a_notebook_is_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, order: str
) -> None:
    monkeypatch.delenv("KERASPROV_DEBUG")
    texts = [*CELLS[order], "h = model.fit(x, y, epochs=2, verbose=0)", "1 / 0"]
    notebook = nbformat.v4.new_notebook()
    notebook.cells = [nbformat.v4.new_code_cell(text) for text in texts]
    client = nbclient.NotebookClient(
        notebook,
        kernel_name="python3",
        allow_errors=True,
        resources={"metadata": {"path": str(tmp_path)}},
    )
    with client.setup_kernel():
        for index, cell in enumerate(notebook.cells):
            client.execute_cell(cell, index)
        # While the kernel still lives: it seldom ends in order.
        assert len(list((tmp_path / "kerasprov-prov").glob("notebook-*.json"))) == 1
        found = row(tmp_path / "kerasprov.db", "SELECT * FROM runs")
        assert (found["status"], found["epochs_finished"]) == ("finished", 2)
    printed = [o for c in notebook.cells[:-1] for o in c.outputs if o.get("name") == "stdout"]
    assert not printed
    execution = row(tmp_path / "kerasprov.db", "SELECT * FROM execution")
    assert (execution["kind"], execution["exception_type"]) == ("notebook", None)
    # The cells in the order in which they ran, up to the one that called `fit`.
    with open_record(str(tmp_path / "kerasprov.db")) as record:
        code = record.code(record.find("last"))
    assert [one["text"].strip() for one in code if one["kind"] == "cell"] == [
        text.strip() for text in texts[:-1]
    ]
    assert row(tmp_path / "kerasprov.db", "SELECT cell FROM run")["cell"] == len(texts) - 1


@pytest.mark.slow
def test_after_the_first_fit_a_document_waits_until_the_kernel_is_idle(tmp_path: Path) -> None:
    texts = [
        f"{TINY}import kerasprov_agent\nfrom kerasprov_agent.capture import execution",
        "execution.DOCUMENT_SECONDS = 15\nfor _ in range(3): model.fit(x, y, verbose=0)",
    ]
    notebook = nbformat.v4.new_notebook()
    notebook.cells = [nbformat.v4.new_code_cell(text) for text in texts]
    client = nbclient.NotebookClient(
        notebook, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    )

    def fits() -> int:
        (path,) = (tmp_path / "kerasprov-prov").glob("notebook-*.json")
        activities = json.loads(path.read_text())["activity"].values()
        return sum("kp:Fit" in str(one.get("prov:type")) for one in activities)

    with client.setup_kernel():
        client.execute_cell(notebook.cells[0], 0)
        began = time.monotonic()
        client.execute_cell(notebook.cells[1], 1)
        if time.monotonic() - began < 10:  # else the machine is too busy to tell
            assert fits() == 1
        deadline = time.monotonic() + 120
        while fits() < 3 and time.monotonic() < deadline:
            time.sleep(0.2)
        assert fits() == 3  # and the kernel still lives


def test_a_notebook_looks_at_its_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs bear the notebook's name; tables fit a cell, and curves are pictures."""
    monkeypatch.setenv("JPY_SESSION_NAME", str(tmp_path / "my study.ipynb"))  # as Jupyter does
    monkeypatch.delenv("COLUMNS", raising=False)
    command = Path(sys.executable).parent / "kerasprov"
    cells = [
        f"{TINY}import kerasprov_agent",
        "model = build(); model.compile('sgd', 'mse', metrics=['mae'])\n"
        "for rate in (0.1, 0.2):\n"
        "    kerasprov_agent.tag(rate=rate)\n"
        "    h = model.fit(x, y, epochs=2, verbose=0, validation_split=0.2)",
        f"!{command} runs\n!{command} show\n!{command} query 'epochs.*'",
        "kerasprov_agent.last_run.plot()",
        "kerasprov_agent.open().plot('mae', by='tag.rate', path='curves.svg')",
        "[run.name for run in map(kerasprov_agent.open().run, (1, 2))]",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(text) for text in cells])
    client = nbclient.NotebookClient(
        notebook, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    )
    client.execute()
    *_, printed, curves, by_tag, names = [cell.outputs for cell in notebook.cells]
    text = re.sub(r"\x1b\[[\d;]*m|\r", "", "".join(one["text"] for one in printed))
    assert re.search(r"^run  name +tag\.rate ", text, re.MULTILINE) and "my study-2" in text
    assert max(map(len, text.splitlines())) <= 80
    assert len(curves[-1]["data"]["image/png"]) > 5000
    assert "image/png" in by_tag[-1]["data"]
    assert "tag.rate 0.1" in (tmp_path / "curves.svg").read_text()
    assert names[-1]["data"]["text/plain"] == "['my study', 'my study-2']"
