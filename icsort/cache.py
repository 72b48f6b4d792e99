# SPDX-License-Identifier: Apache-2.0
"""Where results that take long to make are kept, by the content that they were made from."""

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path


def cache_folder(kind: str, key: Iterable[bytes]) -> Path:
    """Folder for one result, named by the content it was made from.

    `key` is everything that decides the result: sources, parameters, tool version. The root is `ICSORT_CACHE`, else
    `$XDG_CACHE_HOME/icsort`, else `~/.cache/icsort`. The folder is not created.
    """
    digest = hashlib.sha256()
    for part in key:
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    default = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "icsort"
    return Path(os.environ.get("ICSORT_CACHE", default)) / kind / digest.hexdigest()[:20]
