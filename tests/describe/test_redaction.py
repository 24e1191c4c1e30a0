"""Secrets are told by their names and by their forms, and never reach the file."""

from __future__ import annotations

import re
import subprocess
import zipfile
import zlib
from pathlib import Path

import pytest

from kerasprov_agent import redaction
from kerasprov_agent.evidence.forms import FORMS
from kerasprov_agent.store import text
from tests.conftest import TINY, kerasprov, python, row, rows
from tests.describe.secrets_table import (
    HARMLESS,
    HARMLESS_IN_PROGRAMS,
    HARMLESS_NAMES,
    SECRET_NAMES,
    SECRETS,
    SECRETS_IN_PROGRAMS,
)

MARKED = re.compile("«([^»]*)»")
HOSTILE = (
    "a", "://", "://a", "//", "@", "a:b@", "://a:b/x@c:d/x@", "u:ppp@h ", "password=", "password:",
    'password="', "password='", 'password=\\"', "token:", "token", "password={", "password=[a",
    "-----BEGIN PRIVATE KEY-----", "-eyJ", "eyJaaaaaa.", "SG.aaaaaaaaaaaa", "sk-a", "ghp_", "xox",
    "Bearer ", "Basic a", "?key=", "%3Fkey%3D", "%253F", "%3A%2F%2Fa%3Ab", ";password=",
    "password=,a", "password=&a", "\\", "<password>", "--password ", '"--password", ', "password: \n",
    "password: a,", "İtoken=", 'password="""', "password:\"a`'", 'X_TOKEN","', ":thin:a/", "a:bbb@c.",
)  # fmt: skip


def plain(marked: str | list[str]) -> str | list[str]:
    """An input without the marks."""
    if isinstance(marked, list):
        return [MARKED.sub(r"\1", word) for word in marked]
    return MARKED.sub(r"\1", marked)


def blanked(marked: str) -> str:
    """What is to be stored of an input: lines stay where a secret had several."""
    return MARKED.sub(lambda found: redaction.REDACTED + "\n" * found[1].count("\n"), marked)


def stored(value: str | list[str]) -> str | list[str]:
    """What is stored of a text, or of a command line."""
    return redaction.arguments(value) if isinstance(value, list) else redaction.text(value)


@pytest.mark.parametrize("name", SECRET_NAMES)
def test_names_that_announce_a_secret(name: str) -> None:
    assert redaction.is_secret(name)


@pytest.mark.parametrize("name", HARMLESS_NAMES)
def test_names_that_only_look_so(name: str) -> None:
    assert not redaction.is_secret(name)


def test_the_tables_are_large_enough() -> None:
    assert len(SECRETS) >= 200 and len(HARMLESS) >= 60


@pytest.mark.parametrize("marked", SECRETS, ids=str)
def test_a_secret_goes_and_the_rest_stays(marked: str | list[str]) -> None:
    expected = list(map(blanked, marked)) if isinstance(marked, list) else blanked(marked)
    assert stored(plain(marked)) == expected
    assert stored(expected) == expected, "what is blanked out is not blanked out again"


@pytest.mark.parametrize("value", HARMLESS, ids=str)
def test_what_is_no_secret_stays(value: str | list[str]) -> None:
    assert stored(value) == value


@pytest.mark.parametrize("marked", SECRETS_IN_PROGRAMS)
def test_a_secret_goes_from_a_program_which_keeps_its_lines(marked: str) -> None:
    source = str(plain(marked))
    assert redaction.program(source) == blanked(marked)
    assert redaction.program(source).count("\n") == source.count("\n")


@pytest.mark.parametrize("source", HARMLESS_IN_PROGRAMS)
def test_a_program_without_secrets_stays(source: str) -> None:
    assert redaction.program(source) == source


