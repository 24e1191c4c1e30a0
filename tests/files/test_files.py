"""Files read and written, by Python and past it; sets; hashes and their bounds."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import kerasprov_agent
from kerasprov_agent import guard
from kerasprov_agent.capture.files import hashing, versions
from kerasprov_agent.capture.session import session
from kerasprov_agent.read.lineage import Lineage
from kerasprov_agent.read.record import open_record
from tests.conftest import ROOT, python, recorded, rows


def files(place: Path) -> dict[str, dict[str, Any]]:
    """The files of a record by their names."""
    found = rows(place / "kerasprov.db", "SELECT * FROM files ORDER BY id")
    return {os.path.basename(row["path"]): row for row in found}


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


PLAIN = """
import csv, json, os, pathlib, pickle
import numpy as np
open("table.csv").read()
os.chdir("below")
json.load(open("settings.json"))
pathlib.Path("notes.txt").read_bytes()
np.save("x.npy", np.arange(10.0))
np.load("x.npy", mmap_mode="r")
with open("part.tmp", "w") as stream:
    csv.writer(stream).writerow([1, 2])
os.replace("part.tmp", "whole.csv")
open("gone.tmp", "w").close(); os.remove("gone.tmp")
open("/dev/null", "w").write("x"); open("/proc/self/status").read()
try: open("nowhere.txt")
except FileNotFoundError: pass
descriptor = os.open("raw.bin", os.O_WRONLY | os.O_CREAT); os.write(descriptor, b"1"); os.close(descriptor)
pickle.dump(1, open("one.pickle", "wb"))
"""


def test_what_python_opens(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    (tmp_path / "table.csv").write_text("a,b\n")
    (tmp_path / "below/settings.json").write_text("{}")
    (tmp_path / "below/notes.txt").write_text("n")
    done = recorded(tmp_path, PLAIN)
    assert done.returncode == 0, done.stderr.decode()
    found = files(tmp_path)
    assert set(found) == {
        "table.csv", "settings.json", "notes.txt", "x.npy", "whole.csv", "raw.bin", "one.pickle",
    }  # fmt: skip
    (execution,) = {row["execution_id"] for row in found.values()}
    for name, row in found.items():
        path = Path(row["path"])
        assert row["sha256"] == sha256(path) and row["bytes"] == path.stat().st_size, name
        assert row["generated_by"] == (
            None if name in ("table.csv", "settings.json", "notes.txt") else execution
        )
        read = name in ("table.csv", "settings.json", "notes.txt", "x.npy")
        assert (row["used_by"] == execution) is read, name


def test_a_program_that_writes_nothing_leaves_no_record(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a")
    recorded(tmp_path, "import tempfile, numpy\nopen('a.txt').read(); tempfile.gettempdir()")
    assert not (tmp_path / "kerasprov.db").exists()


def test_the_setting_files_off(tmp_path: Path) -> None:
    script = "import numpy\nopen('a.txt', 'w').write('a')"
    recorded(tmp_path, script, KERASPROV_FILES="off")
    if (tmp_path / "kerasprov.db").exists():
        assert files(tmp_path) == {}


PAST = """
import keras, numpy as np, os
import h5py
with h5py.File("data.h5", "r") as stream:
    x, y = stream["x"][:], stream["y"][:]
model = keras.Sequential([keras.Input((9,)), keras.layers.Dense(1)])
model.compile("sgd", "mse")
model.fit(x, y, verbose=0)
if keras.backend.backend() == "tensorflow":
    import tensorflow as tf
    tf.io.read_file("by_read_file.txt"); tf.io.gfile.GFile("by_gfile.txt").read()
    lines = tf.data.TextLineDataset(["lines.txt"]).map(
        lambda line: (tf.ones((9,)), tf.strings.to_number(line))).batch(2)
    model.fit(lines, verbose=0)
    records = tf.data.TFRecordDataset("some.tfrecord").map(
        lambda line: (tf.ones((9,)), 1.0)).batch(2)
    model.evaluate(records, verbose=0)
