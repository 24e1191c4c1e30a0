"""The views of SQLite in PostgreSQL, by the same names, with the same columns.

They are made from SQLite's text: a few functions that SQLite has are made there, and what only
SQLite understands is replaced. Some have a column for each metric: these are made by a function,
which is called whenever a metric gets its column.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from kerasprov_agent.central import dialect
from kerasprov_agent.store import database, schema

FUNCTIONS = """
CREATE OR REPLACE FUNCTION kerasprov.julianday(moment text) RETURNS double precision
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT (extract(epoch FROM moment::timestamptz) / 86400 + 2440587.5)::double precision $$;
CREATE OR REPLACE FUNCTION kerasprov.moment(seconds double precision) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT to_char(to_timestamp(seconds) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') $$;
CREATE OR REPLACE FUNCTION kerasprov.text_of(value json) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT value #>> '{}' $$;
CREATE OR REPLACE FUNCTION kerasprov.real_of(value json) RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE json_typeof(value) WHEN 'number' THEN (value #>> '{}')::double precision END $$;
CREATE OR REPLACE FUNCTION kerasprov.merged(tags text, further text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT jsonb_strip_nulls(coalesce(tags, '{}')::jsonb || coalesce(further, '{}')::jsonb)::text $$
"""
MEASURED = """
CREATE OR REPLACE FUNCTION kerasprov.make_measured() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = kerasprov, pg_catalog, pg_temp AS $$
DECLARE metrics text;
BEGIN
    SELECT coalesce(string_agg(format(', p.%I', m.column_name), '' ORDER BY a.attnum), '')
    INTO metrics FROM metric m JOIN pg_attribute a
        ON a.attrelid = 'kerasprov.epoch'::regclass AND a.attname = m.column_name;
    {made}
    GRANT SELECT ON {names} TO {writer}, {reader};
END $$
"""
MEASURED_VIEWS = ("epochs", "evaluations", "ds_otrainingmodel", "ds_otestingmodel")
"""What is made anew when a metric gets its column."""
REPLACED = (
    (r"\bjson_patch\(coalesce\(e\.tags, '\{\}'\), r\.tags\)", "merged(e.tags, r.tags)"),
    (r"group_concat\((\w+\.\w+)\)", r"string_agg(\1::text, ',')"),
    (r"IS NOT 0\b", "IS DISTINCT FROM 0"),
    (r"\+(e\.kind)", r"\1"),
    (r"strftime\('[^']*', (\S+), 'unixepoch'\)", r"moment(\1)"),
    (r"typeof\(p\.value\) IN \('real', 'integer'\)", "json_typeof(p.value) = 'number'"),
    (r"coalesce\(a\.dropout, \(SELECT p\.value", "coalesce(a.dropout, (SELECT real_of(p.value)"),
    (r"coalesce\((a\.activation, )?\(SELECT p\.value", r"coalesce(\1(SELECT text_of(p.value)"),
    (
        r"p\.learning_rate, p\.learning_rate_after, s\.value",
        "to_json(p.learning_rate), to_json(p.learning_rate_after), text_of(s.value)",
    ),
    (
        r"LEFT JOIN json_each\(v\.attributes\) j",
        "LEFT JOIN LATERAL json_each(v.attributes::json) j ON true",
    ),
    (r"json_array\(u\.reason\)", "NULL"),
    (r"\bepoch p WHERE p\.run = r\.number", "epoch p WHERE p.run_id = r.id"),
    (r"JOIN run r ON r\.number = p\.run\b", "JOIN run r ON r.id = p.run_id"),
    (r"\bORDER BY p\.run\b", "ORDER BY r.number"),
    (r"\bmax\(p\.value\)", "max(real_of(p.value))"),
    (r"\bc\.new AS new_lrate", "real_of(c.new) AS new_lrate"),
    (r"\bj\.value\b", "j.value::jsonb AS value"),
    (r"\be\.user\b", 'e."user"'),
    (r"JOIN array a\b", 'JOIN "array" a'),
)
"""What only SQLite understands, and what says the same."""
BY_HAND = {
    "members": """
CREATE VIEW members AS
SELECT f.entity_id AS set_id, f.path AS directory, m.path, m.bytes, m.sha256, m.partial_sha256
FROM file f
JOIN entity e ON e.id = f.entity_id AND e.kind = 'files'
JOIN member m ON m.manifest_sha256 = f.sha256
""",
    "lineage": """
CREATE VIEW lineage AS
SELECT d.entity_id AS id, d.source_id, d.activity_id, coalesce(d.confidence, 'done') AS confidence
FROM derived d
UNION ALL
SELECT f.entity_id, o.entity_id, NULL, 'same_content'
FROM file f
JOIN entity e ON e.id = f.entity_id
JOIN file o ON o.sha256 = f.sha256 AND o.entity_id = (
    SELECT p.entity_id FROM file p
    WHERE p.sha256 = f.sha256 AND p.entity_id <> f.entity_id AND p.written_at <= e.seen_at
    ORDER BY p.written_at DESC LIMIT 1
)
WHERE f.bytes IS DISTINCT FROM 0
    AND NOT EXISTS (SELECT 1 FROM derived d WHERE d.entity_id = f.entity_id)
UNION ALL
SELECT DISTINCT m.set_id, o.entity_id, NULL, 'same_content'
FROM members m
JOIN entity e ON e.id = m.set_id
JOIN file s ON s.entity_id = m.set_id AND s.written_at IS NULL
JOIN file o ON o.sha256 = m.sha256 AND o.written_at <= e.seen_at
WHERE m.bytes IS DISTINCT FROM 0
UNION ALL
SELECT DISTINCT f.entity_id, o.entity_id, NULL, 'same_content'
FROM file f
JOIN entity e ON e.id = f.entity_id AND e.kind = 'file'
JOIN member w ON w.sha256 = f.sha256
JOIN file o ON o.sha256 = w.manifest_sha256 AND o.written_at <= e.seen_at
WHERE f.bytes IS DISTINCT FROM 0 AND f.written_at IS NULL
UNION ALL
SELECT DISTINCT s.entity_id, o.entity_id, NULL, 'same_content'
FROM file s
JOIN entity e ON e.id = s.entity_id
JOIN member m ON m.manifest_sha256 = s.sha256
JOIN member w ON (w.sha256 = m.sha256 OR w.partial_sha256 = m.partial_sha256)
    AND w.manifest_sha256 <> m.manifest_sha256
JOIN file o ON o.sha256 = w.manifest_sha256 AND o.written_at <= e.seen_at
WHERE s.written_at IS NULL AND m.bytes IS DISTINCT FROM 0
""",
    "imports": """
CREATE VIEW imports AS
SELECT
    e.label AS name, i.format, i.path, i.imported_at, i.repairs, i.left_out,
    (SELECT string_agg(r.number::text, ',') FROM run r WHERE r.execution_id = e.id) AS runs,
    i.execution_id
FROM import i JOIN execution e ON e.id = i.execution_id
""",
}
"""Views over what is stored otherwise there: files of sets. `unread` does not travel."""


def statements() -> Iterator[str]:
    """What makes the views, after the tables."""
    yield from FUNCTIONS.split(";\n")
    yield f"SET LOCAL search_path = {dialect.SCHEMA}, pg_catalog"
    views = {
        re.search(r"CREATE VIEW (\w+)", text)[1]: text  # type: ignore[index]
        for text in database.statements(schema.VIEWS)
        if "CREATE VIEW" in text
    }
    measured = {name: _translated(name, views.pop(name)) for name in MEASURED_VIEWS}
    for name in reversed(views):
        yield f"DROP VIEW IF EXISTS {name} CASCADE"
    yield f"DROP VIEW IF EXISTS {', '.join(MEASURED_VIEWS)} CASCADE"
    for name, text in views.items():
        yield BY_HAND.get(name) or _translated(name, text)
        yield f"GRANT SELECT ON {name} TO {dialect.WRITER}, {dialect.READER}"
    yield MEASURED.format(
        made="\n    ".join(map(_made_with_metrics, measured.values())),
        names=", ".join(MEASURED_VIEWS), writer=dialect.WRITER, reader=dialect.READER,
    )  # fmt: skip
    yield "SELECT kerasprov.make_measured()"
    yield "REVOKE ALL ON FUNCTION kerasprov.make_measured() FROM PUBLIC"


def _made_with_metrics(text: str) -> str:
    """The statement of PL/pgSQL that makes a view, with the metrics where SQLite has its `*`."""
    before, *further = re.split(r"/\* metrics of (\w) \*/", text.rstrip().rstrip(";"))
    made = f"EXECUTE $view${before}$view$"
    for alias, after in zip(further[::2], further[1::2], strict=True):
        made += f" || replace(metrics, ', p.', ', {alias}.') || $view${after}$view$"
    return f"{made};"


def _translated(name: str, text: str) -> str:
    text = re.sub(r"^--.*\n", "", text, flags=re.M)
    for old, new in REPLACED:
        text = re.sub(old, new, text)
    if name in MEASURED_VIEWS:
        text = text.replace("CREATE VIEW", "CREATE OR REPLACE VIEW")
    return re.sub(r"\b(\w)\.\*", lambda found: _columns(found[1], text), text)


def _columns(alias: str, text: str) -> str:
    """The columns of a table as SQLite's `*` has them, without those that are ours there."""
    table = re.search(rf"(?:FROM|JOIN) (\w+) {alias}\b", text)
    assert table is not None, text
    known = dialect.tables()[table[1]]
    names = [
        f'{alias}."{name}"' for name in known.columns if name != "run_id" or known.name != "epoch"
    ]
    listed = ", ".join(["r.number AS run", *names] if known.name == "epoch" else names)
    has_metrics = known.name in ("epoch", "evaluation")
    return f"{listed} /* metrics of {alias} */" if has_metrics else listed
