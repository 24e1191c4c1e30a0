"""Files that TensorFlow reads and writes itself: who wrote them, and what came of what."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from tests.conftest import kerasprov, python, recorded, rows

pytest.importorskip("tensorflow")

PREPARE = """
import os
import numpy as np, tensorflow as tf

data = np.load("raw.npz")
x, y = data["x"], data["y"]
def example(row, label):
    return tf.train.Example(features=tf.train.Features(feature={
        "x": tf.train.Feature(float_list=tf.train.FloatList(value=row)),
        "y": tf.train.Feature(int64_list=tf.train.Int64List(value=[label])),
    })).SerializeToString()
order = np.random.default_rng(0).permutation(len(x))
with tf.io.TFRecordWriter("with.tfrecord") as writer:
    for i in order:
        writer.write(example(x[i], y[i]))
writer = tf.io.TFRecordWriter("closed.tfrecord", "GZIP")
for row in x:
    writer.write(row.astype("float32").tobytes())
writer.close()
writer = tf.io.TFRecordWriter("dropped.tfrecord")
for row in x:
    writer.write(tf.io.serialize_tensor(row).numpy())
writer = None
with tf.io.TFRecordWriter("unknown.tfrecord") as writer:
    writer.write(b"made up")
with tf.io.TFRecordWriter("pictures.tfrecord") as writer:
    for name in sorted(os.listdir("pictures")):
        writer.write(b"before" + tf.io.read_file(f"pictures/{name}").numpy() + b"after")

pipeline = tf.data.Dataset.from_tensor_slices((x, y)).shuffle(100, seed=0).batch(16)
pipeline.save("saved")
tf.data.Dataset.from_tensor_slices((x, y)).batch(32).save("saved")  # once more
os.makedirs("cache")
cached = pipeline.cache("cache/of_all")
for _ in cached: pass
kept = pipeline.snapshot("kept")
for _ in kept: pass

tf.io.write_file("by_write_file.bin", tf.io.serialize_tensor(x))
tf.io.write_file("copy.txt", tf.io.read_file("lines.txt"))
with tf.io.gfile.GFile("by_gfile.txt", "w") as stream: stream.write("text")
tf.io.gfile.copy("raw.npz", "copied.npz")
tf.io.gfile.rename("by_gfile.txt", "renamed.txt")
for _ in tf.data.TextLineDataset("lines.txt"): pass
for _ in tf.data.FixedLengthRecordDataset(["fixed.bin"], 4): pass
"""
TRAIN = """
import keras, numpy as np, tensorflow as tf

description = {"x": tf.io.FixedLenFeature([12], tf.float32), "y": tf.io.FixedLenFeature([], tf.int64)}
def parse(record):
    found = tf.io.parse_single_example(record, description)
    return found["x"], found["y"]
