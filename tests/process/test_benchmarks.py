"""The benchmark runs: what the README quotes can be measured again."""

from __future__ import annotations

import json
from pathlib import Path

from tests.conftest import ROOT, python


def test_the_agent_tells_its_own_time(tmp_path: Path) -> None:
    script = ROOT / "benchmarks/overhead.py"
    done = python(script, "--child", "own", "--epochs", "2", directory=tmp_path)
    assert done.returncode == 0, done.stderr.decode()
    found = json.loads(done.stdout.splitlines()[-1])
    assert len(found["spent"]["epochs.after_epoch"]) == 4
    assert found["armed"] >= 0 and len(found["ended"]) == 2
