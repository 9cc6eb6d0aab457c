"""Any calls in any order: every store says what a simple model says."""

import contextlib
import tempfile
from dataclasses import replace
from functools import partial
from itertools import count, zip_longest
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)

from promptcache.state.bounds import COUNT_LIMIT, LATE_SECONDS
from promptcache.state.memory import MemoryStore
from promptcache.state.sqlite import SqliteStore
from promptcache.state.stores import Backoff, Handle, Lease

MOST = 3
SPAN = 4
"""Times are whole numbers up to this many steps of the lateness that is allowed."""

keys = st.sampled_from([b"\x00", b"a", b"a\xff", b"b", b"\xff"])
times = st.integers(0, 2 * SPAN).map(lambda step: step * LATE_SECONDS / 2)
seconds = st.sampled_from([0.5, LATE_SECONDS / 2, LATE_SECONDS, 3 * LATE_SECONDS])
names = st.sampled_from(["n", "n2", "caf\u00e9"])
owners = st.sampled_from(["o", "o 2"])
money = st.none() | st.sampled_from([0.0, 0.1, 0.25, -1 / 3])
numbers = st.lists(
    st.integers(-3, 3) | st.sampled_from([COUNT_LIMIT, -COUNT_LIMIT]),
    min_size=1,
    max_size=3,
).map(tuple)
_unique = count()


class Model:
    """What a store has to say, in as few words as possible."""

    def __init__(self):
        self.handles, self.leases, self.backoffs, self.counts = {}, {}, {}, {}

    def alive(self, records, now):
        return {key: it for key, it in records.items() if self.end(it) > now}

    def put(self, records, key, record):
        records[key] = record
        by_end = sorted(records, key=lambda key: (self.end(records[key]), key))
        for surplus in by_end[: max(0, len(records) - MOST)]:
            del records[surplus]

    def sweep(self, records, now):
        ended = set(records) - set(self.alive(records, now))
        for key in ended:
            del records[key]
        return len(ended)

    @staticmethod
    def end(record):
        match record:
            case Handle():
                return record.expires_at
            case Lease() | Backoff():
                return record.until
        return record[0]

    def writes(self, lease, now):
        held = self.leases.get(lease.key)
        return (
            held is not None
            and (held.token, held.owner) == (lease.token, lease.owner)
            and held.until + LATE_SECONDS > now
        )


