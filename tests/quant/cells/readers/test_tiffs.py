# SPDX-License-Identifier: Apache-2.0
"""TIFF files: axes that they state, pages, what is damaged, compressed or no intensity."""

import contextlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image

from icsort.errors import IcsortError
from icsort.quant.cells.readers.tiffs import TiffCells, is_stack, read_tiff
from tests.quant.cells.files import refusal, write_event, write_stack

MINISBLACK = {"photometric": "minisblack"}
IMAGEJ = {"imagej": True}
OME = {"ome": True, "photometric": "minisblack"}


@pytest.fixture
def cells(seed: int) -> NDArray[np.uint16]:
    """Five cells of three channels, 10 lines of 12 pixels."""
    return np.random.default_rng(seed).integers(0, 65536, (5, 3, 10, 12)).astype(np.uint16)


def stored(folder: Path, pixels: NDArray[Any], axes: str | None, **how: Any) -> TiffCells:
    metadata = {} if axes is None else {"metadata": {"axes": axes}}
    tifffile.imwrite(folder / "a.tif", np.ascontiguousarray(pixels), **metadata, **how)
    return read_tiff(folder / "a.tif")


@pytest.mark.parametrize(
    ("axes", "order", "how"),
    [
        ("ICYX", (0, 1, 2, 3), MINISBLACK),
        ("TCYX", (0, 1, 2, 3), IMAGEJ),
        ("TCYX", (0, 1, 2, 3), OME),
        ("CTYX", (1, 0, 2, 3), MINISBLACK),
        ("CTYX", (1, 0, 2, 3), OME),
        ("TYXC", (0, 2, 3, 1), MINISBLACK),
        ("YXTC", (2, 3, 0, 1), MINISBLACK),
        ("TCXY", (0, 1, 3, 2), MINISBLACK),
    ],
)
def test_stated_axes_are_obeyed(
    tmp_path: Path, cells: NDArray[np.uint16], axes: str, order: tuple[int, ...], how: dict[str, Any]
) -> None:
    tiff = stored(tmp_path, cells.transpose(order), axes, **how)
    assert (tiff.pixels == cells).all()
    assert tiff.has_cell_axis
    assert not tiff.pages
    assert is_stack(tmp_path / "a.tif")


@pytest.mark.parametrize("how", [MINISBLACK, IMAGEJ, OME])
def test_cells_of_one_channel_and_one_cell_of_channels(
    tmp_path: Path, cells: NDArray[np.uint16], how: dict[str, Any]
) -> None:
    tiff = stored(tmp_path, cells[:, 0], "TYX", **how)
    assert (tiff.pixels == cells[:, :1]).all()
    assert tiff.has_cell_axis
    tiff = stored(tmp_path, cells[0], "CYX", **how)
    assert (tiff.pixels == cells[:1]).all()
    assert not tiff.has_cell_axis
    assert not tiff.pages
    assert not is_stack(tmp_path / "a.tif")


def test_axes_that_are_not_stated(tmp_path: Path, cells: NDArray[np.uint16]) -> None:
    tiff = stored(tmp_path, cells, None, **MINISBLACK)
    assert (tiff.pixels == cells).all()
    assert stored(tmp_path, cells[:1], None, **MINISBLACK).has_cell_axis
    tiff = stored(tmp_path, cells[0], None, **MINISBLACK)
    assert (tiff.pixels == cells[:1]).all()
    assert tiff.pages
    assert "does not say" in refusal(stored, tmp_path, cells[None], None)
    colours = (cells % 256).astype(np.uint8).transpose(0, 2, 3, 1)
    tiff = stored(tmp_path, colours, None, photometric="rgb")
    assert (tiff.pixels == cells % 256).all()
    assert tiff.has_cell_axis
    assert (stored(tmp_path, colours[0], None, photometric="rgb").pixels == cells[:1] % 256).all()


@pytest.mark.parametrize("contiguous", [True, False])
def test_pages_that_are_images_of_their_own(tmp_path: Path, cells: NDArray[np.uint16], contiguous: bool) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as tiff:
        for page in cells[0]:
            tiff.write(page, photometric="minisblack", contiguous=contiguous)
    assert (read_tiff(tmp_path / "a.tif").pixels == cells[:1]).all()
    pages = [Image.fromarray(page) for page in cells[0]]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    assert (read_tiff(tmp_path / "a.tif").pixels == cells[:1]).all()


@pytest.mark.parametrize(("axes", "how"), [("ZYX", IMAGEJ), ("ZCYX", OME), ("AYX", MINISBLACK), ("TIYX", MINISBLACK)])
def test_axes_that_cannot_be_obeyed_are_refused_by_name(
    tmp_path: Path, cells: NDArray[np.uint16], axes: str, how: dict[str, Any]
) -> None:
    with pytest.raises(IcsortError, match=axes) as caught:
        stored(tmp_path, cells if len(axes) == 4 else cells[:, 0], axes, **how)
    message = str(caught.value)
    assert "\n" not in message
    assert "'axes': 'TCYX'" in message


