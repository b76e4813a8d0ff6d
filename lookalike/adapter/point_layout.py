"""What a point of ours is made of, by name: its vectors, and the one key of its payload; and where
a collection keeps what it is.

At the bottom of the adapter, because filters, collections and records all name these.
"""

from __future__ import annotations

RESERVED_KEY = "_lookalike"
"""The one key of a payload that is ours. Everything else is the record as the user sent it."""

METADATA_KEY = "lookalike"
"""Under it the metadata of a collection in the engine has our settings, its `id` among them."""

VISUAL_VECTOR = "visual"
TAGS_VECTOR = "tags"
