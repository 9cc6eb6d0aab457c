"""Readers of traces that hold digests of blocks instead of text."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from promptcache.analysis.replay.files import files_of, lines_of, whole
from promptcache.analysis.replay.traces import (
    Asked,
    BlockTrace,
    Session,
    UnreadableTraceError,
)

__all__ = ["read_claude_code", "read_mooncake"]

MOONCAKE_TOKENS = 512

Line: TypeAlias = Mapping[str, Any]


def read_claude_code(path: Path) -> Iterator[Session]:
    """Yield sessions of a coding agent.

    Two forms are read: the one that its collectors publish, a JSON file a session whose
    requests have `hash_ids`; and JSON lines whose requests say what they `keep` of the
    request before, and which runs of ids they `add`.

    Args:
        path: A file or a folder of files.

    Raises:
        UnreadableTraceError: There is no such file, or it holds something else.
    """
    traces: dict[int, BlockTrace] = {}
    for number, line in enumerate(_sessions(path)):
        try:
            size = line["block_size"]
            if type(size) is not int or size <= 0:
                raise ValueError("block_size")  # noqa: TRY301 - said as the others are
            trace = traces.setdefault(size, BlockTrace(size))
            yield _CodingSession(line, trace, number).read()
        except (ArithmeticError, LookupError, TypeError, ValueError) as error:
            raise UnreadableTraceError(
                f"Session {number + 1} in {path} is none of a coding agent: {error!r}"
            ) from error


def read_mooncake(path: Path) -> Iterator[Session]:
    """Yield a session for each file: all requests that a chat service was asked.

    Args:
        path: A file or a folder of files.

    Raises:
        UnreadableTraceError: There is no such file, or it holds something else.
    """
    for number, file in enumerate(files_of(path, (".jsonl",))):
        trace, requests = BlockTrace(MOONCAKE_TOKENS), list[Asked]()
        for line in lines_of(file):
            try:
                count = line["input_length"] // MOONCAKE_TOKENS
                digests = [
                    (number << 40 | it).to_bytes(8, "big")
                    for it in line["hash_ids"][:count]
                ]
                outline = trace.outline(digests, root=b"mooncake")
                at, total = line["timestamp"] / 1000, line["input_length"]
            except (ArithmeticError, LookupError, TypeError, ValueError) as error:
                raise UnreadableTraceError(
                    f"A line of {file} is no request of a chat service: {error!r}"
                ) from error
            requests.append(Asked(at, outline, total))
        requests.sort(key=lambda it: it.at)
        yield Session(file.name, requests, is_service=True)


def _sessions(path: Path) -> Iterator[Line]:
    for file in files_of(path, (".jsonl", ".json")):
        if file.name.removesuffix(".gz").endswith(".json"):
            yield whole(file)
        else:
            yield from lines_of(file)


class _CodingSession:
    """One session of a coding agent, while it is read."""

    def __init__(self, line: Line, trace: BlockTrace, number: int) -> None:
        self._line = line
        self._trace = trace
        self._number = 0 if line.get("hash_id_scope") == "global" else number + 1
        size = line["block_size"]
        self._size = size
        self._head = (
            line.get("tool_tokens", 0) // size,
            line.get("system_tokens", 0) // size,
        )

    def read(self) -> Session:
        """Return it, the requests of sub-agents among its own by their times."""
        name = str(self._line.get("id", self._number))
        requests = sorted(
            self._list(self._line["requests"], name, 0.0), key=lambda it: it.at
        )
        return Session(name, requests)

    def _list(
        self, requests: Iterable[Line], name: str, begun: float
    ) -> Iterator[Asked]:
        before: list[bytes] = []
        ids: list[int] = []
        for number, request in enumerate(requests):
            at = begun + request["t"]
            if request.get("type") == "subagent":
                inner = f"{name}/{request.get('agent_id', number)}"
                yield from self._list(request["requests"], inner, at)
                continue
            if "hash_ids" in request:
                kept = _shared(ids, request["hash_ids"])
                ids = request["hash_ids"]
                before = [*before[:kept], *self._digests(ids[kept:])]
            else:
                before = before[: request["keep"]]
                for first, count in request["add"]:
                    before += self._digests(range(first, first + count))
            outline = self._trace.outline(
                before,
                root=b"claude-code",
                tools=self._head[0],
                system=self._head[1],
                answered=number > 0,
            )
            total = max(request["in"], len(before) * self._size)
            yield Asked(at, outline, total, name, request.get("stop") or None)

    def _digests(self, ids: Iterable[int]) -> Iterator[bytes]:
        session = self._number << 40
        return ((session | it).to_bytes(12, "big") for it in ids)


def _shared(ids: Sequence[int], others: Sequence[int]) -> int:
    """Return how many ids two prompts share; an id stands for all before it, too."""
    longest = min(len(ids), len(others))
    return bisect_left(range(longest), 1, key=lambda it: ids[it] != others[it])
