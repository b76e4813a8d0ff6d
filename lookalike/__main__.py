"""`python -m lookalike` is the command `lookalike`."""

from lookalike.api.cli import main

main(prog_name="lookalike")
