"""Namespaces, and how things are named in them."""

from __future__ import annotations

import hashlib
import re

BASE = "https://w3id.org/kerasprov/"
"""What is ours and not of one execution lies under this IRI."""

NAMESPACES = {
    "kp": f"{BASE}ns#",
    "data": f"{BASE}content/",
    "sw": f"{BASE}software/",
    "agent": f"{BASE}agent/",
    "mls": "http://www.w3.org/ns/mls#",
    "schema": "https://schema.org/",
    "dcterms": "http://purl.org/dc/terms/",
}
"""Prefixes of every document, besides `run`, `prov` and `xsd`."""


class Name(str):
    """A qualified name, such as `kp:Fit`; a plain `str` is a literal."""

    __slots__ = ()


def execution_namespace(execution_id: str) -> str:
    """What belongs to one execution lies under its UUID: no two documents can collide."""
    return f"urn:uuid:{execution_id}#"


def local(row_id: str) -> str:
    """`run:fit-1` for `<execution id>#fit-1`."""
    return Name(f"run:{row_id.partition('#')[2] or 'execution'}")


def ncname(text: str) -> str:
    """A text as the local part of a name: letters, digits, `_`, `-`, `.`, not a digit first.

    PROV-XML breaks its schema otherwise.
    """
    safe = re.sub(r"[^A-Za-z0-9_.-]", "_", text)
    return safe if re.match(r"[A-Za-z_]", safe) else f"_{safe}"


def software(name: str, version: str | None) -> Name:
    """The agent for a version of a package."""
    return Name("sw:" + ncname(f"{name}-{version}" if version else name))


def user(login: str, host: str) -> Name:
    """The agent for a person, known by login and host."""
    digest = hashlib.sha256(f"{login}@{host}".encode()).hexdigest()
    return Name(f"agent:user-{digest[:12]}")


def content(sha256: str) -> Name:
    """The entity for bytes, the same on every machine."""
    return Name(f"data:sha256-{sha256}")