"""


def test_readers_that_python_does_not_see(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    tf = pytest.importorskip("tensorflow")
    import numpy as np

    with h5py.File(tmp_path / "data.h5", "w") as stream:
        stream["x"], stream["y"] = np.random.rand(32, 9), np.random.rand(32)
    for name in ("by_read_file.txt", "by_gfile.txt"):
        (tmp_path / name).write_text(name)
    (tmp_path / "lines.txt").write_text("1\n2\n3\n")
    with tf.io.TFRecordWriter(str(tmp_path / "some.tfrecord")) as writer:
        writer.write(b"1")
    done = recorded(tmp_path, PAST)
    assert done.returncode == 0, done.stderr.decode()
    found = files(tmp_path)
    of_tensorflow = {"by_read_file.txt", "by_gfile.txt", "lines.txt", "some.tfrecord"}
    on_tensorflow = keras.backend.backend() == "tensorflow"
    assert {"data.h5", *(of_tensorflow if on_tensorflow else ())} <= set(found)
    assert all(row["sha256"] == sha256(Path(row["path"])) for row in found.values())
    query = (
        "SELECT f.path, d.confidence FROM derived d JOIN file f ON f.entity_id = d.source_id "
        "WHERE d.entity_id LIKE '%data%'"
    )
    known = {
        (Path(r["path"]).name, r["confidence"]) for r in rows(tmp_path / "kerasprov.db", query)
    }
    pipelines = {("lines.txt", "pipeline"), ("some.tfrecord", "pipeline")}
    assert known == {("data.h5", "same_buffer"), *(pipelines if on_tensorflow else ())}


def test_parquet_through_pandas(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    pandas.DataFrame({"a": [1.0, 2.0]}).to_parquet(tmp_path / "t.parquet")
    script = "import pandas\npandas.read_parquet('t.parquet').to_parquet('u.parquet')"
    done = recorded(tmp_path, script)
    assert done.returncode == 0, done.stderr.decode()
    assert set(files(tmp_path)) == {"t.parquet", "u.parquet"}


PICTURES = """
import sys
import numpy as np
from pathlib import Path
total = sum(len(path.read_bytes()) for path in sorted(Path("pictures").rglob("*.bin")))
Path("total.txt").write_text(str(total))
"""


def test_a_directory_is_one_set(tmp_path: Path) -> None:
    """Its digest is what sha256sum says of what sha256sum says; classes beside each other join."""
    for number in range(60):
        path = tmp_path / "pictures" / f"class{number % 3}" / f"{number:03}.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(50))
    for _ in range(2):
        assert recorded(tmp_path, PICTURES).returncode == 0
    found = rows(tmp_path / "kerasprov.db", "SELECT * FROM files WHERE kind = 'files'")
    assert len(found) == 2 and found[0]["files"] == 60 and found[0]["bytes"] == 3000
    assert found[0]["path"] == str(tmp_path / "pictures")
    command = "find . -type f | sed 's,^./,,' | LC_ALL=C sort | xargs sha256sum | sha256sum"
    expected = subprocess.check_output(command, shell=True, cwd=tmp_path / "pictures", text=True)
    assert {row["sha256"] for row in found} == {expected.split()[0]}
    members = rows(tmp_path / "kerasprov.db", "SELECT DISTINCT path, sha256 FROM members")
    assert len(members) == 60
    for row in members:
        assert row["sha256"] == sha256(tmp_path / "pictures" / row["path"])
    assert len(rows(tmp_path / "kerasprov.db", "SELECT * FROM manifest")) == 1
    assert len(rows(tmp_path / "kerasprov.db", "SELECT * FROM file")) == 4


FORKING = """
import multiprocessing, os
import numpy as np
def work(number):
    text = open(f"in/{number}.txt").read()
    open(f"out/{number}.txt", "w").write(text * 2)
if __name__ == "__main__":
    open("begin.txt", "w").write("x")
    with multiprocessing.get_context("fork").Pool(2) as pool:
        pool.map(work, range(5))
"""


RENAMING = """
import os, numpy as np
def write(path, number):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as stream: stream.write(f"{path} {number}")
for number in range(15):
    write(f"beside/{number}.tmp", number)
    os.replace(f"beside/{number}.tmp", f"beside/{number}.txt")
    write(f"work/{number}.part", number)
    os.rename(f"work/{number}.part", f"moved/{number}.txt")
    write(f"whole.tmp/part/{number}.txt", number)
    write("again/tmp", number); os.replace("again/tmp", "again/state.txt")
    if number < 3:
        write(f"few.tmp/{number}.txt", number)
