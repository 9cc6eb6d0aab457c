"""A real Redis server for tests, on a free port of this machine."""

import shutil
import socket
import subprocess
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import pytest

_TRIES = 20


@contextmanager
def redis_server(directory: Path, *, password=None, tls=False, more=()):
    """Run a server that keeps nothing on disk, and give its URL.

    Skips the test, by name, where there is no server program, no `redis` package, or no
    `openssl` to make a certificate with.
    """
    pytest.importorskip("redis", reason="the `redis` package is not installed")
    program = _program("redis-server")
    options = ["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    options += ["--dir", str(directory), "--daemonize", "no", *more]
    if password is not None:
        options += ["--requirepass", password]
    if tls:
        options += _tls_options(directory)
    process, port = _started(program, options, tls=tls)
    try:
        user = "" if password is None else f":{quote(password, safe='')}@"
        trust = f"?ssl_ca_certs={quote(str(directory / 'cert.pem'))}" if tls else ""
        yield f"redis{'s' * tls}://{user}127.0.0.1:{port}/0{trust}"
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def _program(name):
    program = shutil.which(name)
    if program is None:
        pytest.skip(f"`{name}` is not installed")
    return program


def _started(program, options, *, tls):
    for _ in range(_TRIES):
        port = _free_port()
        ports = ["--port", "0", "--tls-port", port] if tls else ["--port", port]
        process = subprocess.Popen(
            [program, *ports, *options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )
        said = []
        for line in process.stdout:
            said.append(line)
            if "Ready to accept connections" in line:
                return process, port
        process.stdout.close()
        process.wait()
        # Another program may have taken the port meanwhile, and the ports of a cluster
        # may not be among the highest.
        if not any("in use" in line or "too high" in line for line in said):
            break
    raise RuntimeError("".join(said))


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def _tls_options(directory):
    certificate, key = directory / "cert.pem", directory / "key.pem"
    subprocess.run(
        [
            _program("openssl"),
            *("req", "-x509", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"),
            *("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
            *("-addext", "subjectAltName=IP:127.0.0.1"),
            *("-addext", "keyUsage=digitalSignature,keyCertSign"),
            *("-keyout", str(key), "-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
    )
    return [
        *("--tls-cert-file", str(certificate), "--tls-key-file", str(key)),
        *("--tls-ca-cert-file", str(certificate), "--tls-auth-clients", "no"),
    ]
