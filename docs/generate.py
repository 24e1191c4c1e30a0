"""Writes the pages of reference from the code that they describe: python docs/generate.py."""

from __future__ import annotations

import importlib
import inspect
import json
import re
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from kerasprov_agent.documents.terms import TERMS
from kerasprov_agent.settings import BASE, FILES, SETTINGS
from kerasprov_agent.store import schema
from kerasprov_agent.store.database import statements

HERE = Path(__file__).parent

SCHEMA_INTRODUCTION = """# The database

One SQLite file, `kerasprov.db` by default. Open it with anything that opens SQLite: `sqlite3`, DB
Browser, Datasette, pandas. Tables are singular and normalised, for the program that writes; **views
are plural and made for people**. Start with them:

```sql
SELECT name, optimizer, learning_rate, epochs_finished FROM runs;
SELECT epoch, accuracy, loss, val_loss FROM epochs WHERE val_loss < 0.5;
SELECT activation, max(val_accuracy) FROM epochs GROUP BY activation;
```

- An **execution** is one process of a program, a **run** is one training in it (a `fit`).
- A run's `number` is its handle within one file. Its `id` is `<execution id>#fit-1`, the same in
  every file and in PROV documents.
- Each metric that Keras reports gets a column of its own name in `epoch` and `evaluation` when it
  is first seen. `metric` tells the column where the name was taken or differs only in case. A metric
  that is a vector (`F1Score(average=None)`) is whole in `more`, as JSON; each of its values has a
  column: `"f1_score[0]"`. What is no number stands in `more` alone.
- Times are ISO 8601 in UTC, and seconds since 1970 in `epoch.started_at`; durations are in seconds.
  `epoch.started_at` plus `train_seconds`, `validation_seconds` and `callback_seconds` is its end.
- What was imported has `imported_from` in `runs`, and a row in `imports`. Times and outcomes that its
  source did not tell are NULL; the time of a zone that is not known has no `Z` at its end.
- What is unknown is NULL. NaN, for which SQLite has no number, is NULL too, and named in
  `nonfinite`; infinities are stored as they are.
- `status` is `running`, `finished`, `failed` (an exception, or an exit status that is not 0),
  `interrupted` (Ctrl-C, `sys.exit` in the midst of it) or `lost`: its process vanished. A process
  that is killed can't write that itself. `kerasprov` finds out when it reads, and the next program
  that records to the file marks it.
- `train_seconds` ends, and `validation_seconds` begins, when the device has finished what was
  dispatched; `synchronized` says whether that could be waited for. Wall time is never called GPU
  time: `gpu_allocated_seconds` is seconds times GPUs in use.
- The file is in WAL mode on local file systems: while a training writes it there are two more files
  beside it (`-wal`, `-shm`). On network file systems it has a rollback journal.

This page is written from the schema by `docs/generate.py`.
"""


def schema_page() -> str:
    """The page about the database."""
    parts = [SCHEMA_INTRODUCTION, "## Views\n"]
    connection = sqlite3.connect(":memory:")
    for script in (schema.TABLES, schema.VIEWS):
        connection.executescript(script)
    for statement in statements(schema.VIEWS):
        name = re.search(r"CREATE VIEW (\w+)", statement)[1]  # type: ignore[index]
        columns = [row[1] for row in connection.execute(f"PRAGMA table_info({name})")]
        parts.append(f"### {name}\n\n{_comment(statement)}\n\n`{'`, `'.join(columns)}`\n")
    parts.append("## Tables\n")
    for statement in statements(schema.TABLES):
        found = re.search(r"CREATE TABLE (\w+) \((.*)\)", statement, re.DOTALL)
        if found is None:
            continue
        parts.append(f"### {found[1]}\n\n{_comment(statement)}".rstrip() + "\n")
        parts.append("| column | type | meaning |\n| --- | --- | --- |")
        parts.append("\n".join(_column_rows(found[2])) + "\n")
    connection.close()
    return "\n".join(parts)


def _comment(statement: str) -> str:
    lines = [line[3:] for line in statement.splitlines() if line.startswith("-- ")]
    return " ".join(lines)


def _column_rows(body: str) -> list[str]:
    rows = []
    for line in body.splitlines():
        column = re.match(r"    ([a-z_0-9]+)( [A-Z]+)?([^-]*?),?\s*(?:-- (.*))?$", line)
        if column:
            kind = (column[2] or "").strip()
            rows.append(f"| `{column[1]}` | {kind} | {column[4] or ''} |")
    return rows


