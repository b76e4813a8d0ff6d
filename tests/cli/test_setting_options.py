"""Fields of a struct as options: what is given arrives with its type, what is not is left out."""

from __future__ import annotations

from typing import Any

import click
import msgspec
import pytest
from click.testing import CliRunner

from lookalike.cli.setting_options import setting_options, settings_given


class Inner(msgspec.Struct, frozen=True, kw_only=True):
    on_disk: bool = False


class Example(msgspec.Struct, kw_only=True):
    on_as_a_rule: bool = True
    off_as_a_rule: bool = False
    numbers: tuple[int, ...] = ()
    fields_to_index: tuple[str | Inner, ...] = ()
    inner: Inner = Inner()


@pytest.mark.parametrize(
    ("arguments", "given"),
    [
        ((), {"inner": {}}),
        (("--no-on-as-a-rule",), {"on_as_a_rule": False, "inner": {}}),
        (("--off-as-a-rule",), {"off_as_a_rule": True, "inner": {}}),
        (("--on-disk",), {"inner": {"on_disk": True}}),
        (("--numbers", "3", "--numbers", "4"), {"numbers": (3, 4), "inner": {}}),
        (("--index", "price"), {"fields_to_index": ("price",), "inner": {}}),
    ],
)
def test_what_is_given_and_nothing_else(arguments: tuple[str, ...], given: dict[str, Any]) -> None:
    seen: list[dict[str, Any]] = []

    @click.command()
    @setting_options(Example)
    def command(**values: Any) -> None:
        seen.append(settings_given(Example, values))

    result = CliRunner().invoke(command, arguments)
    assert result.exit_code == 0, result.output
    assert seen == [given]


def test_an_item_of_the_wrong_type_is_refused() -> None:
    @click.command()
    @setting_options(Example)
    def command(**values: Any) -> None:
        """Not reached."""

    assert CliRunner().invoke(command, ["--numbers", "three"]).exit_code == 2
