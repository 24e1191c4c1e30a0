"""What a command line says, by name."""

from __future__ import annotations

from typing import Any

import pytest

from kerasprov_agent import redaction
from kerasprov_agent.capture.describe.arguments import named

LINES: dict[str, dict[str, Any]] = {
    "": {},
    "data/ out.txt": {},
    "--activation relu --dropout 0.3": {"activation": "relu", "dropout": 0.3},
    "--lr=1e-3 -n 4 --weight-decay .5": {"lr": 1e-3, "n": 4, "weight_decay": 0.5},
    "--layers 64 32 data/": {"layers": "64 32"},
    "--shift -3 --quick": {"shift": -3, "quick": True},
    "--no-augment --seed 7": {"no_augment": True, "seed": 7},
    "train.lr=0.1 +model.width=5 ++x=true": {"train.lr": 0.1, "model.width": 5, "x": True},
    "--name=a=b --empty=": {"name": "a=b", "empty": ""},
    "--seed 1 --seed 2": {"seed": 2},
    "--lr 0.1 -- --other 3": {"lr": 0.1},
    "http://host/?a=1 dir/name=3": {},
    "--api-key hunter2 --lr 0.1": {"lr": 0.1},
    f"--big {'9' * 4000} --lr 0.1": {"big": int("9" * 4000), "lr": 0.1},
}


@pytest.mark.parametrize("line", LINES)
def test_settings_on_the_command_line(line: str) -> None:
    found = named(redaction.arguments(line.split()))
    assert found == LINES[line]
    assert [type(one) for one in found.values()] == [type(one) for one in LINES[line].values()]
