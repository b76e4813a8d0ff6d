"""The provider's many addresses for one service, mapped to one address each.

Every service prefix offers the whole method set, clients of several years spell prefixes and
slashes in their own way, and a redirect would turn their POST into a GET. So a request's path is
normalised before it is routed: `/localhost/photo/search/v2/insert/` is answered by the handler of
`/similarity/photos/v2/insert`. The prefix stays known as `scope["state"]["prefix"]`.
"""

from __future__ import annotations

import re
from collections.abc import Container

from lookalike.adapter.collections.collection_settings import CollectionType
from lookalike.api.settings import HttpSettings, SettingsError

METHODS_ROOT = "/similarity/photos/v2"

PREFIX_TYPES: dict[str, CollectionType | None] = {
    "similarity/photos": "photos",
    "photo/search": "photos",
    "similarity/products-new": "products",
    "similarity/products": "products",
    "similarity/fashion-new": "fashion",
    "similarity/fashion": "fashion",
    "similarity/fashion-simple": "fashion",
    "similarity/products_tags": "fashion",
    "similarity/homedecor-new": "homedecor",
    "similarity/homedeco-newr": "homedecor",
    "similarity/homedecor": "homedecor",
    "similarity/custom": "custom",
    "similarity/colors": "colors",
    "image_matching": "matching",
    "similarity/text/photo": "photos",
    "similarity/text/products": "products",
    "similarity/text/fashion": "fashion",
    "similarity/text/homedecor": "homedecor",
    "photo/text": "photos",
    "photo": "photos",
    "smart": None,
    "visual-search": None,
}
"""Service prefix (before `/v2/`) -> the collection type that it stands for.

None stands for every type: these two searched products of any kind, until 2021.
"""

ALIASES = {
    "visual_search": "visualKNN",
    "visualSearch": "visualKNN",
    "search": "visualKNN",
    "approxVisualKNN": "visualKNN",
    "product/insert": "insert",
}

METHODS = frozenset(
    {
        "ping",
        "insert",
        "update",
        "delete",
        "deleteByFilter",
        "get",
        "random",
        "allRecords",
        "allIDs",
        "visualKNN",
        "visualTagsKNN",
        "visualRange",
        "visualRankRecords",
        "nearDuplicates",
        "nearDupsInsert",
        "text",
        "descriptor",
        "facets",
        "visual_hash",
        "remove_duplicates",
        "rank_images",
        "product/search",
    }
)

UNSUPPORTED = frozenset(
    {
        "detect",
        "search_by_object",
        "product/detect",
        "product/search_by_object",
        "product/top_categories",
    }
)
"""Methods of old clients that need to find the objects in an image, which nothing here does."""

# The client skips its check against the provider's own host only where the endpoint contains
# `localhost`; behind /localhost/ any host name can have that.
_LOCALHOST = re.compile(r"^(?:/+localhost(?=/))+")
_METHOD = re.compile(r"^(?:/(?P<prefix>[\w./-]+?)/v2)?/(?P<method>(?:product/)?\w+)$")
_ANYWHERE = re.compile(r"^(?:/.*)?(?P<path>/(?:authorization/v2/authorize|account/v2/.+))$")
_OBJECTS = re.compile(r"^(?:/.*)?(?P<path>/similarity/v2/(?:collection|run-log)(?:/[^/]+)?)$")


def canonical(
    path: str, any_prefix: bool = False, own_prefixes: Container[str] = ()
) -> tuple[str, str | None]:
    """The path that is routed, and the service prefix if it named a method of one."""
    path = _LOCALHOST.sub("", path)
    path = re.sub(r"/{2,}", "/", path).rstrip("/") or "/"
    for pattern in (_ANYWHERE, _OBJECTS):
        if found := pattern.match(path):
            return found["path"], None
    found = _METHOD.match(path)
    if found is None:
        return path, None
    prefix, method = found["prefix"], ALIASES.get(found["method"], found["method"])
    known = prefix is None or prefix in PREFIX_TYPES or prefix in own_prefixes or any_prefix
    if not known or method not in METHODS | UNSUPPORTED:
        return path, None
    return f"{METHODS_ROOT}/{method}", prefix


def collections_by_prefix(settings: HttpSettings) -> dict[str, str]:
    """Prefix -> id or name of the collection of the clients that name none.

    Raises SettingsError for an entry that no request could ever meet, and for a prefix that has two
    collections.
    """
    found: dict[str, str] = {}
    for number, entry in enumerate(settings.prefix_collections, 1):
        place = f"LOOKALIKE_PREFIX_COLLECTIONS, entry {number}"
        prefix, _, collection = (part.strip() for part in entry.partition("="))
        met = canonical(f"/{prefix}/v2/ping", own_prefixes={prefix})[1]
        if not collection or met != prefix or prefix.endswith("/v2"):
            raise SettingsError(
                f"{place}: prefix=collection is needed, with the prefix as it stands in a path "
                "between the first slash and /v2/"
            )
        if prefix in found:
            raise SettingsError(f"{place}: the prefix has a collection already")
        found[prefix] = collection
    return found
