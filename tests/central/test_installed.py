"""A training sends, and what was sent is pulled, from an installed wheel."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import TINY, rows
from tests.process.test_installed import environment, shell

__all__ = ["environment"]


@pytest.mark.slow
def test_a_wheel_sends_and_pulls(environment: Path, central: str, tmp_path: Path) -> None:
    (tmp_path / "of the users").mkdir()
    (tmp_path / "train.py").write_text(TINY + "model.fit(x, y, epochs=2, verbose=0)")
    command = (
        f"export KERASPROV_CENTRAL='{central}' KERASPROV_CENTRAL_SECONDS=60\n"
        "python -m kerasprov_agent train.py\nkerasprov central doctor\n"
        "kerasprov pull -o team.db\nkerasprov runs --db team.db\n"
    )
    done = shell(environment, command, tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Both hold the same." in done.stdout and "1 runs are in team.db" in done.stdout
    assert rows(tmp_path / "team.db", "SELECT epochs_finished FROM runs") == [
        {"epochs_finished": 2}
    ]
