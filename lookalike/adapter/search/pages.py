"""A ranking as a stream of matching hits, for whoever cannot know how many it will take."""

from __future__ import annotations

from lookalike.adapter.records.selection import Selection, Work, keep_matching
from lookalike.adapter.search.ranking import Hit, Ranking

EXTRA_HITS = 16
"""So many more are fetched than are missing: the residual may remove some."""
MAX_PAGE = 20_000


class RankedMatches:
    """The matching hits of a ranking from the first on, fetched in pages of doubling size.

    `work` bounds what a residual may cost.
    """

    def __init__(self, ranking: Ranking, selection: Selection, work: Work) -> None:
        self._ranking = ranking
        self._selection = selection
        self._work = work
        self._hits: list[Hit] = []
        self._ids: set[str] = set()
        self._fetched = 0
        self._limit = 0
        self.exhausted = False

    async def fetch_first(self, wanted: int) -> list[Hit]:
        """The first `wanted` hits, fewer only if there are no more."""
        while len(self._hits) < wanted and not self.exhausted:
            # A residual seldom removes many hits, so a slightly larger page is usually enough.
            missing = wanted - len(self._hits)
            self._limit = min(max(2 * self._limit, missing + EXTRA_HITS), MAX_PAGE)
            await self._fetch_page()
        return self._hits[:wanted]

    async def _fetch_page(self) -> None:
        own, others = await self._ranking.fetch(self._fetched, self._limit)
        candidates = own + others if self._fetched == 0 else others
        # An approximate index may answer a hit again on a later page.
        fresh = [hit for hit in candidates if hit.id not in self._ids]
        self._hits += await keep_matching(
            self._selection, fresh, lambda hit: hit.record, self._work
        )
        self._ids.update(hit.id for hit in fresh)
        self._fetched += self._limit
        self.exhausted = len(others) < self._limit
