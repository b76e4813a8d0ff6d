"""What a token may not use does not exist for it, and what is secret stays in its process."""

from __future__ import annotations

import os
import signal
import stat
from pathlib import Path
from typing import Any

import httpx
import pytest

from lookalike.api.auth import token_digest
from tests.contract.conftest import Connect, NewServer
from tests.live import LiveServer, lookalike
from tests.waiting import wait_until

ADMIN, BOUND, LATER = "the-token-of-the-owner", "the-token-of-a-tenant", "a-token-that-came-later"


def line(token: str, *rights: str) -> str:
    return " ".join([token_digest(token).hex(), *rights])


@pytest.fixture
def tokens_file(tmp_path: Path) -> Path:
    file = tmp_path / "tokens"
    file.write_text(line(ADMIN) + "\n")
    return file


def started(server: LiveServer) -> LiveServer:
    server.start()
    return server


def pid_of(server: LiveServer) -> int:
    assert server.process is not None
    return server.process.pid


def status(client: Any) -> int:
    code: int = client.http.get("/similarity/v2/collection/").status_code
    return code


def test_tokens_are_read_again_when_their_file_changes(
    tokens_file: Path, new_server: NewServer, connect: Connect
) -> None:
    server = started(new_server(LOOKALIKE_TOKENS_FILE=str(tokens_file)))
    later, admin = connect(server.url, LATER), connect(server.url, ADMIN)
    assert status(later) == 401
    tokens_file.write_text(f"{line(ADMIN)}\n{line(LATER, 'read')}\n")
    wait_until(lambda: status(later) == 200, "the new token is known")
    # A file that cannot be read, or that has no token, takes nobody's right.
    for broken in ("# nobody\n", "no hash\n"):
        tokens_file.write_text(broken)
        os.kill(pid_of(server), signal.SIGHUP)
        assert status(admin) == status(later) == 200
    tokens_file.write_text(line(ADMIN) + "\n")
    os.kill(pid_of(server), signal.SIGHUP)
    wait_until(lambda: status(later) == 401, "the removed token is no more")
    assert status(admin) == 200
    log = server.stop()
    assert "the tokens of before stay: LOOKALIKE_TOKENS_FILE: the file has no token" in log
    assert "the tokens of before stay: LOOKALIKE_TOKENS_FILE, line 1" in log


def test_details_of_the_service_are_for_its_administrators(
    tokens_file: Path, new_server: NewServer, connect: Connect
) -> None:
    server = started(new_server(LOOKALIKE_TOKENS_FILE=str(tokens_file)))
    admin = connect(server.url, ADMIN)
    collection = admin.collection()
    rights = [line(ADMIN), line(BOUND, "read,write,admin", collection), line(LATER, "read")]
    tokens_file.write_text("\n".join(rights))
    wait_until(lambda: status(connect(server.url, LATER)) == 200, "the tokens are known")
    for token in (None, "unknown", BOUND, LATER):
        answer = connect(server.url, token).http.get("/readyz")
        assert (answer.status_code, answer.json()) == (200, {"status": "ready"})
    assert admin.http.get("/readyz").json()["engine"]["ready"] is True


def test_a_bound_token_makes_and_renames_nothing(
    tokens_file: Path, new_server: NewServer, connect: Connect
) -> None:
    """`shop` is taken, and nothing tells a token that is bound to `evil`."""
    server = started(new_server(LOOKALIKE_TOKENS_FILE=str(tokens_file)))
    admin = connect(server.url, ADMIN)
    admin.collection(name="shop")
    evil = admin.collection(name="evil")
    tokens_file.write_text(f"{line(ADMIN)}\n{line(BOUND, 'read,write,admin', evil)}")
    bound = connect(server.url, BOUND)
    wait_until(lambda: status(bound) == 200, "the token is known")
    answers = [bound.change(evil, name=name) for name in ("shop", "free")]
    answers += [
        bound.http.post("/similarity/v2/collection/", json={"name": name, "type": "products"})
        for name in ("shop", "free")
    ]
    assert {answer.status_code for answer in answers} == {403}
    for taken, free in ((answers[0], answers[1]), (answers[2], answers[3])):
        assert taken.content == free.content
    assert bound.change(evil, name="evil", tag_weight=0.5).status_code == 200
    listed = bound.http.get("/similarity/v2/collection/").json()["results"]
    assert [entry["name"] for entry in listed] == ["evil"]
    assert admin.view(evil)["name"] == "evil"


def test_files_are_for_their_owner_alone(tmp_path: Path, new_server: NewServer) -> None:
    data = tmp_path / "data"
    data.mkdir(mode=0o755)
    server = started(new_server())
    assert httpx.get(f"{server.url}/healthz").status_code == 200
    assert stat.S_IMODE(data.stat().st_mode) == 0o700
    rights = {stat.S_IMODE(path.stat().st_mode) & 0o077 for path in data.rglob("*")}
    assert rights == {0}


def test_helpers_inherit_no_settings(tokens_file: Path, new_server: NewServer) -> None:
    settings = {"LOOKALIKE_REMOTE_API_KEY": "a-key-of-a-server"}
    server = started(new_server(LOOKALIKE_TOKENS_FILE=str(tokens_file), **settings))
    helpers = [pid for pid in descendants(pid_of(server)) if "worker.main" in command_of(pid)]
    assert helpers
    for pid in helpers:
        environment = Path(f"/proc/{pid}/environ").read_bytes()
        assert b"LOOKALIKE_" not in environment
        assert b"PATH=" in environment


def descendants(pid: int) -> list[int]:
    children = [
        int(child)
        for task in Path(f"/proc/{pid}/task").iterdir()
        for child in (task / "children").read_text().split()
    ]
    return [each for child in children for each in (child, *descendants(child))]


def command_of(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text()


@pytest.mark.parametrize("token", ["change-me", "Change-Me:read", "change-me-too"])
def test_tokens_of_examples_are_refused(token: str) -> None:
    done = lookalike("serve", "--port", "0", environment={"LOOKALIKE_TOKENS": token})
    assert done.returncode == 2
    assert "LOOKALIKE_TOKENS, entry 1" in done.stderr
