"""Retrieved nodes in an order in which cached prefixes are read again.

Rule 1: nodes of the caller are never written to; what is returned are copies.
Rule 2: the text of a node stays what it was, so that its prefix does: what is added to
its metadata reaches neither an LLM nor an embedding. What changes with the question,
which is how well each node fits it, stands behind them all.
"""

from collections.abc import Sequence
from typing import Any

from llama_index.core.bridge.pydantic import Field, PrivateAttr, model_validator
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.schema import (
    BaseNode,
    MetadataMode,
    NodeWithScore,
    ObjectType,
    QueryBundle,
    TextNode,
)
from typing_extensions import Self

from promptcache import DocumentText, OrderMode, StableOrder

__all__ = ["StableNodeOrder"]

_RANK = "retrieval_rank"
_RANKING_ID = "retrieval-ranking"
_TEXTS = (ObjectType.TEXT, ObjectType.INDEX)


class StableNodeOrder(BaseNodePostprocessor):
    """Puts nodes into an order in which cached prefixes are read again.

    A retriever returns nodes by score, so in another order for each question, and
    nothing of them is read from the cache. Give this as the last of the
    `node_postprocessors` of a query or chat engine. Each node keeps its score, and has
    the place that it was retrieved at in `metadata["retrieval_rank"]`, from 1 on, which
    no LLM sees. A node whose text another one before it has is left out.
    """

    mode: OrderMode = "live"
    """`live`: the longest prefix of nodes that was handed out and is still alive comes
    first, then what was shared most of late, then what is new. `id`: nodes are sorted
    by the document that they are of, then by `node_id`, the same everywhere."""

    live_seconds: float | None = None
    """How long a prefix is taken to be alive after it was handed out; else the option
    `ttl`, else five minutes."""

    name: str = ""
    """Of the prompt that the nodes are for, if others have the same nodes."""

    restate_rank: bool = False
    """Append one more node that says which ones matter most. Nodes are not labelled
    with that themselves: their text would be another one in each prompt. It is for
    engines that put all nodes into one prompt."""

    prompt_cache: Any = Field(default=None, exclude=True, repr=False)
    """What the LLM is given: a `PromptCache`, a `Policy` or its name, a dict of
    options, True, False or None. None is the cache of this process."""

    _order: StableOrder = PrivateAttr()

    @model_validator(mode="after")
    def _make_order(self) -> Self:
        self._order = StableOrder(
            self.mode,
            live_seconds=self.live_seconds,
            name=self.name,
            prompt_cache=self.prompt_cache,
        )
        return self

    @classmethod
    def class_name(cls) -> str:
        """Return the name that a serialized component goes by."""
        return "StableNodeOrder"

    @staticmethod
    def ranking(nodes: Sequence[NodeWithScore]) -> str:
        """Return a line that says which nodes matter most, to put behind them.

        It names places, so nodes need no labels, and is remembered as `volatile`.

        Args:
            nodes: In the order in which they stand in the prompt.
        """
        return StableOrder.ranking(
            [
                it.node.metadata.get(_RANK, place)
                for place, it in enumerate(nodes, start=1)
            ]
        )

    def _postprocess_nodes(
        self,
        nodes: list[NodeWithScore],
        query_bundle: QueryBundle | None = None,  # noqa: ARG002 - no question matters
    ) -> list[NodeWithScore]:
        positions = self._order.arranged([_text_of(it.node) for it in nodes])
        arranged = [_ranked(nodes[it], it + 1) for it in positions]
        if self.restate_rank and (line := self.ranking(arranged)):
            arranged.append(NodeWithScore(node=TextNode(id_=_RANKING_ID, text=line)))
        return arranged

    async def _apostprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None
    ) -> list[NodeWithScore]:
        return self._postprocess_nodes(nodes, query_bundle)


def _text_of(node: BaseNode) -> DocumentText:
    return DocumentText(
        node.get_content(metadata_mode=MetadataMode.LLM),
        f"{node.ref_doc_id or ''}\n{node.node_id}",
        # Two images are two nodes, whatever their texts are.
        "" if node.get_type() in _TEXTS else node.node_id,
    )


def _ranked(given: NodeWithScore, rank: int) -> NodeWithScore:
    node = given.node
    added = {
        "metadata": {**node.metadata, _RANK: rank},
        "excluded_llm_metadata_keys": [*node.excluded_llm_metadata_keys, _RANK],
        "excluded_embed_metadata_keys": [*node.excluded_embed_metadata_keys, _RANK],
    }
    return given.model_copy(update={"node": node.model_copy(update=added)})
