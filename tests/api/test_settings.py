"""Settings: from the environment only, and every fault names its variable."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lookalike.adapter.limits import Limits
from lookalike.api.setting_checks import check_settings
from lookalike.api.settings import (
    HttpSettings,
    Settings,
    SettingsError,
    from_environment,
    setting_groups,
)


def test_nothing_set() -> None:
    assert from_environment({"PATH": "/bin", "OTHER_LOOKALIKE_PORT": "x"}) == Settings()


@pytest.mark.parametrize(
    ("variable", "text", "field", "value"),
    [
        ("HOST", "0.0.0.0", "host", "0.0.0.0"),
        ("PORT", "9000", "port", 9000),
        ("WORKERS", "4", "workers", 4),
        ("TOKENS", "a, b:read ,,c", "tokens", ("a", "b:read", "c")),
        ("TOKENS", "", "tokens", ()),
        ("FETCH_ALLOW", "10.0.0.0/8,cdn.local", "allowed_hosts", ("10.0.0.0/8", "cdn.local")),
        ("STRICT", "true", "strict", True),
        ("STRICT", "1", "strict", True),
        ("STRICT", "False", "strict", False),
        ("FETCH_TIMEOUT_S", "2.5", "fetch_timeout_s", 2.5),
        ("FETCH_TIMEOUT_S", "3", "fetch_timeout_s", 3.0),
        ("USER_ID", "12", "user_id", "12"),
        ("DATA", "/srv/a b", "folder", "/srv/a b"),
    ],
)
def test_a_value(variable: str, text: str, field: str, value: Any) -> None:
    settings = from_environment({f"LOOKALIKE_{variable}": text})
    groups = (getattr(settings, group) for group in setting_groups())
    (found,) = (getattr(group, field) for group in groups if hasattr(group, field))
    assert found == value


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("PORT", "x"),
        ("PORT", ""),
        ("PORT", "-1"),
        ("PORT", "65536"),
        ("PORT", "80.5"),
        ("WORKERS", "0"),
        ("STRICT", "perhaps"),
        ("FETCH_TIMEOUT_S", "0"),
        ("MAX_RECORDS", "0"),
        ("MAX_BODY_BYTES", "64 MB"),
        ("MAX_BODY_BYTES", "1180591620717411303424"),
        ("WORKERS", "1" + "0" * 400),
        ("HNSW_THRESHOLD_ELEMENTS", "9223372036854775808"),
        ("FETCH_TIMEOUT_S", "nan"),
        ("REQUEST_TIMEOUT_S", "inf"),
        ("QDRANT_WAIT_S", "1e400"),
        ("TOKENS", "a\udcff"),
        ("UNKNOWN", "1"),
        ("", "x"),
    ],
)
def test_a_fault_names_its_variable(variable: str, text: str) -> None:
    with pytest.raises(SettingsError, match=f"LOOKALIKE_{variable}"):
        from_environment({f"LOOKALIKE_{variable}": text})


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("TOKENS", "secret:everything"),
        ("TOKENS_FILE", "/no/such/file"),
        ("TOKENS_FILE", "binary"),
        ("TOKENS_FILE", "."),
        ("TOKENS_FILE", "empty"),
        ("FETCH_ALLOW", "10.0.0.0/33"),
        ("FETCH_ALLOW", "cdn.local,*.example.com"),
        ("EMBEDDER", "lite1"),
        ("QDRANT_URL", "qdrant:6333"),
        ("QDRANT_URL", "http://secret@[::1"),
        ("QDRANT_URL", "http://secret@host:port"),
        ("QDRANT_URL", "http://:6333"),
        ("REMOTE_URL", "ftp://secret@host"),
        ("REMOTE_URL", "http://a host"),
    ],
)
def test_what_a_type_cannot_say_is_checked_before_anything_starts(
    variable: str, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    (tmp_path / "empty").write_bytes(b"# no token\n")
    with pytest.raises(SettingsError, match=f"^LOOKALIKE_{variable}.*: ") as refusal:
        check_settings(from_environment({f"LOOKALIKE_{variable}": text}))
    assert "secret" not in str(refusal.value)


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("FETCH_ALLOW", "10.0.0.0/8,[::1],cdn.local"),
        ("EMBEDDER", "phash"),
        ("QDRANT_URL", "https://user:secret@qdrant.example.com:443/below"),
        ("REMOTE_URL", "http://[::1]:7997"),
    ],
)
def test_what_can_be_used_passes(variable: str, text: str) -> None:
    check_settings(from_environment({f"LOOKALIKE_{variable}": text}))


def test_what_is_ours_between_processes_is_no_setting() -> None:
    assert from_environment({"LOOKALIKE_INTERNAL_ENGINE_SOCKET": "x"}) == Settings()


def test_the_strict_mode_takes_ten_records() -> None:
    strict = HttpSettings(strict=True)
    assert Settings().limits_in_force.max_records == 100
    assert Settings(http=strict).limits_in_force.max_records == 10
    assert Settings(http=strict, limits=Limits(max_records=5)).limits_in_force.max_records == 5
