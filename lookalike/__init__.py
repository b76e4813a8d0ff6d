"""Lookalike: self-hosted visual similarity search, served in the words of the Ximilar API.

The rooms, from the top: `cli`, `api`, `migrations`, `embedding`, and side by side `adapter` and
`embedders`. Each may import those below it and never one above; CONTRIBUTING.md draws them, and
says which process runs what. This file imports nothing of ours: every process reads it first.
"""

from importlib.metadata import version

__version__ = version("lookalike")
