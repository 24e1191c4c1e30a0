"""Questions such as `epochs.epoch, epochs.loss where epochs.val_loss < 0.5`, as SQL over the views.

Entities are joined by the run that they belong to; where an aggregate is asked for, the rest is
what it is grouped by. Conditions are those of `conditions`.

A name without an entity means what its neighbours mean: beside `val_loss`, which only epochs have,
`loss` is that of the epochs.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from lark import Token, Tree, v_args

from kerasprov_agent.errors import KerasProvError
from kerasprov_agent.read.conditions import SQL, ToSQL, parse, unknown

OF_RUNS = (
    "runs", "epochs", "evaluations", "layers", "params", "changes", "events", "callbacks",
    "optimizers", "inputs", "activities", "steps",
)  # fmt: skip
"""Views with a column `run`, in the order in which a name without an entity is looked for."""
SEARCH_OF_RUN = "searches.id = (SELECT t.search_id FROM trial t WHERE t.id = runs.trial_id)"
OF_EXECUTIONS = {"files": "execution_id", "packages": "execution_id", "executions": "id"}
"""Views of a whole program, and which of their columns has its id."""
OF_SEARCHES = {"trials": "trials.id = runs.trial_id", "searches": SEARCH_OF_RUN}
"""Views of a search for hyperparameters, and how a run belongs to it."""
TWOFOLD = {"loss", "seconds", "samples"}
"""Attributes that are something else in another view."""
OWN_TERMS = {"first", "last"}
"""Aggregates that SQLite does not have."""
OF_ONE_RUN = ("run", "runs.run", "runs.name", "runs.id")
"""What no two runs have the same: counted, these are runs."""
EXAMPLE = "epochs.epoch, epochs.val_loss where epochs.val_loss < 0.5"


class Written(NamedTuple):
    """The parts of a question's text."""

    asked: str
    condition: str
    """What follows `where`; empty if nothing does."""
    conditions: tuple[str, ...]
    """The conditions that `and` joins."""
    rest: str
    """Order and limit."""


class Question(NamedTuple):
    """A question as SQL, and how it was understood."""

    sql: SQL
    everything: SQL
    """The same without its conditions."""
    narrowed: tuple[SQL, ...]
    """The same with the first of `written.conditions`, with the first two, and so on."""
    meant: dict[str, str]
    """Which view each name means that could mean several."""
    views: tuple[str, ...]
    """The views that it speaks of."""
    written: Written


def compile_question(text: str, connection: sqlite3.Connection) -> Question:
    """The SQL of a question; raises `KerasProvError` with one line that says what is wrong."""
    entities = Entities(connection)
    question = _ToQuestion(entities)
    sql = parse(text, "question", question, "question", EXAMPLE)
    parts = question.conditions
    return Question(
        sql,
        question.select(()),
        tuple(question.select(parts[:count]) for count in range(1, len(parts) + 1)),
        entities.meant,
        tuple(entities.used),
        question.written,
    )


