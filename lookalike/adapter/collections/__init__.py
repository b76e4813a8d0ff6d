"""What a collection is, and where it is kept: in the metadata of the collection in Qdrant itself.

`collection_settings` holds the one struct of its settings, `defaults` what follows from its type,
`store` how it is kept, `storage` and `indexes` what the engine is told of it, `second_vector` how
its embedder changes, `cache` the collections as this process knows them, and `service` what is done
to one. May import `filters` and `engines` and what is below them; never `records` or `search`.
"""
