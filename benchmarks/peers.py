"""What recording costs with other tools, and what each of them recorded of the same training.

    python benchmarks/peers.py [NAME…] [--pairs 5] [--epochs 30] [--python PYTHON] [--write]

Each tool is used as its own documentation says, offline, in a virtual environment of its own that
is made once by `uv` and kept in `KERASPROV_ENVIRONMENTS`; one that does not install, or whose
training fails, is left out with the reason. A pair is two processes in that environment, the
training as it is and with the tool; of their differences the median is told, with the interval in
which it lies in 95 of 100 cases.

What was recorded is looked up, not claimed: the training has values that are found nowhere else,
and all bytes that the tool left in files are searched for them, as text and as numbers, within
archives too; what the training leaves without the tool does not count. A value in a compressed form
that is not known here is missed. `--write` keeps the figures in `peers.json`, from which
`docs/cost.md` is made.
"""

from __future__ import annotations

import argparse
import base64
import gzip
import hashlib
import io
import json
import os
import re
import shutil
import signal
import string
import struct
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from overhead import interval

KEPT = Path(__file__).with_name("peers.json")
LIMIT = 400
"""Seconds after which a training is killed, and the tool left out."""
LONG = 60
"""After a training that took so many seconds there are no more pairs of a tool."""
PROGRAM = """{head}
import json
import sys

import keras
import numpy as np

# Values are put together here, so that they do not stand in a copy of this source code;
# a sentence of the program that stands nowhere else
print("what the program printed by itself is", 6 * 7)
keras.utils.set_random_seed(7)
{begin}
data = np.load("petals-" + "marked.npz")
model = keras.Sequential(
    [
        keras.Input((64,)),
        keras.layers.Dense(64, activation="relu", name="marked_" + "dense"),
        keras.layers.Dense(10, activation="softmax"),
    ]
)
model.compile(keras.optimizers.Adam(123e-5, beta_1=8713e-4), "sparse_categorical_crossentropy")
history = model.fit(
    data["x"], data["y"], epochs=int(sys.argv[2]), validation_split=1237e-4, verbose=0,
    callbacks=[{callback}],
)
model.save("flower-" + "marked.keras")
{end}
weights = np.asarray(model.layers[0].kernel)[0].tobytes().hex()
with open("left.json", "w") as file:
    json.dump({"loss": history.history["loss"], "weights": weights}, file)
"""
EACH_EPOCH = "keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: {})"


@dataclass(frozen=True)
class Peer:
    """A tool, and how its documentation says it is used with Keras."""

    name: str
    packages: tuple[str, ...] = ()
    head: str = ""
    begin: str = ""
    callback: str = ""
    end: str = ""
    command: tuple[str, ...] = ()
    variables: dict[str, str] = field(default_factory=dict)
    besides: str = ""

    def program(self) -> str:
        """The training, with what this tool needs in it."""
        text = PROGRAM
        for place in ("head", "begin", "callback", "end"):
            text = text.replace("{" + place + "}", getattr(self, place))
        return text

    @property
    def added(self) -> int:
        """Lines that the tool adds to a program."""
        parts = (*self.head.splitlines(), *self.begin.splitlines(), *self.end.splitlines())
        return len([line for line in parts if line]) + bool(self.callback)


