"""What OpenAI's models read of their prompts, with our chat model and with LangChain's.

Recorded sessions of an agent with tools are played again on the embedded emulator:
what the agent said is put into the history as it was recorded. The folder holds
`tools.json`, a list of tools as Chat Completions take them, and
`trajectories.jsonl.gz`, with `messages` in each line.

Cases:
* sessions: a few at a time, on a model with breakpoints.
* questions: single ones behind one head of some 2,000 tokens, each with some 3,000
  tokens of its own.
* busy: 60 requests a minute, on a model that finds prefixes without breakpoints.

The bill is in input tokens: 1 for one that is neither read nor written, 1.25 for one
written, and a model's own share for one read.

Run: python benchmarks/openai_sessions.py --data DIR [--json]
"""

import argparse
import gzip
import json
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from langchain_core.messages import BaseMessage, convert_to_messages
from langchain_core.runnables import Runnable
from langchain_openai import ChatOpenAI

from langchain_promptcache import PromptCachedChatOpenAI
from promptcache import PromptCache
from promptcache.emulator import Emulator, LedgerRow

MARKED, MATCHED = "gpt-6.1-sol", "gpt-5.2"
READ = {MARKED: 0.05, MATCHED: 0.1}
"""Price of a token read, in input tokens. Source: `genai-prices` 0.2.3."""
WRITTEN = 1.25
QUESTIONS = 150
HEAD_BYTES, TAIL_BYTES = 8_000, 12_000
SEED = 20261122

Model = Callable[[Emulator, str], Any]
"""Makes the chat model of a plan."""
Request = tuple[Runnable[Any, Any], list[BaseMessage]]


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a row for each case and plan."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="the sessions' folder")
    parser.add_argument("--json", action="store_true", help="rows for machines")
    chosen = parser.parse_args(arguments)
    rows = measured(chosen.data)
    if chosen.json:
        print(json.dumps(list(rows), indent=2))
        return
    print(
        f"{'case':<10} {'api':<10} {'model':<12} {'plan':<12} {'requests':>8} "
        f"{'input tokens':>13} {'read':>7} {'bill':>12}"
    )
    for row in rows:
        print(
            f"{row['case']:<10} {row['api']:<10} {row['model']:<12} {row['plan']:<12} "
            f"{row['requests']:>8} {row['input_tokens']:>13,} "
            f"{row['read_share']:>7.1%} {row['bill']:>12,.0f}"
        )


def measured(data: Path) -> Iterator[dict[str, Any]]:
    """Yield the rows, one after the other."""
    tools = json.loads((data / "tools.json").read_text(encoding="utf-8"))
    with gzip.open(data / "trajectories.jsonl.gz", "rt", encoding="utf-8") as lines:
        sessions = [json.loads(line)["messages"] for line in lines]
    questions = list(asked(sessions, tools))
    both: dict[str, Model] = {"promptcache": ours, "stock": stock}
    for plan, make in both.items():
        with Emulator() as emulator:
            agent = make(emulator, MARKED).bind_tools(tools)
            play(emulator, sessions, agent, at_once=6, per_minute=12)
            yield row("sessions", MARKED, plan, emulator.ledger)
    for plan, make in both.items():
        with Emulator() as emulator:
            model = make(emulator, MARKED)
            for question in questions:
                emulator.clock.advance(20)
                model.invoke(question)
            yield row("questions", MARKED, plan, emulator.ledger)
    for plan, make in (both | {"one key": one_key}).items():
        with Emulator() as emulator:
            agent = make(emulator, MATCHED).bind_tools(tools)
            play(emulator, sessions, agent, at_once=60, per_minute=60)
            yield row("busy", MATCHED, plan, emulator.ledger)


def ours(emulator: Emulator, model: str) -> ChatOpenAI:
    """Return the chat model that plans its requests."""
    cache = PromptCache(clock=emulator.clock)
    return PromptCachedChatOpenAI(
        model=model,
        base_url=f"{emulator.url}/v1",
        api_key="any",
        prompt_cache=cache,
    )


def stock(emulator: Emulator, model: str, **fields: Any) -> ChatOpenAI:
    """Return LangChain's own."""
    return ChatOpenAI(
        model=model, base_url=f"{emulator.url}/v1", api_key="any", **fields
    )


def one_key(emulator: Emulator, model: str) -> ChatOpenAI:
    """Return LangChain's own with one cache key for all requests."""
    return stock(emulator, model, model_kwargs={"prompt_cache_key": "airline"})


def play(
    emulator: Emulator,
    sessions: Sequence[Sequence[dict[str, Any]]],
    agent: Runnable[Any, Any],
    *,
    at_once: int,
    per_minute: float,
) -> None:
    """Play sessions again: some at a time, requests at random moments."""
    rng = random.Random(SEED)  # noqa: S311  # chance, no secret
    waiting = [requests(session) for session in reversed(sessions)]
    going: list[Iterator[list[BaseMessage]]] = []
    while waiting or going:
        while waiting and len(going) < at_once:
            going.append(waiting.pop())
        session = rng.choice(going)
        request = next(session, None)
        if request is None:
            going.remove(session)
            continue
        emulator.clock.advance(rng.expovariate(per_minute / 60))
        agent.invoke(request)


def requests(session: Sequence[dict[str, Any]]) -> Iterator[list[BaseMessage]]:
    """Yield what stood before each answer of a session."""
    messages = convert_to_messages(session)
    for index, message in enumerate(messages):
        if message.type == "ai":
            yield messages[:index]


def asked(
    sessions: Iterable[Sequence[dict[str, Any]]], tools: Any
) -> Iterator[list[BaseMessage]]:
    """Yield single questions, of the sessions' own texts."""
    said = [str(message["content"]) for session in sessions for message in session]
    head = f"{said[0]}\n{json.dumps(tools)}".ljust(HEAD_BYTES)[:HEAD_BYTES]
    corpus = "\n".join(dict.fromkeys(said[1:]))
    corpus *= 1 + QUESTIONS * TAIL_BYTES // len(corpus)
    for number in range(QUESTIONS):
        tail = corpus[number * TAIL_BYTES : (number + 1) * TAIL_BYTES]
        question = f"Case {number}. Sum this up.\n{tail}"
        yield convert_to_messages([("system", head), ("user", question)])


def row(case: str, model: str, plan: str, ledger: list[LedgerRow]) -> dict[str, Any]:
    """Return what all requests of a case came to."""
    total = sum(request.total_input_tokens for request in ledger)
    read = sum(request.cache_read_input_tokens for request in ledger)
    written = sum(request.cache_creation_input_tokens for request in ledger)
    plain = total - read - written
    paths = {request.path.removeprefix("/v1/") for request in ledger}
    return {
        "case": case,
        "api": "responses" if paths == {"responses"} else "chat",
        "model": model,
        "plan": plan,
        "requests": len(ledger),
        "input_tokens": total,
        "read_share": round(read / total, 4),
        "bill": round(plain + READ[model] * read + WRITTEN * written),
    }


if __name__ == "__main__":
    main()
