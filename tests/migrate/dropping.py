# ruff: noqa: T201  what it finds is what it prints
# ruff: noqa: PLC0415  one SDK is tried at a time
"""Drops a stream in each way, and has it collected at the worst time.

    python dropping.py anthropic|openai|openai-httpx2

The worst time is when a pool of connections has its lock and looks for a connection.
The collector may run there; here it does. Nothing is waited for: a lock that this
thread has already and cannot take again is told, and ends the process.
"""

import gc
import os
import sys

from promptcache.emulator import Emulator

LOOKING = "_assign_requests_to_connections"
MESSAGES = [{"role": "user", "content": "Hello?"}]


def client_of(sdk, url):
    """Return a client, and functions that send a request without and with a stream."""
    if sdk == "anthropic":
        import anthropic

        client = anthropic.Anthropic(base_url=url, api_key="any", max_retries=0)
        said = {"model": "claude-sonnet-5-5", "max_tokens": 9, "messages": MESSAGES}
        return client, client.messages.create, said
    import openai

    said = {"base_url": f"{url}/v1", "api_key": "any", "max_retries": 0}
    if sdk == "openai-httpx2":
        import httpx2

        said["http_client"] = httpx2.Client()
    client = openai.OpenAI(**said)
    said = {"model": "gpt-5.2", "messages": MESSAGES}
    return client, client.chat.completions.create, said


def read(stream):
    """Read to the end."""
    for _ in stream:
        pass


def closed(stream):
    """Close it early."""
    next(iter(stream))
    stream.close()


def left(stream):
    """Leave its `with` early."""
    with stream:
        next(iter(stream))


def collected(stream):
    """Drop it, and collect at a time of one's own."""
    in_a_cycle(stream)
    del stream


def dropped(stream):
    """Drop it."""
    in_a_cycle(stream)


def in_a_cycle(stream):
    """Let go of it as a traceback does: only the collector finds it."""
    next(iter(stream))
    held = [stream]
    held.append(held)


class Telling:
    """A lock that tells where the one that it stands for would be waited for."""

    def __init__(self, lock):
        self.way = ""
        self._lock = lock

    def acquire(self):
        if not self._lock.acquire(blocking=False):
            print(f"{self.way}: waits for ever", flush=True)
            os._exit(0)

    def release(self):
        self._lock.release()


def collecting(is_armed):
    """Return a profiler that collects once."""

    def look(frame, event, _):
        if event == "call" and frame.f_code.co_name == LOOKING and is_armed:
            is_armed.clear()
            gc.collect()

    return look


def main(sdk):
    """Try each way, the one that hangs last."""
    gc.disable()
    with Emulator() as emulator:
        client, create, said = client_of(sdk, emulator.url)
        http = client._client
        guard = http._transport_for_url(http.base_url)._pool._optional_thread_lock
        guard._lock = telling = Telling(guard._lock)
        print(f"guarded by {type(guard).__module__.partition('.')[0]}")
        for way in (read, closed, left, collected, dropped):
            way(create(**said, stream=True))
            if way is collected:
                gc.collect()
            telling.way, is_armed = way.__name__, [True]
            sys.setprofile(collecting(is_armed))
            create(**said)
            sys.setprofile(None)
            assert not is_armed
            print(f"{way.__name__}: fine")
            gc.collect()


if __name__ == "__main__":
    main(sys.argv[1])
