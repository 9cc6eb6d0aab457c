"""Look for known vulnerabilities in all that is installed here.

    python tests/security/audit.py

ends with 0 if every package was looked up and none is known to be vulnerable, with 1 if
one is, and with 2 if any could not be looked up: that is no clean audit, and is said.
"""

import json
import subprocess
import sys
import tempfile
from importlib import metadata, util
from pathlib import Path

__all__ = ["installed", "verdict"]

OWN = "promptcache"
CLEAN, VULNERABLE, NOT_AUDITED = 0, 1, 2
SHOWN = 10


def main():
    """Audit this environment, print what was found, and return the exit code."""
    if util.find_spec("pip_audit") is None:
        say("NOT AUDITED: `pip-audit` is not installed: pip install pip-audit")
        return NOT_AUDITED
    pins = installed()
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "installed.txt"
        path.write_text("\n".join(pins), encoding="utf-8")
        command = [sys.executable, "-m", "pip_audit", "--no-deps", "--disable-pip"]
        command += ["--requirement", str(path), "--format", "json"]
        command += ["--progress-spinner", "off"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        report = json.loads(done.stdout)
    except ValueError:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        say(f"NOT AUDITED: `pip-audit` ended with {done.returncode}: {last}")
        return NOT_AUDITED
    lines, code = verdict(report, pins)
    say("\n".join(lines))
    return code


def say(text):
    sys.stdout.write(f"{text}\n")


def installed():
    """Return what is installed here, each with its version, without this project."""
    found = {it.metadata["Name"].lower(): it.version for it in metadata.distributions()}
    return sorted(f"{name}=={it}" for name, it in found.items() if name != OWN)


def verdict(report, pins):
    """Return what to say of a report of `pip-audit`, and the exit code.

    Args:
        report: Its JSON.
        pins: What was to be audited, as `name==version`.
    """
    rows = {it["name"].lower().replace("_", "-"): it for it in report["dependencies"]}
    wanted = {pin.partition("==")[0].replace("_", "-"): pin for pin in pins}
    bad = {
        name: [vulnerability["id"] for vulnerability in it["vulns"]]
        for name, it in rows.items()
        if it.get("vulns")
    }
    skipped = [pin for name, pin in wanted.items() if "vulns" not in rows.get(name, {})]
    lines = [f"VULNERABLE: {name}: {', '.join(ids)}" for name, ids in bad.items()]
    if skipped:
        more = len(skipped) - SHOWN
        names = ", ".join(skipped[:SHOWN]) + (f" and {more} more" if more > 0 else "")
        lines.append(f"NOT AUDITED: {len(skipped)} of {len(pins)} packages: {names}")
    lines.append(f"{len(pins) - len(skipped)} of {len(pins)} packages were looked up.")
    if bad:
        return lines, VULNERABLE
    return lines, NOT_AUDITED if skipped or not pins else CLEAN


if __name__ == "__main__":
    sys.exit(main())
