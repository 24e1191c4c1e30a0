"""Which values are secrets, told by the names they go by."""

from __future__ import annotations

import re
from collections.abc import Sequence

REDACTED = "[redacted]"

_SECRET_NAME = re.compile(
    r"passw(or)?d|passphrase|secret|credential|api[._-]?key|access[._-]?key|private[._-]?key"
    r"|(^|[._-])pwd$|(^|[._-])auth(orization)?$|bearer|cookie|(^|[._-])jwt([._-]|$)|token$",
    re.IGNORECASE,
)
_TOKENS_OF_TEXT = re.compile(
    r"(^|[._-])(mask|oov|pad|bos|eos|sos|start|end|unk|unknown|cls|sep|num|max|min)[._-]?token$",
    re.IGNORECASE,
)
_USER_INFO = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*://)[^/@\s]+@")
_QUERY_ITEM = re.compile(r"(?P<before>[?&](?P<name>[^=&\s]+)=)(?P<value>[^&#\s]+)")
_ASSIGNMENT = re.compile(r"^(?P<before>-{0,2}(?P<name>[A-Za-z][\w.-]*)=)(?P<value>.*)$", re.DOTALL)


def is_secret(name: str) -> bool:
    """Whether a value that goes by this name must not be stored (`mask_token` may be)."""
    return bool(_SECRET_NAME.search(name)) and not _TOKENS_OF_TEXT.search(name)


def text(value: str) -> str:
    """Blank out the user part and the secret query items of URLs."""
    if "://" not in value:
        return value
    value = _USER_INFO.sub(rf"\g<scheme>{REDACTED}@", value)
    return _QUERY_ITEM.sub(
        lambda m: m["before"] + (REDACTED if is_secret(m["name"]) else m["value"]), value
    )


def arguments(words: Sequence[str]) -> list[str]:
    """Blank out `--password WORD`, `--api-key=WORD`, `TOKEN=WORD` and secrets in URLs."""
    cleaned: list[str] = []
    hide_next = False
    for word in words:
        assignment = _ASSIGNMENT.match(word)
        if hide_next and not word.startswith("-"):
            cleaned.append(REDACTED)
            hide_next = False
        elif assignment and is_secret(assignment["name"]):
            cleaned.append(assignment["before"] + REDACTED)
            hide_next = False
        else:
            cleaned.append(text(word))
            hide_next = word.startswith("-") and is_secret(word.lstrip("-"))
    return cleaned