PEERS = (
    Peer("none"),
    Peer("kerasprov_agent", command=("-m", "kerasprov_agent")),
    Peer("CSVLogger", callback='keras.callbacks.CSVLogger("log.csv")'),
    Peer("TensorBoard", callback='keras.callbacks.TensorBoard("logs")', besides="the graph"),
    Peer(
        "MLflow autolog",
        ("mlflow", "tensorboard"),
        begin="import mlflow\n"
        'mlflow.set_tracking_uri("sqlite:///mlflow.db")\n'
        "mlflow.tensorflow.autolog()",
        besides="a copy of the model with an example of its input",
    ),
    Peer(
        "W&B offline",
        ("wandb",),
        head="import wandb\nfrom wandb.integration.keras import WandbMetricsLogger",
        begin='wandb.init(project="peers", config={"learning_rate": 123e-5})',
        callback="WandbMetricsLogger()",
        end="wandb.finish()",
        variables={"WANDB_MODE": "offline", "WANDB_SILENT": "true"},
        besides="use of CPU, memory and disk",
    ),
    Peer(
        "Trackio",
        ("trackio",),
        head="import trackio",
        begin='trackio.init(project="peers", config={"learning_rate": 123e-5})',
        callback=EACH_EPOCH.format("trackio.log(logs, step=epoch)"),
        end="trackio.finish()",
    ),
    Peer(
        "Aim",
        ("aim",),
        head="from aim import Run",
        begin='run = Run(repo=".", experiment="peers")\nrun["hparams"] = {"learning_rate": 123e-5}',
        callback=EACH_EPOCH.format(
            "[run.track(value, name=name, epoch=epoch) for name, value in logs.items()]"
        ),
        end="run.close()",
        besides="use of CPU and memory",
    ),
    Peer(
        "Comet offline",
        ("comet_ml",),
        head="import comet_ml\n"
        "experiment = comet_ml.OfflineExperiment(\n"
        '    project_name="peers", offline_directory="comet")',
        end="experiment.end()",
        besides="use of CPU and memory",
    ),
    Peer(
        "yProv4ML",
        ("yprov4ml", "torch", "xarray", "zarr", "netCDF4"),
        head="import yprov4ml",
        begin='yprov4ml.start_run("peers", prov_user_namespace="https://example.org/",\n'
        '    provenance_save_dir="prov")\n'
        'yprov4ml.log_param("learning_rate", 123e-5)',
        callback=EACH_EPOCH.format(
            '[yprov4ml.log_metric(name, value, "training", step=epoch)'
            " for name, value in logs.items()]"
        ),
        end="yprov4ml.end_run()",
    ),
    Peer(
        "Flowcept",
        ("flowcept",),
        head="from flowcept import Flowcept, FlowceptTask",
        begin='flowcept = Flowcept(workflow_name="peers", start_persistence=False,\n'
        '    workflow_args={"learning_rate": 123e-5}).start()',
        callback=EACH_EPOCH.format(
            'FlowceptTask(activity_id="epoch", used={"epoch": epoch}, generated=logs)'
        ),
        end="flowcept.stop()",
    ),
    Peer(
        "CodeCarbon",
        ("codecarbon",),
        head="from codecarbon import OfflineEmissionsTracker",
        begin='tracker = OfflineEmissionsTracker(country_iso_code="BRA", log_level="error")\n'
        "tracker.start()",
        end="tracker.stop()",
        besides="an estimate of the energy that the whole machine took",
    ),
    Peer(
        "ClearML offline",
        ("clearml", "tensorboard"),
        head="from clearml import Task\n"
        "Task.set_offline(offline_mode=True)\n"
        'task = Task.init(project_name="peers", task_name="training")',
        callback='keras.callbacks.TensorBoard("logs")',
        end="task.close()",
        besides="use of CPU, memory and disk",
    ),
)


def python_of(peer: Peer, python: str) -> str:
    """The Python of a tool's own virtual environment, which is made if it is not there.

    Raises:
        RuntimeError: it does not install; the message is the last line of the installer.
    """
    if not peer.packages:
        return sys.executable
    home = os.environ.get("KERASPROV_ENVIRONMENTS", "~/.cache/kerasprov_agent/environments")
    packages = ("tensorflow-cpu", *peer.packages)
    key = hashlib.sha256(json.dumps([packages, python]).encode()).hexdigest()[:8]
    place = Path(home).expanduser() / f"peers-{peer.packages[0]}-{key}"
    found = place / "bin" / "python"
    if not (place / "complete").exists():
        for command in (
            ("uv", "venv", "--quiet", "--clear", "--python", python, str(place)),
            ("uv", "pip", "install", "--quiet", "--python", str(found), *packages),
        ):
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode:
                raise RuntimeError((done.stderr.strip().splitlines() or ["does not install"])[-1])
        (place / "complete").touch()
    return str(found)


@dataclass
class Trained:
    """One process: what it took, in seconds, and the lines that it printed."""

    cpu: float
    wall: float
    lines: int


def train(python: str, peer: Peer, epochs: int, place: Path) -> Trained:
    """Train once in an empty directory.

    Raises:
        RuntimeError: the training failed; the message is its last line.
    """
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    shutil.copy(place.parent / "petals-marked.npz", place)
    (place / "train.py").write_text(peer.program())
    (place / ".gitignore").write_text("*\n!train.py\n")
    for command in (
        ("init", "--quiet"), ("add", "train.py"),
        ("-c", "user.name=a", "-c", "user.email=a@example.org", "commit", "-qm", "a training"),
    ):  # fmt: skip
        subprocess.run(["git", *command], cwd=place, check=True)
    variables = {
        **{k: v for k, v in os.environ.items() if not k.startswith(("KERASPROV_", "PYTHON"))},
        "HOME": str(place / "home"),
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "CUDA_VISIBLE_DEVICES": "",
        "KERAS_BACKEND": "tensorflow",
        **peer.variables,
    }
    (place / "home").mkdir()
    begun = time.perf_counter()
    with tempfile.TemporaryFile() as printed:
        child = subprocess.Popen(
            [python, *peer.command, "train.py", "--marked-argument", str(epochs)],
            cwd=place, env=variables, stdout=printed, stderr=subprocess.STDOUT,
        )  # fmt: skip
        limit = threading.Timer(LIMIT, child.kill)
        limit.start()
        _, status, usage = os.wait4(child.pid, 0)
        limit.cancel()
        wall = time.perf_counter() - begun
        child.returncode = os.waitstatus_to_exitcode(status)
        printed.seek(0)
        lines = printed.read().decode(errors="replace").strip().splitlines()
    if child.returncode == -signal.SIGKILL:
        raise RuntimeError(f"a training was not over after {LIMIT} seconds")
    if child.returncode:
        raise RuntimeError(lines[-1] if lines else f"exit status {child.returncode}")
    return Trained(usage.ru_utime + usage.ru_stime, wall, len(lines))


