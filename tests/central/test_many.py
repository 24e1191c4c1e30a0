"""Many machines send at once, through PgBouncer in transaction mode."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kerasprov_agent.central import checking
from tests.central.conftest import PASSWORD, Server, as_owner, free_port
from tests.conftest import ROOT, clean_environment, python

WRITERS = 32
RUNS, EPOCHS = 4, 50
MACHINE = f"""
import sys
from kerasprov_agent import identity
from kerasprov_agent.central import sending, source
from kerasprov_agent.store.operations import insert, measured
from kerasprov_agent.store.writer import Writer
path, url = sys.argv[1:]
own = identity.own()
writer = Writer(path, own)
writer.write([insert("execution", {{"id": own, "label": "many", "status": "running"}})])
source.prepare(path)
for number in range({RUNS}):
    run = f"{{own}}#fit-{{number}}"
    writer.write([insert("run", {{"id": run, "execution_id": own, "kind": "fit", "label": "many"}})])
    for epoch in range({EPOCHS}):
        metrics = {{"loss": 1 / (epoch + 1), f"own {{own[-4:]}}": epoch / 7}}
        writer.write([measured("epoch", {{"run_id": run, "epoch": epoch}}, metrics)])
        if epoch % 10 == 9:
            while True:
                try:
                    sending.send_all(path, url)
                    break
                except source.KerasProvError as exc:
                    print(exc, flush=True)
writer.close()
"""


@pytest.fixture
def pooled(central: str, server: Server, tmp_path: Path) -> Iterator[str]:
    """The address of the central store behind PgBouncer."""
    program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        assert "KERASPROV_NEEDS_POSTGRESQL" not in os.environ, "CI must not skip this"
        pytest.skip("no PgBouncer is installed (Debian: apt install pgbouncer)")
    port = free_port()
    folder = server.folder / f"pool-{port}"
    folder.mkdir()
    (folder / "users").write_text(f'"owner" "{PASSWORD}"\n')
    (folder / "pgbouncer.ini").write_text(
        f"[databases]\n* = host=127.0.0.1 port={server.port}\n[pgbouncer]\npool_mode = transaction\n"
        f"listen_addr = 127.0.0.1\nlisten_port = {port}\nauth_type = scram-sha-256\n"
        f"auth_file = {folder}/users\nunix_socket_dir =\nmax_client_conn = 200\n"
        f"default_pool_size = 10\nlogfile = {folder}/log\n"
    )
    if as_owner():
        for path in (folder, *folder.iterdir()):
            shutil.chown(path, "postgres", "postgres")
    child = subprocess.Popen([program, "-q", folder / "pgbouncer.ini"], cwd=folder, **as_owner())
    url = central.replace(f":{server.port}/", f":{port}/")
    end = time.monotonic() + 60
    while True:
        import psycopg

        try:
            psycopg.connect(url, connect_timeout=5).close()
            break
        except psycopg.OperationalError:
            assert time.monotonic() < end and child.poll() is None
            time.sleep(0.1)
    yield url
    child.terminate()
    child.wait(60)


@pytest.mark.slow
def test_many_send_at_once_through_a_pooler(pooled: str, central: str, tmp_path: Path) -> None:
    paths = [str(tmp_path / f"{number}.db") for number in range(WRITERS)]
    environment = clean_environment(PYTHONPATH=str(ROOT), KERASPROV_DISABLED="1")
    children = [
        subprocess.Popen([sys.executable, "-c", MACHINE, path, pooled], env=environment)
        for path in paths
    ]
    assert [child.wait(600) for child in children] == [0] * WRITERS
    for path in paths:
        assert checking.differences(path, central) == []
    from kerasprov_agent.central import server as central_server

    with central_server.connected(central) as connection:
        found = connection.execute("SELECT count(*) FROM kerasprov.epoch").fetchone()
    assert found == (WRITERS * RUNS * EPOCHS,)


@pytest.mark.slow
def test_the_benchmark(empty: str, tmp_path: Path) -> None:
    words = ("central.py", empty, "--epochs", "200", "--training", "8", "--rounds", "1")
    done = python(ROOT / "benchmarks" / words[0], *words[1:], directory=tmp_path, timeout=600)
    assert done.returncode == 0, done.stderr.decode()
    for told in ("epochs a second", "recorded and sent", "visible"):
        assert told in done.stdout.decode()
