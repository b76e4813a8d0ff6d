"""`lookalike migrate`: other layouts and other embedders for collections that are in use."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lookalike.cli.options import data_option, settings_with

if TYPE_CHECKING:
    from lookalike.adapter.collections.collection_settings import Collection
    from lookalike.api.components import Components
    from lookalike.migrations.reembedding import Overlap, Reembedding, Skip, Unreadable

embedder_option = click.option("--embedder", help="Embed all records anew with this embedder.")
records_option = click.option(
    "--records",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="JSON lines with `_id` and `_base64` or `_url`, for records whose stored URL is no use.",
)


@click.group("migrate")
def migrate_group() -> None:
    """Migrate collections; the service may run meanwhile, and any command be repeated.

    When a command ends, every process of the service knows what it has changed.
    """


@migrate_group.command("status")
@data_option
def status_command(data: str | None) -> None:
    """What each collection has, what is pending, and what is on its way."""
    run_action(data, show_status)


async def show_status(components: Components) -> None:
    from lookalike.adapter.collections.names import find_doubles
    from lookalike.migrations.plans import read_status

    for collection in components.cache.all():
        status = await read_status(components.engine, collection)
        numbers = [str(each.number) for each in status.pending] or ["none"]
        reached = status.checkpoint
        underway = f" (at record {reached.records})" if reached.number else ""
        click.echo(
            f"{collection.id}  {collection.name}\n"
            f"  records    {status.records}\n"
            f"  embedder   {collection.embedder} {collection.revision}, "
            f"pending: {await _pending_revision(components, collection)}\n"
            f"  layout     {collection.schema_version}, pending: {', '.join(numbers)}{underway}"
        )
        second = collection.second_vector
        if second is not None:
            state = "complete" if second.complete else "being filled"
            click.echo(
                f"  beside it  {second.vector}: {second.embedder} {second.revision}, {state}, "
                f"{status.lacking_second} records without it, "
                f"answers {percent(second.share)} of the queries"
            )
    for name, sharing in find_doubles(components.cache.all()).items():
        click.echo(
            f"The name {name} is that of {len(sharing)} collections, so that requests by name are "
            f"refused (409); rename all but one: {', '.join(each.id for each in sharing)}"
        )


@migrate_group.command("plan")
@click.argument("collection_id")
@embedder_option
@records_option
@data_option
def plan_command(
    collection_id: str, embedder: str | None, records: Path | None, data: str | None
) -> None:
    """What `up` would do. Changes nothing."""
    run_action(data, lambda components: show_plan(components, collection_id, embedder, records))


async def show_plan(
    components: Components, collection_id: str, embedder: str | None, records: Path | None
) -> None:
    from lookalike.migrations import layout
    from lookalike.migrations.plans import embedder_underway, plan_reembedding
    from lookalike.migrations.sources import GivenRecords

    collection = await components.collections.find(collection_id)
    for each in layout.pending(collection):
        click.echo(f"Layout {each.number}: {each.text}")
    wanted = embedder or embedder_underway(collection)
    if wanted is None:
        click.echo("No other embedder is asked for.")
        await _show_newer_revision(components, collection)
        return
    target = await components.embedding.identify_embedder(wanted, "--embedder")
    plan = await plan_reembedding(components.engine, collection, target, GivenRecords(records))
    click.echo(
        f"Embedder {collection.embedder} {collection.revision} -> {wanted} {target.revision}, "
        f"{collection.dimension} -> {target.dimension} dimensions\n"
        f"{plan.records} records {'left' if plan.begun else 'in all'}: "
        f"{plan.given_again} are given again, {plan.with_url} have a URL (not tried), "
        f"{plan.without_image} have no picture"
    )


class SkipType(click.ParamType[Any]):
    """`37`: so many records; `5%`: such a part of them. Without a value, one percent."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Skip:
        from lookalike.migrations.reembedding import SKIP_FEW, Skip

        if value == NO_NUMBER:
            return SKIP_FEW
        found = re.fullmatch(r"(\d{1,12})|(\d{1,3}(?:\.\d{1,9})?)%", str(value))
        if found is None or float(found[2] or 0) > 100:
            self.fail(
                f"{value!r} is neither a number of records, as 37, nor a share of them, as 5%; "
                "the collection's id goes before the option."
            )
        return Skip(int(found[1] or 0), float(found[2] or 0) / 100)