os.rename("whole.tmp", "whole")
os.rename("few.tmp", "few")
for number in range(13):  # each comes of a file of its own
    raw = np.load("raw.npy" if number < 12 else "last.npy")
    np.save("work/prepared.npy", raw)
    os.rename("work/prepared.npy", f"prepared/{number}.npy")
"""


def test_files_that_get_their_names_when_they_are_whole(tmp_path: Path) -> None:
    for name in ("moved", "prepared"):
        (tmp_path / name).mkdir()
    np.save(tmp_path / "raw.npy", np.arange(8.0))
    np.save(tmp_path / "last.npy", np.arange(9.0))
    done = recorded(tmp_path, RENAMING, name="renaming.py")
    assert done.returncode == 0, done.stderr.decode()
    database = tmp_path / "kerasprov.db"
    names = [f"{number}.txt" for number in range(15)]
    query = "SELECT path, sha256 FROM members WHERE directory = ? ORDER BY path"
    for directory in ("beside", "moved", "whole/part"):
        place = tmp_path / directory
        known = {one["path"]: one["sha256"] for one in rows(database, query, str(place))}
        assert known == {name: sha256(place / name) for name in names}, directory
    alone = {one["path"]: one["sha256"] for one in rows(database, "SELECT path, sha256 FROM file")}
    for number in range(3):
        path = tmp_path / "few" / f"{number}.txt"
        assert alone[str(path)] == sha256(path)
    (again,) = rows(database, query, str(tmp_path / "again"))
    assert again == {"path": "state.txt", "sha256": sha256(tmp_path / "again" / "state.txt")}
    paths = [path for path in alone if path.endswith((".tmp", ".part", "work", "/tmp"))]
    assert not paths
    # What a file came of stays with it, also where it joins the others late.
    with open_record(str(database)) as record:
        lineage = Lineage(record)
        back = lineage.reach(lineage.find(str(tmp_path / "prepared")), "back")
        raw = [str(tmp_path / name) for name in ("last.npy", "raw.npy")]
        assert lineage.files(back) == raw
        for path in raw:
            forward = lineage.reach(lineage.find(path), "forward")
            assert "prepared" in {lineage.node(one)["name"] for one in forward}


SHARED = """
import kerasprov_agent, pathlib, numpy
paths = [pathlib.Path(f"data/{number:04}.txt") for number in range(40)]
with kerasprov_agent.activity("choose"):
    for path in paths[:5]:
        path.read_text()
with kerasprov_agent.activity("count"):
    for path in paths:
        path.read_text()
"""


def test_files_that_two_steps_read_are_used_by_both(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    for number in range(40):
        (tmp_path / f"data/{number:04}.txt").write_text(str(number))
    done = recorded(tmp_path, SHARED)
    assert done.returncode == 0, done.stderr.decode()
    database = tmp_path / "kerasprov.db"
    steps = {one["step"]: one["id"] for one in rows(database, "SELECT step, id FROM steps")}
    query = "SELECT path, files FROM files WHERE instr(used_by, ?) ORDER BY path"
    one_by_one = [{"path": str(tmp_path / f"data/{n:04}.txt"), "files": 1} for n in range(5)]
    assert rows(database, query, steps["choose"]) == one_by_one
    (whole,) = [one for one in rows(database, query, steps["count"]) if one["files"] != 1]
    assert whole == {"path": str(tmp_path / "data"), "files": 40}


MANY = """
import numpy, pathlib, time
pathlib.Path("begun.txt").write_text("")
for number in range(9000):
    pathlib.Path(f"data/{number % 3}/{number}.txt").read_bytes()
    if number % 3000 == 100:
        time.sleep(4)  # what there is of the set is hashed meanwhile
