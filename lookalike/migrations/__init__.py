"""Moving collections: between engines, to another layout of the payload, to another embedder.

`archive` is a collection as a file, `layout` the numbered changes of what a record looks like,
`reembedding` another embedder for a collection in use, `plans` what is pending. Everything goes on
after an interruption.
May import `embedding`, `adapter` and `embedders`; embedders are handed over as functions so far.
Knows no HTTP and no terminal: what a pass has done is reported to whoever calls.
"""
