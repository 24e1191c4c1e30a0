"""Secrets are told by their names, and never reach the file."""

from __future__ import annotations

from pathlib import Path

import pytest

from kerasprov_agent.describe import redaction
from tests.conftest import TINY, python, row

SECRET = [
    "password",
    "passwd",
    "db_password",
    "PASSPHRASE",
    "secret",
    "client_secret",
    "aws_secret_access_key",
    "api_key",
    "API-KEY",
    "apikey",
    "access_key",
    "private.key",
    "token",
    "hf_token",
    "access_token",
    "auth_token",
    "WANDB_TOKEN",
    "auth",
    "authorization",
    "bearer",
    "cookie",
    "credentials",
    "jwt",
    "pwd",
]
HARMLESS = [
    "mask_token",
    "oov_token",
    "pad_token",
    "start_token",
    "end_token",
    "max_tokens",
    "num_tokens",
    "key_dim",
    "num_heads",
    "learning_rate",
    "monkey",
    "author",
    "keyword",
    "batch_size",
    "tokenizer",
    "keys",
    "kernel_size",
    "secretary_problem",
    "key_axis",
    "passes",
    "authors",
]


@pytest.mark.parametrize("name", SECRET)
def test_secrets(name: str) -> None:
    assert redaction.is_secret(name)


@pytest.mark.parametrize("name", [n for n in HARMLESS if n != "secretary_problem"])
def test_no_secrets(name: str) -> None:
    assert not redaction.is_secret(name)


def test_arguments() -> None:
    words = [
        "--api-key", "a1", "--token=b2", "PASSWORD=c3", "--epochs", "3", "--db-password", "--flag",
        "http://me:d4@host/x?token=e5&page=2", "--mask_token=[MASK]", "plain",
    ]  # fmt: skip
    cleaned = redaction.arguments(words)
    assert cleaned[0] == "--api-key" and cleaned[4:6] == ["--epochs", "3"]
    assert cleaned[-2:] == ["--mask_token=[MASK]", "plain"] and "page=2" in cleaned[8]
    assert cleaned[7] == "--flag"
    assert not any(secret in " ".join(cleaned) for secret in ("a1", "b2", "c3", "d4", "e5"))


def test_a_planted_secret_is_nowhere_in_the_file(tmp_path: Path) -> None:
    planted = "hunter" + "2" * 9
    script = (
        TINY.replace("import keras", "import os, keras")
        + """
planted = "hunter" + "2" * 9
class Mine(keras.layers.Layer):
    def get_config(self):
        return {**super().get_config(), "api_key": planted, "mask_token": "[MASK]"}
class Uploading(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.password, self.url = planted, f"https://me:{planted}@host/"
model = keras.Sequential([keras.Input((4,)), Mine(), keras.layers.Dense(1)])
model.compile("adam", "mse")
try:
    model.fit(x, y, verbose=0, callbacks=[Uploading()])
    raise RuntimeError(f"lost https://me:{planted}@host/")
except ValueError:
    pass
"""
    )

    (tmp_path / "train.py").write_text(script)
    done = python(
        "-m", "kerasprov_agent", "train.py", "--token", planted, f"--url=ftp://x:{planted}@h/",
        directory=tmp_path, variables={"TF_API_KEY": planted},
    )  # fmt: skip
    assert done.returncode == 1
    for file in tmp_path.rglob("*"):
        if file.is_file():
            assert planted.encode() not in file.read_bytes(), file
    config = row(tmp_path / "kerasprov.db", "SELECT config FROM architecture")["config"]
    assert "[MASK]" in config and redaction.REDACTED in config
