"""HTTP: paths, tokens, bodies and envelopes of the provider's API, around the adapter's services.

`app` brings routes and dependencies together, `lifespan` what lives as long as a process,
`components` what a process is made of, `settings` what the environment says; the handlers are in
`routes`. May import everything below: `migrations`, `embedding`, `adapter` and `embedders`; never
`cli`. Nothing below knows HTTP.
"""
