# SPDX-License-Identifier: Apache-2.0
"""Where results that take long to make are kept, by the content that they were made from."""

import errno
import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock
from platformdirs import user_cache_path

from icsort.errors import IcsortError

VARIABLE = "ICSORT_CACHE"
MADE_FILE = "made.json"  # beside a kept file: its hash, and what else is known of its making


def cache_root() -> Path:
    """The folder that `ICSORT_CACHE` names, else the user's cache folder (`~/.cache/icsort` on Linux)."""
    named = os.environ.get(VARIABLE)
    return Path(named).absolute() if named else user_cache_path("icsort", appauthor=False)


def cache_folder(kind: str, key: Iterable[bytes]) -> Path:
    """Folder for one result, named by the content it was made from. It is not created.

    `key` is everything that decides the result: sources, parameters, tool version.
    """
    digest = hashlib.sha256()
    for part in key:
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return cache_root() / kind / digest.hexdigest()[:20]


@contextmanager
def cache_entry(kind: str, key: Iterable[bytes]) -> Iterator[Path]:
    """`cache_folder`, made and locked: of two processes that want one result, the second waits for the first.

    Raises IcsortError where the cache cannot be written or its disk is full, also for what the block writes there.
    """
    folder = cache_folder(kind, key)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{folder}.lock"):
            yield folder
    except OSError as error:
        root = cache_root()
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        if not (full if error.filename is None else _concerns(Path(os.fsdecode(error.filename)), root)):
            raise
        raise IcsortError(
            f"{root}: the cache cannot be written ({error.strerror or error}); set {VARIABLE} to another folder"
        ) from None


def keep(part: Path, file: Path, **known: float) -> None:
    """Make a file that was written whole, `part`, the kept one of its folder. known: numbers that stay beside it."""
    part.replace(file)
    (file.parent / MADE_FILE).write_text(json.dumps({"sha256": _sha256(file), **known}))


def is_whole(file: Path) -> bool:
    """Whether a file is there and is what was once kept: whoever was killed, or wrote to it, left another."""
    try:
        return bool(known_of(file)["sha256"] == _sha256(file))
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return False


def known_of(file: Path) -> dict[str, Any]:
    """What `keep` wrote beside a file."""
    contents: dict[str, Any] = json.loads((file.parent / MADE_FILE).read_text())
    return contents


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _concerns(path: Path, root: Path) -> bool:
    """Whether a path is in the cache, or a folder that the cache is to be made in."""
    return path.is_relative_to(root) or root.is_relative_to(path)
