# SPDX-License-Identifier: Apache-2.0
"""Pictures that several reports show, their colours, and how a figure gets into a page or a file.

Whoever draws imports this module: it settles how matplotlib reads names.
"""

import base64
import colorsys
import io
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import imsave
from matplotlib.ticker import LogFormatter, StrMethodFormatter
from numpy.typing import NDArray

mpl.rcParams["text.parse_math"] = False  # a class or layer may be called "$a_$"

GOOD, PLAIN = "#2e9e5b", "#b8c0cc"  # what stands out, and what it stands out from
BAR = "#3a6ea5"
MARK = "#c0392b"  # limits and moments
INK = "#55606e"  # of small words
DPI = 110
ACROSS = 4  # channels of a cell beside each other


def logarithmic(axes: Axes, *names: str) -> None:
    """Logarithmic axes, "x" or "y", whose numbers are no formulas, which names are not read as either."""
    for name in names:
        axes.set(**{f"{name}scale": "log"})
        axis = {"x": axes.xaxis, "y": axes.yaxis}[name]
        axis.set_major_formatter(StrMethodFormatter("{x:,g}"))
        axis.set_minor_formatter(LogFormatter())


def save(figure: Figure, path: Path) -> None:
    """A figure as a file, of the kind that its name says."""
    figure.savefig(path, dpi=DPI)


def png(figure: Figure) -> str:
    """A figure as base64 PNG, as `Section.pictures` wants it."""
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=DPI, bbox_inches="tight")
    return base64.b64encode(buffer.getvalue()).decode()


def mosaic(pixels: NDArray[np.uint8]) -> str:
    """Channels of a cell (H, W, C), grey, from left to right in rows of ACROSS, as base64 PNG, pixel by pixel."""
    height, width, channels = pixels.shape
    across = min(channels, ACROSS)
    picture = np.full((-(-channels // across) * (height + 1) - 1, across * (width + 1) - 1, 3), 255, np.uint8)
    for channel in range(channels):
        top, left = channel // across * (height + 1), channel % across * (width + 1)
        picture[top : top + height, left : left + width] = pixels[..., channel, np.newaxis]
    buffer = io.BytesIO()
    imsave(buffer, picture, format="png")
    return base64.b64encode(buffer.getvalue()).decode()


def confusion(counts: NDArray[np.int64], classes: Sequence[str], decided_by: str) -> Figure:
    """Confusion matrix (K, K), rows are the truth; colour is the share of the row, numbers are cells."""
    from sklearn.metrics import ConfusionMatrixDisplay

    size = max(4.0, 0.55 * len(classes))
    figure = Figure(figsize=(size + 1, size), layout="constrained")
    axes = figure.subplots()
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    shown = ConfusionMatrixDisplay(share, display_labels=classes)
    shown.plot(ax=axes, cmap="Blues", colorbar=False, xticks_rotation=45, im_kw={"vmin": 0, "vmax": 1})
    for text, count in zip(shown.text_.flat, counts.flat, strict=True):
        text.set_text(str(count) if count else "")
    axes.set(xlabel=decided_by, ylabel="true class")
    return figure


def composite(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Cells (..., H, W, C) as colours (..., H, W, 3): the first channel grey, each other one in a colour of its own."""
    others = pixels.shape[-1] - 1
    palette = [(1.0, 1.0, 1.0)] + [colorsys.hsv_to_rgb((1 / 3 + i / max(others, 1)) % 1, 0.9, 1) for i in range(others)]
    strength = np.full((len(palette), 1), 0.9)
    strength[0] = 0.45 if others else 1.0
    return np.asarray(np.clip(pixels / 255 @ (np.array(palette) * strength), 0, 1))


def save_plane(path: Path, plane: NDArray[np.floating], colours: str, low: float, high: float) -> None:
    """A plane (H, W) as a PNG, a pixel each, from low to high in matplotlib's colours of this name."""
    imsave(path, plane, cmap=colours, vmin=low, vmax=high)
