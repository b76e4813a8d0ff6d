"""Methods that only clients until 2021 call, under `smart/v2/` and `visual-search/v2/`."""

from __future__ import annotations

from litestar import Controller, post, route

from lookalike.adapter.collections.collection_settings import Collection
from lookalike.adapter.errors import InvalidRequest, NotSupported
from lookalike.adapter.search.request import QUERY_RECORD, SearchRequest
from lookalike.adapter.search.service import SearchService
from lookalike.api import envelopes
from lookalike.api.bodies import JsonBody
from lookalike.api.dependencies import READ, SEARCH, AnyRequest
from lookalike.api.envelopes import Clock
from lookalike.api.request_paths import METHODS_ROOT, UNSUPPORTED
from lookalike.api.schemas import Answer, ProductSearch

ONLY_RECORD = "$.records[0]"


class OldMethods(Controller):
    path = METHODS_ROOT
    tags = ("old clients",)

    @post("/product/search", dto=JsonBody[ProductSearch], **SEARCH)
    async def product_search(
        self, data: ProductSearch, collection: Collection, searches: SearchService
    ) -> Answer:
        """As visualKNN, for the whole image of the one record of `records`."""
        clock = Clock()
        wanted = SearchRequest(
            query_record=data.records[0],
            k=data.k,
            filter=data.filter,
            fields_to_return=data.fields_to_return,
        )
        try:
            return envelopes.hits(await searches.find_similar(collection, wanted), clock)
        except InvalidRequest as error:
            if error.place is not None:
                error.place = error.place.replace(QUERY_RECORD, ONLY_RECORD, 1)
            raise

    @route(
        [f"/{method}" for method in sorted(UNSUPPORTED)],
        http_method=["GET", "POST"],
        include_in_schema=False,
        **READ,
    )
    async def refuse(self, request: AnyRequest) -> None:
        """Says which method it is that needs detection."""
        method = request.url.path.removeprefix(f"{METHODS_ROOT}/")
        raise NotSupported(f"{method} is not supported: it needs the detection of objects")