def build():
    model = keras.Sequential([keras.Input((12,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    return model
model = build()
model.fit(tf.data.TFRecordDataset(["with.tfrecord"]).map(parse).batch(16), verbose=0)
model.save("of_records.keras")
model = build()
model.fit(tf.data.Dataset.load("saved"), verbose=0)
model.save("of_saved.keras")
model = build()
empty = tf.data.Dataset.from_tensor_slices((tf.zeros((1, 12)), tf.zeros((1,), tf.int64)))
model.fit(empty.batch(1).cache("cache/of_all"), verbose=0)
model.save("of_cache.keras")
"""
MADE = {
    "with.tfrecord", "closed.tfrecord", "dropped.tfrecord", "copied.npz", "by_write_file.bin",
    "of_all.index", "of_all.data-00000-of-00001", "dataset_spec.pb", "snapshot.metadata",
    "00000000.snapshot",
}  # fmt: skip
"""Names of what comes from raw.npz."""


def raw_data(directory: Path) -> None:
    import numpy as np

    generator = np.random.default_rng(1)
    x = generator.random((400, 12), dtype="float32")
    np.savez(directory / "raw.npz", x=x, y=generator.integers(0, 9, 400))
    (directory / "lines.txt").write_text("1\n2\n")
    (directory / "fixed.bin").write_bytes(b"abcdefgh")
    (directory / "pictures").mkdir()
    for number in range(5):
        (directory / f"pictures/{number}.png").write_bytes(generator.bytes(3000))


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One program writes files of raw data, another one trains on them."""
    place = tmp_path_factory.mktemp("programs")
    raw_data(place)
    for name, text in ("prepare.py", PREPARE), ("train.py", TRAIN):
        done = recorded(place, text, name=name)
        assert done.returncode == 0, done.stderr.decode()
        assert b"kerasprov" not in done.stderr and b"AutoGraph" not in done.stderr
    return place


def sources(place: Path) -> dict[str, set[str]]:
    """Of each file that came from others their names."""
    query = (
        "SELECT f.path, s.path AS source, d.source_id FROM derived d "
        "JOIN file f ON f.entity_id = d.entity_id JOIN file s ON s.entity_id = d.source_id"
    )
    found: dict[str, set[str]] = {}
    for row in rows(place / "kerasprov.db", query):
        found.setdefault(Path(row["path"]).name, set()).add(Path(row["source"]).name)
    return found


def test_what_is_written_comes_from_what_was_read(programs: Path) -> None:
    found = sources(programs)
    assert {name for name, of in found.items() if "raw.npz" in of} >= MADE
    assert found["pictures.tfrecord"] == {"pictures"} and found["copy.txt"] == {"lines.txt"}
    assert "unknown.tfrecord" not in found and "renamed.txt" not in found


def test_each_file_is_known_with_its_hash_and_its_program(programs: Path) -> None:
    query = "SELECT path, sha256, generated_by, used_by FROM files WHERE kind = 'file'"
    found = {Path(row["path"]).name: row for row in rows(programs / "kerasprov.db", query)}
    written = {
        Path(row["path"]).name: row
        for row in rows(programs / "kerasprov.db", f"{query} AND generated_by IS NOT NULL")
    }
    (prepare,) = {written[name]["generated_by"] for name in MADE}
    for name in (*MADE, "unknown.tfrecord", "renamed.txt"):
        path = Path(written[name]["path"])
        assert written[name]["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest(), name
        assert written[name]["generated_by"] == prepare, name
    assert found["lines.txt"]["used_by"] and found["fixed.bin"]["used_by"]


@pytest.mark.parametrize("model", ["of_records.keras", "of_saved.keras", "of_cache.keras"])
def test_lineage_leads_from_the_model_to_the_raw_data(programs: Path, model: str) -> None:
    done = kerasprov("lineage", programs / model, "--back", "--db", programs / "kerasprov.db")
    assert done.exit_code == 0 and "raw.npz" in done.stdout and "prepare.py" in done.stdout
    assert "unknown.tfrecord" not in done.stdout


def test_lineage_leads_from_the_raw_data_to_the_models(programs: Path) -> None:
    words = ("lineage", programs / "raw.npz", "--forward", "--db", programs / "kerasprov.db")
    told = kerasprov(*words).stdout
    for expected in ("with.tfrecord", "of_records.keras", "of_saved.keras", "of_cache.keras"):
        assert expected in told, told


def test_in_one_program(tmp_path: Path) -> None:
    """What a pipeline keeps while `fit` iterates over it, that run has made."""
    raw_data(tmp_path)
    keeping = """
pipeline = tf.data.Dataset.from_tensor_slices((x, y)).batch(16)
model = build()
model.fit(pipeline.cache("while_fitting"), epochs=2, verbose=0)
"""
    done = recorded(tmp_path, PREPARE + TRAIN + keeping)
    assert done.returncode == 0, done.stderr.decode()
    database = tmp_path / "kerasprov.db"
    for model in ("of_records.keras", "of_saved.keras", "of_cache.keras"):
        told = kerasprov("lineage", tmp_path / model, "--back", "--db", database).stdout
        assert "raw.npz" in told, (model, told)
    assert {n for n, of in sources(tmp_path).items() if "raw.npz" in of} >= MADE
    query = "SELECT generated_by FROM files WHERE path LIKE '%while_fitting.index'"
    (row,) = rows(database, query)
    (run,) = rows(database, "SELECT id FROM run ORDER BY started_at DESC LIMIT 1")
    assert row["generated_by"] == run["id"]
    told = kerasprov("lineage", tmp_path / "raw.npz", "--forward", "--db", database).stdout
    assert "of_records.keras" in told and "while_fitting.index" in told


WRITERS = """
import copy, pickle, gc, weakref
import tensorflow as tf
writer = tf.io.TFRecordWriter("a.tfrecord")
writer.write(b"abc"), writer.flush()
held = weakref.ref(writer)
class Own(tf.io.TFRecordWriter):
    def write(self, record):
        super().write(record.upper())
own = Own("own.tfrecord")
own.write(b"abc")
print(sorted(vars(own)), type(own.write), tf.io.TFRecordWriter.write.__qualname__)
own.close()
write = tf.io.TFRecordWriter("by_its_method.tfrecord").write
write(b"abc"), write(record=b"def"), gc.collect()
write(b"ghi")
del write
print([one.numpy() for one in tf.data.TFRecordDataset("by_its_method.tfrecord")])
try:
    own.write(b"closed")
except tf.errors.FailedPreconditionError as error:
    print(type(error), str(error)[:20])
gc.disable()
writer = None
print(held(), list(tf.data.TFRecordDataset(["a.tfrecord", "own.tfrecord"]).as_numpy_iterator()))
for name in "save", "cache", "snapshot", "__iter__":
    method = getattr(tf.data.Dataset, name)
    print(method.__name__, method.__module__, copy.copy(method) is method)
print(pickle.loads(pickle.dumps(tf.io.gfile.copy)) is not None, tf.io.write_file.__name__)
@tf.function
def graph(path):
    tf.io.write_file(path, tf.io.read_file("own.tfrecord"))
    total = tf.constant(0, tf.int64)
    for number in tf.data.Dataset.range(3):
        total += number
    return total
print(graph("from_graph").numpy(), sorted(vars(own)))
try:
    tf.io.TFRecordWriter("nowhere/a.tfrecord")
except tf.errors.NotFoundError as error:
    print(type(error))
"""


@pytest.mark.slow
def test_the_program_sees_no_difference(tmp_path: Path) -> None:
    results = []
    for words in ((), ("-m", "kerasprov_agent")):
        place = tmp_path / str(len(words))
        place.mkdir()
        (place / "train.py").write_text(WRITERS)
        done = python(*words, "train.py", directory=place)
        assert done.returncode == 0, done.stderr.decode()
        assert b"AutoGraph" not in done.stderr and b"kerasprov" not in done.stderr
        results.append((done.stdout, (place / "from_graph").read_bytes()))
    assert results[0] == results[1]
