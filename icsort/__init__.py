# SPDX-License-Identifier: Apache-2.0
"""Sort cells by their images with a quantized neural network in an FPGA, and prove it without vendor tools."""

from typing import Any


def __getattr__(name: str) -> Any:
    """`icsort.__version__` is read when it is asked for: metadata takes longer to import than all the rest."""
    if name == "__version__":
        from importlib.metadata import version

        return version("icsort")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
