"""Children of a fork: what they return, and the locks that they might wait for."""

import faulthandler
import gc
import os
import select
import signal
import sys
import threading
import traceback
from contextlib import contextmanager

import orjson

__all__ = ["child", "held", "locks_of_ours", "returned"]

SECONDS = 40
"""How long a child may take; one that waits for a lock of its parent takes for ever."""

_LOCKS = (type(threading.Lock()), type(threading.RLock()))
_PACKAGES = ("promptcache", "langchain_promptcache", "llamaindex_promptcache")
_NOT_SHIPPED_IN_CALLS = ("promptcache.emulator", "promptcache.testing")
# A fork itself waits for this one, so nobody can hold it then.
_GATE = ("promptcache.state.forks._Forks", "_gate")


class ChildError(AssertionError):
    """A child of a fork failed, or waited for ever."""


def child(work):
    """Fork, and have the child do something; return what waits for its end."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writing)
        return pid, reading
    os.close(reading)
    # The stacks of one that is stuck.
    faulthandler.dump_traceback_later(SECONDS - 5, file=sys.__stderr__, exit=True)
    try:
        told = {"value": work()}
    except BaseException:  # noqa: BLE001 - whatever it is, the parent has to know
        told = {"error": traceback.format_exc()}
    os.write(writing, orjson.dumps(told))
    os.close(writing)
    # Nothing of the test's own process is ended or written down by its copy.
    os._exit(0)


def returned(started):
    """Return what a child has returned, once it has ended."""
    pid, reading = started
    said = b""
    try:
        while select.select([reading], [], [], SECONDS)[0]:
            part = os.read(reading, 1 << 16)
            if not part:
                break
            said += part
        else:
            os.kill(pid, signal.SIGKILL)
    finally:
        os.close(reading)
        os.waitpid(pid, 0)
    if not said:
        raise ChildError("the child of the fork waited for ever, or was killed")
    told = orjson.loads(said)
    if "error" in told:
        raise ChildError(told["error"])
    return told["value"]


def locks_of_ours():
    """Return every lock that an object or a module of ours has, by where it is."""
    found = {}
    for thing in gc.get_objects():
        kind = type(thing)
        if str(kind.__module__).startswith(_PACKAGES):
            for name, value in _attributes(thing):
                _note(found, (f"{kind.__module__}.{kind.__qualname__}", name), value)
    for name, module in list(sys.modules.items()):
        if name.startswith(_PACKAGES) and module is not None:
            for attribute, value in list(vars(module).items()):
                _note(found, (name, attribute), value)
    return [
        (".".join(where), lock)
        for where, lock in found.values()
        if where != _GATE and not where[0].startswith(_NOT_SHIPPED_IN_CALLS)
    ]


def _attributes(thing):
    names = {name for kind in type(thing).__mro__ for name in _slots(kind)}
    known = {name: getattr(thing, name) for name in names if hasattr(thing, name)}
    known |= getattr(thing, "__dict__", {})
    return list(known.items())


def _slots(kind):
    slots = vars(kind).get("__slots__", ())
    names = (slots,) if isinstance(slots, str) else slots
    return [name for name in names if name not in ("__dict__", "__weakref__")]


def _note(found, where, value):
    lock = value._lock if isinstance(value, threading.Condition) else value
    if isinstance(lock, _LOCKS):
        found[id(lock)] = where, lock


@contextmanager
def held(locks):
    """Have another thread be in the midst of holding locks."""
    taken, done = threading.Event(), threading.Event()
    got = []

    def hold():
        got.extend((where, lock) for where, lock in locks if lock.acquire(timeout=2.0))
        taken.set()
        done.wait()
        for _, lock in got:
            lock.release()

    holder = threading.Thread(target=hold)
    holder.start()
    taken.wait()
    try:
        yield [where for where, _ in got]
    finally:
        done.set()
        holder.join()
