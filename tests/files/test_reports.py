"""What forked children tell of the files that they open."""

from __future__ import annotations

import json
from pathlib import Path

from kerasprov_agent.capture.files.reports import Reading


def test_a_malformed_line_costs_itself_alone(tmp_path: Path) -> None:
    told = {
        "path": "/a/b.npy", "written": True, "version": None, "by_input": None,
        "renamed_from": None, "origins": None, "at": 1.0, "activity": None,
    }  # fmt: skip
    good = json.dumps(told).encode()
    report = tmp_path / "report"
    report.write_bytes(
        b"\n".join([good, good[:20], b"5", b"null", b"\xff\xfe", b"{}", good, b"cut"])
    )
    assert [seen.path for seen in Reading(str(report)).read()] == ["/a/b.npy"] * 2
