"""The execution in PROV: its agents, its script, its environment."""

from __future__ import annotations

import json
from collections.abc import Iterator

from kerasprov_agent import clock
from kerasprov_agent.documents import files
from kerasprov_agent.documents.activity import activity, boolean
from kerasprov_agent.documents.scope import Scope
from kerasprov_agent.documents.statement import (
    Statement,
    associated,
    present,
    used,
)
from kerasprov_agent.documents.vocabulary import (
    Name,
    local,
    software,
    user,
)


def agents(scope: Scope) -> Iterator[Statement]:
    """The person, the framework, the backend, and this agent."""
    execution = scope.execution
    if execution["user"]:
        yield Statement(
            "agent",
            user(execution["user"], execution["host"]),
            (),
            (("prov:type", Name("prov:Person")), ("prov:label", execution["user"])),
        )
    for name, version in scope.software().values():
        yield Statement(
            "agent",
            software(name, version),
            (),
            present(
                ("prov:type", Name("prov:SoftwareAgent")),
                ("prov:label", f"{name} {version or ''}".strip()),
                ("schema:softwareVersion", version),
            ),
        )


def program(scope: Scope) -> Iterator[Statement]:
    """The execution itself, with what it ran and who answers for it."""
    execution = scope.execution
    name = local(execution["id"])
    script = Name("run:script") if execution["script"] else None
    yield from activity(
        scope,
        execution,
        ("kp:ScriptExecution", "mls:Run"),
        " ".join([execution["script"] or execution["kind"], *items(execution["arguments"])]),
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
        *(("kp:tag", f"{k}={v}") for k, v in json.loads(execution["tags"] or "{}").items()),
    )
    if script:
        yield from script_of(scope, script)
    if execution["user"]:
        person = user(execution["user"], execution["host"])
        yield associated(name, person, script, "operator")
    for role, (package, version) in scope.software().items():
        if role != "recorder":
            yield associated(name, software(package, version), None, role)
    if not execution["user"] and "framework" not in scope.software():
        yield associated(
            name, software("kerasprov_agent", execution["agent_version"]), script, "recorder"
        )
    yield from environment_of(scope, name)


def script_of(scope: Scope, script: Name) -> Iterator[Statement]:
    """The script as the plan of the execution, and its content."""
    execution = scope.execution
    yield Statement(
        "entity",
        script,
        (),
        present(
            ("prov:type", Name("kp:File")),
            ("prov:type", Name("prov:Plan")),
            ("prov:type", Name("schema:SoftwareSourceCode")),
            ("prov:label", execution["script"]),
            ("prov:location", execution["script"]),
            ("schema:codeRepository", execution["git_remote"]),
            ("kp:gitCommit", execution["git_commit"]),
            ("kp:gitBranch", execution["git_branch"]),
            ("kp:gitDirty", boolean(execution["git_dirty"])),
        ),
    )
    for source in scope.rows(
        "SELECT sha256, bytes FROM source WHERE sha256 = ?", execution["script_sha256"]
    ):
        yield from files.content_of(scope, script, source["sha256"], source["bytes"])


def environment_of(scope: Scope, execution: str) -> Iterator[Statement]:
    """Python, packages and devices as one entity that the execution used."""
    row, environment = scope.execution, Name("run:environment")
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


def document(scope: Scope) -> Iterator[Statement]:
    """The document as an entity, attributed to this agent."""
    document = Name("run:provenance")
    yield Statement(
        "entity",
        document,
        (),
        (("prov:type", Name("prov:Bundle")), ("prov:label", "this document")),
    )
    yield Statement(
        "wasGeneratedBy",
        Name("run:provenance-made"),
        (
            document,
            None,
            clock.iso(max(clock.now(), clock.seconds(scope.ends[scope.execution["id"]]))),
        ),
    )
    recorder = software(*scope.software()["recorder"])
    yield Statement("wasAttributedTo", Name("run:provenance-by-recorder"), (document, recorder))


def items(text: str | None) -> list[str]:
    """The texts of a JSON array."""
    return [str(item) for item in json.loads(text or "[]")]