NO_NUMBER = "few"


@migrate_group.command("up")
@click.argument("collection_id")
@embedder_option
@records_option
@click.option(
    "--skip-unreadable",
    "skip",
    type=SkipType(),
    is_flag=False,
    flag_value=NO_NUMBER,
    metavar="[NUMBER]",
    help="Leave out so many records that have no vector, or `5%` of them; alone: at most 1%.",
)
@click.option(
    "--unreadable",
    "list_file",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("unreadable.jsonl"),
    show_default=True,
    help="Where records without a vector are listed.",
)
@click.option(
    "--min-overlap",
    type=click.FloatRange(0, 1),
    default=0.0,
    help="Switch only if this part of the nearest ten stays the same.  [default: 0]",
)
@click.option(
    "--beside",
    "keep_both",
    is_flag=True,
    help="Do not switch: keep both vectors, to compare them.",
)
@click.option("--dry-run", is_flag=True, help="As `plan`.")
@data_option
def up_command(collection_id: str, dry_run: bool, data: str | None, **wishes: Any) -> None:
    """Apply what is pending, or go on with what was interrupted."""
    wanted = Wishes(**wishes)
    if dry_run:
        run_action(
            data,
            lambda components: show_plan(
                components, collection_id, wanted.embedder, wanted.records
            ),
        )
    else:
        run_action(data, lambda components: _migrate_up(components, collection_id, wanted))


@dataclass(frozen=True)
class Wishes:
    """The options of `up`."""

    embedder: str | None
    records: Path | None
    skip: Skip | None
    list_file: Path
    min_overlap: float
    keep_both: bool


async def _migrate_up(components: Components, collection_id: str, wishes: Wishes) -> None:
    from lookalike.adapter.records.point_batches import count_lacking
    from lookalike.migrations.plans import embedder_underway
    from lookalike.migrations.reembedding import NotVerified

    collection = await _new_layouts(components, await components.collections.find(collection_id))
    embedder = wishes.embedder or embedder_underway(collection)
    if embedder is None:
        if not await count_lacking(components.engine, collection, collection.vector):
            click.echo("Nothing is left to do.")
            await _show_newer_revision(components, collection)
            return
        embedder = collection.embedder
    try:
        await _embed_anew(components, collection, embedder, wishes)
    except NotVerified as error:
        text = f"{error.text} Nothing is switched."
        if error.unreadable:
            write_unreadable(wishes.list_file, error.unreadable)
            text += (
                f" The records that cannot be read are listed in {wishes.list_file}: give them "
                f"again with --records, or leave them out with their number: "
                f"--skip-unreadable {len(error.unreadable)}"
            )
        raise click.ClickException(text) from None


async def _pending_revision(components: Components, collection: Collection) -> str:
    from lookalike.adapter.errors import LookalikeError

    try:
        newer = await components.embedding.find_newer_revision(collection)
    except LookalikeError as error:
        return f"unknown, for it cannot be loaded here ({error})"
    if newer is None:
        return "none"
    state = "comparable" if newer.comparable else "not comparable, pictures are answered with 409"
    return f"{newer.revision}, {state}"


async def _show_newer_revision(components: Components, collection: Collection) -> None:
    """That the same embedder would make other vectors now, which is never done unasked."""
    pending = await _pending_revision(components, collection)
    if pending != "none":
        click.echo(
            f"Its vectors are of revision {collection.revision} of {collection.embedder}; "
            f"installed is {pending}. To make them anew: "
            f"lookalike migrate up {collection.id} --embedder {collection.embedder}"
        )


async def _new_layouts(components: Components, collection: Collection) -> Collection:
    from rich.progress import Progress

    from lookalike.migrations import layout

    for migration in layout.pending(collection):
        total = await components.records.count(collection)
        with Progress() as bar:
            task = bar.add_task(f"Layout {migration.number}", total=total)

            def show(more: int, bar: Progress = bar, task: Any = task) -> None:
                bar.advance(task, more)

            applied = await layout.apply(components.engine, collection, migration, show)
            collection = applied.collection
        click.echo(f"Layout {migration.number} is applied: {migration.text}.")
        if applied.doubtful:
            click.echo(f"{applied.doubtful} records {migration.doubt}")
    return collection


