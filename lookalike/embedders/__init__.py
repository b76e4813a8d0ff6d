"""Images and texts become vectors.

`protocol` says what an embedder is, `registry` finds and loads the installed ones, and `batching`
puts one thread and a short queue in front of each. The other modules are the bundled embedders.
This room imports no web framework, no engine, and nothing of the adapter: it knows no records,
no collections and no filters.
"""
