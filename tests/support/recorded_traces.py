"""Small traces, made up."""

import json

__all__ = ["BLOCK", "HEAD", "runs", "written"]

BLOCK = 64
HEAD = 16


def runs(*requests, head=HEAD):
    """Return a session of a coding agent: (seconds, blocks kept, blocks added)."""
    made, following, length = [], 1, 0
    for at, keep, added in requests:
        length = keep + added
        made.append(
            {
                "t": float(at),
                "type": "n",
                "in": length * BLOCK + 10,
                "stop": "tool_use",
                "keep": keep,
                "add": [[following, added]],
            }
        )
        following += added
    return {
        "id": "made-up",
        "block_size": BLOCK,
        "hash_id_scope": "local",
        "tool_tokens": head * BLOCK // 2,
        "system_tokens": head * BLOCK // 2,
        "requests": made,
    }


def written(path, rows):
    """Write rows as JSON lines, and return the file."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path
