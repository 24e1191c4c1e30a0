"""Make the pictures of the pages in `docs/images/`: a study is trained, its pages are opened.

    python docs/screenshots.py

Needs the extras `tensorflow`, `view` and `test`, and a Chromium.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

IMAGES = Path(__file__).parent / "images"
STUDY = """
import sys, keras, numpy as np
from sklearn.datasets import load_digits
activation, rate, dropout = sys.argv[1], float(sys.argv[2]), float(sys.argv[3])
digits = load_digits()
np.savez("digits.npz", x=(digits.data / 16).astype("float32"), y=digits.target)
data = np.load("digits.npz")
x, y = data["x"], data["y"]
model = keras.Sequential([
    keras.Input((64,)), keras.layers.Dense(64, activation=activation),
    keras.layers.Dropout(dropout), keras.layers.Dense(10, activation="softmax")])
model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(x[:1400], y[:1400], epochs=15, validation_split=0.1, verbose=0,
          callbacks=[keras.callbacks.ReduceLROnPlateau(patience=2)])
model.evaluate(x[1400:], y[1400:], verbose=0)
model.save("model.keras")
"""
TUNE = """
import keras, numpy as np
model, data = keras.models.load_model("model.keras"), np.load("digits.npz")
model.fit(data["x"][:500], data["y"][:500], epochs=3, verbose=0)
model.save("tuned.keras")
"""
PICTURES = {
    "runs": ("#/runs", "light"),
    "groups": ("#/runs?by=activation&against=learning_rate&sort=-val_accuracy", "dark"),
    "lineage": ("#/lineage?of=tuned.keras&hops=20", "light"),
    "ask": ("#/ask?q=run,+epoch,+val_loss+where+val_loss+<+0.2+order+by+val_loss", "light"),
    "compare": ("#/compare?runs=1,6", "light"),
}  # fmt: skip


def record(directory: Path) -> None:
    """Train the study under the agent."""
    (directory / "study.py").write_text(STUDY)
    (directory / "tune.py").write_text(TUNE)
    runs = [
        ("study.py", activation, rate, dropout)
        for activation in ("relu", "tanh")
        for rate in ("0.0003", "0.001", "0.01")
        for dropout in ("0.0", "0.4")
    ]
    for words in (*runs, ("tune.py",)):
        command = [sys.executable, "-m", "kerasprov_agent", "--prov", "off", *words]
        subprocess.run(command, cwd=directory, check=True, capture_output=True)


def main() -> None:
    """Record, serve, and take the pictures."""
    IMAGES.mkdir(exist_ok=True)
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    with tempfile.TemporaryDirectory() as place, sync_playwright() as playwright:
        record(Path(place))
        command = [sys.executable, "-c", "from kerasprov_agent.cli import main; main()"]
        server = subprocess.Popen(
            [*command, "view", "--no-open", "--port", "0"], cwd=place, text=True,
            stdout=subprocess.PIPE,
        )  # fmt: skip
        assert server.stdout is not None
        found = re.search(r"http://\S+", server.stdout.readline())
        assert found is not None
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for name, (page_name, scheme) in PICTURES.items():
            size = {"width": 1280, "height": 1000}
            page = browser.new_page(viewport=size, color_scheme=scheme)  # type: ignore[arg-type]
            page.goto(found[0] + page_name)
            page.wait_for_selector("main[data-page]")
            page.wait_for_timeout(1500)
            page.screenshot(path=IMAGES / f"{name}.png")
        browser.close()
        server.terminate()


if __name__ == "__main__":
    main()
