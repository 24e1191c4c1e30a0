"""Secrets that are told by their own form: tokens of known providers, JWTs, private keys."""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator

from kerasprov_agent.redaction.redacted import REDACTED, words

FORMS = (
    # what it begins with, what follows
    ("AKIA", r"[A-Z0-9]{12,}"),  # AWS
    ("ASIA", r"[A-Z0-9]{12,}"),
    ("AIza", r"[\w-]{20,}"),  # Google
    ("ya29.", r"[\w.-]{10,}"),
    ("GOCSPX-", r"[\w-]{10,}"),
    ("1//0", r"[\w-]{20,}"),
    ("ghp_", r"\w{10,}"),  # GitHub
    ("gho_", r"\w{10,}"),
    ("ghu_", r"\w{10,}"),
    ("ghs_", r"\w{10,}"),
    ("ghr_", r"\w{10,}"),
    ("github_pat_", r"\w{10,}"),
    ("glpat-", r"[\w-]{10,}"),  # GitLab
    ("gldt-", r"[\w-]{10,}"),
    ("glrt-", r"[\w-]{10,}"),
    ("xox", r"[a-z]?[.-][\w.-]{10,}"),  # Slack
    ("xapp-", r"[\w-]{10,}"),
    ("sk-ant-", r"[\w-]{8,}"),  # Anthropic, OpenAI and others
    ("sk-proj-", r"[\w-]{8,}"),
    ("sk-", r"(?=[A-Za-z-]{0,40}\d)[\w-]{16,}"),
    ("sk_live_", r"\w{8,}"),  # Stripe
    ("sk_test_", r"\w{8,}"),
    ("rk_live_", r"\w{8,}"),
    ("rk_test_", r"\w{8,}"),
    ("whsec_", r"[\w+/=]{10,}"),
    ("hf_", r"[A-Za-z0-9]{20,}"),  # Hugging Face
    ("api_org_", r"[A-Za-z0-9]{20,}"),
    ("npm_", r"[A-Za-z0-9]{20,}"),
    ("pypi-", r"[\w-]{30,}"),
    ("rubygems_", r"[0-9a-f]{20,}"),
    ("dop_v1_", r"[0-9a-f]{20,}"),  # DigitalOcean
    ("doo_v1_", r"[0-9a-f]{20,}"),
    ("SG.", r"[\w-]{10,}\.[\w-]{10,}"),  # SendGrid
    ("key-", r"[0-9a-f]{32}"),  # Mailgun
    ("hvs.", r"[\w-]{20,}"),  # Vault
    ("dapi", r"[0-9a-f]{32}"),  # Databricks
    ("shpat_", r"[0-9a-fA-F]{20,}"),  # Shopify
    ("shpss_", r"[0-9a-fA-F]{20,}"),
    ("nvapi-", r"[\w-]{20,}"),
    ("r8_", r"[A-Za-z0-9]{20,}"),  # Replicate
    ("gsk_", r"[A-Za-z0-9]{20,}"),  # Groq
    ("pplx-", r"[A-Za-z0-9]{20,}"),
    ("xai-", r"[A-Za-z0-9]{20,}"),
    ("lsv2_", r"(?:pt|sk)_\w{20,}"),  # LangSmith
    ("glsa_", r"\w{20,}"),  # Grafana
    ("sntrys_", r"[\w+/=]{20,}"),  # Sentry
    ("dckr_pat_", r"[\w-]{10,}"),  # Docker
    ("ATATT3x", r"[\w=-]{20,}"),  # Atlassian
    ("PMAK-", r"[\w-]{20,}"),  # Postman
    ("lin_api_", r"\w{20,}"),  # Linear
    ("AGE-SECRET-KEY-", r"[A-Z0-9]{20,}"),
)
# What stands before may be no part of a token: so a long run of such characters is entered once.
_JSON_WEB_TOKEN = re.compile(r"(?<![\w-])eyJ[\w-]{5,}\.[\w-]{5,}(?:\.[\w-]*)*")
_HOOKS = re.compile(
    r"(?P<before>hooks\.slack\.com/(?:services|workflows|triggers)/|discord(?:app)?\.com/api/webhooks/"
    r"|api\.telegram\.org/bot|webhook\.office\.com/webhookb2/)(?P<secret>[^\s\"'<>?\\]{6,})"
)
_KEY_BEGINS = re.compile(r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")
_KEY_ENDS = re.compile(r"-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")
_KEY_BODY = re.compile(r"[A-Za-z0-9+/=\s\\:,.-]*")
_PUTTY = re.compile(r"Private-Lines: \d{1,4}\s+(?:(?!Private)[A-Za-z0-9+/=\s])+")
_SCHEME = re.compile(
    r"(?<![A-Za-z])(?P<scheme>Bearer|Basic)(?P<gap>[ \t]{1,4}|%20|\+)"
    r"(?P<secret>[A-Za-z0-9+/=._~:-]{6,})",
    re.IGNORECASE,
)
_SPOKEN = words("""
    token tokens authentication authorization auth scheme header headers realm credential
    credentials format prefix string required is was must
""")
"""What follows `Bearer` in plain English."""


def hidden(text: str) -> str:
    """A text without them; line breaks within a private key are kept."""
    if "PRIVATE KEY" in text:
        text = "".join(_without_keys(text))
    if "Private-Lines" in text:
        text = _PUTTY.sub(lambda match: blank(match[0]), text)
    for prefix, rest in FORMS:
        if prefix in text:  # searching all of a text for a form takes a hundred times longer
            form = re.compile(re.escape(prefix) + rest)  # few texts need one: not when imported
            text = "".join(_without_tokens(text, prefix, form))
    if "eyJ" in text:
        text = _JSON_WEB_TOKEN.sub(REDACTED, text)
    if ".com/" in text or ".org/" in text:
        text = _HOOKS.sub(lambda match: match["before"] + REDACTED, text)
    lowered = text.lower()
    return _SCHEME.sub(_after_scheme, text) if "bearer" in lowered or "basic" in lowered else text


def blank(secret: str) -> str:
    """What stands where a secret of one or more lines stood: so many lines."""
    return REDACTED + "\n" * secret.count("\n")


def _without_tokens(text: str, prefix: str, form: re.Pattern[str]) -> Iterator[str]:
    """The pieces of a text without the tokens of one form; they begin where a word does."""
    done, place = 0, text.find(prefix)
    while place >= 0:
        match = form.match(text, place)
        is_word = place == 0 or not (text[place - 1].isascii() and text[place - 1].isalnum())
        if match and is_word:
            yield text[done:place] + REDACTED
            done = match.end()
        place = text.find(prefix, match.end() if match else place + len(prefix))
    yield text[done:]


def _without_keys(text: str) -> Iterator[str]:
    """The pieces of a text without its private keys; one that is cut short ends with its body."""
    begins = list(_KEY_BEGINS.finditer(text))
    place = 0
    limits = [*(begin.start() for begin in begins[1:]), len(text)]
    for begin, limit in zip(begins, limits, strict=False):
        if begin.start() < place:
            continue
        end = _KEY_ENDS.search(text, begin.end(), limit)
        body = _KEY_BODY.match(text, begin.end(), limit)
        stop = end.end() if end else body.end() if body else begin.end()
        yield text[place : begin.start()] + blank(text[begin.start() : stop])
        place = stop
    yield text[place:]


def _after_scheme(match: re.Match[str]) -> str:
    """`Bearer xyz` and `Basic dXNlcjpwdw==`, but not `bearer authentication`, `basic training`."""
    secret, scheme = match["secret"], match["scheme"].lower()
    if scheme == "bearer":
        before = match.string[max(match.start() - 2, 0) : match.start()].strip()[-1:]
        is_secret = secret.lower().strip(".:") not in _SPOKEN and (
            len(secret) >= 16 or any(map(str.isdigit, secret)) or before in tuple(":=,\"'")
        )
    else:
        is_secret = _holds_login(secret)
    return f"{match['scheme']}{match['gap']}{REDACTED}" if is_secret else match[0]


def _holds_login(encoded: str) -> bool:
    try:
        return b":" in binascii.a2b_base64(encoded + "=" * (-len(encoded) % 4))
    except ValueError:
        return False
