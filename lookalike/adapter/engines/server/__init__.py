"""The engine of production: a Qdrant server or cluster, through the official client over REST.

Adds to the client what a service needs: deadlines, harmless retries, errors of our own. Runs in the
API process. May import `engines.base`, `adapter.errors`, `adapter.deadline`, qdrant_client, httpx,
tenacity.
"""
