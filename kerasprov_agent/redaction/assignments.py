"""Secrets that stand behind their name in a text: `password=…`, `"api_key": "…"`, `?token=…`.

The languages are those that people put into arguments and messages: queries of URLs, connection
strings, headers, JSON, YAML, XML, literals of Python, command lines.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from kerasprov_agent.redaction.names import NAME_LIMIT, is_secret, words_of
from kerasprov_agent.redaction.redacted import REDACTED
from kerasprov_agent.redaction.tokens import blank
from kerasprov_agent.redaction.urls import is_filled_in

Span = tuple[int, int]

_STEM = re.compile(
    r"pass|secret|cred|key|token|auth|pwd|bearer|jwt|cookie|sess|otp|mnemonic|webhook|kennw|access"
)
"""What every name of a secret holds; the names themselves are looked at only around it."""
_NAME = re.compile(
    r"(?P<name>[\w.-]+)"
    r"(?P<close>\\{0,8}[\"'])?\]?"
    r"(?:(?P<sep>\s{0,4}(?:=>|:=|={1,2}(?!=)|:|%(?:25){0,3}3[dDaA])[ \t]{0,4})"
    r"|(?P<tag>>)|(?P<next>\s{0,2},\s{0,4}|[ \t]{1,4}))"
)
_IN_NAME = frozenset("._-")
_NOTHING = re.compile(
    r"(?:None|[Tt]rue|[Ff]alse|null|nil|str|int|float|bool|bytes|object|Optional\[\w+\]|\"\"|'')"
    r"(?![\w\"'])"
)
_OPENING = re.compile(r"[bruBRU]{0,2}(?P<quote>\"\"\"|'''|\\{0,8}[\"'`])")
_TO_QUOTE = {mark: re.compile(rf"(?:[^{mark}\\\n]|\\.)*") for mark in "\"'`"}
_LIST = re.compile(r"\[[^\]\n]*\]?|\{[^}\n]*\}?")
_BLOCK = re.compile(r"[|>][+-]?[ \t]*\n[ \t]+")
_LINE = re.compile(r"(?:[^\n,\"']|,(?!\s{0,4}[\w.-]+\s{0,4}[=:]))*")
_TO_SEMICOLON = re.compile(r"[^;\n]*(?=;)")
_PLAIN = re.compile(
    r"(?:[^\s\"'&;,<\\]|[&;,](?!\s{0,4}[\w.-]+\s{0,4}[=:]|[\s\"']|\Z)|\\(?!\\{0,8}[\"'])"
    r"|[\"'](?![\s,;:)\]}&]|\Z))+"
)
_IN_QUERY = re.compile(r"[^\s\"'&#<>\\;]+")
_IN_PATH = re.compile(r"[^\s\"'&;/\\]+")
_IN_ENCODED = re.compile(r"(?:[^\s\"'&%<>\\]|%(?!(?:25){0,3}2[36]))+")
_QUERY = re.compile(
    r"(?P<before>(?:[?&#;]|%(?:25){0,3}(?:3f|26|23))(?:sig|signature|key|code|hmac|access|sas|password"
    r"|googleaccessid|x-(?:amz|goog)-(?:signature|credential|security-token))(?:=|%(?:25){0,3}3d))"
    r"(?P<secret>(?:[^\s\"'&#%<>\\;]|%(?!(?:25){0,3}2[36]))+)",
    re.IGNORECASE,
)
_SCHEME_WORD = re.compile(r"[A-Za-z][\w-]{0,30}[ \t]+(?=\S)")
_TO_LINE_END = re.compile(r"[^\n\"']*")
_HEADERS = ("authorization", "cookie")
_FILE = re.compile(r"[\w./~ :\\-]+\.(?:json|ya?ml|toml|ini|cfg|env|txt|pem|key|crt|p12|csv|npz?)")
_DONE = re.compile(r"[A-Za-z]* ?" + re.escape(REDACTED))
_SPOKEN_BEFORE = ("unexpected ", "invalid ", "unknown ", "missing ", "special ", "next ", "bad ")
_LITERAL = re.compile(r"[^\s\"'{}<>$%()\\]{8,120}(?=[\"'])")
_CONSTANT = re.compile(r"[A-Z][A-Z0-9_]*")


def hidden(text: str, in_program: bool = False) -> str:
    """Blank out the values in a text that stand behind the name of a secret.

    In a program only literals are values: `password = "…"`, but not `password = ask()`.
    """
    if "?" in text or "&" in text or "%" in text:
        text = _QUERY.sub(_without_value, text)
    pieces, place = [], 0
    for start, end in _values(text, in_program):
        pieces.append(text[place:start] + blank(text[start:end]))
        place = end
    return "".join([*pieces, text[place:]])


def _without_value(match: re.Match[str]) -> str:
    return match[0] if is_filled_in(match["secret"]) else match["before"] + REDACTED


def is_file(value: str) -> bool:
    """Whether a value that goes by a secret's name is but the file in which that lies."""
    return bool(_FILE.fullmatch(value))


def _values(text: str, in_program: bool) -> Iterator[Span]:
    lowered = text.lower()
    if len(lowered) != len(text):  # as of İ, whose small letter is two
        lowered = "".join(c.lower() if c.isascii() else c for c in text)
    place = 0
    while stem := _STEM.search(lowered, place):
        start = stem.start()
        while start > place and (text[start - 1].isalnum() or text[start - 1] in "._-"):
            start -= 1
        match = _NAME.match(text, start)
        if match is None:
            name_end = stem.end()
            while name_end < len(text) and (text[name_end].isalnum() or text[name_end] in "._-"):
                name_end += 1
            place = name_end
            continue
        place = match.end()
        value = _value(text, match, in_program) if _is_name(text, match) else None
        if value is not None and value[0] < value[1]:
            place = value[1]
            if not _is_harmless(text[slice(*value)]):
                yield value


