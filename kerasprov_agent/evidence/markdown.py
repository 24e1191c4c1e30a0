"""Texts as Markdown, whatever is in them, and Markdown as a page."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from typing import Any

from kerasprov_agent.visible import visible

STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 52rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; display: block; margin: 1rem 0; overflow-x: auto; }
th, td { border: 1px solid #8886; padding: .25rem .6rem; text-align: left; }
pre { overflow-x: auto; padding: .6rem; border: 1px solid #8886; }
code { overflow-wrap: anywhere; }
"""


def plain(value: Any) -> str:
    """A text that means nothing to Markdown or HTML, on one line."""
    shown = " ".join(visible(str(value)).split())
    return re.sub(r"([\\`*_{}\[\]<>()#+!|~&$])", r"\\\1", shown)


def code(value: Any) -> str:
    """A text as code, on one line; a bar in it is none of a table."""
    shown = " ".join(visible(str(value)).split()).replace("|", "\u2223")
    longest = max((len(ticks) for ticks in re.findall("`+", shown)), default=0)
    fence = "`" * (longest + 1)
    space = " " if longest else ""
    return f"{fence}{space}{shown}{space}{fence}" if shown else ""


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """The lines of a table whose cells are Markdown already."""
    lines = [heads, ["---"] * len(heads), *rows]
    return ["| " + " | ".join(line) + " |" for line in lines]


def page(title: str, text: str) -> str:
    """Markdown as an HTML document, which needs nothing else; markup in the text stays text."""
    from markdown_it import MarkdownIt

    body = MarkdownIt("commonmark", {"html": False}).enable("table").render(text)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{html.escape(visible(title))}</title><style>{STYLE}</style></head>\n"
        f"<body>\n{body}</body></html>\n"
    )
