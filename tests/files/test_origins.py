"""Which file the arrays given to Keras came from, and how that is known."""

from __future__ import annotations

import gc
import gzip
import weakref
import zipfile
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import kerasprov_agent
from kerasprov_agent.capture import origins
from kerasprov_agent.capture.origins import contents, fingerprints
from tests.conftest import recorded, rows

GENERATOR = np.random.default_rng(0)


def model(width: int) -> Any:
    made = keras.Sequential([keras.Input((width,)), keras.layers.Dense(1)])
    made.compile("sgd", "mse")
    return made


def known(database: Path, *, perhaps: bool = False) -> set[tuple[str, str]]:
    """The names of the files that the training data came from, and how that is known."""
    kerasprov_agent.stop()
    query = (
        "SELECT f.path, d.confidence FROM derived d JOIN file f ON f.entity_id = d.source_id "
        "JOIN entity e ON e.id = d.entity_id WHERE e.name = 'training_data'"
    )
    return {
        (Path(row["path"]).name, row["confidence"])
        for row in rows(database, query)
        if perhaps or row["confidence"] != "read_before"
    }


def feed(x: Any, y: Any = None) -> None:
    x = np.asarray(x, dtype="float32") if not hasattr(x, "dtype") else x
    width = int(np.prod(x.shape[1:]))
    model(width).fit(x.reshape(len(x), width), np.zeros(len(x)) if y is None else y, verbose=0)


@pytest.fixture
def npy(tmp_path: Path) -> Path:
    path = tmp_path / "x.npy"
    np.save(path, GENERATOR.random((600, 12)).astype("float32"))
    return path


@pytest.mark.parametrize(
    ("change", "confidence"),
    [
        (lambda x: x, "same_buffer"),
        (lambda x: x[100:300], "same_buffer"),
        (lambda x: x.reshape(-1, 3, 4)[::2], "same_buffer"),
        (lambda x: x.copy(), "content_match"),
        (lambda x: (x / 255.0).astype("float64"), "content_match"),
        (lambda x: x[np.random.default_rng(1).permutation(len(x))[:200]], "content_match"),
        (lambda x: x[x[:, 0] > 0.5] * 2 - 1, "content_match"),
        (lambda x: np.sin(x), None),
    ],
)
def test_what_is_made_of_an_array(
    npy: Path, recording: Path, change: Any, confidence: str | None
) -> None:
    feed(change(np.load(npy)))
    assert known(recording) == ({("x.npy", confidence)} if confidence else set())


def test_where_nothing_is_known_it_may_be_what_was_read_before(npy: Path, recording: Path) -> None:
    feed(np.sin(np.load(npy)))
    assert known(recording, perhaps=True) == {("x.npy", "read_before")}


def test_a_memory_map(npy: Path, recording: Path) -> None:
    feed(np.load(npy, mmap_mode="r")[10:200])
    assert known(recording) == {("x.npy", "same_buffer")}


def test_the_arrays_of_an_npz(tmp_path: Path, recording: Path) -> None:
    np.savez(tmp_path / "a.npz", x=GENERATOR.random((50, 9)), y=GENERATOR.random(50))
    np.savez(tmp_path / "b.npz", x=GENERATOR.random((50, 9)))
    found = np.load(tmp_path / "a.npz")
    np.load(tmp_path / "b.npz")["x"]
    feed(found["x"], found["y"].astype("float32"))
    assert known(recording) == {("a.npz", "same_buffer")}


