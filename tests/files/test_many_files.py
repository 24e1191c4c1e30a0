"""Thousands of files of which each holds a row of what is trained on, or a part of it."""

from __future__ import annotations

import os
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kerasprov_agent
from kerasprov_agent.capture import origins, worker
from kerasprov_agent.capture.files import versions
from kerasprov_agent.capture.origins import contents, fingerprints, packed
from kerasprov_agent.capture.recorder.file import PACKED_AT_ONCE, FileSet
from tests.conftest import kerasprov, recorded, rows
from tests.files.test_origins import feed, known

GENERATOR = np.random.default_rng(0)


def slow(value: Any) -> Any:
    """A case that is tried with the slow tests."""
    return pytest.param(value, marks=pytest.mark.slow)


def written(place: Path, count: int, shape: tuple[int, ...]) -> list[Path]:
    """Files of one array each."""
    paths = [place / f"{number:04}.npy" for number in range(count)]
    for path in paths:
        np.save(path, GENERATOR.random(shape).astype("float32"))
    return paths


@pytest.mark.parametrize(
    "joined",
    [
        lambda arrays: np.stack(arrays),
        slow(lambda arrays: np.array(arrays) / 255),
        slow(lambda arrays: np.concatenate([array[None] for array in arrays]).astype("float64")),
        lambda arrays: (np.stack(arrays) - 0.5)[np.random.default_rng(2).permutation(len(arrays))],
    ],
)
@pytest.mark.parametrize("shape", [(16,), slow((6, 4))])
def test_a_file_for_each_row(
    tmp_path: Path, recording: Path, joined: Callable[[list[Any]], Any], shape: tuple[int, ...]
) -> None:
    paths = written(tmp_path, 40, shape)
    arrays = [np.load(path) for path in paths]
    feed(joined(arrays[5:25]))
    kerasprov_agent.stop()
    query = (
        "SELECT path FROM members WHERE set_id IN "
        "(SELECT source_id FROM derived WHERE confidence = 'content_match')"
    )
    assert {row["path"] for row in rows(recording, query)} == {p.name for p in paths[5:25]}


PREPARED = """
import numpy as np, pathlib
for path in sorted(pathlib.Path("raw").glob("*.npy")):
    np.save(f"ready/{path.name}", np.load(path) * 2 - 1)
"""
TRAINED = """
import keras, numpy as np, pathlib
x = np.stack([np.load(path) for path in sorted(pathlib.Path("ready").glob("*.npy"))])
model = keras.Sequential([keras.Input((12,)), keras.layers.Dense(1)])
model.compile("sgd", "mse")
model.fit(x, x[:, :1], verbose=0)
model.save("model.keras")
"""


def test_lineage_leads_through_them_both_ways(tmp_path: Path) -> None:
    for name in ("raw", "ready", "other"):
        (tmp_path / name).mkdir()
    written(tmp_path / "raw", 30, (12,))
    written(tmp_path / "other", 3, (12,))
    for program in (PREPARED, TRAINED):
        done = recorded(tmp_path, program)
        assert done.returncode == 0, done.stderr.decode()
    database = tmp_path / "kerasprov.db"
    back = kerasprov("lineage", tmp_path / "model.keras", "--db", database)
    assert back.exit_code == 0 and "raw" in back.output, back.output
    on = kerasprov("lineage", tmp_path / "raw" / "0007.npy", "--forward", "--db", database)
    assert on.exit_code == 0 and "model.keras" in on.output, on.output
    assert "model.keras" not in kerasprov("lineage", tmp_path / "other" / "0001.npy", "--forward", "--db", database).output  # fmt: skip


def test_more_of_them_than_are_known_by_their_rows(
    tmp_path: Path, recording: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contents, "SOURCES_LIMIT", 20)
    (tmp_path / "parts").mkdir()
    paths = written(tmp_path / "parts", 30, (50, 9))
    copies = [np.load(path).copy() for path in paths]
    np.save(tmp_path / "made.npy", copies[25] * 3)
    feed(np.load(paths[28]))
    assert known(recording) == {("0028.npy", "same_buffer")}
    query = (
        "SELECT source.path FROM derived JOIN file made ON made.entity_id = derived.entity_id "
        "JOIN file source ON source.entity_id = derived.source_id WHERE made.path LIKE '%made.npy'"
    )
    assert [Path(row["path"]).name for row in rows(recording, query)] == ["0025.npy"]


