"""The compose file and the proxy before it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from mneme.settings import Settings
from mneme.testing.doors import Door

DEPLOY = Path(__file__).parents[2] / "deploy"
_STARTS_IN_S = 20.0


def test_the_compose_file_fits_the_schema() -> None:
    checker = shutil.which("check-jsonschema", path=str(Path(sys.executable).parent))
    if checker is None:
        pytest.skip("check-jsonschema is not installed")
    done = subprocess.run(
        [checker, "--builtin-schema", "vendor.compose-spec", DEPLOY / "compose.yaml"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_the_compose_file_promises_no_database_and_opens_no_port_to_others() -> None:
    yaml = pytest.importorskip("yaml")
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))["services"]
    assert set(services) == {"mneme", "caddy"}
    assert services["mneme"]["ports"] == ["127.0.0.1:8350:8350"]
    assert services["mneme"]["read_only"] is True
    assert services["caddy"]["profiles"] == ["tls"]
    for service in services.values():
        assert service["cap_drop"] == ["ALL"]
        assert not [name for name in service["environment"] if "KEY" in name]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port


@contextmanager
def caddy(tmp_path: Path, site: str, door: Door) -> Iterator[None]:
    """Caddy with our file before a server; nothing is written beside the folder of the test."""
    program = shutil.which("caddy")
    if program is None:
        pytest.skip("caddy is not installed")
    config = tmp_path / "Caddyfile"
    ours = (DEPLOY / "Caddyfile").read_text(encoding="utf-8")
    config.write_text("{\n\tadmin off\n}\n" + ours, encoding="utf-8")
    env = {
        "PATH": os.defpath,
        "HOME": str(tmp_path),
        "MNEME_DOMAIN": site,
        "MNEME_UPSTREAM": door.url.removeprefix("http://"),
    }
    run = [program, "run", "--config", str(config), "--adapter", "caddyfile"]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(run, env=env, stderr=log, stdout=log)
    try:
        yield
    finally:
        process.terminate()
        process.wait(10)


def test_the_proxy_s_file_is_valid() -> None:
    program = shutil.which("caddy")
    if program is None:
        pytest.skip("caddy is not installed")
    done = subprocess.run(
        [program, "validate", "--config", DEPLOY / "Caddyfile", "--adapter", "caddyfile"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_requests_come_through_the_proxy(door: Door, tmp_path: Path) -> None:
    site = f"http://127.0.0.1:{free_port()}"
    with (
        caddy(tmp_path, site, door),
        httpx2.Client(base_url=site, headers=door.headers, timeout=10) as http,
    ):
        ends = time.monotonic() + _STARTS_IN_S
        while True:
            try:
                assert http.get("/healthz").status_code == 200
                break
            except httpx2.ConnectError:
                assert time.monotonic() < ends, (tmp_path / "log").read_text()
                time.sleep(0.05)
        added = http.post("/v1/namespaces/alice/memories", json={"content": "Tea at four."})
        assert added.status_code == 201
        found = http.post("/v1/namespaces/alice/search", json={"query": "tea"}).json()
        assert found["hits"][0]["cube"]["text"] == "Tea at four."
        refused = httpx2.post(f"{site}/v1/namespaces/alice/search", json={"query": "tea"})
        assert refused.status_code == 401


def test_the_proxy_takes_whatever_the_server_takes() -> None:
    said = (DEPLOY / "Caddyfile").read_text(encoding="utf-8")
    most_mb = int(said.split("max_size ")[1].split("MB")[0])
    assert most_mb * 1_000_000 >= Settings().serve_body_bytes
