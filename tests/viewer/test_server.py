"""The server by its addresses: what it answers, and to whom."""

from __future__ import annotations

import json
import sqlite3
import urllib.request
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from kerasprov_agent.viewer import pages, server
from tests.conftest import kerasprov, python, rows
from tests.viewer.conftest import RUNS, fetched, served


def asked(address: str, host: str, path: str = "/api/runs", method: str = "GET", **headers: str) -> int:  # fmt: skip
    """The status of a request that names a host."""
    parts = urlsplit(address)
    connection = HTTPConnection(str(parts.hostname), parts.port, timeout=60)
    connection.request(method, path, headers={"Host": host, **headers})
    status = connection.getresponse().status
    connection.close()
    return status


def test_every_page_has_its_data_at_an_address(address: str) -> None:
    queries = {
        "runs": "", "names": "", "live": "runs=1-3&after=0,0,9", "curves": "runs=1,2&metrics=loss",
        "groups": "by=activation&metrics=loss|accuracy", "run": "run=1", "code": "run=1",
        "comparison": "runs=1-2", "lineage": "of=7", "entities": "", "answer": "question=run",
    }  # fmt: skip
    assert set(queries) == set(pages.__all__)
    for name, query in queries.items():
        status, headers, body = fetched(f"{address}api/{name}?{query}")
        assert status == 200 and json.loads(body), name
        assert "script-src 'self'" in headers["Content-Security-Policy"]
    status, _, body = fetched(f"{address}api/runs")
    assert json.loads(body)["total"] == RUNS
    status, headers, body = fetched(address)
    assert status == 200 and b"<script>" not in body and b" style=" not in body
    assert "unsafe" not in headers["Content-Security-Policy"]


def test_documents_are_given(address: str) -> None:
    for form in ("json", "provn", "ttl", "crate", "dot"):
        status, headers, body = fetched(f"{address}api/document?run=1&format={form}")
        assert status == 200 and body and "attachment" in headers["Content-Disposition"], body
    assert fetched(f"{address}api/document?run=1&format=docx")[0] == 400


@pytest.mark.parametrize(
    ("path", "status", "text"),
    [
        ("api/nothing", 404, "no page"),
        ("api/__doc__", 404, "no page"),
        ("api/run?run=no-such", 400, "no run"),
        ("api/curves?runs=99", 400, "no run 99"),
        ("api/curves", 400, "runs is missing"),
        ("api/curves?runs=x", 400, "not understood"),
        ("api/runs?where=optimizr+%3D+1", 400, "optimizr"),
        ("api/answer?question=%27", 400, "question"),
        ("static/../server.py", 404, ""),
        ("static/%2e%2e/server.py", 404, ""),
    ],
)
def test_bad_addresses_get_one_sentence(address: str, path: str, status: int, text: str) -> None:
    found, _, body = fetched(address + path)
    assert found == status and text in body.decode() and b"Traceback" not in body
    assert fetched(f"{address}api/runs")[0] == 200


def test_only_this_machine_is_answered(address: str) -> None:
    assert asked(address, "127.0.0.1") == 200 and asked(address, "localhost:1") == 200
    assert asked(address, "evil.example") == 403
    assert asked(address, "127.0.0.1", Origin="http://evil.example") == 403
    assert asked(address, "127.0.0.1", Origin="http://127.0.0.1:8888") == 200
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        assert asked(address, "127.0.0.1", method=method) == 405


def test_another_name_can_be_allowed(study: Path) -> None:
    with served(study, "--host", "hub.example") as address:
        assert asked(address, "hub.example") == 200 and asked(address, "other.example") == 403


def test_the_public_needs_the_token(study: Path) -> None:
    with served(study, "--public") as shown:
        port, token = urlsplit(shown).port, shown.partition("token=")[2]
        address = f"http://127.0.0.1:{port}/"
        assert len(token) > 15 and fetched(f"{address}api/runs")[0] == 401
        assert fetched(f"{address}api/runs?token=wrong")[0] == 401
        opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
        with opener.open(f"{address}?token={token}") as answer:
            assert answer.status == 200
        with opener.open(f"{address}api/runs") as answer:
            assert json.loads(answer.read())["total"] == RUNS


