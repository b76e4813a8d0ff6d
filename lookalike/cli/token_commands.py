"""`lookalike tokens`: make tokens, list and revoke those of the file that a service reads."""

from __future__ import annotations

import os
from pathlib import Path

import click

from lookalike.api.auth import SCOPES, new_token, token_digest

LEAST_PREFIX = 6

file_option = click.option(
    "--file",
    "file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The file of tokens.  [LOOKALIKE_TOKENS_FILE]",
)


@click.group("tokens")
def tokens_group() -> None:
    """Tokens for the clients of the service."""


@tokens_group.command("create")
@click.option("--scope", "scopes", multiple=True, type=click.Choice(SCOPES), help="Default: all.")
@click.option("--collection", "collections", multiple=True, help="Default: all collections.")
@click.option("--name", help="A remark, which `list` shows: whose token it is.")
@file_option
def create_token(
    scopes: tuple[str, ...], collections: tuple[str, ...], name: str | None, file: Path | None
) -> None:
    """Make a token. It is shown once; only its hash is written into the file.

    Without a file the line for it is shown. A running service reads the file by itself.
    """
    token = new_token()
    words = [token_digest(token).hex(), ",".join(scopes or SCOPES)]
    if collections:
        words.append(",".join(collections))
    if name:
        words.append(f"# {' '.join(name.split())}")
    click.echo(f"Token for the client: {token}")
    if (found := _file_named(file)) is None:
        click.echo(f"Line for the file that LOOKALIKE_TOKENS_FILE names:\n{' '.join(words)}")
        return
    lines = _read_lines(found) if found.exists() else []
    _write_lines(found, [*lines, " ".join(words)])
    click.echo(f"It is allowed by {found} from now on.")


@tokens_group.command("list")
@file_option
def list_tokens(file: Path | None) -> None:
    """The tokens of the file: the beginning of the hash, scopes, collections, and the remark."""
    for line in _read_lines(_needed(file)):
        rights, _, remark = line.partition("#")
        words = rights.split()
        if words:
            scopes = words[1] if len(words) > 1 else ",".join(SCOPES)
            of = words[2] if len(words) > 2 else "all collections"
            click.echo(f"{words[0][:12]}  {scopes}  {of}  {remark.strip()}".rstrip())


@tokens_group.command("revoke")
@click.argument("hash_or_name")
@file_option
def revoke_token(hash_or_name: str, file: Path | None) -> None:
    """Remove the token whose hash begins so, or that has this name.

    The last one is not removed: without any token everybody would be let in. Stop the service
    instead, or make another one first.
    """
    path = _needed(file)
    lines = _read_lines(path)
    tokens = [line for line in lines if line.partition("#")[0].strip()]
    found = [line for line in tokens if _is_meant(line, hash_or_name)]
    if not found:
        raise click.ClickException(f"{path} has no such token")
    if len(found) > 1:
        raise click.ClickException(f"{len(found)} tokens are meant: name more of the hash")
    if len(tokens) == 1:
        raise click.ClickException("it is the last token of the file: make another one first")
    lines.remove(found[0])
    _write_lines(path, lines)
    click.echo(f"Revoked {found[0].split()[0][:12]}. A running service knows within seconds.")


def _is_meant(line: str, hash_or_name: str) -> bool:
    rights, _, remark = line.partition("#")
    begins = len(hash_or_name) >= LEAST_PREFIX and rights.split()[0].startswith(hash_or_name)
    return begins or (hash_or_name != "" and remark.strip() == hash_or_name)


def _file_named(file: Path | None) -> Path | None:
    if file is not None:
        return file
    named = os.environ.get("LOOKALIKE_TOKENS_FILE")
    return Path(named) if named else None


def _needed(file: Path | None) -> Path:
    found = _file_named(file)
    if found is None:
        raise click.ClickException("name the file: --file, or LOOKALIKE_TOKENS_FILE")
    return found


def _read_lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise click.ClickException(f"{path}: {reason}") from None


def _write_lines(path: Path, lines: list[str]) -> None:
    """Replaces the file as a whole: a service may read it at any time."""
    temporary = path.with_name(f"{path.name}.new")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")
        temporary.replace(path)
    except OSError as error:
        raise click.ClickException(f"{path}: {error.strerror}") from None
