"""`lookalike doctor`: what is wrong with the files of the embedded engine, and what can be done."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from lookalike.cli.options import SettingsRefused, data_option, settings_with

if TYPE_CHECKING:
    from lookalike.api.components import Components


@click.command("doctor")
@data_option
@click.option("--restore", metavar="NAME", help="Serve this damaged collection again.")
def doctor_command(data: str | None, restore: str | None) -> None:
    """Say which collections are damaged, and restore what can be restored.

    Works while the service runs, and without it. Ends with 1 where something is damaged.
    """
    from lookalike.cli.offline import run_with_components

    settings = settings_with(data=data)
    if settings.qdrant.url:
        raise SettingsRefused("LOOKALIKE_QDRANT_URL: a Qdrant server looks after its own files")
    raise SystemExit(run_with_components(settings, lambda parts: _examine(parts, restore)))


async def _examine(parts: Components, restore: str | None) -> int:
    from lookalike.adapter.engines.embedded.client import EmbeddedEngine

    assert isinstance(parts.engine, EmbeddedEngine)
    if restore is not None:
        await parts.engine.restore_collection(restore)
        count = (await parts.engine.count(restore)).count
        click.echo(f"{restore} is served again, with {count} records.")
    health = await parts.engine.health()
    known = {collection.physical: collection for collection in parts.cache.all()}
    for physical, reason in health["broken"].items():
        found = known.get(physical)
        whose = f", the collection {found.name!r} ({found.id})" if found else ""
        click.echo(f"Damaged: {physical}{whose}\n  {reason}.")
        if not reason.endswith("there is no copy of it"):
            click.echo(f"  To serve what can be read: lookalike doctor --restore {physical}")
    for physical, logs in health["logs_aside"].items():
        click.echo(f"Without its log: {physical}; what was not flushed is in {', '.join(logs)}.")
    if not health["broken"]:
        click.echo(f"{health['collections']} collections, none damaged.")
    return 1 if health["broken"] else 0
