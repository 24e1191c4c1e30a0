"""The execution in PROV: its agents, its script, its environment."""

from __future__ import annotations

import json
from collections.abc import Iterator

from kerasprov_agent import clock
from kerasprov_agent.documents import code
from kerasprov_agent.documents.activity import activity
from kerasprov_agent.documents.scope import Scope
from kerasprov_agent.documents.statement import Statement, associated, present, used
from kerasprov_agent.documents.vocabulary import Name, person, software, user
from kerasprov_agent.version import __version__


def agents(scope: Scope) -> Iterator[Statement]:
    """The person, the framework, the backend, and this agent."""
    execution = scope.execution
    operator = operator_of(scope)
    if operator:
        orcid = execution["orcid"]
        yield Statement(
            "agent",
            operator,
            (),
            present(
                ("prov:type", Name("prov:Person")),
                # What is said of a person must not depend on the machine.
                ("prov:label", orcid or execution["user"]),
                ("schema:sameAs", f"https://orcid.org/{orcid}" if orcid else None),
            ),
        )
    for name, version in scope.software().values():
        yield agent_of(name, version)


def agent_of(name: str, version: str | None) -> Statement:
    """A version of a package as an agent."""
    return Statement(
        "agent",
        software(name, version),
        (),
        present(
            ("prov:type", Name("prov:SoftwareAgent")),
            ("prov:label", f"{name} {version or ''}".strip()),
            ("schema:softwareVersion", version),
        ),
    )


def operator_of(scope: Scope) -> Name | None:
    """The person, by ORCID where it was configured, else by login and host."""
    execution = scope.execution
    if execution["orcid"]:
        return person(execution["orcid"])
    return user(execution["user"], execution["host"]) if execution["user"] else None


def program(scope: Scope) -> Iterator[Statement]:
    """The execution itself, with what it ran and who answers for it."""
    execution = scope.execution
    name = scope.local(execution["id"])
    script = code.plan(scope)
    yield from activity(
        scope,
        execution,
        ("kp:ScriptExecution", "mls:Run"),
        program_label(scope),
        ("kp:kind", execution["kind"]),
        ("kp:workingDirectory", execution["working_directory"]),
        ("kp:host", execution["host"]),
        ("kp:processId", execution["pid"]),
        ("kp:exitStatus", execution["exit_status"]),
        ("kp:parentExecution", execution["parent_id"]),
        ("kp:job", execution["job"]),
        ("kp:rank", execution["rank"]),
        ("kp:worldSize", execution["world_size"]),
        ("kp:role", execution["role"]),
        *(
            ("kp:importedFrom", f"{row['format']} {row['path']}")
            for row in scope.rows("SELECT * FROM import WHERE execution_id = ?", execution["id"])
        ),
    )
    operator = operator_of(scope)
    if operator:
        yield associated(name, operator, script, "operator")
    for role, (package, version) in scope.software().items():
        # Where nobody is known to have run it, whoever recorded it answers for what was run.
        plan = script if role in ("recorder", "importer") and not operator else None
        yield associated(name, software(package, version), plan, role)
    yield from environment_of(scope, name)


def program_label(scope: Scope) -> str:
    """What was run; of an import, what it is called there."""
    execution = scope.execution
    if execution["kind"] == "import":
        return str(execution["label"])
    return " ".join([execution["script"] or execution["kind"], *items(execution["arguments"])])


def environment_of(scope: Scope, execution: str) -> Iterator[Statement]:
    """Python, packages and devices as one entity that the execution used."""
    row, environment = scope.execution, scope.own("environment")
    if row["python"] is None:
        return
    packages = scope.tuples(
        "SELECT name, version FROM package WHERE packages_sha256 = ? ORDER BY name",
        row["packages_sha256"],
    )
    variables = json.loads(row["environment"] or "{}")
    yield Statement(
        "entity",
        environment,
        (),
        present(
            ("prov:type", Name("kp:Environment")),
            ("prov:label", f"Python {row['python']}, {row['platform']}"),
            ("kp:python", row["python"]),
            ("kp:platform", row["platform"]),
            ("kp:cpu", row["cpu"]),
            ("kp:cpuCount", row["cpu_count"]),
            *(("kp:gpu", gpu) for gpu in items(row["gpus"])),
            *(("kp:package", f"{name} {version}") for name, version in packages),
            *(("kp:variable", f"{name}={value}") for name, value in variables.items()),
        ),
    )
    yield used(execution, environment, row["started_at"])


def document(scope: Scope, name: Name, label: str) -> Iterator[Statement]:
    """A document or bundle as an entity, made now and attributed to this agent."""
    clock.start()
    recorder = software("kerasprov_agent", __version__)
    ended = scope.ends[scope.execution["id"]]
    latest = clock.seconds(ended) if ended else 0.0
    yield agent_of("kerasprov_agent", __version__)
    yield Statement("entity", name, (), (("prov:type", Name("prov:Bundle")), ("prov:label", label)))
    made = (name, None, clock.iso(max(clock.now(), latest)))
    yield Statement("wasGeneratedBy", Name(f"{name}-made"), made)
    yield Statement("wasAttributedTo", Name(f"{name}-by-recorder"), (name, recorder))


def items(text: str | None) -> list[str]:
    """The texts of a JSON array."""
    return [str(item) for item in json.loads(text or "[]")]
