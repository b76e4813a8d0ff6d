"""Records: what is kept of one, and how it is inserted, changed, deleted, listed and selected.

`service` is what handlers and commands call; `writer` inserts (`inserting`), changes (`updating`)
and deletes, `listing` reads without a ranking, `numbered_pages` in pages, `reader_places` helps
readers who count them. `points` makes a point of a record, `selection` says which records a filter
means: it is here because listings and deletions need it, and searches may import it.
`point_batches` are the raw points that migrations move. Images are a port here (`image_sources`):
vectors come from above.
May import `collections`, `filters`, `engines` and what is below them; never `search`.
"""
