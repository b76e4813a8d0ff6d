"""`lookalike export` and `lookalike import`: a collection as a file, for any engine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lookalike.cli.options import data_option, settings_with

if TYPE_CHECKING:
    from lookalike.api.components import Components


@click.command("export")
@click.argument("collection_id")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--force", is_flag=True, help="Replace FILE where it exists.")
@data_option
def export_command(collection_id: str, file: Path, force: bool, data: str | None) -> None:
    """Write a collection, with its vectors, to FILE; `.gz` compresses.

    The service may run meanwhile: what is written or deleted until the end is looked for.
    """
    from rich.progress import Progress

    from lookalike.cli.offline import run_with_components
    from lookalike.migrations import archive

    if file.exists() and not force:
        raise click.ClickException(f"{file} exists already; --force replaces it.")

    async def action(components: Components) -> archive.Exported:
        collection = await components.collections.find(collection_id)
        total = await components.records.count(collection)
        with Progress() as bar:
            task = bar.add_task("Exporting", total=total)

            def show(done: int) -> None:
                bar.update(task, completed=done)

            return await archive.export_collection(
                components.engine, collection, file, show, force=force
            )

    done = run_with_components(settings_with(data=data), action)
    click.echo(f"{done.records} records are in {file}.")
    if done.late:
        click.echo(f"{done.late} writes and deletions that came meanwhile are in it.", err=True)
    if not done.settled:
        click.echo(
            "Records were being written to the end: those of the last seconds may be missing. "
            "Stop writing, and export again, where that matters.",
            err=True,
        )


@click.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--as-new", is_flag=True, help="Give the collection a new id.")
@click.option("--name", help="Give it another name: that of the file may be taken.")
@data_option
def import_command(file: Path, as_new: bool, name: str | None, data: str | None) -> None:
    """Make the collection that `lookalike export` has written to FILE.

    It appears once all records are there; after an interruption, call it again.
    """
    from rich.progress import Progress

    from lookalike.cli.offline import run_with_components
    from lookalike.migrations import archive

    async def action(components: Components) -> Any:
        with Progress() as bar:
            task = bar.add_task("Importing", total=None)

            def show(more: int) -> None:
                bar.advance(task, more)

            return await archive.import_collection(
                components.engine, file, show, as_new=as_new, name=name
            )

    collection, records = run_with_components(settings_with(data=data), action, makes_folder=True)
    click.echo(f"Collection {collection.id} has {records} records.")
