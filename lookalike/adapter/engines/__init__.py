"""The two engines that records are kept in, with the methods of `AsyncQdrantClient` that we use.

`base` is what the rest of the adapter knows of them; `server` stands before a Qdrant server, and
`embedded` before a worker process of our own. Runs in the API process, but for `embedded.worker`.
May import `adapter.errors`, `adapter.deadline` and libraries, nothing else of `adapter`.
"""