@pytest.mark.parametrize("piece", HOSTILE)
def test_a_hostile_text_of_a_megabyte_is_looked_through(piece: str) -> None:
    """What took a time that grows with the square of the length would not come to an end."""
    program = piece * (1_000_000 // len(piece))
    assert redaction.program(program)
    value = redaction.text(program)
    assert len(value) < 6000 and value.endswith(f"(cut: {len(program)} characters)")
    (argument,) = redaction.arguments([program])
    assert len(argument) < 6000


def test_a_text_is_cut_and_a_secret_at_the_cut_goes() -> None:
    secret = "hunter2" * 700
    for text_ in (
        "x" * 4080 + " password=" + secret,
        "x" * 4080 + " https://ada:" + secret,
        "x" * 4080 + " ghp_" + secret,
        "-----BEGIN PRIVATE KEY-----\n" + secret,
    ):
        assert "hunter2" not in redaction.text(text_)
        assert "hunter2" not in redaction.arguments([text_])[0]


TABLES = ("csv", "parquet", "ndjson", "duckdb", "mlflow")
CANARY = "cAnArY7x2hUnTeR"
OWN_FORM = "ghp_cAnArY7x2hUnTeR0123456789abcdefghij"
SCRIPT = f"""
import os
import keras, numpy as np
import kerasprov_agent
import helping
password = "{CANARY}"
settings = {{"api_key": "{CANARY}", "url": "https://ada:{CANARY}@db.lab:5432/runs"}}
{TINY}
planted = password
class Mine(keras.layers.Layer):
    def call(self, x):
        return x * 1.0
    def get_config(self):
        return {{**super().get_config(), "api_key": planted, "mask_token": "[MASK]",
                "url": settings["url"], "class_token": 5, "nested": {{"hfToken": planted}}}}
class Uploading(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.password, self.url, self.separator_token = planted, settings["url"], "sep"
        self.headers = ["Authorization: Bearer " + planted, "-u", "ada:" + planted]
        self.dsn = f"Server=db;Uid=ada;Password={{planted}};Database=runs"
model = keras.Sequential([keras.Input((4,)), Mine(name="class_token"), keras.layers.Dense(1)])
model.compile(keras.optimizers.SGD(name="{OWN_FORM}"), "mse")
with kerasprov_agent.activity("fetch", token=planted, source=settings["url"]):
    os.makedirs(f"runs/token={{planted}}/data", exist_ok=True)
    open(f"runs/token={{planted}}/data/x.csv", "w").write("1,2")
model.fit(x, y, verbose=0, callbacks=[Uploading()])
model.evaluate(x, y, verbose=0)
raise RuntimeError(f"lost {{settings['url']}}: password={{planted}}, Bearer {{planted}}")
"""


def test_a_canary_is_nowhere_in_what_is_recorded(tmp_path: Path) -> None:
    def git(*words: str) -> None:
        subprocess.run(
            ["git", "-c", "user.name=x", "-c", "user.email=x@y", *words],
            cwd=tmp_path, check=True, capture_output=True,
        )  # fmt: skip

    helping = tmp_path / "helping.py"
    helping.write_text("pass\n")
    (tmp_path / "train.py").write_text(SCRIPT)
    git("init", "-q")
    git("remote", "add", "origin", f"https://ada:{CANARY}@git.lab/runs.git")
    git("add", "helping.py")
    git("commit", "-qm", "x")
    helping.write_text(f"headers = {{'X-API-Key': '{CANARY}'}}\n")
    done = python(
        "-m", "kerasprov_agent", "train.py",
        "--token", CANARY, f"--url=ftp://ada:{CANARY}@ftp.lab/", "-u", f"ada:{CANARY}",
        f"+db.password={CANARY}", "-H", f"X-API-Key: {CANARY}", f'{{"password": "{CANARY}"}}',
        f"https://host/?sig={CANARY}&page=2", f"Server=db;AccountKey={CANARY};x=1", OWN_FORM,
        "--class-token", "cls",
        directory=tmp_path,
        variables={
            "TF_API_KEY": CANARY, "KERASPROV_TAGS": f"api_key={CANARY},team=vision",
            "KERAS_HOME": str(tmp_path / "keras"), "TORCH_X": f"Bearer {CANARY}",
            "JAX_SERVER": f"grpc://ada:{CANARY}@jax.lab:12",
        },
    )  # fmt: skip
    assert b"RuntimeError: lost" in done.stderr
    database = tmp_path / "kerasprov.db"
    run = row(database, "SELECT * FROM run")
    assert (
        kerasprov("note", str(run["number"]), f"password: {CANARY}", "--db", database).exit_code
        == 0
    )
    _vacuum(database)
    found = [database, *tmp_path.glob("kerasprov*"), *tmp_path.glob("kerasprov-prov/*")]
    for file in found:
        if file.is_file():
            assert CANARY.encode() not in file.read_bytes(), file
    sources = rows(database, "SELECT sha256, zlib FROM source")
    assert len(sources) == 3  # the script, the module, the difference
    for source in sources:
        assert CANARY.encode() not in zlib.decompress(source["zlib"])
    for form in ("json", "provn", "ttl", "xml"):
        shown = kerasprov("prov", "last", "--format", form, "--db", database)
        assert shown.exit_code == 0 and CANARY not in shown.output

    # Nor in anything that is made of the record, also within archives.
    made = tmp_path / "made"
    made.mkdir()
    for words in (
        *(("export", "--format", form, "-o", made / form) for form in (*FORMS, *TABLES)),
        ("prov", "last", "--format", "crate", "-o", made / "crate.zip"),
        ("card", "last", "--annex-iv", "-o", made / "card.html"),
        ("report", "-o", made / "report.html"),
        ("pack", "-o", made / "packed.db"),
        ("salvage", "-o", made / "salvaged.db"),
    ):
        done = kerasprov(*words, "--db", database)
        assert done.exit_code == 0, (words, done.output)
        assert CANARY not in done.output
    for words in (("show", "last", "--code"), ("show", "last", "--env"), ("card", "last"),
                  ("lineage", "last"), ("runs", "--json")):  # fmt: skip
        done = kerasprov(*words, "--db", database)
        assert done.exit_code == 0 and CANARY not in done.output, words
    written = [path for path in made.rglob("*") if path.is_file()]
    assert len(written) > 12
    for path in written:
        assert CANARY.encode() not in path.read_bytes(), path
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                for name in archive.namelist():
                    assert CANARY.encode() not in archive.read(name), name

    # What is no secret is there, and that something was blanked out can be told.
    execution = row(database, "SELECT * FROM execution")
    assert execution["git_remote"] == "https://ada:[redacted]@git.lab/runs.git"
    assert '"--class-token", "cls"' in execution["arguments"]
    assert execution["tags"] == '{"api_key": "[redacted]", "team": "vision"}'
    assert execution["exception"].startswith("lost https://ada:[redacted]@db.lab:5432/runs: ")
    config = row(database, "SELECT config FROM architecture")["config"]
    assert "[MASK]" in config and '"class_token": 5' in config and redaction.REDACTED in config
    settings = row(database, "SELECT settings FROM callback WHERE class_name = 'Uploading'")
    assert '"separator_token": "sep"' in settings["settings"]
    module = row(database, "SELECT * FROM module WHERE name = 'helping'")
    for changed in (execution["script_original_sha256"], module["original_sha256"]):
        assert changed is not None and changed not in {source["sha256"] for source in sources}
    assert execution["script_original_sha256"] == _sha256(tmp_path / "train.py")


def _sha256(path: Path) -> str:
    import hashlib

    return hashlib.sha256(path.read_bytes()).hexdigest()


def _vacuum(database: Path) -> None:
    import sqlite3
    from contextlib import closing

    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("VACUUM")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def test_a_spool_holds_no_secret(tmp_path: Path) -> None:
    from kerasprov_agent.store import spool
    from kerasprov_agent.store.operations import insert, measured

    path = spool.append(
        str(tmp_path / "kerasprov.db"), "e",
        [
            insert("execution", {"id": "e", "exception": f"password={CANARY}", "pid": 1 << 70}),
            insert("execution", {"id": "f", "tags": text.as_json({"api_key": CANARY})}),
            measured("epoch", {"run_id": "e", "epoch": 0}, {OWN_FORM: 1.0}),
        ],
    )  # fmt: skip
    assert CANARY not in Path(path).read_text()


@pytest.mark.slow
def test_source_texts_stay_as_they_are_where_that_is_asked_for(tmp_path: Path) -> None:
    source = f'import keras, kerasprov_agent\npassword = "{CANARY}"\n'
    (tmp_path / "train.py").write_text(source + "kerasprov_agent.activity('x').__enter__()\n")
    python(
        "-m", "kerasprov_agent", "--redact-source", "off", "train.py", directory=tmp_path
    )  # fmt: skip
    database = tmp_path / "kerasprov.db"
    execution = row(database, "SELECT * FROM execution")
    kept = row(database, "SELECT * FROM source WHERE sha256 = ?", execution["script_sha256"])
    assert zlib.decompress(kept["zlib"]) == (tmp_path / "train.py").read_bytes()
    assert execution["script_original_sha256"] is None
