"""Where in a graph of runs a model is called: under which agent, in which chain.

Rule 1: memory is bounded, also for runs whose end never comes.
"""

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from langchain_promptcache.locks import ForkSafeLock

__all__ = ["Place", "Places", "name_of"]

_MAX_PLACES = 10_000
_MAX_DEPTH = 100

_AGENT = "lc_agent_name"
_NODE = "langgraph_node"


@dataclass(frozen=True, slots=True)
class Place:
    """A run that others are made in."""

    run_id: object
    name: str
    under: "Place | None" = None
    """The run that it is made in; None if it is the outermost."""

    def upward(self) -> Iterator["Place"]:
        """Yield this run and those that it is made in, innermost first."""
        place: Place | None = self
        for _ in range(_MAX_DEPTH):
            if place is None:
                return
            yield place
            place = place.under

    @property
    def chain(self) -> str:
        """The name of the outermost run."""
        return [place.name for place in self.upward()][-1]

    def agent(self, metadata: Mapping[str, Any]) -> str | None:
        """Return the agent that a model is called by here.

        An agent made by `create_agent` says its name. Another graph has it from where
        it was compiled; its run is the one that the node's is made in.

        Args:
            metadata: That of the call.
        """
        name, node = metadata.get(_AGENT), metadata.get(_NODE)
        if name or not node:
            return str(name) if name else None
        nodes = (it for it in self.upward() if it.name == node)
        graph = next((it.under for it in nodes), None)
        return None if graph is None else graph.name


class Places:
    """The runs that are going on, as far as a handler was told of them."""

    def __init__(self) -> None:
        self._places: OrderedDict[object, Place] = OrderedDict()
        self._lock = ForkSafeLock()

    def enter(self, run_id: object, parent: object, name: str) -> Place | None:
        """Take note of a run that begins; return the one that it is made in.

        Args:
            run_id: LangChain's id of it.
            parent: That of the run that it is made in, if it is made in one.
            name: What it is called.
        """
        with self._lock:
            under = None if parent is None else self._places.get(parent)
            self._places[run_id] = Place(run_id, name, under)
            while len(self._places) > _MAX_PLACES:
                self._places.popitem(last=False)
        return under

    def leave(self, run_id: object) -> None:
        """Forget a run that has ended."""
        with self._lock:
            self._places.pop(run_id, None)


def name_of(serialized: Mapping[str, Any] | None, name: str | None) -> str:
    """Return what a run is called: by its caller, else by its class."""
    said = serialized or {}
    path = said.get("id") or [None]
    return str(name or said.get("name") or path[-1] or "unknown")
