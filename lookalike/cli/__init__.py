"""The command line: starts the service, and works on collections whether it runs or not.

A module for each group of commands; `offline` gives a command its components, on the engine of the
running service or on one of its own. The top of the house: may import every room, and none imports
this one. What takes long to import is imported by the command that needs it.
"""

from __future__ import annotations

import os

import click

from lookalike import __version__
from lookalike.cli.collection_commands import collections_group
from lookalike.cli.demo_command import demo_command
from lookalike.cli.doctor import doctor_command
from lookalike.cli.embedder_commands import embedders_group
from lookalike.cli.migrate import migrate_group
from lookalike.cli.serve import serve
from lookalike.cli.token_commands import tokens_group
from lookalike.cli.transfer import export_command, import_command


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def main() -> None:
    """Self-hosted visual similarity search. Settings are environment variables, LOOKALIKE_…"""
    # What is written is for whoever runs the command, and for nobody else on the machine.
    os.umask(0o077)


for command in (
    serve,
    collections_group,
    demo_command,
    embedders_group,
    tokens_group,
    export_command,
    import_command,
    migrate_group,
    doctor_command,
):
    main.add_command(command)
