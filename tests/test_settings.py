"""Option, variable, file, default: in this order; a bad value never stops a training."""

from __future__ import annotations

from pathlib import Path

import pytest

from kerasprov_agent import guard, settings
from kerasprov_agent.errors import SettingError
from tests.conftest import ROOT, TINY, python, recorded, rest_is_slow, row


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(settings, "_start_directory", str(tmp_path))
    monkeypatch.setattr(settings, "_options", {})
    guard.reset()
    return tmp_path


def test_defaults(here: Path) -> None:
    values = settings.Values(environ={})
    assert values.db == str(here / "kerasprov.db") and values.prov == str(here / "kerasprov-prov")
    assert (values.name, values.tags, values.verbose) == (None, {}, False)
    assert set(values.source.values()) == {"default"}


def test_the_order(here: Path) -> None:
    (here / "pyproject.toml").write_text('[tool.kerasprov_agent]\nname = "file"\ndb = "f.db"\n')
    environ = {"KERASPROV_NAME": "variable"}
    values = settings.Values(environ=environ)
    assert (values.name, values.db) == ("variable", str(here / "f.db"))
    assert values.prov == str(here / "kerasprov-prov")
    settings.set_option("name", "option")
    assert settings.Values(environ=environ).name == "option"


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("pyproject.toml", '[tool.kerasprov_agent]\ntags = {a = "1", b = 2}\nverbose = true\n'),
        ("pyproject.toml", '[tool.kerasprov_agent]\ntags = "a=1,b=2"\nverbose = 1\n'),
        ("setup.cfg", "[kerasprov_agent]\ntags = a=1, b=2\nverbose = on\n"),
    ],
)
def test_files_of_both_kinds_also_in_a_directory_above(here: Path, file: str, text: str) -> None:
    (here / file).write_text(text)
    below = here / "a" / "b"
    below.mkdir(parents=True)
    settings._start_directory = str(below)
    values = settings.Values(environ={})
    assert values.tags == {"a": "1", "b": "2"} and values.verbose is True
    assert values.source["tags"] == str(here / file)


@pytest.mark.parametrize(
    "text",
    ["[tool.kerasprov_agent\n", '[tool.kerasprov_agent]\ncolour = "red"\n',
     '[tool.kerasprov_agent]\nverbose = "perhaps"\n'],
)  # fmt: skip
def test_a_bad_value_warns_in_a_training_and_is_an_error_in_kerasprov(
    here: Path, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    (here / "pyproject.toml").write_text(text)
    assert settings.Values(environ={}).verbose is False
    assert len(caplog.records) == 1 and "pyproject.toml" in caplog.text
    with pytest.raises(SettingError):
        settings.Values(strict=True, environ={})


def test_every_setting_works_as_an_option(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    done = recorded(
        tmp_path, TINY + "model.fit(x, y, verbose=0)",
        "--db", "sub/my.db", "--prov", "docs", "--name", "try", "--tags", "lab=7,who=me", "--verbose",
    )  # fmt: skip
    assert done.returncode == 0 and done.stdout == b""
    assert done.stderr.decode().splitlines()[-1].startswith("kerasprov_agent: 1 runs, 1 epochs in ")
    database = tmp_path / "sub" / "my.db"
    assert row(database, "SELECT name FROM run")["name"] == "try"
    assert row(database, "SELECT tags FROM execution")["tags"] == '{"lab": "7", "who": "me"}'
    assert len(list((tmp_path / "docs").glob("*.json"))) == 1


@pytest.mark.parametrize("bad", rest_is_slow(["directory", "text", "foreign", "newer"], "newer"))
def test_a_training_goes_on_without_its_database(tmp_path: Path, bad: str) -> None:
    import sqlite3

    from kerasprov_agent.store import schema

    target = tmp_path / "x.db"
    if bad == "directory":
        target.mkdir()
    elif bad == "text":
        target.write_text("no database, but a long text " * 99)
    else:
        connection = sqlite3.connect(target)
        connection.execute("CREATE TABLE theirs (x)")
        if bad == "newer":
            connection.execute(f"PRAGMA application_id = {schema.APPLICATION_ID}")
            connection.execute("PRAGMA user_version = 99")
        connection.close()
    before = target.read_bytes() if target.is_file() else None
    (tmp_path / "train.py").write_text(TINY + "model.fit(x, y, verbose=0)\nprint('trained')\n")
    plain = python("train.py", directory=tmp_path)
    done = python(
        "-m", "kerasprov_agent", "train.py", directory=tmp_path, variables={"KERASPROV_DB": "x.db"}
    )
    assert (done.returncode, done.stdout) == (0, b"trained\n")
    ours = [line for line in done.stderr.splitlines() if b"kerasprov_agent" in line]
    assert len(ours) == 1 and b"not recorded" in ours[0]
    assert len(done.stderr.splitlines()) <= len(plain.stderr.splitlines()) + 1
    assert (target.read_bytes() if target.is_file() else None) == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["train.py", "x.db"]


def test_the_documentation_names_every_setting() -> None:
    text = (ROOT / "docs" / "settings.md").read_text()
    for setting in settings.SETTINGS:
        line = f"| `{setting.variable}` | `{(setting.option + ' ' + setting.form).strip()}` |"
        assert line.replace("off|", "off\\|") in text or line.replace("|off", "\\|off") in text, (
            line
        )
        assert setting.meaning in text


@pytest.mark.parametrize(
    "text", ["0000-0002-1825-0098", "0000-0002-1825", "0000000218250097", "A000-0002-1825-0097"]
)
def test_what_is_no_orcid(text: str) -> None:
    with pytest.raises(ValueError, match="ORCID"):
        settings.orcid(text)


def test_orcids() -> None:
    assert settings.orcid("https://orcid.org/0000-0002-1825-0097") == "0000-0002-1825-0097"
    assert settings.orcid("0000-0002-1694-233x") == "0000-0002-1694-233X"
    assert settings.orcid(" ") is None