def test_datasette_is_below_data(study: Path) -> None:
    pytest.importorskip("datasette")
    with served(study) as address:
        assert b"Datasette" in fetched(f"{address}data/")[2]
        body = fetched(f"{address}data/kerasprov.json?sql=SELECT+count(*)+FROM+runs&_shape=arrays")[
            2
        ]
        assert json.loads(body)["rows"] == [[RUNS]]
        assert asked(address, "evil.example", "/data/") == 403
        assert json.loads(fetched(f"{address}api/about")[2])["data"] is True


def test_without_datasette_the_page_says_how_to_get_it(study: Path, opened: Any) -> None:
    with served(study, without="datasette") as address:
        assert fetched(f"{address}data/")[0] == 404
        assert "pip install" in opened(f"{address}#/data").inner_text("main")


def test_without_starlette_one_line_says_what_to_install(study: Path) -> None:
    expected = r"pip install 'kerasprov_agent\[view\]'"
    with pytest.raises(AssertionError, match=expected), served(study, without="starlette"):
        pass


def test_nothing_is_written(study: Path) -> None:
    before = study.read_bytes()
    with served(study) as address:
        for path in ("", "api/runs", "api/lineage?of=7", "api/document?run=1&format=json"):
            assert fetched(address + path)[0] == 200
    assert study.read_bytes() == before
    assert sorted(path.name for path in study.parent.iterdir()) == ["kerasprov.db"]


def test_what_is_written_meanwhile_is_seen(study: Path) -> None:
    with served(study) as address, closing(sqlite3.connect(study)) as writer:
        writer.execute("UPDATE run SET name = 'renamed' WHERE number = 1")
        assert b"renamed" not in fetched(f"{address}api/run?run=1")[2]
        writer.commit()
        assert b"renamed" in fetched(f"{address}api/run?run=1")[2]


def test_a_record_that_goes_away_is_told_of(study: Path) -> None:
    content = study.read_bytes()
    with served(study) as address:
        assert fetched(f"{address}api/runs")[0] == 200
        study.unlink()
        status, _, body = fetched(f"{address}api/runs")
        assert status == 400 and b"no database at" in body
        study.write_bytes(content)
        assert fetched(f"{address}api/runs")[0] == 200


def test_a_question_that_takes_too_long_is_stopped(
    study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "QUERY_SECONDS", 0.2)
    endless = (
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
    )
    with pytest.raises(server.TooLong, match="longer than"), server._limited(str(study)) as record:
        list(record.query(endless))
    with pytest.raises(server.TooLong), server._limited(str(study)) as record:
        record.ask(endless)
    with server._limited(str(study)) as record:
        assert list(record.query("SELECT 1 AS one")) == [{"one": 1}]


def test_bad_starts_end_with_one_line(study: Path, tmp_path: Path) -> None:
    done = kerasprov("view", "--db", tmp_path / "none.db", "--no-open")
    assert done.exit_code == 2 and "no database at" in done.output
    with served(study) as address:
        port = str(urlsplit(address).port)
        done = python(
            "-c", "from kerasprov_agent.cli import main; main()", "view", "--db", study,
            "--no-open", "--port", port, directory=tmp_path,
        )  # fmt: skip
        assert done.returncode == 2 and done.stderr.count(b"\n") == 1
        assert b"can't be used" in done.stderr
    with closing(sqlite3.connect(study)) as connection:
        connection.execute("PRAGMA user_version = 99")
    done = kerasprov("view", "--db", study, "--no-open")
    assert done.exit_code == 2 and "newer" in done.output


def test_a_report_is_one_small_file(study: Path, tmp_path: Path) -> None:
    done = kerasprov("report", "--db", study, "-o", tmp_path / "report.html")
    assert done.exit_code == 0, done.output
    text = (tmp_path / "report.html").read_text()
    assert len(text) < 1_000_000 and "http://" not in text.replace("http://www.w3.org", "")
    done = kerasprov("report", "7", "--db", study, "-o", tmp_path / "one.html")
    assert done.exit_code == 0 and len((tmp_path / "one.html").read_text()) < len(text)
    done = kerasprov("report", "--where", "run > 99", "--db", study, "-o", tmp_path / "x.html")
    assert done.exit_code == 2 and not (tmp_path / "x.html").exists()
    assert rows(study, "SELECT count(*) AS n FROM run")[0]["n"] == RUNS