def settings_page() -> str:
    """The page about settings."""
    files = " or ".join(f"`[{section}]` in `{name}`" for name, section in FILES)
    lines = [
        "# Settings",
        "",
        "You can set each value in three places. The first one that has it counts:",
        "",
        "1. an option before the script: `python -m kerasprov_agent --db my.db train.py`;",
        "2. an environment variable;",
        f"3. a file: {files}. It is searched",
        "   in the directory where the program started, and in those above it.",
        "",
        "A training ignores a bad value and warns; `kerasprov` stops with an error. `kerasprov config`",
        "shows every value and where it came from.",
        "",
        "| variable | option | in a file | default | meaning |",
        "| --- | --- | --- | --- | --- |",
    ]
    for setting in SETTINGS:
        option = f"{setting.option} {setting.form}".strip().replace("|", "\\|")
        key = f"`{setting.name}`" if setting.in_file else ""
        default = f"`{setting.default}`" if setting.default else ""
        lines.append(
            f"| `{setting.variable}` | `{option}` | {key} | {default} | {setting.meaning} |"
        )
    return "\n".join([*lines, "", "This page is written from the table by `docs/generate.py`.", ""])


API_INTRODUCTION = """# The Python interface

Importing `kerasprov_agent` arms it; see the README for the three doors. The functions below are
optional. To look at a record, begin with `kerasprov_agent.open()`. Rows are dicts by the names of the
views' columns, see [the database](schema.md). Times are ISO 8601 in UTC, durations are in seconds.
Errors are `kerasprov_agent.errors.KerasProvError` and its subclasses `Unusable` (the file) and
`UnknownRun`.
"""


def api_page() -> str:
    """The page about the Python interface."""
    import kerasprov_agent
    from kerasprov_agent.read import notebook

    parts = [API_INTRODUCTION]
    names = [name for name in kerasprov_agent.__all__ if name != "__version__"]
    for name in sorted({*names, *kerasprov_agent.LOOKING}):
        parts.append(_member(f"kerasprov_agent.{name}", getattr(kerasprov_agent, name)))
    parts.append(
        "## `kerasprov_agent.last_run`\n\n"
        f"{_plain(notebook.last_run.__doc__)} A `Run`, see below.\n"
    )
    for cls, where in (
        (notebook.Records, "what `kerasprov_agent.open()` returns"),
        (notebook.Run, "a run: `kerasprov_agent.last_run`, and what `Records.run` returns"),
        (notebook.Rows, "a list of rows"),
    ):
        parts.append(f"## `{cls.__name__}`: {where}\n\n{_plain(cls.__doc__)}\n")
        for name, member in vars(cls).items():
            if not name.startswith("_"):
                parts.append(_member(name, member, "###"))
    parts.append("This page is written from the code by `docs/generate.py`.\n")
    return "\n".join(parts)


def _member(name: str, member: object, level: str = "##") -> str:
    if isinstance(member, property):
        return f"{level} `{name}`\n\n{_plain(member.__doc__)}\n"
    told = str(inspect.signature(member))  # type: ignore[arg-type]
    told = re.sub(r"(: |-> )'([^']*)'", r"\1\2", told)  # annotations are texts
    told = re.sub(r"\(self(, )?", "(", told)
    return f"{level} `{name}{told}`\n\n{_plain(member.__doc__)}\n"


def _plain(text: str | None) -> str:
    return inspect.cleandoc(text or "").replace("``", "`")


COMMANDS_INTRODUCTION = """# Commands

`kerasprov COMMAND --help` prints the same. RUN is a run's number or name, the beginning of its id, or
`last`. Without `--db` the database is that of the setting `KERASPROV_DB`, else `kerasprov.db` here.
Exit status: 0, or 1 where `doctor` finds something, or 2 for what can't be done as it was said.
"""


