"""`lookalike tokens` with the file that a service reads."""

from __future__ import annotations

import re
import stat
from pathlib import Path

import pytest

from lookalike.api.auth import Grant, tokens_from
from lookalike.api.settings import AccessSettings
from tests.live import lookalike

COLLECTION = "3f0c0c9e-8d3c-4c0e-9a53-0f8b8a3c5a10"


def created(file: Path, *options: str) -> str:
    done = lookalike("tokens", "create", "--file", str(file), *options)
    assert done.returncode == 0, done.stderr
    [token] = re.findall(r"Token for the client: ([0-9a-f]{64})\n", done.stdout)
    return str(token)


def grant(file: Path, token: str) -> Grant:
    return tokens_from(AccessSettings(tokens_file=str(file))).grant(f"Token {token}")


def test_a_token_from_its_making_to_its_end(tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    owner = created(file, "--name", "the owner")
    tenant = created(file, "--scope", "read", "--collection", COLLECTION)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert owner not in file.read_text()
    assert grant(file, owner).collections is None
    assert grant(file, tenant).scopes == {"read"}
    assert grant(file, tenant).collections == frozenset({COLLECTION})
    listed = lookalike("tokens", "list", environment={"LOOKALIKE_TOKENS_FILE": str(file)})
    first, second = listed.stdout.splitlines()
    assert first.endswith("read,write,admin  all collections  the owner")
    assert second.endswith(f"read  {COLLECTION}")
    assert tenant not in listed.stdout
    assert lookalike("tokens", "revoke", second[:8], "--file", str(file)).returncode == 0
    assert [line[:12] for line in file.read_text().splitlines()] == [first[:12]]
    # Without any token everybody would be let in.
    refused = lookalike("tokens", "revoke", "the owner", "--file", str(file))
    assert refused.returncode == 1
    assert "last token" in refused.stderr
    assert grant(file, owner).scopes


def test_remarks_and_other_lines_stay(tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    file.write_text("# tokens of the shop\n\n")
    created(file, "--name", "a  b\nc")
    created(file, "--name", "other")
    assert lookalike("tokens", "revoke", "other", "--file", str(file)).returncode == 0
    lines = file.read_text().splitlines()
    assert lines[:2] == ["# tokens of the shop", ""]
    assert lines[2].endswith("# a b c")
    assert len(lines) == 3


@pytest.mark.parametrize("meant", ["", "abc", "nobody", "#"])
def test_what_is_not_meant_is_not_revoked(tmp_path: Path, meant: str) -> None:
    file = tmp_path / "tokens"
    for _ in range(2):
        created(file)
    before = file.read_text()
    assert lookalike("tokens", "revoke", meant, "--file", str(file)).returncode == 1
    assert file.read_text() == before


def test_without_a_file(tmp_path: Path) -> None:
    for command in (["list"], ["revoke", "abcdef"]):
        done = lookalike("tokens", *command)
        assert done.returncode == 1
        assert "LOOKALIKE_TOKENS_FILE" in done.stderr
        done = lookalike("tokens", *command, "--file", str(tmp_path / "none"))
        assert done.returncode == 1
        assert "No such file" in done.stderr
    done = lookalike("tokens", "create", "--file", str(tmp_path / "no folder" / "tokens"))
    assert done.returncode == 1
