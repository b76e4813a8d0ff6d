"""What a collection is, and where it is kept: in the metadata of the collection in Qdrant itself.

`settings` holds the one struct of its settings, `defaults` what follows from its type, `store` how
it is kept, `cache` the collections as this process knows them, and `service` what is done to one.
May import `filters` and `engines` and what is below them; never `records` or `search`.
"""
