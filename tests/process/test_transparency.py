"""A program prints, computes and leaves the same, through every door."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

import kerasprov_agent
from tests.conftest import ROOT, SHARED, needs_shared, python, row, rows

BOOTSTRAP = Path(kerasprov_agent.__file__).parent / "bootstrap"

REPORT = """
import hashlib, random, sys
import numpy as np
print([hashlib.sha256(np.ascontiguousarray(w).tobytes()).hexdigest() for w in model.get_weights()])
print([layer.name for layer in model.layers], model.optimizer.name)
print(hashlib.sha256(str(random.getstate()).encode()).hexdigest())
print(hashlib.sha256(str(np.random.get_state()).encode()).hexdigest())
print(np.random.rand(), random.random(), keras.random.uniform((2,)))
"""

FLOWERS = """
import os
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import keras
keras.utils.set_random_seed(5)
train, validate = keras.utils.image_dataset_from_directory(
    FOLDER, image_size=(32, 32), batch_size=32, validation_split=0.8, subset="both", seed=5)
model = keras.Sequential([
    keras.Input((32, 32, 3)),
    keras.layers.Rescaling(1 / 255),
    keras.layers.Conv2D(8, 3, activation="relu"),
    keras.layers.MaxPooling2D(4),
    keras.layers.Flatten(),
    keras.layers.Dense(17, activation="softmax"),
])
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(train, validation_data=validate.take(4), epochs=2)
print(model.evaluate(validate.take(2), verbose=0))
"""


def masked(text: bytes) -> bytes:
    """Times out of progress bars; addresses out of messages."""
    text = re.sub(rb"\d+(\.\d+)?(us|ms|s|min)\b(/step|/epoch)?", b"T", text)
    text = re.sub(rb"\d+:\d+(:\d+)?", b"T", text)
    # How often a bar is redrawn depends on the time; what stays is its last state.
    text = re.sub(rb"[^\r\n\x08]*[\r\x08]+(\x1b\[1m)?", b"", text)
    return re.sub(rb" +", b" ", text)


def doors(directory: Path, script: Path, door: str) -> bytes:
    """Run a script plainly or through a door, in a directory of its own; gives its stdout."""
    directory.mkdir()
    words: list[str | Path] = [script]
    variables = {"TF_ENABLE_ONEDNN_OPTS": "0", "PYTHONHASHSEED": "0"}
    if door == "runner":
        words = ["-m", "kerasprov_agent", script]
    elif door == "import":
        imported = directory / script.name
        imported.write_text("import kerasprov_agent\n" + script.read_text())
        words = [imported]
    elif door == "sitecustomize":
        variables["PYTHONPATH"] = str(BOOTSTRAP)
    done = python(*words, directory=directory, variables=variables)
    assert done.returncode == 0, done.stderr.decode()
    if door == "import":
        (directory / script.name).unlink()
    return masked(done.stdout)


def compare(tmp_path: Path, text: str, name: str) -> Path:
    """The same output and the same files through each door; gives the record of the last."""
    script = tmp_path / name
    script.write_text(text + REPORT)
    plain = doors(tmp_path / "plain", script, "plain")
    assert plain.count(b"\n") >= 5
    left = sorted(os.listdir(tmp_path / "plain"))
    for door in ("runner", "import", "sitecustomize"):
        assert doors(tmp_path / door, script, door) == plain
        found = sorted(os.listdir(tmp_path / door))
        assert [n for n in found if not n.startswith("kerasprov")] == left
    return tmp_path / "runner" / "kerasprov.db"


@pytest.mark.slow
def test_digits_is_the_same_through_every_door(tmp_path: Path) -> None:
    database = compare(tmp_path, (ROOT / "examples" / "digits.py").read_text(), "digits.py")
    assert row(database, "SELECT status, epochs_finished FROM runs") == {
        "status": "finished",
        "epochs_finished": 12,
    }


@pytest.mark.slow
@needs_shared
def test_flowers_are_the_same_through_every_door(tmp_path: Path, check_prov: object) -> None:
    pytest.importorskip("tensorflow", reason="image_dataset_from_directory makes a tf.data dataset")
    folder = SHARED / "data" / "flowers17"
    database = compare(tmp_path, FLOWERS.replace("FOLDER", repr(str(folder))), "flowers.py")
    run = row(database, "SELECT * FROM runs")
    assert (run["epochs_finished"], run["batch_size"], run["status"]) == (2, 32, "finished")
    shapes = rows(database, "SELECT shape FROM inputs WHERE used_as = 'training_data'")
    assert shapes[0]["shape"] == "[null, 32, 32, 3]"
    document = next((database.parent / "kerasprov-prov").glob("*.json"))
    check_prov(document)  # type: ignore[operator]
