"""`lookalike tokens`: make a token, and the line that allows it."""

from __future__ import annotations

import click

from lookalike.api.auth import SCOPES, new_token, token_digest


@click.group("tokens")
def tokens_group() -> None:
    """Tokens for the clients of the service."""


@tokens_group.command("create")
@click.option("--scope", "scopes", multiple=True, type=click.Choice(SCOPES), help="Default: all.")
@click.option("--collection", "collections", multiple=True, help="Default: all collections.")
def create_token(scopes: tuple[str, ...], collections: tuple[str, ...]) -> None:
    """Make a token. It is shown once; only its hash goes into LOOKALIKE_TOKENS_FILE."""
    token = new_token()
    words = [token_digest(token).hex(), ",".join(scopes or SCOPES)]
    if collections:
        words.append(",".join(collections))
    click.echo(f"Token for the client: {token}")
    click.echo(f"Line for the file that LOOKALIKE_TOKENS_FILE names:\n{' '.join(words)}")
