"""Lookalike: self-hosted visual similarity search, served in the words of the Ximilar API."""

from importlib.metadata import version

__version__ = version("lookalike")
