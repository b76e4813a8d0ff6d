"""What the OpenAPI document says in words: a text and an example for each field, by its name.

A name stands for one thing in all bodies and answers. Settings of collections have their texts
where they are defined, and only their examples here.
"""

from __future__ import annotations

from typing import Any

RECORD = {"_id": "chair-1", "_url": "https://shop.example/chair-1.jpg", "price": 49.5}
FILTER = {"price": {"$lt": 100}}
TIME = "2026-01-31T12:00:00+00:00"
NEXT = "/similarity/photos/v2/allRecords?size=100&page=2&after=MTA"
UUID = "0b7c1d0e-5a3f-4d86-9b51-2f4f0c6a7d11"

FIELDS: dict[str, tuple[str, Any]] = {
    "_id": ("The id of a record, a text.", "chair-1"),
    "_service_info": ("What answers.", {"_name": "visual similarity search"}),
    "alternative": ("The second vector, where records have two.", None),
    "alternative_share": ("Fraction of distinct queries that the second vector answers.", 0.5),
    "answer_count": ("How many records `answer_records` has.", 1),
    "answer_distances": ("The distance of each record of the answer.", [0.12]),
    "answer_records": ("The records of the answer.", [RECORD]),
    "call_type": ("What the call is for; not looked at.", "authenticate"),
    "code": ("The provider's code; in most answers not that of HTTP.", 200),
    "collection": ("The id of a collection, or its name.", UUID),
    "collection_id": ("The id of a collection, where no header has it.", UUID),
    "complete": ("Whether every record has the vector whose picture can be read.", True),
    "count": ("How many there are; in a request, how many are wanted.", 1),
    "created": ("When it was made, ISO 8601.", TIME),
    "data": ("Any object.", {"inserted": 120}),
    "detail": ("The text of the error, with its place.", "Expected `int` >= 0 (at $.k)"),
    "dimension": ("How many numbers a vector has.", 1280),
    "distance": ("How far apart two vectors are is measured so.", "cosine"),
    "diversity": ("How much difference from the records before counts, beside nearness.", 0.3),
    "embedder": ("The name of the embedder.", "product"),
    "extract_colors": ("Whether each record gets its picture's `_dominant_colors`.", False),
    "facets": ("Values of the field, the most frequent first.", [{"value": "red", "count": 3}]),
    "fields_to_index": ("The fields that have an index.", []),
    "field": ("A field of records; dots lead into objects.", "price"),
    "fields_to_return": ("Fields that records of the answer have; `*`: all.", ["_id", "price"]),
    "filter": ("A filter in MongoDB's language: which records count.", FILTER),
    "from": ("How many of the first hits are left out.", 0),
    "group_by": ("Field by which hits are grouped; empty: none.", "product_id"),
    "group_size": ("Records of each group.", 1),
    "hash_type": ("The kind of hash.", "bmh1"),
    "id": ("The id.", UUID),
    "info": ("What the collection is, in words.", "products similarity, 120 records"),
    "k": ("How many hits are wanted.", 10),
    "limit": ("How many values are wanted.", 100),
    "name": ("The name.", "shop"),
    "negative": ("Records that the hits should not look like.", [{"_id": "chair-7"}]),
    "next": ("Where the next page is; not there at the end.", NEXT),
    "place": ("Where in the request the fault is.", "$.filter.price.$gt"),
    "positive": ("Records that the hits should look like.", [{"_id": "chair-1"}]),
    "previous": ("Where the page before is.", None),
    "storage": ("How a Qdrant server keeps it.", None),
    "query_record": ("What is looked for: `_id`, `_url`, `_base64` or `_text_data`.", RECORD),
    "query_records": ("Several pictures: the nearest of them counts.", [RECORD]),
    "radius": ("The largest distance that a hit may have.", 0.5),
    "records": ("Records, with `_id`, `_url` or `_base64`, and any fields.", [RECORD]),
    "records_count": ("How many records it has.", 120),
    "results": ("What the page has.", []),
    "revision": ("Which vectors the embedder makes.", "lite0-1"),
    "seed": ("The same seed answers the same records.", 7),
    "service": ("The service that is meant; there is one.", "photo-search"),
    "service_name": ("As `service`.", "photo-search"),
    "share": ("Fraction of distinct queries that it answers.", 0.5),
    "skipped_records": (
        "Records that were not taken, each with its `_reason`.",
        [{"_id": "chair-2", "_reason": {"status": {"code": 422, "text": "no picture"}}}],
    ),
    "statistics": ("Milliseconds, and what is worth knowing.", {"OperationTime": 3}),
    "status": ("How it went.", {"code": 200, "text": "OK"}),
    "tag_weight": ("Share of the tags in the distance.", 0.25),
    "text": ("The same in words.", "OK"),
    "timeout_s": ("The longest that a `_url` is fetched, in seconds.", 5.0),
    "title": ("The text of the error.", "Collection not found."),
    "type": ("The kind of thing that it is.", "photos"),
    "updated": ("When it was changed, ISO 8601.", TIME),
    "value": ("A value of the field.", "red"),
    "vector": ("The name of the vector.", "visual"),
    "weights": ("How much each picture of the query counts.", [1.0]),
    "workspace": ("There is one.", "Default"),
}

EXAMPLES: dict[str, Any] = {
    "fields_to_index": [],
    "IndexedField.type": "number",
    "product_id_field": "product_id",
    "capacity": 100_000,
    "tag_idf": False,
    "update_vectors": True,
    "storage": {"quantization": "turbo"},
    "fetch_headers": {"https://shop.example": {"Authorization": "Token of-the-shop"}},
    "shard_number": 2,
    "replication_factor": 2,
    "write_consistency_factor": 1,
    "quantization": "turbo",
    "on_disk": False,
}
"""Of the fields that have their text elsewhere."""

TAGS = {
    "account": "What clients ask before or beside the service.",
    "collections": "Making, changing and deleting collections; these are ours.",
    "health": "For whoever watches the service.",
    "image matching": "Pictures of the request alone, without a collection.",
    "old clients": "Methods that only clients until 2021 call.",
    "records": "Inserting, changing, reading and deleting records.",
    "run logs": "Notes that programs keep beside a collection.",
    "searches": "What looks like this?",
}

DESCRIPTION = """\
Self-hosted visual similarity search, with the methods of a commercial API.

**Prefixes.** Each method answers under every prefix that clients of the provider use, such as
`/similarity/photos/v2/`, `/similarity/products/v2/`, `/photo/search/v2/` and
`/similarity/custom/v2/`, with a slash at the end and without. This document has one of them.

**Collection.** The header `collection-id` names it. Instead of it the older header `collection`
takes a name, and so do `collection_id` and `collection` in the body.

**Codes.** An answer that found nothing, or took only a part, is HTTP 200: `status.code` tells.
"""

TOKEN_TEXT = "`Token <token>`; `JWT` and `Bearer` are taken as well."

ERRORS: dict[int, str] = {
    400: "The request is wrong; `place` says where.",
    401: "There is no token, or not a valid one.",
    403: "The token has not this right.",
    404: "There is no such thing, or none that this token may use.",
    408: "The body of the request does not arrive.",
    409: "The request does not fit the collection, or its name is taken.",
    413: "The body of the request is too large.",
    429: "This token has its share of what all use; `Retry-After` says when to come back.",
    500: "A fault of the service.",
    503: "Not now; `Retry-After` says when to come back.",
    507: "The disk is full: nothing can be added. Searches and deletes go on.",
}
