"""The worker process of the embedded engine: it alone opens the data folder and calls qdrant_edge.

`main` reads requests, `scheduler` orders them, `database` and `shard` carry them out; `rebuild`
starts `index_builder` in a third process. Every call holds the interpreter lock, hence a process of
its own. May import `embedded.wire`, `embedded.messages`, `embedded.condition_messages`,
`embedded.worker_settings` and `engines.engine_facts`, msgspec, numpy and qdrant_edge; never
qdrant_client, pydantic or httpx, which cost 0.7 s and 90 MB.
"""
