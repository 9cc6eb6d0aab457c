"""A fortnight of receipts, always the same one, to look at."""

import math
import random

from promptcache.receipts.lines import to_line
from promptcache.receipts.miss import Miss
from promptcache.receipts.receipt import Receipt
from promptcache.receipts.usage import Usage

MONDAY = 1_762_732_800.0  # 2025-11-10, midnight UTC
DAY = 86_400.0
# Price of a million tokens of input, read and written, and the multiple of output.
MODELS = {
    "claude-sonnet-5-5": ("anthropic", 3.0, 0.3, 3.75, 15.0),
    "gpt-6.1-sol": ("openai", 2.0, 0.2, 2.5, 8.0),
    "gemini-3.8-flash": ("google", 0.4, 0.04, 0.4, 2.4),
}
CAUSES = (
    ("prefix_changed", "system[0]", None, 9),
    ("expired", None, None, 7),
    ("first_seen", None, None, 5),
    ("prefix_changed", "messages[3].content[0]", "white space", 2),
    ("model_or_settings_changed", None, None, 2),
    ("evicted_or_unknown", None, None, 1),
)
POINTS = ("tools[11] 1h tools", "system[0] 1h system", "messages[6] 5m tail")


def example(requests=3000, *, days=14):
    """Yield the receipts of an application whose prompts are cached from day five."""
    chance = random.Random(7)
    for number in range(requests):
        at = MONDAY + days * DAY * number / requests
        hour = (at % DAY) / 3600
        # Nobody asks at night, and half as many at weekends.
        busy = (
            max(math.sin((hour - 6) / 14 * math.pi), 0.04) if 6 <= hour < 20 else 0.04
        )
        if chance.random() > busy * (0.5 if (at - MONDAY) // DAY % 7 >= 5 else 1):
            continue
        yield receipt(at, chance, is_cached=at - MONDAY > 4 * DAY)


def receipt(at, chance, *, is_cached):
    (name,) = chance.choices(tuple(MODELS), weights=(6, 3, 2))
    provider, plain, read_price, write_price, output_price = MODELS[name]
    prompt, output = chance.randrange(6_000, 42_000), chance.randrange(150, 900)
    hit = chance.random() < (0.88 if is_cached else 0.15)
    read = int(prompt * chance.uniform(0.75, 0.97)) if hit else 0
    written = int((prompt - read) * 0.9) if is_cached else 0
    rest = prompt - read - written
    cost = (rest * plain + read * read_price + written * write_price) / 1e6
    answer = output * output_price / 1e6
    misses = () if hit else (miss(prompt, plain - read_price, chance),)
    wait = 0.35 + chance.lognormvariate(-1.4, 0.5) + (prompt - read) / 26_000
    return Receipt(
        provider=provider,
        model=name,
        at=at,
        policy="auto" if is_cached else "off",
        usage=Usage(prompt, read, written, written, 0, output),
        cost_usd=cost + answer,
        without_caching_usd=prompt * plain / 1e6 + answer,
        first_token_s=wait,
        total_s=wait + output / 80,
        breakpoints=POINTS[: 3 if provider == "anthropic" else 2] if is_cached else (),
        conversation=f"thread-{chance.randrange(10**6)}",
        id=f"msg_{chance.getrandbits(80):020x}",
        credits=(("placed",) if is_cached else ("implicit",)) if hit else (),
        misses=misses,
    )


def miss(prompt, lost, chance):
    weights = [weight for *_, weight in CAUSES]
    ((cause, place, form, _),) = chance.choices(CAUSES, weights=weights)
    tokens = None if cause == "first_seen" else int(prompt * 0.85)
    return Miss(
        cause=cause,
        proof="clock" if cause == "expired" else "outline",
        place=place,
        near=None if place is None else 1840,
        form=form,
        tokens=tokens,
        cost_usd=None if tokens is None else tokens * lost / 1e6,
    )


def write(path, receipts):
    """Write receipts to a file as `JsonlReceipts` does."""
    path.write_bytes(b"".join(map(to_line, receipts)))
    return path
