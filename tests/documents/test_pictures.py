"""Pictures that a person can read, however many epochs there were."""

from __future__ import annotations

import re
import shutil
import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from kerasprov_agent import documents
from kerasprov_agent.documents.picture.graph import Graph, Node, _together
from kerasprov_agent.errors import KerasProvError
from tests.conftest import TINY, recorded, rows
from tests.documents.programs import document

needs_graphviz = pytest.mark.skipif(not shutil.which("dot"), reason="needs Graphviz")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of 3, 30 and 300 epochs."""
    place = tmp_path_factory.mktemp("trained")
    fits = "; ".join(f"model.fit(x, y, epochs={n}, batch_size=64, verbose=0)" for n in (3, 30, 300))
    recorded(place, TINY + fits)
    return place / "kerasprov.db"


@pytest.mark.slow
def test_many_epochs_make_no_larger_picture(trained: Path) -> None:
    sizes = []
    for run in ("1", "2", "3"):
        with document(trained, run, profile="full") as made:
            graph = Graph(made.statements())
        sizes.append(len(graph.nodes))
        assert max(sizes) < 40
    assert sizes[1] == sizes[2]


def test_a_stack_tells_its_first_and_last(trained: Path) -> None:
    with document(trained, "2") as made:
        graph = Graph(made.statements())
    (stack,) = [node for node in graph.nodes.values() if "mls:ModelEvaluation" in node.types]
    epochs = rows(trained, "SELECT loss FROM epoch WHERE run = 2 ORDER BY epoch")
    first, last = epochs[0]["loss"], epochs[-1]["loss"]
    assert stack.count == 30
    assert dict(stack.rows)["loss"] == f"{first:.6g} → {last:.6g}"


def test_a_stack_of_alternatives_lists_them() -> None:
    layers = []
    for units in ("16", "24", "16", "32"):
        node = Node("entity", f"run:layer-{len(layers)}", {"prov:type": ["kp:Layer"]})
        node.rows = [("units", units), ("activation", "relu"), ("sha256", units)]
        layers.append(node)
    assert _together(layers) == [("units", "16, 24, 32"), ("activation", "relu")]


def test_detail_unfolds(trained: Path) -> None:
    with document(trained, "2", detail=True) as made:
        text = documents.text(made, "dot")
    assert text.count('"run:fit-2-epoch-') > 100 and "×" not in text


def test_settings_are_lines_of_their_node(trained: Path) -> None:
    with document(trained, "1") as made:
        graph = Graph(made.statements())
    settings = graph.nodes["run:compile-1-settings"]
    assert dict(settings.rows)["learning_rate"] == "0.001"
    assert not [name for name in graph.nodes if name.startswith("data:")]


def test_programs_meet_in_their_files(pipeline: Path) -> None:
    with document(pipeline) as made:
        graph = Graph(made.statements())
    labels = [node.label for node in graph.nodes.values()]
    assert labels.count("data.npz") == labels.count("model.keras") == 1
    assert {"prepare.py", "train.py", "test.py"} <= set(labels)
    (data,) = [node.id for node in graph.nodes.values() if node.label == "data.npz"]
    near = {start for _, start, end in graph.edges if end == data}
    assert {"run2:execution", "run3:execution"} <= near
    assert ("wasGeneratedBy", data, "run1:execution") in graph.edges


@needs_graphviz
def test_an_svg_with_links_and_tooltips(programs: dict[str, Path], tmp_path: Path) -> None:
    target = tmp_path / "out.svg"
    with document(programs["changes and checkpoints"]) as made:
        documents.write_to(str(target), made, "svg")
        text = documents.text(made, "dot")
    root = ET.parse(target).getroot()
    links = [one.attrib for one in root.iter("{http://www.w3.org/2000/svg}a")]
    targets = " ".join(value for one in links for key, value in one.items() if "href" in key)
    assert "https://pypi.org/project/keras/" in targets and "file:///" in targets
    titles = " ".join(value for one in links for key, value in one.items() if "title" in key)
    assert "kp:learningRate" in titles or "mls:hasValue" in titles or "kp:config" in titles
    colours = set(re.findall(r'fill="(#[0-9a-f]{6})"', target.read_text()))
    assert {"#fffc87", "#9fb1fc", "#fed37f"} <= colours
    done = subprocess.run(["dot", "-Tplain"], input=text.encode(), capture_output=True, check=True)
    assert done.stderr == b""


@needs_graphviz
def test_a_png(programs: dict[str, Path], tmp_path: Path) -> None:
    with document(programs["plain"]) as made:
        documents.write_to(str(tmp_path / "out.png"), made, "png")
    assert (tmp_path / "out.png").read_bytes().startswith(b"\x89PNG")


def test_without_graphviz(
    programs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with document(programs["plain"]) as made:
        with pytest.raises(KerasProvError, match="--format dot"):
            documents.write_to(str(tmp_path / "out.png"), made, "png")
        documents.write_to(str(tmp_path / "out.dot"), made, "dot")
    assert [path.name for path in tmp_path.iterdir()] == ["out.dot"]
