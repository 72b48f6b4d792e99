# SPDX-License-Identifier: Apache-2.0
"""Sort cells by their images with a quantized neural network in an FPGA, and prove it without vendor tools.

`icsort.train`, `export`, `package`, `classify`, `stain`, `stain_field`, `discover`, `respond`, `track`, `fate`,
`compile`, `simulate` and `board` are the commands of these names as functions, `connect` is the board at a port,
`connect_async` the same for asyncio (see icsort.api). They are imported when they are first asked for: a lab PC has
neither torch nor FINN.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from icsort.api import (
        board,
        classify,
        compile,  # noqa: A004
        connect,
        connect_async,
        discover,
        export,
        fate,
        package,
        respond,
        simulate,
        stain,
        stain_field,
        track,
        track_cost,
        train,
    )

    __version__: str

__all__ = [
    "__version__", "board", "classify", "compile", "connect", "connect_async", "discover", "export", "fate",
    "package", "respond", "simulate", "stain", "stain_field", "track", "track_cost", "train",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version  # takes longer to import than all the rest

        return version("icsort")
    if name in __all__:
        from icsort import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
