"""The embedded engine: `client` speaks to a worker process that owns the data folder.

`client`, `conversion` and `connection` run in each API process, `supervisor` in the one that owns
the worker, which runs `worker`. Both sides share `wire`, `messages` and `worker_settings` alone:
nothing here imports `worker`, whose main module the supervisor names as a string. May import
`engines.base`, `adapter.errors` and `adapter.deadline`.
"""