def test_what_steps_made_last_is_known(monkeypatch: pytest.MonkeyPatch, recording: Path) -> None:
    monkeypatch.setattr(contents, "SOURCES_LIMIT", 5)
    arrays = [GENERATOR.random((20, 9)) for _ in range(18)]
    for number, array in enumerate(arrays):
        origins.was_made(array, f"made-{number}")
    found = [{origin.entity_id for origin in origins.of(array * 2)} for array in arrays]
    assert found[-5:] == [{f"made-{number}"} for number in range(13, 18)]
    assert found[0] == set()


def test_a_file_that_is_read_in_many_parts(tmp_path: Path, recording: Path) -> None:
    path = tmp_path / "x.h5"
    with h5py.File(path, "w") as file:
        file["x"] = GENERATOR.random((500, 9))
    with h5py.File(path) as file:
        for number in range(400):
            file["x"][number]
        feed(file["x"][400:])
    assert known(recording) == {("x.h5", "same_buffer")}


@pytest.mark.parametrize(
    "array", [np.arange(30), np.linspace(0, 7, 500), np.ones(40), np.eye(9)[3]]
)
def test_what_anybody_may_have_is_no_piece(array: Any) -> None:
    pieces = contents.Pieces()
    pieces.add(array, ("/x.npy", None))
    assert pieces.find(np.stack([array, array])) == ()


def test_pictures_of_one_content_and_files_that_are_read_again(recording: Path) -> None:
    array = GENERATOR.random((8, 8))
    files = [(f"/{name}.png", (1, 2, 3, 4)) for name in ("b", "a")]
    for _ in range(300):
        for file in files:
            origins.piece_was_read(array.copy(), file)
    assert origins._contents is not None
    assert len(origins._contents.pieces._pending) == len(files) * origins.PIECES_OF_A_FILE
    (found,) = origins.of(np.stack([array, array]))
    assert found.files == tuple(sorted(files))


def test_paths_that_are_numpys_texts(recording: Path) -> None:
    pieces = contents.Pieces()
    arrays = GENERATOR.random((2 * packed.BLOCK, 9))
    for number, array in enumerate(arrays):
        (file,) = origins.files_of(*map(versions.absolute, np.array([f"/{number:04}.npy"])))
        pieces.add(array, file)
    assert pieces.find(arrays[7:9]) == (("/0007.npy", None), ("/0008.npy", None))


@settings(deadline=None)
@given(
    st.lists(st.lists(st.integers(0, 40), max_size=6), max_size=40),
    st.sets(st.integers(0, 45)),
    st.integers(1, 30),
)
def test_an_index_finds_what_was_put_in(
    of_owners: list[list[int]], wanted: set[int], pending: int
) -> None:
    index = packed.Index()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(packed, "PENDING", pending)
        for owner, numbers in enumerate(of_owners):
            index.add(np.array(numbers, np.uint64), owner)
        found = index.owners(np.array(sorted(wanted), np.uint64))
    expected = [owner for owner, numbers in enumerate(of_owners) for _ in wanted & {*numbers}]
    assert sorted(found.tolist()) == expected
    assert [index.amount(owner) for owner in range(len(of_owners))] == [
        len({*numbers}) for numbers in of_owners
    ]


@pytest.mark.parametrize("version", [None, (2**63 + 1, 2**64 - 1, 0, -5)])
def test_files_come_back_as_they_were(version: Any) -> None:
    files = packed.PackedFiles()
    names = [(os.fsdecode(b"/data/\xff%d" % number), version) for number in range(2500)]
    for name in names:
        files.append(name)
    places = [0, 1, 1023, 1024, 2047, 2048, 2499]
    assert len(files) == 2500
    assert [*files.at(places)] == [names[place] for place in places]


