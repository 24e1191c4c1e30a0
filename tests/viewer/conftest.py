"""A small study that was really trained, its pages served by the command, a real Chromium."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT, clean_environment, made_once, recorded

STUDY = """
import keras, numpy as np
rng = np.random.default_rng(1)
np.savez("data.npz", x=rng.random((60, 4), dtype="float32"), y=rng.integers(0, 2, 60))
data = np.load("data.npz")
x, y = data["x"], data["y"]
for activation in ("relu", "tanh"):
    for rate in (0.01, 0.1, 0.5):
        model = keras.Sequential([
            keras.Input((4,)), keras.layers.Dense(4, activation=activation),
            keras.layers.Dense(2, activation="softmax")])
        model.compile(keras.optimizers.SGD(rate), "sparse_categorical_crossentropy",
                      metrics=["accuracy"])
        model.fit(x, y, epochs=4, batch_size=20, validation_split=0.2, verbose=0)
model.evaluate(x, y, verbose=0)
model.save("model.keras")
"""
TUNE = """
import keras, numpy as np
data = np.load("data.npz")
model = keras.models.load_model("model.keras")
rates = keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate / (epoch + 1))
model.fit(data["x"][:20], data["y"][:20], epochs=2, verbose=0, callbacks=[rates])
model.save("tuned.keras")
model.fit(data["x"] * np.nan, data["y"], epochs=1, verbose=0)
"""
RUNS = 8
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)  # fmt: skip


@pytest.fixture(scope="session")
def made_study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the study, recorded once."""

    def make(directory: Path) -> None:
        for name, text in (("study.py", STUDY), ("tune.py", TUNE)):
            done = recorded(directory, text, "--prov", "off", name=name)
            assert done.returncode == 0, done.stderr.decode()

    return made_once(tmp_path_factory, "viewer-study", make)


@pytest.fixture
def study(made_study: Path, tmp_path: Path) -> Path:
    """The study's database, for this test alone."""
    return Path(shutil.copy(made_study / "kerasprov.db", tmp_path / "kerasprov.db"))


CONTEXTS: list[Any] = []
"""What the browser shows just now; a page whose server has ended would complain of that."""


@contextmanager
def served(db: Path, *options: str, without: str | None = None) -> Iterator[str]:
    """The address of the pages of a database, served by `kerasprov view` while this lasts.

    `without`: a package that is not installed there.
    """
    missing = f"import sys; sys.modules[{without!r}] = None; " if without else ""
    command = [sys.executable, "-c", f"{missing}from kerasprov_agent.cli import main; main()"]
    words = ["view", "--db", str(db), "--no-open", *options]
    words += [] if "--port" in options else ["--port", "0"]
    child = subprocess.Popen(
        [*command, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env=clean_environment(PYTHONPATH=str(ROOT), PYTHONUNBUFFERED="1"),
    )  # fmt: skip
    assert child.stdout is not None
    line = child.stdout.readline()
    found = re.search(r"http://\S+", line)
    try:
        assert found, line + child.stdout.read()
        yield found[0]
    finally:
        close_pages(found[0] if found else "nothing")
        child.send_signal(signal.SIGINT)
        try:
            child.wait(60)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        child.stdout.close()


def close_pages(address: str) -> None:
    """Close what the browser shows of a server that is about to end."""
    for context in list(CONTEXTS):
        if any(page.url.startswith(address) for page in context.pages):
            CONTEXTS.remove(context)
            context.close()


@pytest.fixture(scope="session")
def address(made_study: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the study's pages, for tests that change nothing."""
    place = tmp_path_factory.mktemp("served")
    with served(Path(shutil.copy(made_study / "kerasprov.db", place / "kerasprov.db"))) as found:
        yield found


def fetched(address: str, **headers: str) -> tuple[int, Any, bytes]:
    """Status, headers and body of an address."""
    try:
        with urllib.request.urlopen(urllib.request.Request(address, headers=headers)) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as exc:
        return exc.code, exc.headers, exc.read()


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """A headless Chromium."""
    if CHROMIUM is None:
        assert "KERASPROV_NEEDS_BROWSER" not in os.environ, "CI must not skip this"
        pytest.skip("no Chromium is installed (Debian: apt install chromium)")
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture
def opened(browser: Any) -> Iterator[Callable[..., Any]]:
    """Opens an address in a page; afterwards no page may have complained on its console."""
    complaints = []

    def goto(address: str, refused: bool = False, **options: Any) -> Any:
        """`refused`: the server refuses something, as is right, and the browser says so."""

        def complain(message: Any) -> None:
            is_refusal = (
                message.text.startswith("Failed to load resource") and "(Bad" in message.text
            )
            if message.type == "error" and not (refused and is_refusal):
                complaints.append(message.text)

        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
        context.set_default_timeout(60_000)
        CONTEXTS.append(context)
        page = context.new_page()
        page.on("console", complain)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(address)
        page.wait_for_selector("main[data-page]")
        return page

    yield goto
    while CONTEXTS:
        CONTEXTS.pop().close()
    assert complaints == []


def until(page: Any, expression: str, seconds: float = 60) -> None:
    """Wait until an expression of JavaScript holds; Playwright's own way breaks our policy."""
    end = time.monotonic() + seconds
    while not page.evaluate(expression):
        assert time.monotonic() < end, (expression, page.inner_text("body")[:2000])
        page.wait_for_timeout(50)