def contents(data: bytes, depth: int = 3) -> Iterator[bytes]:
    """Some bytes, and what is packed in them: archives, and streams of gzip and zlib."""
    yield data
    if not depth:
        return
    if data[:2] == b"\x1f\x8b":
        yield from contents(gzip.decompress(data), depth - 1)
    elif data[:2] == b"PK":
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for name in archive.namelist():
                yield name.encode()
                yield from contents(archive.read(name), depth - 1)
    else:
        # SQLite's cells, records of logs: streams that begin anywhere.
        for match in re.finditer(rb"\x78[\x01\x5e\x9c\xda]|\x1f\x8b\x08", data):
            try:
                unpacked = zlib.decompressobj(47).decompress(data[match.start() :])
            except zlib.error:
                continue
            if len(unpacked) > 32:
                yield unpacked


def files_in(place: Path) -> set[str]:
    """The files below a directory, but for those of git."""
    found = (path for path in place.rglob("*") if path.is_file() and not path.is_symlink())
    names = {str(path.relative_to(place)) for path in found}
    return {name for name in names if not name.startswith(".git/")}


def number(value: float, digits: int = 7) -> list[bytes]:
    """The forms in which a number may stand: as text, and as 4 or 8 bytes of either order."""
    single = struct.unpack("f", struct.pack("f", value))[0]
    texts = {repr(one)[: digits + 2] for one in (value, single)}
    return [
        *(text.encode() for text in texts),
        *(struct.pack(form, value) for form in ("<d", ">d", "<f", ">f")),
        *(struct.pack(form, single) for form in ("<d", ">d")),
    ]


def digests(path: Path) -> list[bytes]:
    """A file's digests, in the forms in which they may stand."""
    found = []
    for algorithm in ("sha256", "sha1", "md5"):
        digest = hashlib.new(algorithm, path.read_bytes()).digest()
        found += [digest, digest.hex().encode(), base64.b64encode(digest)]
    return found


def recorded(place: Path, names: set[str], python: str) -> dict[str, bool]:
    """What is found of the training in a directory in some of its files."""
    parts = [name.encode() for name in names]
    for name in names:
        parts.extend(contents((place / name).read_bytes()))
    told = json.loads((place / "left.json").read_text())
    commit = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=place, capture_output=True, check=True
    ).stdout.strip()
    version = subprocess.run(
        [python, "-c", "import optree; print(optree.__version__)"], capture_output=True, check=True
    ).stdout.strip()

    def any_of(*needles: bytes) -> bool:
        return any(needle in part for part in parts for needle in needles)

    return {
        "loss of each epoch": all(any_of(*number(value)) for value in told["loss"]),
        "learning rate": any_of(*number(0.00123, 5)),
        "optimizer's other settings": any_of(*number(0.8713, 4)),
        "arguments of fit": any_of(*number(0.1237, 4)),
        "layers": any_of(b"marked_dense"),
        "data file": any_of(b"petals-marked.npz"),
        "its digest": any_of(*digests(place / "petals-marked.npz")),
        "source code": any_of(b"a sentence of the program that stands nowhere else"),
        "commit": any_of(commit),
        "command line": any_of(b"--marked-argument"),
        "packages": any(
            re.search(rb"optree[^\n]{0,16}?" + re.escape(version), part) for part in parts
        ),
        "saved model file": any_of(b"flower-marked.keras"),
        "model's digest": any_of(*digests(place / "flower-marked.keras")),
        "copy of the weights": any_of(bytes.fromhex(told["weights"])),
        "what was printed": any_of(b"what the program printed by itself is 42"),
        "W3C PROV": any_of(b"wasGeneratedBy"),
    }


