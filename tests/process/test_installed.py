"""Every door, and the commands, from an installed wheel: the checkout has files that it may lack."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from tests.conftest import ROOT, TINY, clean_environment, made_once, row, rows

TRAIN = TINY + "import beside\nmodel.fit(x, y, epochs=2, verbose=0)\nprint(beside.VALUE)\n"
DOORS = {
    "runner": "python -m kerasprov_agent train.py",
    "import": "python train.py",
    "sitecustomize": re.findall(r"`(export PYTHONPATH=.*?)`", (ROOT / "README.md").read_text())[0]
    + "\npython train.py",
}


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with our wheel; everything else is that of the tests."""

    def make(place: Path) -> None:
        venv.create(place / "venv", with_pip=True)
        source = place / "source"
        for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE", "kerasprov_agent"):
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
            source.mkdir(exist_ok=True)
            copy(ROOT / name, source / name)
        pip = [place / "venv/bin/python", "-m", "pip", "install", "--quiet", "--no-deps", source]
        subprocess.run(pip, check=True, stdin=subprocess.DEVNULL)
        version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
        outer = place / f"venv/lib/{version}/site-packages/outer.pth"
        outer.write_text(sysconfig.get_paths()["purelib"] + "\n")

    return made_once(tmp_path_factory, "installed", make) / "venv"


def shell(environment: Path, command: str, directory: Path) -> subprocess.CompletedProcess[str]:
    variables = clean_environment(
        PATH=f"{environment / 'bin'}{os.pathsep}{os.environ['PATH']}",
        PYTHONPATH=str(directory / "of the users"),
    )
    return subprocess.run(
        ["sh", "-euc", command], cwd=directory, env=variables, capture_output=True, text=True
    )


@pytest.mark.parametrize("door", DOORS)
def test_every_door_of_the_wheel_records(environment: Path, tmp_path: Path, door: str) -> None:
    beside = tmp_path / "of the users/beside.py"
    beside.parent.mkdir()
    beside.write_text("VALUE = 'found'\n")
    text = "import kerasprov_agent\n" + TRAIN if door == "import" else TRAIN
    (tmp_path / "train.py").write_text(text)
    done = shell(environment, DOORS[door], tmp_path)
    assert (done.returncode, done.stdout) == (0, "found\n"), done.stderr
    assert (
        row(tmp_path / "kerasprov.db", "SELECT epochs_finished FROM runs")["epochs_finished"] == 2
    )
    done = shell(environment, "kerasprov show && kerasprov prov 1 -o run.provn", tmp_path)
    assert done.returncode == 0 and "binary_crossentropy" in done.stdout, done.stderr
    assert (tmp_path / "run.provn").read_text().startswith("document")
    found = rows(tmp_path / "kerasprov.db", "SELECT path FROM module")
    assert not [one for one in found if "kerasprov_agent" in one["path"]]


def test_the_pages_of_the_wheel_are_whole(environment: Path, digits: Path, tmp_path: Path) -> None:
    pytest.importorskip("starlette")
    fetch = (
        "import re, sys, urllib.request as u; a = re.search(r'http://\\S+', sys.stdin.readline())[0];"
        "page = u.urlopen(a).read().decode(); places = re.findall(r'(?:src|href)=.(static/[^\"]+)', page);"
        "modules = ['static/' + m for m in re.findall(r'from .\\./([a-z]+\\.js)', "
        "u.urlopen(a + 'static/app.js').read().decode())];"
        "print(*[p for p in places + modules if u.urlopen(a + p).status == 200])"
    )
    (tmp_path / "fetch.py").write_text(fetch)
    done = shell(
        environment,
        f"mkfifo line; kerasprov view --db {digits} --no-open --port 0 > line & server=$!; "
        "python fetch.py < line; kill $server",
        tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert {"static/app.css", "static/vendor/uPlot.iife.min.js", "static/vendor/dagre.min.js",
            "static/runs.js", "static/icon.svg"} <= set(done.stdout.split())  # fmt: skip
    done = shell(environment, f"kerasprov report --db {digits} -o report.html", tmp_path)
    assert done.returncode == 0 and (tmp_path / "report.html").stat().st_size > 100_000, done.stderr


def test_a_door_that_is_not_there_is_told_of(environment: Path, tmp_path: Path) -> None:
    shutil.copytree(environment, tmp_path / "venv", symlinks=True)
    folder = next((tmp_path / "venv/lib").glob("*/site-packages/kerasprov_agent/bootstrap"))
    shutil.rmtree(folder)
    done = shell(
        tmp_path / "venv", "python -c 'from kerasprov_agent.cli import main; main()' path", tmp_path
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"kerasprov: {folder} is not there; install kerasprov_agent anew\n"


def test_the_shell_completes_commands(environment: Path, tmp_path: Path) -> None:
    command = 'eval "$(_KERASPROV_COMPLETE=bash_source kerasprov)"; complete -p kerasprov'
    assert command.partition(";")[0] in (ROOT / "docs/setup.md").read_text()
    done = shell(environment, f"bash -c '{command}'", tmp_path)
    assert done.returncode == 0 and "_kerasprov_completion" in done.stdout, done.stderr
    asked = "COMP_WORDS='kerasprov be' COMP_CWORD=1 _KERASPROV_COMPLETE=bash_complete kerasprov"
    assert shell(environment, asked, tmp_path).stdout == "plain,best\n"


def test_it_can_be_uninstalled(environment: Path, tmp_path: Path) -> None:
    shutil.copytree(environment, tmp_path / "venv", symlinks=True)
    place = next((tmp_path / "venv/lib").glob("*/site-packages"))
    (place / "outer.pth").unlink()
    done = shell(tmp_path / "venv", "python -m pip uninstall -q -y kerasprov_agent", tmp_path)
    assert done.returncode == 0, done.stderr
    assert not (place / "kerasprov_agent").exists()
