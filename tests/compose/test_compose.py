"""The compose files and the image, as far as they can be judged without a container engine."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from lookalike import __version__
from lookalike.adapter.engines.server.engine import MIN_VERSION
from tests.engines.contract.subjects import QDRANT_IMAGE

FOLDER = Path(__file__).parents[2] / "compose"
FILES = ["embedded.yaml", "qdrant.yaml", "cluster.yaml"]
ENVIRONMENT = {"LOOKALIKE_TOKENS": "t:read", "QDRANT_API_KEY": "k"}


def services(file: str) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = yaml.safe_load((FOLDER / file).read_text())["services"]
    return found


EACH = [(file, name) for file in FILES for name in services(file)]


@pytest.mark.parametrize(("file", "name"), EACH)
def test_every_container_is_pinned_and_hardened(file: str, name: str) -> None:
    service = services(file)[name]
    assert re.search(r":v?\d+\.\d+\.\d+", service["image"])
    assert service["read_only"] is True
    assert service["tmpfs"] == ["/tmp"]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["restart"] == "unless-stopped"
    assert service.get("user", "") not in ("0", "root")


@pytest.mark.parametrize(("file", "name"), EACH)
def test_who_is_waited_for_has_a_health_check(file: str, name: str) -> None:
    for needed, condition in services(file)[name].get("depends_on", {}).items():
        other = services(file)[needed]
        assert condition == {"condition": "service_healthy"}
        assert "healthcheck" in other or "build" in other, "the image has its own"


@pytest.mark.parametrize(("file", "name"), EACH)
def test_qdrant_has_a_key_a_health_check_and_no_published_port(file: str, name: str) -> None:
    service = services(file)[name]
    if not service["image"].startswith("qdrant/"):
        return
    assert "ports" not in service
    assert service["environment"]["QDRANT__SERVICE__API_KEY"].startswith("${QDRANT_API_KEY:?")
    assert service["environment"]["QDRANT__SERVICE__ENABLE_SNAPSHOT_URL_RECOVERY"] == "false"
    assert "curl" not in str(service["healthcheck"])
    assert any(volume.endswith(":/qdrant/storage") for volume in service["volumes"])
    assert service["image"].startswith(QDRANT_IMAGE.partition("@")[0].split("-")[0])
    version = re.search(r":v(\d+)\.(\d+)", service["image"])
    assert version is not None
    assert tuple(map(int, version.groups())) >= MIN_VERSION


@pytest.mark.parametrize("file", FILES)
def test_the_service_is_reached_with_tokens_only(file: str) -> None:
    for service in services(file).values():
        if service["image"].startswith("lookalike"):
            assert service["image"] == f"lookalike:{__version__}"
            assert service["environment"]["LOOKALIKE_TOKENS"].startswith("${LOOKALIKE_TOKENS:?")
        for port in service.get("ports", ()):
            assert "127.0.0.1" in port, "on this machine only until somebody decides otherwise"


@pytest.mark.parametrize("file", FILES)
def test_every_named_volume_is_declared(file: str) -> None:
    content = yaml.safe_load((FOLDER / file).read_text())
    named = {
        volume.partition(":")[0]
        for service in content["services"].values()
        for volume in service["volumes"]
        if not volume.startswith(".")
    }
    assert named == set(content["volumes"])


def test_a_cluster_has_three_nodes_two_copies_and_two_api_processes() -> None:
    content = services("cluster.yaml")
    nodes = [s for s in content.values() if s["image"].startswith("qdrant/")]
    assert len(nodes) == 3
    for node in nodes:
        environment = node["environment"]
        assert environment["QDRANT__CLUSTER__ENABLED"] == "true"
        assert environment["QDRANT__STORAGE__COLLECTION__REPLICATION_FACTOR"] == "2"
    assert sum("--bootstrap" in node["command"] for node in nodes) == 2
    for name in ("nginx-api.conf", "nginx-qdrant.conf"):
        upstreams = re.findall(r"server (\S+):\d+ ", (FOLDER / name).read_text())
        assert set(upstreams) <= set(content)


def test_the_image_runs_as_nobody_special_and_checks_its_health_without_curl() -> None:
    text = (FOLDER / "Dockerfile").read_text()
    assert len(re.findall(r"^FROM ", text, re.MULTILINE)) == 2
    last_stage = text.rpartition("FROM ")[2]
    assert "\nUSER 10001\n" in last_stage
    assert "HEALTHCHECK" in last_stage
    assert "curl" not in last_stage.replace("No curl", "")


def test_the_health_check_of_the_image_tells_ready_from_not(live_port: int) -> None:
    check = re.search(r'"(import urllib.*?)"\]', (FOLDER / "Dockerfile").read_text())
    assert check is not None
    command = [sys.executable, "-c", check[1].replace(":8000", f":{live_port}")]
    assert subprocess.run(command, check=False).returncode == 0
    command = [sys.executable, "-c", check[1].replace(":8000", ":9")]
    assert subprocess.run(command, check=False, capture_output=True).returncode != 0


@pytest.fixture
def live_port(server: Any) -> int:
    port: int = server.port
    return port


@pytest.mark.parametrize("file", FILES)
def test_docker_compose_accepts_the_file(file: str) -> None:
    docker = shutil.which("docker")
    known = (
        docker
        and not subprocess.run([docker, "compose", "version"], capture_output=True).returncode
    )
    if not docker or not known:
        pytest.skip("needs the command `docker compose`, which does not need a running engine")
    command = [docker, "compose", "-f", str(FOLDER / file), "config", "--quiet"]
    subprocess.run(command, check=True, env=dict(os.environ) | ENVIRONMENT)
