"""mlflow's autologging beside us, whichever of the two came first, and after it is disabled."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.conftest import TINY, python, row, rows

pytestmark = pytest.mark.skipif(not find_spec("mlflow"), reason="needs mlflow")

BEFORE = "import mlflow\nimport keras\nFLAVOUR.autolog()\nimport kerasprov_agent\n"
AFTER = "import kerasprov_agent\nimport mlflow\nimport keras\nFLAVOUR.autolog()\n"
TRAINING = """
history = model.fit(x, y, epochs=2, verbose=0).history["loss"]
FLAVOUR.autolog(disable=True)
again = model.fit(x, y, epochs=1, verbose=0).history["loss"]
model.compile("sgd", "mse")
last = model.fit(x, y, epochs=1, verbose=0).history["loss"]
print(history + again + last)
for one in mlflow.search_runs(output_format="list"):
    print(one.info.status, one.data.params["epochs"], one.data.metrics["loss"])
"""


@pytest.mark.parametrize(
    ("head", "flavour"),
    [
        pytest.param(
            BEFORE, "mlflow.tensorflow", id="tensorflow, before us", marks=pytest.mark.slow
        ),
        pytest.param(AFTER, "mlflow.tensorflow", id="tensorflow, after us", marks=pytest.mark.slow),
        pytest.param(BEFORE, "mlflow.keras", id="keras, before us", marks=pytest.mark.slow),
        pytest.param(AFTER, "mlflow.keras", id="keras, after us", marks=pytest.mark.slow),
    ],
)
def test_both_go_on(tmp_path: Path, head: str, flavour: str) -> None:
    script = (head + TINY + TRAINING).replace("FLAVOUR", flavour)
    (tmp_path / "train.py").write_text(script)
    variables = {
        "MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path}/mlflow.db",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "KERASPROV_DEBUG": "1",
    }
    done = python("train.py", directory=tmp_path, variables=variables)
    assert done.returncode == 0, done.stderr.decode()
    losses, *of_mlflow = done.stdout.decode().strip().splitlines()[-2:]
    assert len(of_mlflow) == 1 and of_mlflow[0].startswith("FINISHED 2")
    database = tmp_path / "kerasprov.db"
    assert [
        one["loss"] for one in rows(database, "SELECT loss FROM epochs ORDER BY run, epoch")
    ] == eval(losses)
    runs = rows(database, "SELECT * FROM run ORDER BY number")
    assert [one["status"] for one in runs] == ["finished"] * 3
    assert [one["caller"] for one in runs] == ["__main__"] * 3
    assert [one["epochs_planned"] for one in runs] == [2, 1, 1]
    params = "SELECT value FROM param WHERE run_id = ? AND source = 'fit' AND name = 'epochs'"
    assert row(database, params, runs[2]["id"])["value"] == 1
