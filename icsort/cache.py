# SPDX-License-Identifier: Apache-2.0
"""Where results that take long to make are kept, by the content that they were made from."""

import errno
import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock
from platformdirs import user_cache_path

from icsort.errors import IcsortError

VARIABLE = "ICSORT_CACHE"


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


def _concerns(path: Path, root: Path) -> bool:
    """Whether a path is in the cache, or a folder that the cache is to be made in."""
    return path.is_relative_to(root) or root.is_relative_to(path)
