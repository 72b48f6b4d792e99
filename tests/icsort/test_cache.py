# SPDX-License-Identifier: Apache-2.0
"""Where the cache is, and one line that names it where it cannot be."""

import errno
import os
import threading
from pathlib import Path

import pytest

from icsort.cache import cache_entry, cache_folder, cache_root
from icsort.errors import IcsortError


def test_where_the_cache_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for empty in ("XDG_CACHE_HOME", "ICSORT_CACHE"):
        monkeypatch.setenv(empty, "")  # as if it were not set
    at_home = cache_root()
    assert at_home.is_relative_to(tmp_path)
    assert at_home.name == "icsort"
    monkeypatch.setenv("ICSORT_CACHE", str(tmp_path / "it's $HOME"))
    assert cache_root() == tmp_path / "it's $HOME"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ICSORT_CACHE", "relative/folder")
    assert cache_root() == tmp_path / "relative" / "folder"


def test_a_key_is_its_parts() -> None:
    assert cache_folder("a", [b"x", b"yz"]) != cache_folder("a", [b"xy", b"z"])
    assert cache_folder("a", [b"x"]) == cache_folder("a", [b"x"])


def write(name: str = "result") -> None:
    with cache_entry("kind", [b"key"]) as folder:
        (folder / name).write_text("result")


@pytest.mark.parametrize("blocked", ["/dev/null", "/proc/nowhere", "file", "file/below"])
def test_a_cache_that_cannot_be(blocked: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("mine")
    root = tmp_path / blocked  # an absolute one stays as it is
    monkeypatch.setenv("ICSORT_CACHE", str(root))
    with pytest.raises(IcsortError, match=f"^{root}: the cache cannot be written .*; set ICSORT_CACHE to another"):
        write()
    assert (tmp_path / "file").read_text() == "mine"


def test_a_full_disk_and_an_error_of_something_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ICSORT_CACHE", str(tmp_path / "cache"))

    def fail(error: OSError) -> None:
        with cache_entry("kind", [b"key"]):
            raise error

    with pytest.raises(IcsortError, match="No space left"):
        fail(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
    with pytest.raises(IcsortError, match="No space left"):
        fail(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(tmp_path / "cache" / "kind" / "x")))
    with pytest.raises(FileNotFoundError, match="compiler"):
        fail(FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), "/usr/bin/compiler"))


def test_one_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second waits until the first is done, and then finds its result."""
    monkeypatch.setenv("ICSORT_CACHE", str(tmp_path))
    made, entered, leave = [], threading.Event(), threading.Event()

    def work(number: int) -> None:
        with cache_entry("kind", [b"key"]) as folder:
            if not (folder / "result").exists():
                entered.set()
                leave.wait()
                made.append(number)
                (folder / "result").write_text("result")

    first, second = (threading.Thread(target=work, args=(number,)) for number in range(2))
    first.start()
    entered.wait()
    second.start()
    second.join(0.3)
    assert second.is_alive()
    leave.set()
    first.join()
    second.join()
    assert made == [0]
