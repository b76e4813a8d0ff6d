"""Searches: what is asked, the plan that is made of it, and the rankings that answer it.

`service` is what handlers call, and refuses what is wrong before anything is asked of the engine;
`nearest` executes a plan, on a ranking of `ranking` or `hybrid`; `grouping`, `mmr` and `pages` read
rankings; `vectors` reads stored vectors. The top of the adapter: may import all of its rooms, and
none of them imports this one.
"""