def test_a_file_takes_less_than_a_hundred_bytes() -> None:
    pieces = contents.Pieces()
    array = GENERATOR.random((20_000, 16))
    pieces.add(array[0], ("/first.npy", None))
    tracemalloc.start()
    try:
        for number, row in enumerate(array):
            version = (66306, 7_000_000 + number, 192, 1_764_000_000_000_000_000 + 977 * number)
            pieces.add(row, (f"/home/ada/data/pictures/{number:06}.npy", version))
        pieces.find(array[:1])
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held / len(array) < 100


def test_many_files_that_the_program_wrote_are_read_at_an_even_pace(
    tmp_path: Path, recording: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are kept as they are; what is looked at again and again would be all of them."""
    looked: list[int] = []
    original = FileSet.pack

    def pack(file_set: FileSet, files: Any) -> None:
        looked.append(len(file_set.members))
        original(file_set, files)

    monkeypatch.setattr(FileSet, "pack", pack)
    (tmp_path / "made").mkdir()
    count = 5 * PACKED_AT_ONCE
    for number in range(count):
        (tmp_path / "made" / f"{number:05}.txt").write_text("x")
    for number in range(count):
        (tmp_path / "made" / f"{number:05}.txt").read_text()
    feed(np.ones((8, 4)))
    kerasprov_agent.stop()
    sets = rows(recording, "SELECT files, sha256 FROM files WHERE path LIKE '%made'")
    assert {(one["files"], one["sha256"] is None) for one in sets} == {(count, False)}
    assert 0 < sum(looked) < 10 * count


@pytest.mark.parametrize(
    ("used", "rest"),
    [(0.0, [0.03]), (0.01, [0.0]), (0.005, [0.015])],
    ids=["waits", "works", "half"],
)
def test_the_worker_rests_where_it_has_to_wait(
    monkeypatch: pytest.MonkeyPatch, used: float, rest: list[float]
) -> None:
    now = {"wall": 0.0, "used": 0.0}
    rests: list[float] = []
    monkeypatch.setattr(worker, "perf_counter", lambda: now["wall"])
    monkeypatch.setattr(worker, "thread_time", lambda: now["used"])
    monkeypatch.setattr(worker, "sleep", rests.append)
    goes_on = worker.politely(lambda: True)
    for _ in range(worker.STEPS):
        now["wall"] += 0.01 / worker.STEPS
        now["used"] += used / worker.STEPS
        assert goes_on()
    assert rests == pytest.approx(rest)
    is_over = worker.politely(lambda: False)
    assert not any(is_over() for _ in range(worker.STEPS)) and rests == pytest.approx(rest)


def test_a_file_of_the_size_of_a_row_does_not_make_all_rows_be_looked_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looked: list[int] = []
    original = fingerprints.of_rows
    monkeypatch.setattr(
        fingerprints, "of_rows", lambda sample: looked.append(len(sample)) or original(sample)
    )
    pieces = contents.Pieces()
    mean = GENERATOR.random(12)
    pieces.add(mean, ("/mean.npy", None))
    many = GENERATOR.random((50_000, 12))
    many[::5] = mean
    assert pieces.find(many) == (("/mean.npy", None),)
    assert sum(looked) < 5000


def test_a_signal_handler_that_reads_does_not_wait_for_itself(tmp_path: Path) -> None:
    """It comes in the midst of our own work, which holds a lock."""
    np.save(tmp_path / "x.npy", GENERATOR.random((20, 9)))
    program = """
import signal, numpy as np
from kerasprov_agent.capture.origins import contents, fingerprints
original = contents.PackedFiles.append
def append(self, file):
    signal.raise_signal(signal.SIGUSR1)
    original(self, file)
contents.PackedFiles.append = append
def handler(*_):
    x = np.load("x.npy")
    np.save("y.npy", x.copy())
signal.signal(signal.SIGUSR1, handler)
x = np.load("x.npy")
np.save("z.npy", x.copy())
print("done")
"""
    done = recorded(tmp_path, program)
    assert done.returncode == 0 and done.stdout == b"done\n", done.stderr.decode()
    assert done.stderr == b""
    assert (tmp_path / "y.npy").exists()
