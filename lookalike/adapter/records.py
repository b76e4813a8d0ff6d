"""A user's record and the point that keeps it."""

from __future__ import annotations

RESERVED_KEY = "_lookalike"
"""The one key of a payload that is ours. Everything else is the record as the user sent it."""
