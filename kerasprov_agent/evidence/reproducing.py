"""Running a training again from its record: a folder with its code, packages, command and hashes.

`Plan` is what the record tells; `write` makes the folder, `train` trains in it under the agent, and
`compared` says whether the epochs are the same.
"""

from __future__ import annotations

import math
import os
import shlex
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import kerasprov_agent
from kerasprov_agent.errors import KerasProvError
from kerasprov_agent.evidence.verifying import HOLDS, Checked, Files
from kerasprov_agent.read.origin import of_entity
from kerasprov_agent.read.record import Record, Row, listed, mapping
from kerasprov_agent.store.text import decoded

REDACTED = "[redacted]"
WITHOUT_IPYTHON = """try:
    get_ipython()
except NameError:  # magics of IPython do nothing here

    class Magics:
        def __getattr__(self, name):
            return lambda *given, **named: None

    get_ipython = Magics
"""
NOT_PACKAGES = ("kerasprov-agent", "kerasprov_agent", "pip")
README = """# {name}, to be trained again

Written by kerasprov_agent from the record of run `{run_id}`, which began at {started}.

- `run.sh` trains it under the agent, with the Python that `PYTHON` names: {command}
- `work/` is the folder in which it runs, `elsewhere/` has what lay outside of it.
- `requirements.txt` has the exact versions of the packages, for Python {python}.
- `data.sha256` has the hashes of the files that it read: `sha256sum -c data.sha256` checks them.
{further}"""


