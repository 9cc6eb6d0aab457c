"""What is read from the cache in retrieval and agents, stock against remedied.

Each case asks the questions of a folder through a framework's own component (stock) and
through what this project offers in its place (remedied), both with this project's model
class, so that the difference is the prompt's. `plain` is the stock component with the
cache off: what the provider does by itself.

Cases of LlamaIndex: `context_chat_engine`, `condense_plus_context`, `changing_order`
(the same nodes, ordered by score), `full_memory` (a buffer that drops its oldest
message each turn). Of LangChain: `retrieval_chain` (documents before the history),
`agent_with_retriever`, `dynamic_system` (a time of day in the system prompt),
`shuffled_tools`, `map_reduce` (once over many documents, all at once).

Run: python benchmarks/rag.py --data DIR [--json]
"""

import argparse
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import rag_langchain
import rag_llamaindex
from rag_data import Collection, read_collection
from rag_scene import MODELS, How, Scene

from promptcache import PromptCache
from promptcache.emulator import Emulator, GeminiSettings, LedgerRow
from promptcache.prompts import parts

CASES: Mapping[str, tuple[str, Callable[[Scene], None]]] = {
    **{name: ("llamaindex", case) for name, case in rag_llamaindex.CASES.items()},
    **{name: ("langchain", case) for name, case in rag_langchain.CASES.items()},
}
PROVIDERS = ("anthropic", "openai")
HOWS: tuple[How, ...] = ("plain", "stock", "remedied")
ASKING = ("/messages", "/completions", "/responses", "enerateContent")
LITTLE = 0.15
"""Who reads less than this of a stock prompt has a prompt that cannot be cached."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a row for each case and provider."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="the folder to ask on")
    parser.add_argument("--case", action="append", choices=tuple(CASES))
    parser.add_argument("--provider", action="append", choices=tuple(MODELS))
    parser.add_argument("--json", action="store_true", help="rows for machines")
    chosen = parser.parse_args(arguments)
    rows = measured(
        read_collection(chosen.data),
        chosen.case or tuple(CASES),
        chosen.provider or PROVIDERS,
    )
    if chosen.json:
        print(json.dumps(list(rows), indent=2))
        return
    print(
        f"{'case':<23}{'framework':<12}{'provider':<11}{'requests':>8}"
        f"{'plain':>7}{'stock':>7}{'remedied':>9}"
        f"{'plain $':>9}{'stock $':>9}{'remedied $':>11}  "
    )
    for row in rows:
        print(
            f"{row['case']:<23}{row['framework']:<12}{row['provider']:<11}"
            f"{row['requests']:>8}{row['plain_read_share']:>7.1%}"
            f"{row['stock_read_share']:>7.1%}{row['remedied_read_share']:>9.1%}"
            f"{row['plain_cost_usd']:>9.4f}{row['stock_cost_usd']:>9.4f}"
            f"{row['remedied_cost_usd']:>11.4f}  {_verdict(row)}"
        )


def measured(
    collection: Collection,
    cases: Sequence[str] = tuple(CASES),
    providers: Sequence[str] = PROVIDERS,
) -> Iterator[dict[str, Any]]:
    """Yield the rows, one after the other."""
    for name in cases:
        framework, case = CASES[name]
        for provider in providers:
            row: dict[str, Any] = {
                "case": name,
                "framework": framework,
                "provider": provider,
            }
            for how in HOWS:
                row |= _played(case, collection, provider, how)
            yield row


def target(stock_read_share: float) -> float:
    """Return the share of a remedied prompt that is to be read at least."""
    if stock_read_share >= LITTLE:
        return 0.0
    return max(0.2, min(5 * stock_read_share, 0.6))


def _played(
    case: Callable[[Scene], None], collection: Collection, provider: str, how: How
) -> dict[str, Any]:
    """Return a case's columns for one way to play it."""
    # What was given out as volatile or as a document in another way of playing.
    parts._forget()  # noqa: SLF001 - as if each were a process of its own
    # What Gemini reads by luck would hide what is planned.
    settings = GeminiSettings(implicit_luck=0.0)
    speed = getattr(case, "speed", 0.0)
    with Emulator(gemini=settings, speed=speed) as emulator:
        cache = PromptCache(
            "off" if how == "plain" else "auto", store="memory://", clock=emulator.clock
        )
        case(Scene(collection, provider, how, emulator, cache))
        cache.close()
        rows = [row for row in emulator.ledger if row.path.endswith(ASKING)]
        total = cache.report().to_dict()["total"]
    return {
        "requests": len(rows),
        f"{how}_read_share": _read_share(rows),
        f"{how}_cost_usd": total["cost_usd"] + total.get("storage_usd", 0.0),
    }


def _read_share(rows: Sequence[LedgerRow]) -> float:
    total = sum(row.total_input_tokens for row in rows)
    return sum(row.cache_read_input_tokens for row in rows) / total if total else 0.0


def _verdict(row: Mapping[str, Any]) -> str:
    """Say what falls short in a row; nothing if nothing does."""
    said = []
    if row["remedied_read_share"] < target(row["stock_read_share"]):
        said.append("reads too little")
    if row["remedied_cost_usd"] > min(row["stock_cost_usd"], row["plain_cost_usd"]):
        said.append("costs more")
    return ", ".join(said)


if __name__ == "__main__":
    main()