async def _embed_anew(
    components: Components, collection: Collection, embedder: str, wishes: Wishes
) -> None:
    from rich.progress import Progress

    from lookalike.adapter.collections.second_vector import SETTLE_SECONDS
    from lookalike.adapter.records.point_batches import count_lacking
    from lookalike.migrations.reembedding import SKIP_NONE

    skip = wishes.skip or SKIP_NONE
    with Progress() as bar:
        moving = await _reembedding(components, collection, embedder, wishes.records, bar)
        if moving.target.revision == collection.revision:
            missing = await count_lacking(components.engine, collection, collection.vector)
            left = await moving.fill(collection, collection.vector) if missing else []
            await moving.check_unreadable(left, skip)
            done, said = collection, f"{missing - len(left)} of {missing} that had none got theirs"
        else:
            verdict = await moving.prepare(skip=skip, min_overlap=wishes.min_overlap)
            left, said = verdict.unreadable, describe_overlap(verdict.overlap)
            if wishes.keep_both:
                done, said = collection, f"beside them those of {embedder}, {said}"
                await asyncio.sleep(SETTLE_SECONDS)
            else:
                done = await moving.switch()
    if left:
        write_unreadable(wishes.list_file, left)
        click.echo(
            f"{len(left)} records without a vector are listed in {wishes.list_file}.", err=True
        )
    click.echo(f"{done.name}: searched by vectors of {done.embedder} {done.revision}; {said}.")


def describe_overlap(overlap: Overlap) -> str:
    if overlap.share is None:
        return "nothing was measured: no record has a neighbour"
    return (
        f"{percent(overlap.share)} of the nearest ten are the same, "
        f"of {overlap.records} records looked at"
    )


def percent(share: float) -> str:
    """Rounded, but neither to nothing nor to all where it is neither."""
    if 0 < share < 0.01:
        return "less than 1 %"
    if 0.99 < share < 1:
        return "more than 99 %"
    return f"{100 * share:.0f} %"


async def _reembedding(
    components: Components, collection: Collection, embedder: str, records: Path | None, bar: Any
) -> Reembedding:
    from lookalike.migrations.reembedding import PassReports, Reembedding
    from lookalike.migrations.sources import GivenRecords

    target = await components.embedding.identify_embedder(embedder, "--embedder")

    class Shown(PassReports):
        task: Any = None

        def pass_begins(self, number: int, records: int) -> None:
            self.task = bar.add_task(f"Pass {number}", total=records, visible=records > 0)

        def looked_at(self, records: int) -> None:
            bar.advance(self.task, records)

    return Reembedding(
        components.engine,
        collection.id,
        target,
        partial(components.embedding.embed_with, embedder, fetch_headers=collection.fetch_headers),
        GivenRecords(records),
        Shown(),
    )


def write_unreadable(file: Path, unreadable: Sequence[Unreadable]) -> None:
    import msgspec

    file.write_bytes(b"".join(msgspec.json.encode(each) + b"\n" for each in unreadable))


@migrate_group.command("switch")
@click.argument("collection_id")
@data_option
def switch_command(collection_id: str, data: str | None) -> None:
    """Search by the other vector from now on; once more takes it back."""

    async def action(components: Components) -> None:
        from lookalike.migrations.reembedding import switch_and_settle

        collection = await components.collections.find(collection_id)
        done = await switch_and_settle(components.engine, collection)
        click.echo(f"{done.name}: searched by {done.vector}, {done.embedder} {done.revision}.")

    run_action(data, action)


@migrate_group.command("drop")
@click.argument("collection_id")
@click.option("--yes", is_flag=True, help="Do not ask.")
@data_option
def drop_command(collection_id: str, yes: bool, data: str | None) -> None:
    """Delete the vector that is not searched: the former one, or one that is being filled."""
    if not yes:
        click.confirm("Delete the other vector of all records of this collection?", abort=True)

    async def action(components: Components) -> None:
        from lookalike.adapter.collections import second_vector

        collection = await components.collections.find(collection_id)
        await second_vector.drop_second_vector(components.engine, collection)
        second = collection.second_vector
        click.echo("There was none." if second is None else f"{second.vector} is deleted.")

    run_action(data, action)


def run_action(data: str | None, action: Any) -> None:
    from lookalike.cli.offline import run_with_components

    run_with_components(settings_with(data=data), action)
