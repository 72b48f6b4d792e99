# SPDX-License-Identifier: Apache-2.0
"""A Ray cluster of two workers on this machine, for tests: the fixture `ray_cluster`."""

import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest


def started_ray() -> Iterator[str]:
    """The address of a cluster on this machine, of two workers, which is gone at the end with all its processes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = [
        "--head",
        "--node-ip-address",
        "127.0.0.1",
        "--port",
        port,
        "--num-cpus",
        2,
        "--include-dashboard",
        "false",
    ]
    words += ["--object-store-memory", 80_000_000, "--disable-usage-stats", "--block"]
    with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as folder:  # short: it holds sockets
        ray = subprocess.Popen(
            [Path(sys.executable).with_name("ray"), "start", *map(str, words), "--temp-dir", folder],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            until(lambda: ray.poll() is None and answers(port), "no cluster")
            yield f"127.0.0.1:{port}"
        finally:
            children = psutil.Process(ray.pid).children(recursive=True)
            ray.terminate()
            ray.wait(60)
            _, left = psutil.wait_procs(children, 30)
            for process in left:
                process.kill()
            assert not left


def answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def until(done: Callable[[], bool], what: str) -> None:
    for _ in range(600):
        if done():
            return
        time.sleep(0.1)
    pytest.fail(what)