@pytest.mark.parametrize(
    "second",
    [np.zeros((24, 24), np.float32), np.zeros((24, 20), np.uint16), np.zeros((2, 24, 24), np.uint16)],
    ids=["type", "width", "axes"],
)
def test_pages_that_differ(tmp_path: Path, second: NDArray[Any]) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as tiff:
        tiff.write(np.zeros((24, 24), np.uint16), photometric="minisblack")
        tiff.write(second, photometric="minisblack")
    assert "pages differ" in refusal(read_tiff, tmp_path / "a.tif")


def test_two_stacks_in_one_file(tmp_path: Path, cells: NDArray[np.uint16]) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as tiff:
        tiff.write(cells, metadata={"axes": "TCYX"}, photometric="minisblack")
        tiff.write(cells[:2], metadata={"axes": "TCYX"}, photometric="minisblack")
    assert "pages differ" in refusal(read_tiff, tmp_path / "a.tif")


def test_names_of_channels(tmp_path: Path, cells: NDArray[np.uint16]) -> None:
    write_event(tmp_path / "a.tif", ["FSC", "SSC"], 20, 10)
    assert read_tiff(tmp_path / "a.tif").names == ("FSC", "SSC")
    metadata = {"axes": "TCYX", "Channel": {"Name": ["BF", "DNA", "DF"]}}
    tifffile.imwrite(tmp_path / "a.tif", cells, metadata=metadata, **OME)
    assert read_tiff(tmp_path / "a.tif").names == ("BF", "DNA", "DF")
    assert stored(tmp_path, cells, "TCYX", **OME).names == ("", "", "")


def _palette(path: Path) -> None:
    Image.fromarray(np.zeros((6, 6), np.uint8)).convert("P").save(path)


def _white_is_zero(path: Path) -> None:
    tifffile.imwrite(path, np.zeros((6, 6), np.uint8), photometric="miniswhite")


def _alpha(path: Path) -> None:
    tifffile.imwrite(path, np.zeros((6, 6, 4), np.uint8), photometric="rgb", extrasamples=["unassalpha"])


@pytest.mark.parametrize(
    ("write", "reason"), [(_palette, "PALETTE"), (_white_is_zero, "MINISWHITE"), (_alpha, "transparency")]
)
def test_pixels_that_are_no_intensities(tmp_path: Path, write: Callable[[Path], None], reason: str) -> None:
    write(tmp_path / "a.tif")
    assert reason in refusal(read_tiff, tmp_path / "a.tif")


@pytest.mark.parametrize("codec", ["tiff_lzw", "tiff_adobe_deflate", "packbits", "zstd"])
def test_compressed_pixels(tmp_path: Path, cells: NDArray[np.uint16], codec: str) -> None:
    Image.fromarray(cells[0, 0]).save(tmp_path / "a.tif", compression=codec)  # Pillow writes with libtiff
    assert (read_tiff(tmp_path / "a.tif").pixels[0, 0] == cells[0, 0]).all()


def test_a_lossy_tiff_reads_as_pillow_reads_it(tmp_path: Path, cells: NDArray[np.uint16]) -> None:
    Image.fromarray((cells[0, 0] >> 8).astype(np.uint8)).save(tmp_path / "a.tif", compression="jpeg")
    with Image.open(tmp_path / "a.tif") as picture:
        assert (read_tiff(tmp_path / "a.tif").pixels[0, 0] == np.asarray(picture)).all()


def test_without_imagecodecs_the_message_names_it(tmp_path: Path, cells: NDArray[np.uint16]) -> None:
    Image.fromarray(cells[0, 0]).save(tmp_path / "a.tif", compression="tiff_lzw")
    program = (
        "import sys; from pathlib import Path; sys.modules['imagecodecs'] = None\n"
        "from icsort.quant.cells.readers.tiffs import read_tiff; read_tiff(Path(sys.argv[1]))"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "a.tif")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    message = done.stderr.splitlines()[-1]
    assert "compressed with LZW" in message
    assert "pip install imagecodecs" in message
    assert "damaged" not in message


@pytest.mark.parametrize("kind", ["stack", "event", "lzw"])
def test_a_tiff_truncated_anywhere_is_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "whole.tif"
    if kind == "stack":
        write_stack(path)
    elif kind == "event":
        write_event(path, ["a", "b", "c"], 20, 10)
    else:
        pixels = np.random.default_rng(3).integers(0, 65536, (20, 20)).astype(np.uint16)
        Image.fromarray(pixels).save(path, compression="tiff_lzw")
    content, whole = path.read_bytes(), read_tiff(path)
    cut = tmp_path / "cut.tif"
    for length in sorted({*range(0, len(content), 97), *range(len(content) - 400, len(content))}):
        cut.write_bytes(content[:length])
        if len(content) - length > 64:
            assert "damaged" in refusal(read_tiff, cut), length
            continue
        with contextlib.suppress(IcsortError):  # the last bytes are padding and tags: no pixel and no page is lost
            assert (read_tiff(cut).pixels == whole.pixels).all(), length