def test_an_npz_is_not_read_as_a_whole(
    tmp_path: Path, recording: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.savez(tmp_path / "a.npz", x=GENERATOR.random((50, 9)), y=GENERATOR.random(50))
    opened: list[str] = []
    original = zipfile.ZipFile.open

    def watch(archive: zipfile.ZipFile, name: str, *rest: Any, **options: Any) -> Any:
        opened.append(name)
        return original(archive, name, *rest, **options)

    monkeypatch.setattr(zipfile.ZipFile, "open", watch)
    found = np.load(tmp_path / "a.npz")
    assert opened == []
    found["y"]
    assert opened == ["y.npy"]


def test_what_is_no_path_is_no_origin(
    tmp_path: Path, recording: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.csv").write_text("\n".join(f"{i * 0.1:.3f};{i * i}" for i in range(50)))
    found = np.loadtxt(delimiter=";", fname="t.csv")
    assert np.loadtxt(["1 2", "3 4"]).shape == (2, 2)
    feed(found)
    assert known(recording) == {("t.csv", "same_buffer")}


def test_labels_alone_by_their_order(tmp_path: Path, recording: Path) -> None:
    np.save(tmp_path / "y.npy", GENERATOR.integers(0, 10, 80))
    feed(np.ones((80, 9)), np.load(tmp_path / "y.npy").astype("float32"))
    assert known(recording) == {("y.npy", "content_match")}


def test_train_test_split(npy: Path, tmp_path: Path, recording: Path) -> None:
    selection = pytest.importorskip("sklearn.model_selection")
    np.save(tmp_path / "y.npy", GENERATOR.integers(0, 2, 600))
    x, _, y, _ = selection.train_test_split(np.load(npy), np.load(tmp_path / "y.npy"))
    feed(x, y)
    assert known(recording) == {("x.npy", "same_buffer"), ("y.npy", "same_buffer")}


def test_a_pandas_frame(tmp_path: Path, recording: Path) -> None:
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame(GENERATOR.random((300, 4)), columns=list("abcd"))
    table.to_csv(tmp_path / "t.csv", index=False)
    found = pandas.read_csv(tmp_path / "t.csv")
    y = found.pop("d")
    feed(found.to_numpy()[:200], y.to_numpy()[:200])
    assert {name for name, _ in known(recording)} == {"t.csv"}


DATA_SETS = """
import keras, numpy as np
(x, y), _ = keras.datasets.fashion_mnist.load_data()
path = keras.utils.get_file("words.txt", "https://nowhere.invalid/words.txt")
model = keras.Sequential([keras.Input((28, 28)), keras.layers.Flatten(), keras.layers.Dense(1)])
model.compile("sgd", "mse")
model.fit(x / 255, y, verbose=0)
"""


def test_keras_data_sets_and_downloads(tmp_path: Path) -> None:
    """They lie in the cache, so that nothing is fetched, nor opened by `get_file`."""
    cache = tmp_path / "keras/datasets/fashion-mnist"
    cache.mkdir(parents=True)
    for part, count in (("train", 90), ("t10k", 30)):
        labels = bytes(8) + GENERATOR.integers(0, 10, count).astype("uint8").tobytes()
        images = bytes(16) + GENERATOR.integers(0, 255, count * 784).astype("uint8").tobytes()
        (cache / f"{part}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(labels))
        (cache / f"{part}-images-idx3-ubyte.gz").write_bytes(gzip.compress(images))
    (cache.parent / "words.txt").write_text("words")
    done = recorded(tmp_path, DATA_SETS, KERAS_HOME=str(tmp_path / "keras"))
    assert done.returncode == 0, done.stderr.decode()
    database = tmp_path / "kerasprov.db"
    names = {Path(row["path"]).name for row in rows(database, "SELECT path FROM files")}
    assert "words.txt" in names and "train-images-idx3-ubyte.gz" in names
    ((name, confidence),) = known(database)
    assert (name, confidence) == ("fashion-mnist", "same_buffer")


def test_tensors_of_a_pipeline(npy: Path, recording: Path) -> None:
    tf = pytest.importorskip("tensorflow")
    x = np.load(npy) / 2
    data = tf.data.Dataset.from_tensor_slices((x, np.zeros(len(x)))).shuffle(9).batch(50)
    model(12).fit(data, verbose=0)
    assert known(recording) == {("x.npy", "content_match")}


def test_a_data_loader_over_tensors(npy: Path, recording: Path) -> None:
    torch = pytest.importorskip("torch")
    if keras.backend.backend() != "torch":
        pytest.skip("torch's loaders on torch")
    x = torch.from_numpy(np.load(npy))
    data = torch.utils.data.TensorDataset(x / 3, torch.zeros(len(x)))
    model(12).fit(torch.utils.data.DataLoader(data, batch_size=50), verbose=0)
    assert known(recording) == {("x.npy", "content_match")}


def test_image_dataset_from_directory(tmp_path: Path, recording: Path) -> None:
    pytest.importorskip("tensorflow")
    image = pytest.importorskip("PIL.Image")
    for number in range(24):
        place = tmp_path / "pictures" / "ab"[number % 2]
        place.mkdir(parents=True, exist_ok=True)
        pixels = GENERATOR.integers(0, 255, (8, 8, 3)).astype("uint8")
        image.fromarray(pixels).save(place / f"{number}.png")
    data = keras.utils.image_dataset_from_directory(
        tmp_path / "pictures", image_size=(8, 8), batch_size=8, verbose=False
    )
    made = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten(), keras.layers.Dense(1)])
    made.compile("sgd", "mse")
    made.fit(data.map(lambda x, y: (x / 255, y)), verbose=0)
    assert known(recording) == {("pictures", "pipeline")}
    (found,) = rows(
        recording, "SELECT files, sha256 FROM files WHERE kind = 'files' AND path LIKE '%pictures'"
        " AND id IN (SELECT source_id FROM derived WHERE confidence = 'pipeline')"
    )  # fmt: skip
    assert found["files"] == 24 and found["sha256"]


class Reading(keras.utils.PyDataset):
    """Reads a file a batch."""

    def __init__(self, paths: list[Path]) -> None:
        super().__init__()
        self.paths = paths

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Any:
        return np.load(self.paths[index]), np.zeros(4)


def test_an_input_that_reads_files(tmp_path: Path, recording: Path) -> None:
    """Two inputs of one class: what each has read is its own."""
    paths = [tmp_path / f"{number}.npy" for number in range(6)]
    for path in (*paths, tmp_path / "other.npy"):
        np.save(path, GENERATOR.random((4, 9)))
    np.load(tmp_path / "other.npy")
    model(9).fit(Reading(paths[:4]), validation_data=Reading(paths[4:]), verbose=0)
    assert known(recording) == {(f"{number}.npy", "pipeline") for number in range(4)}
    query = (
        "SELECT f.path FROM derived d JOIN file f ON f.entity_id = d.source_id "
        "JOIN entity e ON e.id = d.entity_id WHERE e.name = 'validation_data'"
    )
    assert {Path(row["path"]).name for row in rows(recording, query)} == {"4.npy", "5.npy"}


def test_pictures_by_what_they_hold(tmp_path: Path, recording: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    for number in range(30):
        pixels = GENERATOR.integers(0, 255, (20, 20, 3)).astype("uint8")
        image.fromarray(pixels).save(tmp_path / f"{number:02}.png")
    paths = sorted(tmp_path.glob("*.png"))
    pixels = [keras.utils.img_to_array(keras.utils.load_img(p, target_size=(8, 8))) for p in paths]
    x = np.stack(pixels)[np.random.default_rng(0).permutation(30)[:20]] / 255
    feed(x)
    kerasprov_agent.stop()
    query = "SELECT path FROM members WHERE set_id IN (SELECT source_id FROM derived WHERE confidence = 'content_match')"
    chosen = np.random.default_rng(0).permutation(30)[:20]
    found = {row["path"] for row in rows(recording, query)}
    facts = [rows(recording, f"SELECT * FROM {table}") for table in ("derived", "file", "manifest")]
    assert found == {f"{n:02}.png" for n in chosen}, facts


def test_nothing_of_the_programs_is_kept_alive(npy: Path, recording: Path) -> None:
    x = np.load(npy)
    held = weakref.ref(x)
    feed(x)
    origins.of(x)
    del x
    gc.collect()
    assert held() is None


def test_readers_are_as_they_were(npy: Path, recording: Path) -> None:
    import inspect
    import pickle

    armed = np.load
    assert pickle.loads(pickle.dumps(armed)) is armed
    assert "mmap_mode" in inspect.signature(armed).parameters
    with pytest.raises(FileNotFoundError):
        np.load(npy.parent / "nowhere.npy")
    kerasprov_agent.stop()
    assert np.load is not armed and armed.__wrapped__ is np.load
    assert np.array_equal(armed(npy), np.load(npy))


@pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0), (), (1,), (1, 1)])
def test_an_array_that_holds_next_to_nothing_has_no_columns(shape: tuple[int, ...]) -> None:
    assert contents.of_columns(np.zeros(shape), fingerprints.ROWS) is None


def test_chance_is_no_match() -> None:
    """Rows of other numbers of the same kind are not taken for one another."""
    a = GENERATOR.random((5000, 20))
    b = GENERATOR.random((5000, 20))
    ours = fingerprints.rows(a, fingerprints.ROWS).reshape(-1).tolist()
    theirs = fingerprints.rows(b, fingerprints.ROWS_COMPARED).reshape(-1).tolist()
    assert not set(ours) & set(theirs)
    ones = np.eye(10)[GENERATOR.integers(0, 10, 500)]
    assert not len(fingerprints.rows(ones, 500))
