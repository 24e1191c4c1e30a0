"""On what kind of file system does a path lie? A write-ahead log is wrong on a shared one."""

from __future__ import annotations

import os
from pathlib import Path

SHARED = frozenset(
    [
        "nfs",
        "nfs4",
        "cifs",
        "smb",
        "smb2",
        "smb3",
        "smbfs",
        "afs",
        "ceph",
        "lustre",
        "gpfs",
        "beegfs",
        "9p",
        "glusterfs",
        "orangefs",
        "pvfs2",
        "sshfs",
        "davfs",
        "ncpfs",
        "panfs",
    ]
)
"""Two machines that share a WAL file through these lose rows without any error."""


def is_shared(path: str) -> bool:
    """Whether several machines may see the file system that holds `path` (Linux; else False)."""
    kind = _kind(os.path.realpath(path))
    return kind is not None and (kind in SHARED or kind.startswith("fuse."))


def _kind(path: str) -> str | None:
    try:
        mounts = Path("/proc/mounts").read_text("utf-8", "replace").splitlines()
    except OSError:
        return None
    best, kind = "", None
    for line in mounts:
        _, mount_point, filesystem, *_ = line.split(" ")
        mount_point = mount_point.replace("\\040", " ")
        inside = path == mount_point or path.startswith(mount_point.rstrip("/") + "/")
        if inside and len(mount_point) >= len(best):
            best, kind = mount_point, filesystem
    return kind
