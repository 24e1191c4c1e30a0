"""Passwords before the host of an address: `https://user:password@host`, `user:password@host`."""

from __future__ import annotations

import re
from collections.abc import Iterator

from kerasprov_agent.redaction.redacted import REDACTED, words

_WORD = re.compile(r"[^\s\"'<>`]+")
_WHOLE = re.compile(r"[A-Za-z][\w+.-]{0,40}://\S+")
_SCHEME = re.compile(r"[A-Za-z][\w+.-]*:\Z")
_SCHEME_LIMIT = 40
_PATH = re.compile(r"[/?#]")
_ENCODED = re.compile(
    r"(?<=%3A%2F%2F)(?P<user>[^\s%@&]{0,100})%3A(?P<secret>[^\s&@]{0,200}?)%40", re.IGNORECASE
)
_LOGIN = re.compile(
    r"(?P<before>(?:^|(?<=[\s=,;\"'(]))[\w.+-]{1,80}:)(?P<secret>[^\s@/\"'][^\s\"']{2,200})"
    r"@(?=(?:localhost|[\w-]{1,80}(?:\.[\w-]{1,80}){1,9}|[\w-]{1,80}(?=[:/]|\Z))(?:[:/\s\"',;)]|\Z))"
)
_ORACLE = re.compile(r"(?P<before>:(?:thin|oci):[^/\s@]{1,80}/)[^\s@]{1,200}(?=@)")
_NO_LOGIN = ("mailto:", "sip:", "xmpp:", "acct:", "doi:", "sha256:")
_PORT = re.compile(r"\d{0,5}\Z")
_FILLED_IN = re.compile(
    r"[${]?\{[^\s\"'=,;{}]{0,80}\}\}?|\$\w+|\$\([^\s()]{0,80}\)|%s|%\(\w{0,80}\)s|<[\w .:-]{0,80}>"
    r"|\*+|[xX]{3,}|\.{3}|…"
)
_USERS = frozenset(("git", "hg", "svn", "anonymous", "ftp", "root", "ubuntu", "ec2-user", "admin"))
_WITHOUT_PASSWORD = words("""
    ssh: git: git+ssh: sftp: scp: rsync: s3: s3a: gs: abfs: abfss: wasb: wasbs: hdfs: redis:
    amqp: postgresql: postgres: mysql:
""")
"""With these a name alone before the host is a user or a bucket; elsewhere it may be a token."""


def hidden(text: str) -> str:
    """Blank out the passwords of addresses in a text, a value or a program."""
    if "//" in text:
        text = "".join(_without_logins(text))
    if "%2F%2F" in text or "%2f%2f" in text:
        text = _ENCODED.sub(rf"\g<user>%3A{REDACTED}%40", text)
    return text


def hidden_logins(text: str) -> str:
    """Blank out `user:password@host`; in a program that may be an expression, so not there."""
    if "@" not in text:
        return text
    if ":thin:" in text or ":oci:" in text:
        text = _ORACLE.sub(rf"\g<before>{REDACTED}", text)
    return _LOGIN.sub(_without_password, text)


def is_filled_in(secret: str) -> bool:
    """Whether what stands there is no secret, but says where one is put in: `{password}`, `***`."""
    return secret.startswith(REDACTED) or bool(_FILLED_IN.fullmatch(secret))


def _without_password(match: re.Match[str]) -> str:
    before, secret = match["before"], match["secret"]
    is_address = "://" in secret or REDACTED in secret
    if is_address or before.lower().endswith(_NO_LOGIN) or _is_digest(match):
        return match[0]
    return f"{before}{REDACTED}@"


def _is_digest(match: re.Match[str]) -> bool:
    """An image of a container: `ubuntu:22.04@sha256:...`."""
    return match.string.startswith("sha256:", match.end())


def _without_logins(text: str) -> Iterator[str]:
    """The pieces of a text without the logins in its addresses."""
    place = 0
    for word in [_WHOLE.fullmatch(text)] if _WHOLE.fullmatch(text) else _WORD.finditer(text):
        if word is None or "//" not in word[0]:
            continue
        starts = list(_starts(text, *word.span()))
        ends = [*(start - 2 for start, _ in starts[1:]), word.end()]
        for (start, scheme), end in zip(starts, ends, strict=False):
            login = _login(text, start, end, scheme)
            if login:
                start, stop, instead = login
                yield text[place:start] + instead
                place = stop
    yield text[place:]


def _starts(text: str, start: int, end: int) -> Iterator[tuple[int, str]]:
    """Where the addresses in a word begin, after their `//`, each with its scheme."""
    place = text.find("//", start, end)
    while place >= 0:
        before = text[max(place - _SCHEME_LIMIT, start) : place]
        scheme = _SCHEME.search(before) if before.endswith(":") else None
        if scheme or not before or not (before[-1].isalnum() or before[-1] == "/"):
            yield place + 2, scheme[0].lower() if scheme else ""
        place = text.find("//", place + 2, end)


def _login(text: str, start: int, end: int, scheme: str) -> tuple[int, int, str] | None:
    """Where the login of an address is that begins after its `//`, and what is to stand there.

    A password may hold any character. What has a colon, but no port after it, before the first
    slash is taken for a login if an `@` follows somewhere.
    """
    stop = _end_of_host(text, start, end)
    at = text.rfind("@", start, stop)
    host = start if at < 0 else at + 1
    while _has_no_port(text[host:stop]) and (further := text.find("@", stop, end)) >= 0:
        stop = _end_of_host(text, further, end)
        at = text.rfind("@", further, stop)
        host = at + 1
    if at < 0:
        return None
    user, colon, secret = text[start:at].partition(":")
    if is_filled_in(secret) or (not secret and is_filled_in(user)):
        return None
    if secret and not secret.startswith("x-oauth") and not _looks_issued(user):
        return start, at, f"{user}:{REDACTED}"
    if colon or not (user.lower() in _USERS or scheme in _WITHOUT_PASSWORD):
        return start, at, REDACTED
    return None


def _end_of_host(text: str, start: int, end: int) -> int:
    path = _PATH.search(text, start, end)
    return path.start() if path else end


def _has_no_port(host: str) -> bool:
    """Whether there is a colon, and something else than a port after it."""
    _, colon, port = host.rpartition("]") if host.startswith("[") else host.partition(":")
    return bool(colon) and not _PORT.match(port.removeprefix(":"))


def _looks_issued(user: str) -> bool:
    """A user that is a token itself, as GitHub's `https://TOKEN:x-oauth-basic@host`."""
    return len(user) >= 20 and any(map(str.isdigit, user)) and user.isalnum()
