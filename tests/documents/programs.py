"""Programs of all kinds, recorded once a session; what the tests of documents have in common."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from prov.model import ProvFutureRejectionWarning

from kerasprov_agent.documents import Document
from kerasprov_agent.read.record import open_record
from tests.conftest import TINY, made_once, recorded

PROGRAMS = {
    "plain": "model.fit(x, y, epochs=3, validation_split=0.25, verbose=0); model.evaluate(x, y, verbose=0)",
    "early stopping": "model.fit(x, y, epochs=50, verbose=0, callbacks=["
    "keras.callbacks.EarlyStopping('loss', patience=1, min_delta=9)])",
    "two fits": "model.fit(x, y, verbose=0); model.compile('sgd', 'mse'); model.fit(x, y, verbose=0)",
    "evaluation only": "model.evaluate(x, y, verbose=0)",
    "compile only": "",
    "no fit": "np.save('x.npy', x); np.save('y.npy', np.load('x.npy') * 2)",
    "exception": "model.fit(x, y, verbose=0); raise ValueError('broken: \\x07 \\u2028 ü \"quoted\" \\\\ \\n end')",
    "failing fit": "model.fit(np.zeros((8, 9)), y, verbose=0)",
    "evaluating within": """
class Testing(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        self.model.evaluate(x, y, verbose=0)
        inner = build(); inner.compile('sgd', 'mse'); inner.fit(x, y, epochs=2, verbose=0)
model.fit(x, y, epochs=2, verbose=0, callbacks=[Testing()])
""",
    "nan": """
class Report(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        logs.update({'nan': float('nan'), 'up': float('inf'), 'f1 (macro)': 0.5, '2nd': 1.0, 'ü': 2.0})
model.fit(x, y, epochs=2, verbose=0, callbacks=[Report()])
""",
    "schedule": "model.compile(keras.optimizers.SGD(keras.optimizers.schedules.ExponentialDecay("
    "0.1, 10, 0.9)), keras.losses.BinaryCrossentropy(), loss_weights=[2.0]); model.fit(x, y, verbose=0)",
    "changes and checkpoints": """
import os
os.makedirs("odd 'quoted' ü & <b>", exist_ok=True)
for i in range(15): np.save(f"odd 'quoted' ü & <b>/{i}.npy", x)
x = np.concatenate([np.load(f"odd 'quoted' ü & <b>/{i}.npy") for i in range(15)]); y = np.tile(y, 15)
model.fit(x, y, epochs=5, verbose=0, callbacks=[
    keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2),
    keras.callbacks.ModelCheckpoint("odd 'quoted' ü & <b>/best {epoch}.keras")])
model.save("model.keras"); keras.models.load_model("model.keras").predict(x, verbose=0)
import kerasprov_agent
with kerasprov_agent.activity("count things", inputs="model.keras", factor=3, words=["a", "b"]):
    open("counts.txt", "w").write("1")
""",
    "killed": """
import os, signal
class Kill(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 2: os.kill(os.getpid(), signal.SIGKILL)
model.fit(x, y, epochs=5, verbose=0, callbacks=[Kill()])
""",
    "killed in validation": """
import os, signal
class Kill(keras.callbacks.Callback):
    def on_test_begin(self, logs=None):
        os.kill(os.getpid(), signal.SIGKILL)
model.fit(x, y, epochs=5, validation_split=0.5, verbose=0, callbacks=[Kill()])
""",
}  # fmt: skip


QUICK = ("plain", "evaluating within", "nan", "changes and checkpoints", "exception", "killed")
"""Those that are tried where slow tests are left out."""


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """By the name of a program its database; the program is recorded when a test first asks."""

    class Databases(dict[str, Path]):
        def __missing__(self, name: str) -> Path:
            def make(place: Path) -> None:
                recorded(place, TINY + PROGRAMS[name], name=f"train {name} ü.py")

            self[name] = made_once(tmp_path_factory, f"program {name}", make) / "kerasprov.db"
            return self[name]

    return Databases()


@pytest.fixture(scope="session")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three programs that record to one database: data, a model of it, a test of the model."""
    return made_once(tmp_path_factory, "pipeline of three", _record_pipeline) / "kerasprov.db"


def _record_pipeline(place: Path) -> None:
    begin = "import keras, numpy as np\n"
    recorded(
        place,
        begin + "np.savez('data.npz', x=np.random.rand(64, 4), y=np.ones(64))",
        name="prepare.py",
    )
    train = (
        TINY
        + "d = np.load('data.npz')\nmodel.fit(d['x'], d['y'], epochs=5, verbose=0)\nmodel.save('model.keras')"
    )
    recorded(place, train, KERASPROV_ORCID="0000-0002-1825-0097")
    test = (
        begin
        + "d = np.load('data.npz')\nkeras.models.load_model('model.keras').evaluate(d['x'], d['y'], verbose=0)"
    )
    recorded(place, test, name="test.py")


@contextmanager
def document(path: Path, *runs: str, **options: Any) -> Iterator[Document]:
    """The document of runs; without any, of all that the database holds."""
    with open_record(os.fspath(path)) as record, warnings.catch_warnings():
        # What prov 3.3 refuses.
        warnings.simplefilter("error", ProvFutureRejectionWarning)
        parts = record.parts(runs, options.get("bundles", False))
        yield Document(record.connection, parts, **options)


def statement_texts(document: Any) -> list[str]:
    """Each statement of a `ProvDocument` with its attributes sorted; its own time left out."""
    texts = []
    for place in (document, *document.bundles):
        for record in place.get_records():
            if str(record.identifier).endswith("-made"):
                continue
            attributes = sorted({f"{key}={value!r}" for key, value in record.attributes})
            texts.append(f"{place.identifier} {record.get_type()} {record.identifier} {attributes}")
    return sorted(texts)
