"""The embedded engine: `client` speaks to a worker process that alone opens the data folder.

`client`, `conversion` and `connection` run in each API process, `supervisor` in the main process,
which starts the worker. Both sides share `wire`, `messages`, `condition_messages`,
`worker_settings` and `engines.engine_facts` alone: nothing here imports `worker`, whose main module
the supervisor names as a string. May import `engines.base`, `adapter.errors` and
`adapter.deadline`.
"""
