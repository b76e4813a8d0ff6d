"""Settings: from the environment only, and every fault names its variable."""

from __future__ import annotations

from typing import Any

import pytest

from lookalike.adapter.limits import Limits
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
        ("UNKNOWN", "1"),
        ("", "x"),
    ],
)
def test_a_fault_names_its_variable(variable: str, text: str) -> None:
    with pytest.raises(SettingsError, match=f"LOOKALIKE_{variable}"):
        from_environment({f"LOOKALIKE_{variable}": text})


def test_what_is_ours_between_processes_is_no_setting() -> None:
    assert from_environment({"LOOKALIKE_INTERNAL_ENGINE_SOCKET": "x"}) == Settings()


def test_the_strict_mode_takes_ten_records() -> None:
    strict = HttpSettings(strict=True)
    assert Settings().limits_in_force.max_records == 100
    assert Settings(http=strict).limits_in_force.max_records == 10
    assert Settings(http=strict, limits=Limits(max_records=5)).limits_in_force.max_records == 5
