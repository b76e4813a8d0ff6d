"""The handlers, a controller for each kind of method: the adapter answers, they wrap the outcome.

A handler says in `opt["scope"]` what a token needs for it, and takes from `api.dependencies` the
service and the collection that it works on. Imported by `api.app` alone.
May import the rest of `api`, and services and structs of `adapter`; it never speaks to an engine.
"""