def _is_name(text: str, match: re.Match[str]) -> bool:
    name, start = match["name"][-NAME_LIMIT:], match.start()
    if text[max(start - 1, 0) : start] == "%":  # `%3Ftoken%3D`
        name = name.removeprefix("25").removeprefix("25")[2:]
    if not is_secret(name):
        return False
    return not text[max(start - 16, 0) : start].lower().endswith(_SPOKEN_BEFORE)


def _is_harmless(value: str) -> bool:
    return is_filled_in(value) or bool(_DONE.fullmatch(value)) or is_file(value)


def _value(text: str, match: re.Match[str], in_program: bool) -> Span | None:
    """Where the value of a name begins and ends."""
    start, name = match.end(), match["name"]
    if match["tag"]:
        is_tag = text[max(match.start() - 1, 0) : match.start()] == "<"
        end = text.find("<", start, start + 4096) if is_tag else -1
        return (start, end) if end >= 0 else None
    if match["next"] and not _goes_on(match):
        return None
    if _NOTHING.match(text, start):
        return None
    opening = _OPENING.match(text, start)
    if in_program:
        return _in_program(text, match, opening)
    if opening:
        is_word = match["next"] and (
            name.isupper() or text[opening.end() : opening.end() + 1] == "-"
        )
        return None if is_word else _quoted(text, opening)
    if match["next"] and text[start : start + 1] == "-":
        return None
    separator = match["sep"] or ""
    if "%" in separator:
        return _span(_IN_ENCODED, text, start)
    before = text[max(match.start() - 1, 0) : match.start()]
    if before in ("?", "&", "#"):
        return _span(_IN_QUERY, text, start)
    if before in ("/", "\\"):
        return _span(_IN_PATH, text, start)
    if ":" in separator and words_of(name)[-1] in _HEADERS:
        scheme = _SCHEME_WORD.match(text, start)
        is_cookie = words_of(name)[-1] == "cookie"
        return _span(_TO_LINE_END, text, scheme.end() if scheme and not is_cookie else start)
    return _unquoted(text, match, before)


def _goes_on(match: re.Match[str]) -> bool:
    """Whether the value is the next word of a command line, or the next argument of a call."""
    name, quoted = match["name"], bool(match["close"])
    if "," in match["next"]:
        return quoted and (name.startswith("--") or name.isupper())
    return not quoted and name.startswith("--")


def _unquoted(text: str, match: re.Match[str], before: str) -> Span | None:
    start, separator = match.end(), match["sep"] or ""
    block = _BLOCK.match(text, start)
    if block:
        return _span(_TO_LINE_END, text, block.end())
    if "=" in separator and text[max(match.start() - 4, 0) : match.start()].rstrip()[-1:] in (
        "",
        ";",
    ):
        whole = _TO_SEMICOLON.match(text, start)
        if whole:
            in_braces = whole[0].startswith("{") and whole[0].endswith("}")
            return (whole.start() + 1, whole.end() - 1) if in_braces else whole.span()
    if text[start : start + 1] in ("[", "{"):
        return None if text.startswith(REDACTED, start) else _span(_LIST, text, start)
    if ":" in separator and before in ("", "\n"):
        line = _span(_LINE, text, start)
        if line[0] < line[1]:
            return line
    begin, end = _span(_PLAIN, text, start)
    value = text[begin:end]
    return begin, begin + len(value.rstrip(")}],.") or value)


def _in_program(text: str, match: re.Match[str], opening: re.Match[str] | None) -> Span | None:
    start, name = match.end(), match["name"]
    before = text[max(match.start() - 1, 0) : match.start()]
    separator = match["sep"] or ""
    if opening is None:
        if before in ("?", "&"):
            return _span(_IN_QUERY, text, start)
        if "=" in separator and (before == ";" or name.startswith("--")):
            return _span(_PLAIN, text, start)
        literal = _LITERAL.match(text, start) if ":" in separator else None
        return literal.span() if literal and any(map(str.isdigit, literal[0])) else None
    # In `"password: " + x` the quote ends a text; it begins none.
    if (before in ("'", '"')) != bool(match["close"]) or words_of(name) == ["token"]:
        return None
    begin, end = _quoted(text, opening)
    value = text[begin:end]
    if (
        len(value) < 4
        or value != value.strip()
        or ("\n" in value[:-1] and len(opening["quote"]) < 3)
    ):
        return None
    if ":" in separator and any(c.isspace() or c in "()" for c in value):
        return None
    if value.lower() == name.lower() or value.startswith("--"):
        return None
    if _CONSTANT.fullmatch(value) and (match["next"] or is_secret(value)):
        return None  # the name of a variable
    return begin, end


def _quoted(text: str, opening: re.Match[str]) -> Span:
    """What stands in quotes; where they are not closed, to the end of the line."""
    quote, start = opening["quote"], opening.end()
    if len(quote) == 1:
        return _span(_TO_QUOTE[quote], text, start)
    if quote[0] != "\\":
        end = text.find(quote, start)
        return start, end if end >= 0 else len(text)
    line_end = text.find("\n", start)
    line_end = line_end if line_end >= 0 else len(text)
    end = text.find(quote, start, line_end)
    return start, end if end >= 0 else line_end


def _span(pattern: re.Pattern[str], text: str, start: int) -> Span:
    match = pattern.match(text, start)
    return match.span() if match else (start, start)
