# SPDX-License-Identifier: Apache-2.0
"""Arrays of a number for every cell, or a picture, in files: only what is used of them takes memory."""

import math
import os
from pathlib import Path
from tempfile import TemporaryFile, gettempdir
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from icsort.errors import IcsortError


def on_disk(shape: tuple[int, ...], kind: DTypeLike, folder: Path | None, what: str) -> NDArray[Any]:
    """An array of zeros in a file without a name, which is gone when nobody uses it. Its room is taken now, or not at
    all.

    kind: of its numbers. folder: where the file is (None: the system's own). what: it holds, for the message. Raises
    IcsortError where there is no room.
    """
    size = math.prod(shape) * np.dtype(kind).itemsize
    try:
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder) as file:
            os.posix_fallocate(file.fileno(), 0, size)
            return np.memmap(file, kind, "r+", shape=shape)
    except OSError as error:
        raise IcsortError(
            f"{folder or gettempdir()}: {size / 1e6:.0f} MB for {what} cannot be written "
            f"({error.strerror}); make room, or take fewer cells or orientations"
        ) from None
