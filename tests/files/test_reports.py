"""What forked children tell of the files that they open."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kerasprov_agent.capture.files import watching


def test_a_malformed_line_costs_itself_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = {
        "path": "/a/b.npy", "written": True, "version": None, "by_input": None,
        "renamed_from": None, "origins": None, "at": 1.0, "activity": None,
    }  # fmt: skip
    good = json.dumps(told).encode()
    report = tmp_path / "report"
    report.write_bytes(
        b"\n".join([good, good[:20], b"5", b"null", b"\xff\xfe", b"{}", good, b"cut"])
    )
    monkeypatch.setattr(watching, "report_path", str(report))
    monkeypatch.setattr(watching, "_report_read", 0)
    assert [one.path for one in watching._reported()] == ["/a/b.npy"] * 2
