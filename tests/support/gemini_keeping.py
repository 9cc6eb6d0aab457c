"""A keeper that decides nothing: it names what it has, or has it made first."""

from functools import partial

from promptcache.flow import Aside
from promptcache.providers.gemini import wire
from promptcache.providers.gemini.refusals import names_cache


class FakeKeeper:
    """Puts the same cut of every request into a cached content before sending it."""

    entry = None

    def __init__(self, at=0):
        self.at = at
        self.held = {}
        self.placed = []
        self.receipts = []
        self.refusals = []
        self.is_closed = False

    def place(self, prepared, remote):
        self.placed.append(prepared)
        body, outline = prepared.request.body, prepared.outline
        cuts = wire.cuts(body)
        if not cuts:
            return
        cut = cuts[self.at]
        digest = outline.digest_before(wire.end_of(outline, cut))
        if digest not in self.held:
            create = partial(remote.create, seconds=600, display_name="test")
            members = wire.members(body, cut)
            model = prepared.request.model
            self.held[digest] = yield Aside(partial(create, model, members))
        held = self.held[digest]
        prepared.body = wire.rest(body, cut, held.name)
        prepared.breakpoints = (f"{cut} in {held.name}",)
        prepared.placement = self

    def lost(self, prepared, status, message):
        self.refusals.append((status, message))
        if not names_cache(status, message):
            return False
        self.held.clear()
        prepared.leave()
        return True

    def settled(self, receipt):
        self.receipts.append(receipt)

    def close(self):
        self.is_closed = True


class NoKeeper:
    """A keeper that nobody may ask."""

    def __getattr__(self, name):
        raise AssertionError(f"the keeper was asked: {name}")
