"""Texts and values of any kind pass the gate, and come back; settings are read or refused."""

from __future__ import annotations

import json
import math
import sqlite3
from contextlib import closing
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kerasprov_agent import redaction, visible
from kerasprov_agent.errors import SettingError
from kerasprov_agent.evidence import markdown, names
from kerasprov_agent.settings import SETTINGS, Values
from kerasprov_agent.store import text as gate

ANY = st.text(st.characters(), max_size=60)
"""Also halves of surrogate pairs, NUL, controls."""
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), ANY, st.binary(max_size=9),
              st.complex_numbers(), st.dates()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.tuples(inner, inner), st.dictionaries(ANY, inner, max_size=4),
        st.frozensets(st.integers(), max_size=3),
    ),
    max_leaves=12,
)  # fmt: skip


@given(ANY, ANY)
def test_each_text_is_stored_as_one_that_is_its_own(one: str, other: str) -> None:
    stored = gate.encoded(one)
    stored.encode("utf-8")
    assert "\0" not in stored and gate.decoded(stored) == one
    assert (stored == gate.encoded(other)) == (one == other)
    with closing(sqlite3.connect(":memory:")) as connection:
        assert connection.execute("SELECT ?", (stored,)).fetchone() == (stored,)


@given(VALUES)
def test_any_value_becomes_one_that_the_database_takes(value: Any) -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("SELECT ?, ?", (gate.bindable(value), gate.as_json(value)))
        (kind,) = connection.execute("SELECT json_valid(?)", (gate.as_json(value),)).fetchone()
    assert kind == 1
    json.loads(gate.as_json(value))
    if isinstance(value, float) and math.isfinite(value):
        assert gate.bindable(value) == value


@given(st.one_of(ANY, st.lists(st.sampled_from(
    ("password", "=", ":", "token", "//", "@", "'", '"', "\\", " ", "\n", "a", "ghp_", "?", "&", "-----BEGIN ")
), max_size=30).map("".join)))  # fmt: skip
def test_a_text_without_secrets_stays_and_twice_is_once(text: str) -> None:
    once = redaction.text(text)
    assert redaction.text(once) == once
    redaction.program(text)
    redaction.arguments([text, text])


@given(ANY)
def test_what_is_printed_has_no_controls(text: str) -> None:
    shown = visible.visible(text)
    assert not any(ord(c) < 32 or 0x7F <= ord(c) < 0xA0 for c in shown)
    names.clean(text).encode("utf-8")


class Tags(HTMLParser):
    """The tags and the text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, _attrs: Any) -> None:
        self.tags.add(tag)


PAGE = {"html", "head", "meta", "title", "style", "body"}


@given(ANY)
def test_a_text_in_a_card_is_no_markup(text: str) -> None:
    for written in (markdown.plain(text), markdown.code(text)):
        cell = markdown.table(("a", "b"), [("x", written)])
        assert len(cell) == 3 and "\n" not in written
        page = Tags(markdown.page(text, "\n".join(cell)))
        assert page.tags <= PAGE | {"table", "thead", "tbody", "tr", "th", "td", "code"}


@pytest.mark.parametrize("setting", [setting.name for setting in SETTINGS])
@given(text=st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0")))
def test_a_setting_is_read_or_refused(setting: str, text: str) -> None:
    known = next(each for each in SETTINGS if each.name == setting)
    environ = {known.variable: text}
    Values(environ=environ)  # in a training nothing is raised
    try:
        Values(strict=True, environ=environ)
    except SettingError as exc:
        assert "\n" not in str(exc) and known.variable in str(exc)
