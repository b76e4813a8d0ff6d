"""The provider's words become Qdrant's words, and answers become records again.

Runs in every API process and command; only the engine's worker is a process of its own. May import
Qdrant's client and other libraries, but no web framework, no model, no image library and no other
room: what it needs of the embedders is a protocol, `records.image_sources.EmbeddingPort`. Its
rooms, from the top: `search`, `records`, `collections`, and side by side `filters` and `engines`;
below all of them `errors`, `limits`, `deadline` and `point_layout`.
"""
