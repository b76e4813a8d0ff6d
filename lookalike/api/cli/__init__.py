"""The command line. What takes long to import is imported by the command that needs it."""

from __future__ import annotations

import click

from lookalike import __version__
from lookalike.api.cli.collections import collections
from lookalike.api.cli.demo import demo
from lookalike.api.cli.embedders import embedders
from lookalike.api.cli.migrate import migrate
from lookalike.api.cli.serve import serve
from lookalike.api.cli.tokens import tokens
from lookalike.api.cli.transfer import export, import_


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def main() -> None:
    """Self-hosted visual similarity search. Settings are environment variables, LOOKALIKE_…"""


for command in (serve, collections, demo, embedders, tokens, export, import_, migrate):
    main.add_command(command)
