# SPDX-License-Identifier: Apache-2.0
"""Files that torch writes, read as data: tensors and plain values, and never code that a file might hold."""

from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from icsort.errors import IcsortError

# What torch's reader raises for broken bytes: whatever they lead to.
BROKEN = (OSError, RuntimeError, EOFError, ValueError, LookupError, TypeError, AttributeError, UnpicklingError)


def load_stored(path: Path, remedy: str) -> Any:
    """What `torch.save` wrote, on the CPU. Raises IcsortError, which ends in `remedy`, for any other file."""
    try:
        return torch.load(path, weights_only=True, map_location="cpu")
    except BROKEN as error:
        detail = (str(error).splitlines() or [type(error).__name__])[0]
        raise IcsortError(f"{path}: cannot be read as torch's file ({detail}); {remedy}") from None
