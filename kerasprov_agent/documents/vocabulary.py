"""Namespaces, and how things are named in them."""

from __future__ import annotations

import hashlib
import re

OURS = {
    "kp": "ns#",
    "metric": "metric#",
    "attribute": "attribute#",
    "data": "content/",
    "sw": "software/",
    "agent": "agent/",
}
"""Terms; what Keras or the program itself named; contents by hash; agents."""

FOREIGN = {
    "mls": "http://www.w3.org/ns/mls#",
    "mlso": "http://w3id.org/mlso/",
    "fair4ml": "https://w3id.org/fair4ml#",
    "schema": "https://schema.org/",
    "dcterms": "http://purl.org/dc/terms/",
}


class Name(str):
    """A qualified name, such as `kp:Fit`; a plain `str` is a literal."""

    __slots__ = ()


def namespaces(base: str) -> dict[str, str]:
    """Prefixes of every document, besides those of the executions, `prov` and `xsd`."""
    return {prefix: base + path for prefix, path in OURS.items()} | FOREIGN


def execution_namespace(execution_id: str) -> str:
    """What belongs to one execution lies under its UUID: no two documents can collide."""
    return f"urn:uuid:{execution_id}#"


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
    """The agent for a person who is known by login and host."""
    digest = hashlib.sha256(f"{login}@{host}".encode()).hexdigest()
    return Name(f"agent:user-{digest[:12]}")


def person(orcid: str) -> Name:
    """The agent for a person who is known by ORCID."""
    return Name(f"agent:orcid-{orcid}")


def content(sha256: str) -> Name:
    """The entity for bytes, the same on every machine."""
    return Name(f"data:sha256-{sha256}")