"""


@pytest.mark.slow
def test_sets_of_many_files_are_packed_and_whole(tmp_path: Path) -> None:
    contents = {f"{n % 3}/{n}.txt": b"%d" % n for n in range(9000)}
    for name, content in contents.items():
        (tmp_path / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "data" / name).write_bytes(content)
    done = recorded(tmp_path, MANY)
    assert done.returncode == 0, done.stderr.decode()
    query = "SELECT path, sha256 FROM members"
    found = {one["path"]: one["sha256"] for one in rows(tmp_path / "kerasprov.db", query)}
    assert found == {name: hashlib.sha256(c).hexdigest() for name, c in contents.items()}
    sizes = rows(tmp_path / "kerasprov.db", "SELECT files, bytes FROM files WHERE files > 1")
    assert sizes == [{"files": 9000, "bytes": sum(map(len, contents.values()))}]


FULL = """
import kerasprov_agent.capture.recorder.file as file, kerasprov_agent.capture.recorder.reads as reads
from kerasprov_agent.capture.recorder import contents
from kerasprov_agent.capture.files import watching
file.MEMBERS_LIMIT = reads.MEMBERS_LIMIT = 2500
contents.BEHIND = 0  # what is seen meanwhile is written down before more is hashed
""" + MANY.replace("9000", "9000 * 2").replace("{number}.txt", "{number % 9000}.txt").replace(
    "    pathlib",
    "    if number == 9000:\n        time.sleep(1); watching.watch._known.clear()\n    pathlib",
)
"""The files are read twice, and after the first time it is forgotten that they were seen."""


@pytest.mark.slow
@pytest.mark.parametrize("hashed", ["hashed meanwhile", "hashed at the end"])
def test_a_full_set_is_followed_by_another(tmp_path: Path, hashed: str) -> None:
    (tmp_path / "data").mkdir()
    for number in range(9000):
        (tmp_path / f"data/{number % 3}").mkdir(exist_ok=True)
        (tmp_path / f"data/{number % 3}/{number}.txt").write_text(str(number))
    at_end = "contents.SET_QUIET_SECONDS = 3600" if hashed == "hashed at the end" else ""
    done = recorded(tmp_path, FULL.replace("contents.BEHIND = 0", f"{at_end}\ncontents.BEHIND = 0"))
    assert done.returncode == 0, done.stderr.decode()
    database = tmp_path / "kerasprov.db"
    found = rows(database, "SELECT files, path FROM files WHERE files > 1 ORDER BY files")
    assert [(one["files"], one["path"]) for one in found] == [
        (files, str(tmp_path / "data")) for files in (1500, 2500, 2500, 2500)
    ]
    assert len(rows(database, "SELECT DISTINCT path FROM members")) == 9000
    assert len(rows(database, "SELECT * FROM members")) == 9000


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_what_forked_workers_open_is_the_parents(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    for number in range(5):
        (tmp_path / f"in/{number}.txt").write_text(str(number))
    done = recorded(tmp_path, FORKING)
    assert done.returncode == 0, done.stderr.decode()
    found = rows(tmp_path / "kerasprov.db", "SELECT path, generated_by, sha256 FROM files")
    names = {os.path.relpath(row["path"], tmp_path) for row in found}
    assert names == {
        "begin.txt", *(f"{place}/{n}.txt" for place in ("in", "out") for n in range(5)),
    }  # fmt: skip
    assert len(rows(tmp_path / "kerasprov.db", "SELECT * FROM execution")) == 1
    assert not list(tmp_path.glob("*.files"))


WORKERS = """
import keras, numpy as np
class Data(keras.utils.PyDataset):
    def __len__(self): return 4
    def __getitem__(self, number):
        x = np.load(f"{number}.npy")
        return x, x[:, :1]
for number in range(4):
    np.save(f"{number}.npy", np.random.rand(8, 4))
model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
model.compile("sgd", "mse")
model.fit(Data(workers=2, use_multiprocessing=True), epochs=1, verbose=0)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_an_input_came_from_what_its_forked_workers_read(tmp_path: Path) -> None:
    done = recorded(tmp_path, WORKERS)
    assert done.returncode == 0, done.stderr.decode()
    query = (
        "SELECT f.path, f.used_by FROM derived d JOIN files f ON f.id = d.source_id "
        "WHERE d.confidence = 'pipeline'"
    )
    read = rows(tmp_path / "kerasprov.db", query)
    assert {os.path.basename(row["path"]) for row in read} == {f"{n}.npy" for n in range(4)}
    assert all(str(row["used_by"]).endswith("#fit-1") for row in read)


def hashes_or_none(database: Path) -> set[str]:
    """The columns of hashes that are known of a file by now; the database may only be begun."""
    try:
        found = rows(database, "SELECT sha256 FROM files WHERE sha256 IS NOT NULL")
    except sqlite3.DatabaseError:
        return set()
    return {name for one in found for name in one}


