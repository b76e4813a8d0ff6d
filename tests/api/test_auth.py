"""Tokens: who may do what."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lookalike.adapter.errors import Forbidden, Unauthorized
from lookalike.api.auth import ALL_SCOPES, ANYONE, Tokens, new_token, token_digest, tokens_from
from lookalike.api.settings import AccessSettings, SettingsError


def tokens(*entries: str) -> Tokens:
    return tokens_from(AccessSettings(tokens=entries))


@pytest.mark.parametrize(
    "header", ["Token abc", "JWT abc", "token abc", "Bearer abc", "  Token   abc  ", "TOKEN\tabc"]
)
def test_forms_of_the_header(header: str) -> None:
    grant = tokens("other", "abc").grant(header)
    assert grant.scopes == ALL_SCOPES
    assert grant.collections is None


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "abc",
        "Token",
        "Token ",
        "Token a b",
        "Basic abc",
        "Tokenabc",
        "Token abc, Token x",
    ],
)
def test_forms_that_are_refused(header: str | None) -> None:
    with pytest.raises(Unauthorized):
        tokens("abc").grant(header)


@given(st.text(max_size=100))
def test_no_other_text_opens(text: str) -> None:
    with pytest.raises(Unauthorized):
        tokens("a-token-that-nobody-guesses").grant(text)
    with pytest.raises(Unauthorized):
        tokens("a-token-that-nobody-guesses").grant(f"Token {text}")


def test_without_tokens_everybody_may_do_everything() -> None:
    assert not tokens().configured
    for header in (None, "", "Token abc", "nonsense"):
        assert tokens().grant(header) is ANYONE
    ANYONE.require("admin")
    assert ANYONE.allows_collection("any")
    assert ANYONE.only_collection is None


def test_scopes_and_collections() -> None:
    made = tokens("a:read", "b:read+write:c1+c2", "c::c3")
    assert made.configured
    reader, writer, bound = (made.grant(f"Token {name}") for name in "abc")
    reader.require("read")
    with pytest.raises(Forbidden):
        reader.require("write")
    writer.require("write")
    with pytest.raises(Forbidden):
        writer.require("admin")
    assert writer.allows_collection("c2")
    assert not writer.allows_collection("c3")
    assert writer.only_collection is None
    bound.require("admin")
    assert bound.only_collection == "c3"
    assert not bound.allows_collection("c1")


@pytest.mark.parametrize("entry", ["secret:everything", "secret:read+x", ":read", "secret:a:b:c"])
def test_a_wrong_entry_is_named_by_its_number(entry: str) -> None:
    with pytest.raises(SettingsError, match=r"^LOOKALIKE_TOKENS, entry 2: ") as fault:
        tokens("good", entry)
    assert "secret" not in str(fault.value)


def test_a_file(tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    digests = {name: hashlib.sha256(name.encode()).hexdigest() for name in "abcd"}
    file.write_text(
        f"# tokens of the shop\n\n{digests['a']}\n  {digests['b']} read,write # b\n"
        f"{digests['c']} read c1,c2\n"
    )
    made = tokens_from(AccessSettings(tokens=("inline",), tokens_file=str(file)))
    made.grant("Token inline").require("admin")
    made.grant("Token a").require("admin")
    with pytest.raises(Forbidden):
        made.grant("Token b").require("admin")
    assert made.grant("Token c").collections == frozenset({"c1", "c2"})
    for unknown in ("d", digests["a"]):  # the hash itself opens nothing
        with pytest.raises(Unauthorized):
            made.grant(f"Token {unknown}")


@pytest.mark.parametrize(
    "line", ["abc", "0" * 63, "0" * 64 + " everything", "0" * 64 + " read a b"]
)
def test_a_wrong_line_is_named_by_its_number(line: str, tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    file.write_text(f"# first\n{line}\n")
    with pytest.raises(SettingsError, match=r"^LOOKALIKE_TOKENS_FILE, line 2: "):
        tokens_from(AccessSettings(tokens_file=str(file)))


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="LOOKALIKE_TOKENS_FILE"):
        tokens_from(AccessSettings(tokens_file=str(tmp_path / "none")))


def test_made_tokens_are_long_and_different() -> None:
    made = {new_token() for _ in range(100)}
    assert len(made) == 100
    assert {len(token) for token in made} == {64}
    assert len(token_digest("x")) == 32
