"""Who this process is in the record: the id of its execution, and of the one that started it."""

from __future__ import annotations

import os
import time

program: dict[str, str] = {}
"""What `python -m kerasprov_agent` runs, here or in the process that started this one: `target`,
`kind`. Empty where the program was started otherwise."""

_own: str | None = None
_parent: str | None = None


def uuid7() -> str:
    """A UUID of version 7 (RFC 9562): sorts by time, and is otherwise random."""
    milliseconds = int(time.time() * 1000)
    number = (milliseconds << 80) | int.from_bytes(os.urandom(10), "big")
    number = number & ~(0xF << 76) | (0x7 << 76)
    number = number & ~(0x3 << 62) | (0x2 << 62)
    text = f"{number:032x}"
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def own() -> str:
    """The id that this process' record has, or will have if it comes to one."""
    global _own
    if _own is None:
        _own = uuid7()
    return _own


def parent() -> str | None:
    """The id of the process that started this one, whether or not that has a record."""
    return _parent


def host() -> str:
    """The name of this machine."""
    import platform

    return platform.node()


def process_key(pid: int | None = None) -> str | None:
    """What tells this process from every other of this machine, before and after a restart.

    `boot id / pid namespace / start time in clock ticks`, from Linux' /proc; None elsewhere.
    """
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            boot = file.read().strip()
        namespace = os.readlink("/proc/self/ns/pid")
        with open(f"/proc/{pid or 'self'}/stat", encoding="utf-8", errors="replace") as file:
            stat = file.read()
    except OSError:
        return None
    return f"{boot}/{namespace}/{stat.rpartition(')')[2].split()[19]}"


def inherit(parent_id: str) -> None:
    """This process was started by that one."""
    global _parent
    _parent = parent_id


def forked() -> None:
    """In a forked child: this is another process, whose parent is known."""
    global _own, _parent
    _parent, _own = own(), None


def renew() -> None:
    """The record has ended; what follows is another execution."""
    global _own
    _own = None