class Calls(RuleBasedStateMachine):
    """Calls of a store and of its model; times go back and forth, as clocks differ."""

    def __init__(self, open_store):
        super().__init__()
        self.closing = contextlib.ExitStack()
        self.store = open_store(self.closing)
        self.closing.callback(self.store.close)
        self.model = Model()
        self.given = [Lease(b"a", "o", 0, 0.0)]
        self.now = 0.0

    def teardown(self):
        self.closing.close()

    @rule(now=times)
    def look(self, now):
        self.now = now

    @rule(key=keys, owner=owners, seconds=seconds, now=times)
    def acquire(self, key, owner, seconds, now):
        lease = self.store.acquire(key, owner=owner, seconds=seconds, now=now)
        if key in self.model.alive(self.model.leases, now):
            assert lease is None
        else:
            assert lease == Lease(key, owner, lease.token, now + seconds)
            assert lease.token > max(it.token for it in self.given)
            self.given.append(lease)
            self.model.put(self.model.leases, key, lease)

    @rule(data=st.data(), seconds=seconds, now=times)
    def renew(self, data, seconds, now):
        lease = data.draw(st.sampled_from(self.given))
        renewed = self.store.renew(lease, seconds=seconds, now=now)
        if self.model.writes(lease, now):
            assert renewed == replace(lease, until=now + seconds)
            self.model.put(self.model.leases, lease.key, renewed)
        else:
            assert renewed is None

    @rule(data=st.data())
    def release(self, data):
        lease = data.draw(st.sampled_from(self.given))
        self.store.release(lease)
        held = self.model.leases.get(lease.key)
        if held and (held.token, held.owner) == (lease.token, lease.owner):
            del self.model.leases[lease.key]

    @rule(
        data=st.data(),
        name=names,
        until=times,
        now=times,
        used_at=st.none() | times,
        saved_usd=money,
    )
    def put_handle(self, data, name, until, now, used_at, saved_usd):
        lease = data.draw(st.sampled_from(self.given))
        handle = Handle(
            key=lease.key,
            name=name,
            model="m",
            scope="s",
            tokens=None if used_at is None else 7,
            created_at=1.5,
            expires_at=until,
            owner=lease.owner,
            uses=int(used_at is not None),
            used_at=used_at,
            saved_usd=saved_usd,
        )
        assert self.store.put_handle(handle, lease, now=now) is (
            self.model.writes(lease, now)
        )
        if self.model.writes(lease, now):
            before = self.model.alive(self.model.handles, now).get(handle.key)
            if before and before.name == name:
                handle = replace(
                    handle,
                    uses=before.uses,
                    used_at=before.used_at,
                    saved_usd=before.saved_usd,
                )
            self.model.put(self.model.handles, handle.key, handle)

    def named(self, key, name):
        return Handle(key, name, "m", "s", 7, 1.5, 2.5, "o")

    @rule(key=keys, name=names, saved_usd=money, now=times)
    def note_use(self, key, name, saved_usd, now):
        done = self.store.note_use(self.named(key, name), saved_usd=saved_usd, now=now)
        found = self.model.alive(self.model.handles, now).get(key)
        assert done is (found is not None and found.name == name)
        if done:
            saved = [it for it in (found.saved_usd, saved_usd) if it is not None]
            self.model.handles[key] = replace(
                found,
                uses=found.uses + 1,
                used_at=max(now, found.used_at or 0.0),
                saved_usd=sum(saved) if saved else None,
            )

    @rule(key=keys, name=names)
    def drop_handle(self, key, name):
        found = self.model.handles.get(key)
        known = found is not None and found.name == name
        assert self.store.drop_handle(self.named(key, name)) is known
        if known:
            del self.model.handles[key]

    @rule(key=keys, reason=names, until=times, now=times)
    def put_backoff(self, key, reason, until, now):
        backoff = Backoff(key, reason, until)
        self.store.put_backoff(backoff, now=now)
        before = self.model.backoffs.get(key)
        if before is None or before.until <= until:
            self.model.put(self.model.backoffs, key, backoff)

    @rule(
        namespace=st.sampled_from(["a", "a:b"]),
        deltas=st.dictionaries(keys, numbers, max_size=2),
        seconds=seconds,
        now=times,
    )
    def add_counts(self, namespace, deltas, seconds, now):
        self.store.add_counts(namespace, deltas, seconds=seconds, now=now)
        counts = self.model.counts.setdefault(namespace, {})
        new = {}
        for key, delta in deltas.items():
            until, sums = self.model.alive(counts, now).get(key, (0.0, ()))
            new[key] = (
                max(until, now + seconds),
                tuple(
                    max(-COUNT_LIMIT, min(COUNT_LIMIT, one + other))
                    for one, other in zip_longest(sums, delta, fillvalue=0)
                ),
            )
        counts.update(new)
        for key in new:
            if key in counts:
                self.model.put(counts, key, counts[key])

    @rule(now=times)
    def sweep(self, now):
        swept = self.model.sweep(self.model.leases, now - LATE_SECONDS)
        for records in (
            self.model.handles,
            self.model.backoffs,
            *self.model.counts.values(),
        ):
            swept += self.model.sweep(records, now)
        assert self.store.sweep(now=now) == swept

    @invariant()
    def they_agree(self):
        model, store, now = self.model, self.store, self.now
        handles = model.alive(model.handles, now)
        assert store.handles(now=now) == sorted(
            handles.values(), key=lambda it: (it.expires_at, it.key)
        )
        for key in (b"\x00", b"a", b"a\xff"):
            assert store.handle(key, now=now) == handles.get(key)
            assert store.backoff(key, now=now) == model.alive(model.backoffs, now).get(
                key
            )
        for namespace in ("a", "a:b"):
            alive = model.alive(model.counts.get(namespace, {}), now)
            assert store.counts(namespace, now=now) == {
                key: sums for key, (_, sums) in alive.items()
            }


def memory(closing):
    return MemoryStore(max_records=MOST)


def sqlite(closing):
    directory = closing.enter_context(tempfile.TemporaryDirectory())
    return SqliteStore(Path(directory) / "state.db", max_records=MOST)


def redis(url, closing):
    from promptcache.state.redis import RedisStore  # noqa: PLC0415

    return RedisStore(url, prefix=f"model-{next(_unique)}", max_records=MOST)


@pytest.mark.parametrize("kind", ["memory", "sqlite", "redis"])
def test_stores_agree_with_the_model(kind, request):
    """Records, ends, bounds, fences and sums are the same after any calls."""
    open_store = {"memory": memory, "sqlite": sqlite}.get(kind)
    if open_store is None:
        open_store = partial(redis, request.getfixturevalue("redis_url"))
    run_state_machine_as_test(
        partial(Calls, open_store),
        settings=settings(max_examples=25, stateful_step_count=40),
    )