def test_a_killed_program_has_told_of_its_files(tmp_path: Path) -> None:
    script = (
        "import numpy, os, time\nopen('a.txt', 'w').write('abc')\n"
        "print('now', flush=True)\ntime.sleep(600)"
    )
    (tmp_path / "train.py").write_text(script)
    child = subprocess.Popen(
        [sys.executable, "-m", "kerasprov_agent", "train.py"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert child.stdout is not None and child.stdout.readline() == b"now\n"
    database = tmp_path / "kerasprov.db"
    try:
        for _ in range(3000):
            if database.exists() and "sha256" in hashes_or_none(database):
                break
            time.sleep(0.1)
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()
    assert files(tmp_path)["a.txt"]["sha256"] == hashlib.sha256(b"abc").hexdigest()


def go_on() -> bool:
    return True


def test_a_large_file_is_known_by_parts(tmp_path: Path) -> None:
    path = tmp_path / "large"
    path.write_bytes(os.urandom(40 << 20))
    version = versions.of_path(str(path))
    assert version is not None
    assert hashing.of_file(str(path), version, 1 << 30, go_on) == (sha256(path), None)
    whole, parts = hashing.of_file(str(path), version, 1 << 20, go_on)
    assert whole is None and parts is not None and parts != sha256(path)
    with path.open("r+b") as stream:
        stream.seek(-1, os.SEEK_END)
        stream.write(b"x" if path.read_bytes()[-1:] != b"x" else b"y")
    changed = versions.of_path(str(path))
    assert changed is not None
    assert hashing.of_file(str(path), changed, 1 << 20, go_on)[1] != parts
    assert hashing.of_file(str(path), version, 1 << 30, go_on) == hashing.UNKNOWN


def test_the_size_limit_is_a_setting(tmp_path: Path) -> None:
    script = "import numpy\nopen('big.bin', 'wb').write(b'1' * 2_000_000)"
    recorded(tmp_path, script, KERASPROV_HASH_SIZE="1M")
    row = files(tmp_path)["big.bin"]
    assert row["sha256"] is None and len(row["partial_sha256"]) == 64


def test_neither_fifo_nor_device_is_read(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    assert versions.of_path(str(fifo)) is None and versions.of_path("/dev/zero") is None
    regular = tmp_path / "file"
    regular.write_text("x")
    version = versions.of_path(str(regular))
    assert version is not None
    regular.unlink()
    os.mkfifo(regular)
    began = time.monotonic()
    assert hashing.of_file(str(regular), version, 1 << 20, go_on) == hashing.UNKNOWN
    assert time.monotonic() - began < 5


def test_the_end_does_not_wait_beyond_its_bound(tmp_path: Path) -> None:
    with (tmp_path / "huge.bin").open("wb") as stream:
        stream.truncate(30 << 30)  # sparse: nothing is written, but hashing it takes half a minute
    script = "import numpy\nopen('huge.bin', 'rb').read(10)\nopen('a.txt', 'w').write('a')"
    began = time.monotonic()
    done = recorded(tmp_path, script, KERASPROV_HASH_SECONDS="0.5", KERASPROV_HASH_SIZE="100G")
    assert done.returncode == 0
    assert time.monotonic() - began < 15
    assert files(tmp_path)["huge.bin"]["sha256"] is None


def test_a_hash_is_found_again_by_the_version(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a")
    os.utime(tmp_path / "a.txt", (1e9, 1e9))
    script = "import numpy\nopen('a.txt').read()\nopen('b.txt', 'w').write('b')"
    recorded(tmp_path, script)
    import sqlite3

    with sqlite3.connect(tmp_path / "kerasprov.db") as connection:
        connection.execute("UPDATE file SET sha256 = 'found again' WHERE path LIKE '%a.txt'")
    connection.close()
    recorded(tmp_path, script)
    found = rows(tmp_path / "kerasprov.db", "SELECT sha256 FROM files WHERE path LIKE '%a.txt'")
    assert [row["sha256"] for row in found] == ["found again"] * 2


def test_a_fork_sees_no_thread_of_ours(tmp_path: Path) -> None:
    """Python 3.12 warns of a fork beside threads; SQLite and locks would suffer as well."""
    script = """
import numpy, os, threading, warnings
os.environ["OMP_NUM_THREADS"] = "1"
before = len(os.listdir("/proc/self/task"))
for number in range(20):
    open(f"{number}.txt", "w").write("x" * 100_000)
    pid = os.fork()
    if pid == 0:
        os._exit(len(os.listdir("/proc/self/task")) - 1)
    assert os.waitpid(pid, 0)[1] == 0
assert threading.active_count() == 1
print(json_ok := 1)
"""
    done = recorded(tmp_path, script, OPENBLAS_NUM_THREADS="1")
    assert done.returncode == 0, done.stderr.decode()
    assert done.stderr == b""
    assert len(rows(tmp_path / "kerasprov.db", "SELECT * FROM files")) == 1


def test_the_same_output_without_and_with(tmp_path: Path) -> None:
    script = "import sys, threading\n" + PLAIN + "print(threading.active_count(), sys.gettrace())"
    results = []
    for armed in (False, True):
        place = tmp_path / str(armed)
        (place / "below").mkdir(parents=True)
        (place / "table.csv").write_text("a,b\n")
        (place / "below/settings.json").write_text("{}")
        (place / "below/notes.txt").write_text("n")
        (place / "train.py").write_text(script)
        words = ("-m", "kerasprov_agent") if armed else ()
        done = python(*words, "train.py", directory=place)
        left = {
            str(path.relative_to(place)): path.read_bytes()
            for path in place.rglob("*")
            if path.is_file() and "kerasprov" not in str(path.relative_to(place))
        }
        results.append((done.returncode, done.stdout, done.stderr, json.dumps(sorted(left))))
    assert results[0] == results[1]


def test_a_file_that_is_written_at_the_last_moment(tmp_path: Path) -> None:
    """Python 3.12 starts no thread any more while it ends."""
    script = "import atexit\n@atexit.register\ndef late(): open('late.txt', 'w').write('late')\n"
    for text in (script, "open('late.txt', 'w').write('late')\n"):
        done = recorded(tmp_path, text)
        assert (done.returncode, done.stderr) == (0, b"")
    found = rows(tmp_path / "kerasprov.db", "SELECT sha256 FROM file WHERE path LIKE '%late.txt'")
    assert found and all(row["sha256"] == hashlib.sha256(b"late").hexdigest() for row in found)


def test_a_save_in_which_recording_was_switched_off(tmp_path: Path, recording: Path) -> None:
    """Armed anew, the agent sees files again."""

    class Broken(keras.layers.Layer):
        def get_config(self) -> dict[str, Any]:
            guard.switch_off()
            return super().get_config()

    keras.Sequential([keras.Input((2,)), Broken()]).save(tmp_path / "model.keras")
    kerasprov_agent.stop()
    kerasprov_agent.start()
    (tmp_path / "seen.txt").write_text("seen")
    session.current()
    kerasprov_agent.stop()
    assert rows(recording, "SELECT 1 FROM file WHERE path LIKE '%seen.txt'")


THREADS = """
import os, sys, threading
import kerasprov_agent
sys.setswitchinterval(1e-6)
def work(own):
    for number in range(40):
        os.makedirs(f"{own}/{number}")
        with kerasprov_agent.activity("write"):
            for name in ("a", "b"):
                with open(f"{own}/{number}/{name}.part", "w") as stream:
                    stream.write(name)
                os.replace(f"{own}/{number}/{name}.part", f"{own}/{number}/{name}.txt")
threads = [threading.Thread(target=work, args=(own,)) for own in range(6)]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""


def test_many_threads_write_at_once(tmp_path: Path) -> None:
    done = recorded(tmp_path, THREADS)
    assert (done.returncode, done.stderr) == (0, b""), done.stderr.decode()
    found = [row["path"] for row in rows(tmp_path / "kerasprov.db", "SELECT path FROM file")]
    assert sorted(found) == sorted(map(str, tmp_path.glob("*/*/*.txt")))


MODULES = """
import gc, sys, time, types
gc.callbacks.append(lambda phase, info: time.sleep(0.001))
gc.set_threshold(50)
open("result.txt", "w").write("1")
end, number = time.monotonic() + 2, 0
while time.monotonic() < end:
    number += 1
    sys.modules[f"made_{number}"] = types.ModuleType(f"made_{number}")
    time.sleep(0.0001)
"""


def test_modules_are_imported_while_they_are_listed(tmp_path: Path) -> None:
    done = recorded(tmp_path, MODULES)
    assert (done.returncode, done.stderr) == (0, b""), done.stderr.decode()
    assert "result.txt" in files(tmp_path)
