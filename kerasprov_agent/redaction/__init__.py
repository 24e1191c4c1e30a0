"""The gate at which secrets are blanked out, by their names and by their forms.

Whatever is stored passes it: values with their names (`is_secret`), texts (`text`), command lines
(`arguments`), the text of programs (`program`). It keeps what is no secret: host, user, database.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from kerasprov_agent.redaction import assignments, tokens, urls
from kerasprov_agent.redaction.names import is_secret
from kerasprov_agent.redaction.redacted import REDACTED

__all__ = ["REDACTED", "arguments", "is_kept", "is_secret", "program", "text", "value"]

TEXT_LIMIT = 4096
"""A longer text is cut before it is stored; how long it was stands at its end."""
MARGIN = 1024
"""So much more is looked at: a secret that the limit would cut in two is still seen as one."""

SHORT = 64
_HOLDS_NOTHING = re.compile(
    r"[\w .]{0,11}|[0-9a-f]{8}-[0-9a-f-]{27}(?:#[a-z-]{1,40}[0-9]{0,20})?"
    r"|[0-9a-f]{64}|[0-9T:.+-]{1,40}Z?"
)
"""Short words, identifiers, digests and times: most of what is stored, and no secrets."""
_ASSIGNMENT = re.compile(
    r"(?P<before>[-+~/]{0,2}(?P<name>[A-Za-z_][\w./@-]*)=)(?P<value>.*)", re.DOTALL
)
_FLAG = re.compile(r"-[A-Za-z]|--[A-Za-z][\w-]*(?:=.*)?", re.DOTALL)
_NAME = re.compile(r"[A-Za-z]\w*[._-]\w[\w.-]*|(?:my|db|user)?passw(?:or)?d")
_HARMLESS = re.compile(r"None|[Tt]rue|[Ff]alse|null|")
_NUMBER = re.compile(r"[-+]?[\d.]+(?:[eE][-+]?\d+)?")
_LOGIN = re.compile(r"(?P<user>[^\s:/]+):(?P<secret>(?!\d+\Z)[^\s/].*)", re.DOTALL)
_ATTACHED = re.compile(r"-p(?!\d+\Z)[^\s/=-]*[^a-z/=\s-][^\s/=]*")
"""`mysql -u root -pWORD`"""
_LOGIN_FLAGS = frozenset(("-u", "-U", "--user", "--proxy-user", "--username", "--login"))


def text(value: str, limit: int = TEXT_LIMIT) -> str:
    """Blank out the secrets in a text; one of more than `limit` characters is cut.

    What it takes grows with the length of the text, up to the limit.
    """
    return _hidden_in_short(value) if len(value) < SHORT else _cut(value, limit, _hidden)


def _cut(value: str, limit: int, hidden: Callable[[str], str]) -> str:
    if len(value) <= limit:
        return hidden(value)
    window = value[: limit + MARGIN]
    start = window.rfind("://") + 3
    if start > 2 and not any(c.isspace() or c in "/@" for c in window[start:]):
        window = window[:start] + REDACTED  # an address whose login is not over yet
    return f"{hidden(window)[:limit]}… (cut: {len(value)} characters)"


def _hidden(value: str) -> str:
    return _hidden_in_short(value) if len(value) < SHORT else _hidden_in_any(value)


@lru_cache(maxsize=2048)
def _hidden_in_short(value: str) -> str:
    """Names and words come again and again."""
    return _hidden_in_any(value)


def _hidden_in_any(value: str) -> str:
    if _HOLDS_NOTHING.fullmatch(value):
        return value
    value = urls.hidden_logins(urls.hidden(tokens.hidden(value)))
    return assignments.hidden(value)


def program(value: str) -> str:
    """Blank out the secrets in the text of a program or a diff; it keeps its lines."""
    return assignments.hidden(urls.hidden(tokens.hidden(value)), in_program=True)


def arguments(words: Sequence[str]) -> list[str]:
    """Blank out the secrets of a command line.

    `--password WORD`, `--api-key=WORD`, `+db.token=WORD`, `-u user:WORD`, `-p WORD`,
    `-H "X-API-Key: WORD"`, and in each word what `text` finds.
    """
    cleaned: list[str] = []
    flag = ""
    has_login = any(word[:2] in ("-u", "-U") or word in _LOGIN_FLAGS for word in words)
    for word in words:
        word_is_flag = bool(_FLAG.fullmatch(word))
        value = None if word_is_flag else _after_flag(flag, word, has_login)
        cleaned.append(value if value is not None else _cut(word, TEXT_LIMIT, _word))
        # Several words may follow a plural, as `--passwords a b c`.
        goes_on = value is not None and flag.endswith("s")
        is_name = word.startswith("-") or bool(_NAME.fullmatch(word))
        flag = flag if goes_on else word if is_name else ""
        if has_login and len(word) < 200 and _ATTACHED.fullmatch(word):
            cleaned[-1] = word[:2] + REDACTED
    return cleaned


def _after_flag(flag: str, word: str, has_login: bool) -> str | None:
    """What is stored of a word for the flag before it; None: it is a word like any other."""
    if "=" not in flag and is_secret(flag.lstrip("-")):
        is_positional = not flag.startswith("-") and bool(_NUMBER.fullmatch(word))
        return None if is_positional or is_kept(word) else REDACTED
    login = _LOGIN.fullmatch(word) if flag in _LOGIN_FLAGS else None
    if login:
        return f"{login['user']}:{REDACTED}"
    if flag == "-p" and not _NUMBER.fullmatch(word) and not any(c in word for c in "/\\=:"):
        return REDACTED if has_login or not word.isalpha() else None
    return None


def _word(word: str) -> str:
    """A word with what is assigned in it: `--set=db.password=x`, `-Dtoken=x`."""
    before, value = "", word
    while assignment := _ASSIGNMENT.fullmatch(value):
        name = assignment["name"]
        is_defined = value.startswith("-D") and is_secret(name[1:])
        value, before = assignment["value"], before + assignment["before"]
        if (is_defined or is_secret(name)) and not is_kept(value):
            return before + REDACTED
        login = _LOGIN.fullmatch(value) if f"--{name}" in _LOGIN_FLAGS else None
        if login:
            return f"{before}{login['user']}:{REDACTED}"
    return before + (_hidden(value) if before else _hidden(word))


def value(name: str, given: Any) -> Any:
    """A value, or what stands for it where its name is that of a secret."""
    return REDACTED if is_secret(name) and not is_kept(given) else given


def is_kept(value: object) -> bool:
    """Whether a value is no secret, whatever it goes by: nothing, a switch, a place for one."""
    if not isinstance(value, str):
        return value is None or isinstance(value, (bool, float))
    is_nothing = bool(_HARMLESS.fullmatch(value))
    return is_nothing or urls.is_filled_in(value) or assignments.is_file(value)
