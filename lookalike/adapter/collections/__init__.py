"""What a collection is, and where it is kept: in the metadata of the collection in Qdrant itself.

`collection_settings` holds the one struct of its settings, `defaults` what follows from its type,
`store` how it is kept, `storage` and `indexes` what the engine is told of it, `second_vector` how
its embedder changes, `cache` the collections as this process knows them, and `service` what is done
to one. `names` says who has a name, and `ledger` keeps what all processes share besides.
May import `filters` and `engines` and what is below them; never `records` or `search`.
"""