class Entities:
    """What a question may speak of: the columns of the views, as `entity.attribute`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.columns: dict[str, dict[str, str]] = {}
        for view in (*OF_RUNS, *OF_EXECUTIONS, *OF_SEARCHES):
            query = "SELECT name FROM pragma_table_info(?)"
            names = [name for (name,) in connection.execute(query, (view,))]
            self.columns[view] = {name.lower(): name for name in names}
        # Two metrics whose names differ in case only have columns of other names.
        for name, column in connection.execute("SELECT name, column_name FROM metric"):
            for view in ("epochs", "evaluations"):
                if column.lower() in self.columns[view]:
                    self.columns[view].setdefault(name.lower(), column)
        self.used: dict[str, None] = {}
        self.meant: dict[str, str] = {}
        """The views that names without an entity mean, where others have such a name as well."""
        self._order: list[str] = list(self.columns)

    def look(self, names: Iterable[str]) -> None:
        """Find out which views a question is about, before its names become columns."""
        about: dict[str, None] = {}
        for name in names:
            entity, _, attribute = name.lower().rpartition(".")
            having = [view for view in self.columns if attribute in self.columns[view]]
            if entity:
                about[entity] = None
            elif having and "runs" not in having and not about.keys() & set(having):
                about[having[0]] = None
        self._order = [*(view for view in about if view in self.columns), *self.columns]

    def names(self) -> Iterable[str]:
        """All names."""
        return [f"{view}.{name}" for view, names in self.columns.items() for name in names.values()]

    def column(self, name: str) -> SQL | None:
        """A column of a view; without an entity that of one already spoken of, or the first."""
        entity, _, attribute = name.lower().rpartition(".")
        if entity and entity not in self.columns:
            raise unknown(entity, self.columns, "entity")
        views = [entity] if entity else self._order
        for view in views:
            column = self.columns[view].get(attribute)
            if column is not None:
                self.used[view] = None
                if not entity and attribute in TWOFOLD:
                    self.meant[attribute] = view
                return SQL(f"{view}.{_quoted(column)}")
        return None

    def aggregate(self, function: str, name: str) -> SQL | None:
        """An aggregate over all that a group has."""
        column = self.column(name)
        if column is not None and function in OWN_TERMS:
            raise KerasProvError(
                f"{function}() can't be asked for here; min, max, avg, std, median, count can"
            )
        if column is None:
            return None
        # Beside epochs each run stands in many rows: runs are counted, not these.
        counts_runs = function == "count" and name.lower() in OF_ONE_RUN
        return SQL(f"{function}({'DISTINCT ' if counts_runs else ''}{column.text})")

    def source(self) -> str:
        """What follows FROM: the views that were spoken of, joined."""
        views = list(self.used)
        if len(views) == 1:
            return views[0]
        joins = ["runs"]
        for view in views:
            if view in OF_EXECUTIONS:
                joins.append(f"JOIN {view} ON {view}.{OF_EXECUTIONS[view]} = runs.execution_id")
            elif view in OF_SEARCHES:
                joins.append(f"JOIN {view} ON {OF_SEARCHES[view]}")
            elif view == "epochs":
                # CROSS: run by run, not epoch by epoch, of which there are a hundred times more.
                joins.append("CROSS JOIN epochs ON epochs.run = runs.run")
            elif view != "runs":
                joins.append(f"JOIN {view} ON {view}.run = runs.run")
        return " ".join(joins)


@v_args(inline=True)
class _ToQuestion(ToSQL):
    """From the leaves to the root; projections before conditions, as they are written."""

    def __init__(self, columns: Entities) -> None:
        super().__init__(columns)
        self._entities = columns

        self.conditions: tuple[SQL, ...] = ()
        """Those that `and` joins, once the question was compiled."""
        self._joined: dict[SQL, tuple[SQL, ...]] = {}

    def look(self, tree: Tree[Token], text: str) -> None:
        names = (node.children[0] for node in tree.find_data("name"))
        self._entities.look([self.name(token) for token in names])  # type: ignore[arg-type]
        self.written = _written(tree, text)

    def all(self, *parts: SQL) -> SQL:
        joined = super().all(*parts)
        self._joined[joined] = parts
        return joined

    def asked(self, name: str) -> tuple[str, SQL, bool]:
        """A column that is asked for: its name, its SQL, whether it is an aggregate."""
        return name, self.column(name), False

    def asked_aggregate(self, function: Token, name: str) -> tuple[str, SQL, bool]:
        return f"{function.lower()}({name})", super().aggregate(function, name), True

    def everything(self, token: Token) -> tuple[str, SQL, bool]:
        """`entity.*`."""
        entity = str(token).rpartition(".")[0].lower()
        if entity not in self._entities.columns:
            raise unknown(entity, self._entities.columns, "entity")
        self._entities.used[entity] = None
        return "", SQL(f"{entity}.*"), False

    def aggregate(self, function: Token, name: str) -> SQL:
        raise KerasProvError(f"{function}({name}) can be asked for, but not be a condition")

    def ordered_aggregate(self, function: Token, name: str) -> SQL:
        return super().aggregate(function, name)

    def condition(self, part: SQL) -> tuple[str, SQL]:
        self.conditions = self._joined.get(part, (part,))
        return "WHERE", part

    def by(self, part: SQL, direction: Token | str = "asc") -> str:
        return f"{part.text} {direction.upper()}"

    def order(self, *parts: str) -> tuple[str, SQL]:
        return "ORDER BY", SQL(", ".join(parts))

    def limit(self, number: Token) -> tuple[str, SQL]:
        return "LIMIT", SQL("?", (int(number),))

    def question(self, *parts: tuple[str, SQL, bool] | tuple[str, SQL]) -> SQL:
        self._asked = [part for part in parts if len(part) == 3]
        self._clauses = {part[0]: part[1] for part in parts if len(part) == 2}
        return self.select(self.conditions)

    def select(self, conditions: Sequence[SQL]) -> SQL:
        """The statement with these conditions; after `question` alone."""
        columns = [
            f"{fragment.text} AS {_quoted(name)}" if name else fragment.text
            for name, fragment, _ in self._asked
        ]
        text = f"SELECT {', '.join(columns)} FROM {self._entities.source()}"
        values: tuple[object, ...] = ()
        if conditions:
            where = super().all(*conditions) if len(conditions) > 1 else conditions[0]
            text += f" WHERE {where.text}"
            values += where.values
        plain = [fragment.text for _, fragment, is_aggregate in self._asked if not is_aggregate]
        if plain and len(plain) < len(self._asked):
            text += f" GROUP BY {', '.join(plain)}"
        for word in ("ORDER BY", "LIMIT"):
            if word in self._clauses:
                text += f" {word} {self._clauses[word].text}"
                values += self._clauses[word].values
        return SQL(text, values)


def _written(tree: Tree[Token], text: str) -> Written:
    """The parts of a question's text, by where the parser found them."""
    starts = (node.meta.start_pos for rule in ("order", "limit") for node in tree.find_data(rule))
    end = min(starts, default=len(text))
    for condition in tree.find_data("condition"):
        begin = condition.meta.start_pos
        (whole,) = condition.children
        parts = whole.children if isinstance(whole, Tree) and whole.data == "all" else [whole]
        texts = (text[p.meta.start_pos : p.meta.end_pos] for p in parts if isinstance(p, Tree))
        inner = text[begin + len("where") : end].strip()
        return Written(text[:begin].strip(), inner, tuple(texts), text[end:].strip())
    return Written(text[:end].strip(), "", (), text[end:].strip())


def _quoted(name: str) -> str:
    escaped = name.replace('"', '""')
    return f'"{escaped}"'
