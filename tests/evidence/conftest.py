"""A model that was trained on pictures of a folder, then tuned by another program."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.conftest import made_once, recorded

PREPARE = """
import os, numpy as np
os.makedirs("raw"); os.makedirs("small")
for i in range(40):
    np.save(f"raw/{i:02}.npy", np.random.default_rng(i).random((8, 4)).astype("float32"))
for i in range(40):
    np.save(f"small/{i:02}.npy", np.load(f"raw/{i:02}.npy")[::2])
"""
TRAIN = """
import glob, keras, numpy as np
import shapes
keras.utils.set_random_seed(3)
x = np.concatenate([np.load(path) for path in sorted(glob.glob("small/*.npy"))])
model = shapes.model()
model.fit(x, x.sum(1), epochs=3, batch_size=8, verbose=0, validation_split=0.25)
model.evaluate(x, x.sum(1), verbose=0)
model.save("model.keras")
"""
SHAPES = """
import keras
def model():
    made = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation="relu"),
                             keras.layers.Dropout(0.1), keras.layers.Dense(1)])
    made.compile(keras.optimizers.SGD(0.01), "mse", metrics=["mae"])
    return made
"""
TUNE = """
import keras, numpy as np
keras.utils.set_random_seed(4)
model = keras.models.load_model("model.keras")
data = np.load("raw/00.npy")
model.fit(data, data.sum(1), epochs=2, verbose=0)
model.save("tuned.keras")
"""


@pytest.fixture(scope="session")
def made_study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the study, recorded once."""

    def make(directory: Path) -> None:
        (directory / "shapes.py").write_text(SHAPES)
        for name, text in (("prepare", PREPARE), ("train", TRAIN), ("tune", TUNE)):
            done = recorded(directory, text, "--prov", "off", name=f"{name}.py")
            assert done.returncode == 0, done.stderr.decode()

    return made_once(tmp_path_factory, "evidence-study", make)


@pytest.fixture
def study(made_study: Path, tmp_path: Path) -> Path:
    """A copy of the folder for this test alone, whose record names the copy's own paths."""
    import sqlite3
    from contextlib import closing

    place = tmp_path / "study"
    shutil.copytree(made_study, place)
    with closing(sqlite3.connect(place / "kerasprov.db")) as connection:
        for table, column in (
            ("file", "path"), ("module", "path"), ("execution", "script"),
            ("execution", "working_directory"),
        ):  # fmt: skip
            connection.execute(
                f"UPDATE {table} SET {column} = replace({column}, ?, ?)",
                (str(made_study), str(place)),
            )
        connection.commit()
    return place