class Plan:
    """What the record tells of how to train a run again; raises `KerasProvError` if it can't."""

    def __init__(self, record: Record, run: Row, folder: str, directories: Sequence[str]) -> None:
        """`folder`: where it is to be; `directories`: where files that were moved may lie."""
        self.record, self.run = record, run
        self.execution = record.execution(run)
        self.folder = Path(folder).absolute()
        self.work = self.folder / "work"
        self.directory = decoded(self.execution["working_directory"] or "")
        self._files = Files(directories, lambda _: None)
        self.code = [part for part in record.code(run) if part["kind"] in ("script", "module")]
        self.cells = [part for part in record.code(run) if part["kind"] == "cell"]
        if run["imported_from"] is not None or not (self.code or self.cells) or not self.directory:
            raise KerasProvError(
                f"run {run['run']} has no code in the record; it can't be repeated"
            )

    def placed(self, path: str) -> Path:
        """Where a file of then lies in the folder."""
        relative = os.path.relpath(path, self.directory)
        if not os.path.isabs(path) or not relative.startswith(".."):
            return self.work / (path if not os.path.isabs(path) else relative)
        return self.folder / "elsewhere" / path.lstrip(os.sep)

    def _place_of(self, part: Row) -> Path:
        """Where a script or module lies; of `-m package.module` only its name is known."""
        name = decoded(part["name"])
        if part["kind"] != "script" or self.execution["kind"] != "module":
            return self.placed(name)
        package = self.work.joinpath(*name.split("."))
        modules = [
            self.placed(decoded(one["name"])) for one in self.code if one["kind"] == "module"
        ]
        is_package = package / "__init__.py" in modules
        return package / "__main__.py" if is_package else package.with_name(f"{package.name}.py")

    @property
    def command(self) -> list[str]:
        """The words after `python -m kerasprov_agent`; the folder of then is `work` in them."""
        kind, script = self.execution["kind"], decoded(self.execution["script"] or "")
        if self.cells:
            program = ["notebook.py"]
        elif kind == "module":
            program = ["-m", script]
        else:
            program = [os.path.relpath(self.placed(script), self.work)]
        here = f"{self.directory}{os.sep}"
        words = [decoded(str(word)) for word in listed(self.execution["arguments"])]
        return program + [word.replace(here, f"{self.work}{os.sep}") for word in words]

    @cached_property
    def variables(self) -> dict[str, str]:
        """The environment variables of then that are recorded, and Keras' backend."""
        known = {k: str(v) for k, v in mapping(self.execution["environment"]).items()}
        known = {k: v for k, v in known.items() if k not in ("VIRTUAL_ENV", "CONDA_PREFIX")}
        if self.execution["keras_package"] == "keras" and self.execution["backend"]:
            known.setdefault("KERAS_BACKEND", self.execution["backend"])
        return known

    @cached_property
    def requirements(self) -> list[str]:
        """The packages of then with their versions, as pip reads them."""
        query = "SELECT name, version FROM packages WHERE execution_id = ? ORDER BY name"
        rows = self.record.query(query, (self.execution["id"],))
        return [f"{r['name']}=={r['version']}" for r in rows if r["name"] not in NOT_PACKAGES]

    @cached_property
    def data(self) -> list[Checked]:
        """The files that the program read, and what has become of them."""
        query = (
            "SELECT f.* FROM file f JOIN entity e ON e.id = f.entity_id "
            "WHERE e.execution_id = ? AND f.written_at IS NULL ORDER BY f.path"
        )
        files = list(self.record.query(query, (self.execution["id"],)))
        known = {one.path: one for file in files for one in of_entity(self.record, file)}
        return [self._files.check(known[path]) for path in sorted(known)]

    @cached_property
    def written(self) -> set[str]:
        """The files that the program wrote."""
        query = (
            "SELECT f.path FROM file f JOIN entity e ON e.id = f.entity_id "
            "WHERE e.execution_id = ? AND f.written_at IS NOT NULL"
        )
        return {decoded(r["path"]) for r in self.record.query(query, (self.execution["id"],))}

    def obstacles(self) -> Iterator[str]:
        """Why it can't be run as it is, a line each."""
        wrong = [one for one in self.data if one.state not in HOLDS or one.state == "replaced"]
        for one in wrong[:5]:
            yield f"{one.known.path} is {one.state}"
        if len(wrong) > 5:
            yield f"{len(wrong) - 5} further files are not what they were"
        if any(REDACTED in word for word in self.command):
            yield "an argument was not stored, since it looks like a secret: write it into run.sh"
        for path in sorted(self.written):
            if self.placed(path).is_relative_to(self.folder / "elsewhere") and os.path.exists(path):
                yield f"it would write {path} again, which lies outside of its folder"

    def write(self) -> None:
        """Make the folder, whole or not at all; raises `KerasProvError` if it is there already."""
        if self.folder.exists():
            raise KerasProvError(f"{self.folder} is there already; name a folder that is not")
        half = self.folder.with_name(f"{self.folder.name}.half-{os.getpid()}")
        half.mkdir(parents=True)
        try:
            self._fill(half)
            half.rename(self.folder)
        except BaseException:
            shutil.rmtree(half, ignore_errors=True)
            raise

    def _fill(self, half: Path) -> None:
        def place(path: Path) -> Path:
            target = half / path.relative_to(self.folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            return target

        (half / "work").mkdir()
        for part in self.code:
            target = place(self._place_of(part))
            target.write_bytes(part["text"].encode("utf-8", "surrogateescape"))
        if self.cells:
            parts = [f"# {cell['name']}\n{cell['text']}" for cell in self.cells]
            text = "\n\n".join([WITHOUT_IPYTHON, *parts])
            place(self.work / "notebook.py").write_text(text + "\n", "utf-8", "surrogateescape")
        for one in self.data:
            target = self.placed(one.known.path)
            if one.state in ("same", "moved") and target.is_relative_to(self.work):
                link = place(target)
                source = one.found_at or one.known.path
                if one.known.path in self.written:
                    shutil.copyfile(source, link)  # it would be written through a link
                elif not os.path.lexists(link):
                    link.symlink_to(source)
        self._describe(half)

    def _describe(self, half: Path) -> None:
        """The files that say how it is run, and with what."""
        sums = [
            f"{one.known.sha256}  {one.found_at or one.known.path}"
            for one in self.data
            if one.known.sha256 and "\n" not in one.known.path
        ]
        (half / "data.sha256").write_text(
            "".join(f"{line}\n" for line in sums), "utf-8", "surrogateescape"
        )
        (half / "requirements.txt").write_text("".join(f"{line}\n" for line in self.requirements))
        words = [
            "-m",
            "kerasprov_agent",
            "--db",
            "../reproduced.db",
            "--prov",
            "off",
            *self.command,
        ]
        exports = [f"export {name}={shlex.quote(value)}" for name, value in self.variables.items()]
        script = [
            "#!/bin/sh", 'cd "$(dirname "$0")/work"', *exports,
            f'exec "${{PYTHON:-python}}" {shlex.join(words)}',
        ]  # fmt: skip
        (half / "run.sh").write_text("\n".join(script) + "\n", "utf-8", "surrogateescape")
        (half / "run.sh").chmod(0o755)
        further = [f"- It can't be run as it is: {line}" for line in self.obstacles()]
        commit = self.execution["git_commit"]
        if commit:
            remote = self.execution["git_remote"]
            further.append(f"- git: commit {commit}{f' of {remote}' if remote else ''}")
        for part in self.record.code(self.run):
            if part["kind"] == "git diff":
                (half / "changes.diff").write_text(part["text"], "utf-8", "surrogateescape")
                further.append("- `changes.diff` has what was not committed then.")
        text = README.format(
            name=self.run["name"], run_id=self.run["id"], started=self.run["started_at"],
            command=shlex.join(self.command), python=self.execution["python"],
            further="".join(f"{line}\n" for line in further),
        )  # fmt: skip
        (half / "README.md").write_text(text, "utf-8", "surrogateescape")

    def train(self, here: bool) -> Path:
        """Run it; `here`: with this Python, else in a new virtual environment with its packages.

        Returns the new database. Raises `KerasProvError` where packages can't be had, or the
        program fails.
        """
        python = sys.executable if here else str(self._environment())
        agent = self.folder / "agent"
        agent.mkdir()
        (agent / "kerasprov_agent").symlink_to(Path(kerasprov_agent.__file__).parent)
        variables = {k: v for k, v in os.environ.items() if not k.startswith("KERASPROV_")}
        before = os.environ.get("PYTHONPATH")
        path = os.pathsep.join(filter(None, (str(agent), before if here else None)))
        variables |= {"PYTHON": python, "PYTHONPATH": path}
        done = subprocess.run(["sh", str(self.folder / "run.sh")], env=variables, check=False)
        if done.returncode:
            raise KerasProvError(f"the program ended with status {done.returncode}")
        return self.folder / "reproduced.db"

    def _environment(self) -> Path:
        place = self.folder / "venv"
        version = ".".join((self.execution["python"] or "").split(".")[:2])
        python = shutil.which(f"python{version}") if version else None
        made = [python, "-m", "venv", str(place)] if python else None
        if made is None or subprocess.run(made, capture_output=True, check=False).returncode:
            venv.create(place, with_pip=True, clear=True)
        pip = [str(place / "bin" / "python"), "-m", "pip", "install", "--quiet", "-r",
               str(self.folder / "requirements.txt")]  # fmt: skip
        done = subprocess.run(pip, capture_output=True, text=True, check=False)
        if done.returncode:
            lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
            told = (lines or ["pip failed"])[-1].removeprefix("ERROR: ")
            raise KerasProvError(f"its packages can't be had: {told}")
        return place / "bin" / "python"


class Compared(NamedTuple):
    """How two trainings' epochs compare."""

    same: bool
    told: str


def compared(before: Sequence[Row], after: Sequence[Row], tolerance: float = 0.0) -> Compared:
    """Whether all metrics of all epochs are the same, or within a relative tolerance."""
    if len(before) != len(after):
        return Compared(False, f"different: {len(before)} epochs then, {len(after)} now")
    worst, where = 0.0, ""
    for then, now in zip(before, after, strict=True):
        for name in {*then["metrics"], *now["metrics"]}:
            a, b = then["metrics"].get(name), now["metrics"].get(name)
            distance = _distance(a, b)
            if distance > worst:
                worst, where = distance, f"{name} of epoch {then['epoch']} was {a!r}, is {b!r}"
    if worst == 0.0:
        return Compared(True, f"identical, bit for bit: {len(before)} epochs")
    if worst <= tolerance:
        return Compared(True, f"the same within {tolerance:g}: at most {worst:.3g} apart ({where})")
    return Compared(False, f"different: {worst:.3g} apart, {where}")


def _distance(a: Any, b: Any) -> float:
    if a == b or (_is_nan(a) and _is_nan(b)):
        return 0.0
    if not isinstance(a, (int, float)) or not isinstance(b, (int, float)):
        return math.inf
    scale = max(abs(a), abs(b))
    distance = abs(a - b) / scale
    return distance if math.isfinite(distance) else math.inf


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)
