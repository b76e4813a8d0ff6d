"""The command line. What takes long to import is imported by the command that needs it."""

from __future__ import annotations

import click

from lookalike import __version__
from lookalike.cli.collection_commands import collections
from lookalike.cli.demo_command import demo
from lookalike.cli.embedder_commands import embedders
from lookalike.cli.migrate import migrate
from lookalike.cli.serve import serve
from lookalike.cli.token_commands import tokens
from lookalike.cli.transfer import export, import_


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def main() -> None:
    """Self-hosted visual similarity search. Settings are environment variables, LOOKALIKE_…"""


for command in (serve, collections, demo, embedders, tokens, export, import_, migrate):
    main.add_command(command)