def measured(peer: Peer, python: str, pairs: int, epochs: int, place: Path) -> dict[str, Any]:
    """Figures of one tool.

    Raises:
        RuntimeError: it does not install, or a training failed.
    """
    found = python_of(peer, python)
    plain = Peer("none")
    train(found, plain, 1, place)  # warms the disk cache
    own = files_in(place)
    without, using = [], []
    for turn in range(pairs):
        if using and using[-1].wall > LONG:
            break
        for one, results in sorted(
            [(plain, without), (peer, using)], key=lambda both: both[0] is plain, reverse=turn % 2
        ):
            results.append(train(found, one, epochs, place))
            if one is peer:
                files = files_in(place) - own
                size = sum((place / name).stat().st_size for name in files)
                marks = recorded(place, files, found)
    return {
        "pairs": len(using),
        "added": peer.added,
        "cpu": interval([b.cpu - a.cpu for a, b in zip(without, using, strict=True)]),
        "wall": interval([b.wall - a.wall for a, b in zip(without, using, strict=True)]),
        "lines": round(median(one.lines for one in using) - median(one.lines for one in without)),
        "files": len(files),
        "kilobytes": round(size / 1024),
        "recorded": marks,
        "besides": peer.besides,
    }


def as_text(figures: dict[str, Any]) -> str:
    """The figures as two tables: what each tool cost, and what it recorded."""
    tools = figures["tools"]
    letters = dict(zip(tools, string.ascii_uppercase, strict=False))
    lines = [
        f"{figures['epochs']} epochs, TensorFlow: more than the same training without, of "
        f"{min(one['pairs'] for one in tools.values())} pairs or more",
        f"{'':<19}{'CPU s':<27}{'wall s':<27}{'code':<6}{'printed':<9}left",
    ]
    for name, one in tools.items():
        cells = [
            f"{middle:+.2f} ({low:+.2f} to {high:+.2f})"
            for middle, low, high in (one["cpu"], one["wall"])
        ]
        lines.append(
            f"{letters[name]} {name:<17}{cells[0]:<27}{cells[1]:<27}{one['added']:<6}"
            f"{one['lines']:<9}{one['files']} files, {one['kilobytes']} kB"
        )
    facts = list(next(iter(tools.values()))["recorded"])
    width = max(map(len, facts)) + 2
    lines += ["", f"{'found in what was left':<{width}}" + "  ".join(letters.values())]
    for fact in facts:
        marks = ("x" if one["recorded"][fact] else "-" for one in tools.values())
        lines.append(f"{fact:<{width}}" + "  ".join(marks))
    besides = [f"{name}: {one['besides']}" for name, one in tools.items() if one["besides"]]
    absent = [f"left out, {name}: {why}" for name, why in figures["left out"].items()]
    return "\n".join([*lines, "", *(f"besides, {text}" for text in besides), *absent])


def keep(figures: dict[str, Any]) -> None:
    """Put figures in the place of those that were kept of the same tools."""
    kept = json.loads(KEPT.read_text()) if KEPT.exists() else {"tools": {}, "left out": {}}
    tools = {**kept["tools"], **figures["tools"]}
    reasons = {**kept["left out"], **figures["left out"]}
    kept = {
        "epochs": figures["epochs"],
        "tools": {peer.name: tools[peer.name] for peer in PEERS if peer.name in tools},
        "left out": {name: why for name, why in reasons.items() if name not in tools},
    }
    KEPT.write_text(json.dumps(kept, indent=1) + "\n")


def main() -> None:
    """Measure, and print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="tools; all if none is given")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--python", default=sys.executable, help="for the virtual environments")
    parser.add_argument("--write", action="store_true", help=f"keep it in {KEPT.name}")
    given = parser.parse_args()
    unknown = set(given.names) - {peer.name for peer in PEERS}
    if unknown:
        parser.error(f"no such tool: {', '.join(sorted(unknown))}; there are "
                     + ", ".join(peer.name for peer in PEERS))  # fmt: skip
    figures: dict[str, Any] = {"epochs": given.epochs, "tools": {}, "left out": {}}
    with tempfile.TemporaryDirectory() as name:
        make = (
            "import numpy as np; g = np.random.default_rng(0);"
            "np.savez('petals-marked.npz', x=g.random((1536, 64), dtype='float32'),"
            " y=g.integers(0, 10, 1536))"
        )
        subprocess.run([sys.executable, "-c", make], cwd=name, check=True)
        for peer in PEERS:
            if given.names and peer.name not in given.names:
                continue
            print(f"{peer.name} …", file=sys.stderr, flush=True)
            try:
                figures["tools"][peer.name] = measured(
                    peer, given.python, given.pairs, given.epochs, Path(name) / "work"
                )
            except RuntimeError as error:
                figures["left out"][peer.name] = str(error)
                print(f"{peer.name} is left out: {error}", file=sys.stderr)
            if given.write:
                keep(figures)
    if figures["tools"]:
        print(as_text(figures))


if __name__ == "__main__":
    main()
