"""Trainers, what sends for them, and the server are killed at random; nothing is lost."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import pytest

from kerasprov_agent.central import checking, sending, source
from kerasprov_agent.errors import KerasProvError
from tests.central.conftest import Server
from tests.central.test_sending import senders, train
from tests.conftest import rows

ROUNDS = 30
TRAINERS = 3
PROGRAM = """
import keras, numpy as np, time
class Slowly(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None): time.sleep(0.02)
x = np.random.rand(16, 4)
while True:
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    model.fit(x, x[:, :1], epochs=40, validation_split=0.5, verbose=0, callbacks=[Slowly()])
    model.evaluate(x, x[:, :1], verbose=0)
"""


@pytest.mark.slow
def test_nothing_is_lost_whatever_is_killed(tmp_path: Path, central: str, server: Server) -> None:
    chance = random.Random(19)
    folders = [tmp_path / "one", tmp_path / "one", tmp_path / "two"]
    children: list[subprocess.Popen[str] | None] = [None] * TRAINERS
    killed = {"trainer": 0, "sender": 0, "server": 0}
    for folder in set(folders):
        folder.mkdir()

    def start(number: int) -> None:
        children[number] = train(folders[number], PROGRAM, central, KERASPROV_PROV="off")

    for number in range(TRAINERS):
        start(number)
    try:
        for _ in range(ROUNDS):
            time.sleep(chance.uniform(0.5, 2.5))
            what = chance.choice(["trainer", "sender", "sender", "server"])
            if what == "trainer":
                number = chance.randrange(TRAINERS)
                child = children[number]
                assert child is not None and child.poll() is None, child and child.communicate()
                child.kill()
                child.communicate()
                start(number)
            elif what == "sender":
                alive = senders(tmp_path)
                if not alive:
                    continue
                with suppress(ProcessLookupError):
                    os.kill(chance.choice(alive), signal.SIGKILL)
            else:
                server.stop(chance.choice([signal.SIGINT, signal.SIGQUIT]))
                time.sleep(chance.uniform(0, 2))
                server.start()
            killed[what] += 1
    finally:
        for child in children:
            if child is not None:
                child.kill()
                child.communicate()
    for _ in range(100):
        if not senders(tmp_path):
            break
        time.sleep(0.5)
    assert all(killed.values()), killed
    for folder in set(folders):
        path = str(folder / "kerasprov.db")
        source.prepare(path)
        for _ in range(20):
            try:
                sending.send_all(path, central)
                break
            except KerasProvError:
                time.sleep(0.5)
        assert checking.differences(path, central) == []
        assert rows(path, "SELECT count(*) AS n FROM epoch")[0]["n"] > 0