def commands_page() -> str:
    """The page about the commands: what click knows of each."""
    from kerasprov_agent.cli import main

    parts = [COMMANDS_INTRODUCTION]
    context = click.Context(main, info_name="kerasprov", **main.context_settings)
    for command in _commands(main, context):
        parts += [f"## {command.command_path}\n", _plain(command.command.help)]
        usage = " ".join(command.command.collect_usage_pieces(command))
        parts.append(f"\n```text\n{command.command_path} {usage}\n```\n")
        rows = [
            record
            for parameter in command.command.get_params(command)
            if (record := parameter.get_help_record(command)) and "--help" not in record[0]
        ]
        if rows:
            parts.append("| option | meaning |\n| --- | --- |")
            parts += [f"| `{_cell(option)}` | {_cell(meaning)} |" for option, meaning in rows]
            parts.append("")
    return "\n".join([*parts, "This page is written from the code by `docs/generate.py`.", ""])


def _commands(group: click.Group, context: click.Context) -> Iterator[click.Context]:
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        own = click.Context(command, info_name=name, parent=context)
        if isinstance(command, click.Group):
            yield from _commands(command, own)
        else:
            yield own


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


VOCABULARY_INTRODUCTION = """# The vocabulary

Documents speak PROV, [ML-Schema](http://www.w3.org/ns/mls#) (`mls:`) with
[MLSO](http://w3id.org/mlso) (`mlso:`), [FAIR4ML](https://w3id.org/fair4ml) (`fair4ml:`), schema.org
(`schema:`) and Dublin Core (`dcterms:`). What they have no word for is said in the terms below. [The same in
Turtle](vocabulary.ttl).

| prefix | IRI | what lies there |
| --- | --- | --- |
| `kp:` | `{base}ns#` | the terms below |
| `metric:` | `{base}metric#` | metrics under the names that Keras reported, such as `metric:val_loss` |
| `attribute:` | `{base}attribute#` | what a program tells of a step of its own |
| `data:` | `{base}content/` | contents by their sha256, the same on every machine |
| `sw:` | `{base}software/` | versions of packages |
| `agent:` | `{base}agent/` | people, by ORCID iD or by a hash of login and host |
| `run:` | `urn:uuid:<execution id>#` | what belongs to one execution; of several `run1:`, `run2:`, ... |

`{base}` is the default of the setting `base`.
"""


def vocabulary_page() -> str:
    """The page about our own terms."""
    lines = [VOCABULARY_INTRODUCTION.format(base=BASE)]
    for heading, kind, terms in TERMS:
        lines += [f"## {heading} (`{kind}`)", "", "| term | meaning |", "| --- | --- |"]
        lines += [f"| `kp:{name}` | {meaning} |" for name, meaning in sorted(terms.items())]
        lines.append("")
    return "\n".join([*lines, "This page is written from the table by `docs/generate.py`.", ""])


def vocabulary_turtle() -> str:
    """Our own terms in Turtle."""
    lines = [
        f"@prefix kp: <{BASE}ns#> .",
        "@prefix owl: <http://www.w3.org/2002/07/owl#> .",
        "@prefix prov: <http://www.w3.org/ns/prov#> .",
        "@prefix rdf: <http://www.w3.org/1999/02/22-rdf-syntax-ns#> .",
        "@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .",
        "",
        f"<{BASE}ns#> a owl:Ontology ;",
        '    rdfs:label "kerasprov_agent: terms for the provenance of Keras trainings"@en .',
    ]
    for _, kind, terms in TERMS:
        for name, meaning in sorted(terms.items()):
            said = (
                f"a owl:Class ; rdfs:subClassOf {kind}"
                if kind in ("prov:Entity", "prov:Activity")
                else f"a {kind}"
            )
            lines += ["", f"kp:{name} {said} ;", f"    rdfs:comment {json.dumps(meaning)}@en ;"]
            lines.append(f"    rdfs:isDefinedBy <{BASE}ns#> .")
    return "\n".join([*lines, ""])


