"""The provider's many addresses, mapped to one each."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lookalike.api import request_paths
from lookalike.api.request_paths import (
    METHODS,
    METHODS_ROOT,
    PREFIX_TYPES,
    UNSUPPORTED,
    canonical,
    collections_by_prefix,
)
from lookalike.api.settings import HttpSettings, SettingsError

ROOT = METHODS_ROOT


@pytest.mark.parametrize(
    ("path", "routed", "prefix"),
    [
        ("/similarity/photos/v2/insert", f"{ROOT}/insert", "similarity/photos"),
        ("/similarity/photos/v2/insert/", f"{ROOT}/insert", "similarity/photos"),
        ("/similarity/photos/v2//insert//", f"{ROOT}/insert", "similarity/photos"),
        ("//photo//search/v2/ping", f"{ROOT}/ping", "photo/search"),
        ("/image_matching/v2/ping", f"{ROOT}/ping", "image_matching"),
        ("/localhost/image_matching/v2/ping", f"{ROOT}/ping", "image_matching"),
        ("/localhost/localhost/photo/search/v2/ping/", f"{ROOT}/ping", "photo/search"),
        ("//localhost//photo/search/v2/ping", f"{ROOT}/ping", "photo/search"),
        ("/similarity/fashion-new/v2/visual_search", f"{ROOT}/visualKNN", "similarity/fashion-new"),
        ("/similarity/photos/v2/search", f"{ROOT}/visualKNN", "similarity/photos"),
        ("/similarity/homedeco-newr/v2/ping", f"{ROOT}/ping", "similarity/homedeco-newr"),
        ("/smart/v2/allIDs", f"{ROOT}/allIDs", "smart"),
        ("/visual-search/v2/product/insert", f"{ROOT}/insert", "visual-search"),
        ("/localhost/smart/v2//product/search/", f"{ROOT}/product/search", "smart"),
        ("/smart/v2/product/detect", f"{ROOT}/product/detect", "smart"),
        ("/photo/search/v2/search_by_object", f"{ROOT}/search_by_object", "photo/search"),
        ("/allRecords", f"{ROOT}/allRecords", None),
        ("/localhost/allRecords/", f"{ROOT}/allRecords", None),
        ("/authorization/v2/authorize", "/authorization/v2/authorize", None),
        ("/x/y/v2/authorization/v2/authorize/", "/authorization/v2/authorize", None),
        ("/localhost/account/v2/user/", "/account/v2/user", None),
        ("/similarity/photos/v2/account/v2/config/x", "/account/v2/config/x", None),
        ("/similarity/v2/collection/", "/similarity/v2/collection", None),
        ("/localhost/similarity/v2/collection/a-b", "/similarity/v2/collection/a-b", None),
        ("/healthz", "/healthz", None),
        ("/localhost/readyz/", "/readyz", None),
        ("/", "/", None),
        ("", "/", None),
        ("/localhost", "/localhost", None),
        ("/similarity/photos/v2/unknown", "/similarity/photos/v2/unknown", None),
        ("/unknown/v2/ping", "/unknown/v2/ping", None),
        ("/similarity/photos/v1/ping", "/similarity/photos/v1/ping", None),
        ("/similarity/photos/v2/ping/more", "/similarity/photos/v2/ping/more", None),
        ("/similarity/photos/v2/INSERT", "/similarity/photos/v2/INSERT", None),
        ("/smart/v2/product/unknown", "/smart/v2/product/unknown", None),
        ("/smart/v2/products/search", "/smart/v2/products/search", None),
        ("/product/v2/product/", "/product/v2/product", None),
    ],
)
def test_canonical(path: str, routed: str, prefix: str | None) -> None:
    assert canonical(path) == (routed, prefix)


def test_unknown_prefixes_where_they_are_allowed() -> None:
    assert canonical("/example/v2/ping", any_prefix=True) == (f"{ROOT}/ping", "example")
    assert canonical("/a/b-c/v2/insert/", any_prefix=True) == (f"{ROOT}/insert", "a/b-c")
    assert canonical("/example/v2/unknown", any_prefix=True) == ("/example/v2/unknown", None)
    assert canonical("/healthz", any_prefix=True) == ("/healthz", None)


def test_prefixes_of_our_own() -> None:
    own = {"example", "a/b-c"}
    assert canonical("/example/v2/ping", own_prefixes=own) == (f"{ROOT}/ping", "example")
    assert canonical("/localhost/a/b-c/v2/insert/", own_prefixes=own) == (f"{ROOT}/insert", "a/b-c")
    assert canonical("/others/v2/ping", own_prefixes=own) == ("/others/v2/ping", None)


def mapped(*entries: str) -> dict[str, str]:
    return collections_by_prefix(HttpSettings(prefix_collections=entries))


def test_the_collection_of_a_prefix() -> None:
    assert mapped() == {}
    assert mapped("example=shop", "a/b-c = two words=x", "photo/search=7c1e") == {
        "example": "shop",
        "a/b-c": "two words=x",
        "photo/search": "7c1e",
    }


@pytest.mark.parametrize(
    "entry",
    ["x", "x=", "=x", "/x=a", "x/=a", "x/v2=a", "x/v2/=a", "a b=c", "a//b=c", "localhost=a"],
)
def test_a_prefix_that_no_path_has(entry: str) -> None:
    with pytest.raises(SettingsError, match=r"^LOOKALIKE_PREFIX_COLLECTIONS, entry 2: prefix="):
        mapped("example=shop", entry)


def test_a_prefix_with_two_collections() -> None:
    with pytest.raises(SettingsError, match=r"^LOOKALIKE_PREFIX_COLLECTIONS, entry 3: "):
        mapped("a=x", "b=x", "a=x")


@given(st.sampled_from(sorted(PREFIX_TYPES)), st.sampled_from(sorted(METHODS)), st.booleans())
def test_every_method_under_every_prefix(prefix: str, method: str, slash: bool) -> None:
    path = f"/{prefix}/v2/{method}" + "/" * slash
    assert canonical(path) == canonical(f"/localhost{path}") == (f"{ROOT}/{method}", prefix)


@given(st.text(st.sampled_from("/localhostv2.-_ %é\x00similaritypn"), max_size=60))
def test_any_path_is_mapped_to_a_path_and_stays_there(path: str) -> None:
    for any_prefix in (False, True):
        routed, _ = canonical(path, any_prefix)
        assert canonical(routed, any_prefix)[0] == routed


@pytest.mark.parametrize("length", [1_000, 50_000])
def test_long_paths_take_no_time(length: int) -> None:
    for part in ("/a", "a.", "/localhost", "/v2", "//"):
        routed, prefix = canonical(part * length + "!", any_prefix=True)
        assert routed.endswith("!")
        assert prefix is None


def test_aliases_are_of_methods_that_exist() -> None:
    assert set(request_paths.ALIASES.values()) <= METHODS
    assert not set(request_paths.ALIASES) & (METHODS | UNSUPPORTED)
    assert not METHODS & UNSUPPORTED
