"""The command that asks a provider what its documents leave open."""

from collections.abc import Iterator
from secrets import token_hex
from typing import Annotated, Any

import orjson
import typer

from promptcache.analysis.probe.asking import Finding, found
from promptcache.analysis.probe.sequence import (
    REQUESTS,
    WAIT_SECONDS,
    Sequence,
    most_usd,
)
from promptcache.clock import SystemClock
from promptcache.errors import OptionError, StoreError
from promptcache.receipts.prices import GenaiPrices
from promptcache.state.probed import remember
from promptcache.terminal import say

__all__ = ["probe"]

_USAGE = 2
_CENT = 0.01
_HOST = "anthropic"


def probe(
    *,
    provider: Annotated[
        str, typer.Option(help="Whose question it is; anthropic has one.")
    ] = "anthropic",
    model: Annotated[
        str, typer.Option(help="What is asked; the answer holds for this one.")
    ] = "claude-sonnet-5-5",
    live: Annotated[
        bool, typer.Option("--live", help="Send the requests; else only say them.")
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", help="Send them without asking first.")
    ] = False,
    base_url: Annotated[
        str | None, typer.Option(help="Another server, whose answer is not kept.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a JSON list of one row.")
    ] = False,
) -> None:
    """Ask a real key whether a 1h breakpoint keeps all that is before it.

    It says what it will send and what that costs at the most, and sends it only with
    `--live`. The answer is kept in this user's cache directory for later processes.
    """
    if provider != "anthropic":
        say(str(OptionError("provider", provider, "anthropic")), err=True)
        raise typer.Exit(_USAGE)
    sequence = Sequence(model, token_hex(8))
    say("\n".join(_stated(sequence)), err=as_json)
    if not live:
        say("Nothing is sent without --live.", err=as_json)
        return
    if not yes:
        typer.confirm("Send them?", abort=True, err=as_json)
    try:
        _ask(sequence, base_url, as_json=as_json)
    except (OptionError, StoreError) as error:
        say(str(error), err=True)
        raise typer.Exit(_USAGE) from None


def _stated(sequence: Sequence) -> Iterator[str]:
    most = most_usd(sequence, GenaiPrices())
    tokens, minutes = sequence.most_tokens, WAIT_SECONDS / 60
    yield (
        f"Up to {REQUESTS} requests to {sequence.model}, each of at most {tokens:,} "
        f"tokens of made-up text and one token of answer, over {minutes:g} minutes:"
    )
    yield "  1. a prefix, written for 5m"
    yield "  2. the same and a message more, with a breakpoint for 1h at its end"
    yield "  3. another prefix, written for 5m, to compare with"
    yield f"  4. after {minutes:g} minutes, the second request again: is it read?"
    yield "  5. if so, the other prefix again: it should be gone"
    if most is None:
        yield "What they cost is not known: there is no price for this model."
    elif most < _CENT:
        yield f"They cost at most ${most:.4f}, which is less than a cent."
    else:
        yield f"They cost at most ${most:.4f}, which is more than a cent."


def _ask(sequence: Sequence, base_url: str | None, *, as_json: bool) -> None:
    # Only what is sent needs the SDK.
    from promptcache.analysis.probe.sending import Client  # noqa: PLC0415

    client, clock = Client(base_url), SystemClock()
    finding = found(sequence, client.send, clock)
    where, kept = ("anthropic", sequence.model, _HOST), None
    if finding.keeps is not None and client.is_official:
        kept = str(remember(where, keeps=finding.keeps, at=clock.now()))
    if as_json:
        row = _row(sequence, finding, kept)
        typer.echo(orjson.dumps([row], option=orjson.OPT_INDENT_2))
    else:
        say("\n".join(_told(finding, kept)))


def _told(finding: Finding, kept: str | None) -> Iterator[str]:
    for step in finding.steps:
        yield f"  {step.name}: read {step.read:,}, wrote {step.written:,} tokens"
    yield f"Answer: {finding.answer or 'none'}: {finding.why}."
    yield "Not kept." if kept is None else f"Kept in {kept}."


def _row(sequence: Sequence, finding: Finding, kept: str | None) -> dict[str, Any]:
    prices = GenaiPrices()
    costs = [
        prices.cost("anthropic", sequence.model, step.usage) for step in finding.steps
    ]
    known = [cost.usd for cost in costs if cost is not None]
    return {
        "provider": "anthropic",
        "model": sequence.model,
        "host": _HOST,
        "answer": finding.answer,
        "keeps": finding.keeps,
        "why": finding.why,
        "cost_usd": sum(known) if len(known) == len(costs) else None,
        "kept_in": kept,
        "requests": [
            {
                "name": step.name,
                "input_tokens": step.usage.input_tokens,
                "read_tokens": step.read,
                "written_tokens": step.written,
            }
            for step in finding.steps
        ],
    }