COST = """# What recording costs

`benchmarks/overhead.py` trains an MLP plainly, with Keras' `CSVLogger`, and under the agent, in turns;
and it takes the agent's own time where it is called from. These figures are from
`benchmarks/figures.json`, which it wrote (`python benchmarks/overhead.py --write`, 2 cores).

```text
{tables}
```

- The whole process varies from one time to the next by more than recording costs. So of the differences
  to the plain training in the same round there are the median and the interval in which it lies in 95 of
  100 cases.
- A unit is what a fixed piece of Python took in the same process, since machines differ: quote these.
  README's milliseconds are for a machine on which a unit takes 3.4 ms.
- `CSVLogger's epoch` is what Keras' own logger takes at the end of an epoch, in the same process.
- `first fit` has what is described once: the model, the machine, the packages, the code. `second fit`
  trains the same model built anew.
- `an audit event` is what each event takes of which Python tells audit hooks: an `open`, an `import`, an
  `id()`. Importing Keras with TensorFlow makes 170,000 of them. `a file opened` is one that is recorded.
- `an idle hook` is one that has nothing to do. On TensorFlow it takes six times as long as on JAX,
  since its threads push our code out of the processor's caches. An epoch with validation has six hooks, which is
  half of what it takes there; another third is the statement that SQLite commits.
- Of a second fit a fifth is Keras' own `get_config` of the model and its optimizer, an eighth the reading
  of two of TensorFlow's variables, a sixth SQLite's six transactions, a seventh JSON.
- Half of what hooking and the first fit take is Python that loads the agent's own modules and compiles
  regular expressions. `the end` writes the document of four trainings with 150 epochs and 300 files, and
  hashes 10 MB; after one training it takes a quarter.
- The parts add up to 0.1 s for a program. The whole process takes up to 0.3 s more on TensorFlow: there
  audit events come among a lot of other work, and take longer than in a loop.
- `log into file` happens beside the training, about once in a second: it brings what SQLite holds in its
  log into the file, so that a power failure costs one second and not the whole training.

CI measures the agent's own time anew, and says which part takes more than 1.6 times as many units:

```sh
python benchmarks/overhead.py --parts --against benchmarks/figures.json
```

## Other tools beside it

`benchmarks/peers.py` trains a small network with each of these tools, as its own documentation says
it is used, offline, each in a virtual environment of its own. `none` is the training itself, twice:
what it differs by is chance, and a difference smaller than that says nothing. `code` counts the lines
that a tool needs in the program, `printed` those that it adds to what the program prints.

```text
{peers}
```

What was recorded was looked up: the training has values that are found nowhere else, and all bytes
that a tool left in files were searched for them, as text and as numbers. The program's own source
code does not contain them. Every tool records more if the program says so; here each was used in
the shortest way that its documentation shows.

```sh
python benchmarks/peers.py none kerasprov_agent CSVLogger
```
"""
KILLS = """# Killed at random moments

`benchmarks/kills.py` trains under the agent and kills the process (`kill -9`), mostly among the
epochs, where the record is written. The training tells of each epoch that is over, with the values
that it saw; afterwards the file must have them all.

```text
{kills}
```

- `epochs in the files` may be more than were told: a training can be killed between the moment at
  which an epoch is stored and the next line of the program.
- `epochs half written`: an epoch without one of its metrics or its duration.
- `runs not known as lost`: the next program that trains notes which runs have ended without a word.
- `other files left`: what waits beside a database that was busy, and was not taken in.

```sh
python benchmarks/kills.py --kills 1000 --whole 50
```

A short run of it is one of the slow tests.
"""


def _benchmark(name: str) -> Any:
    """A module of `benchmarks/`, which import each other by their names."""
    place = str(HERE.parent / "benchmarks")
    if place not in sys.path:
        sys.path.append(place)
    return importlib.import_module(name)


def _kept(name: str) -> Any:
    """What a benchmark kept."""
    path = HERE.parent / "benchmarks" / name
    return json.loads(path.read_text(encoding="utf-8"))


def cost_page() -> str:
    """What `benchmarks/overhead.py` and `benchmarks/peers.py` kept."""
    overhead, peers = _benchmark("overhead"), _benchmark("peers")
    tables = "\n\n".join(
        overhead.as_text(backend, figures) for backend, figures in _kept("figures.json").items()
    )
    return COST.format(tables=tables, peers=peers.as_text(_kept("peers.json")))


def kills_page() -> str:
    """What `benchmarks/kills.py` kept."""
    return KILLS.format(kills=_benchmark("kills").as_text(_kept("kills.json")))


PAGES = {
    "cost.md": cost_page,
    "kills.md": kills_page,
    "api.md": api_page,
    "commands.md": commands_page,
    "schema.md": schema_page,
    "settings.md": settings_page,
    "vocabulary.md": vocabulary_page,
    "vocabulary.ttl": vocabulary_turtle,
}

if __name__ == "__main__":
    for name, page in PAGES.items():
        (HERE / name).write_text(page(), encoding="utf-8")
