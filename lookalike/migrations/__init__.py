"""Moving collections: between engines, to another layout of the payload, to another embedder."""
