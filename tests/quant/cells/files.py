# SPDX-License-Identifier: Apache-2.0
"""Files of cells that the tests write, and the real ones where they are."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import tifffile

from icsort.errors import IcsortError
from icsort.real_data import DATA_VARIABLE, real_data_folder

REAL = real_data_folder()


def real(folder: str) -> Path:
    if not (REAL / folder).is_dir():
        pytest.skip(f"no real images at {REAL / folder}; set {DATA_VARIABLE} to the folder that holds {folder}")
    return REAL / folder


def write_stack(path: Path, cells: int = 4, channels: int = 3, size: int = 12, seed: int = 0) -> np.ndarray:
    stack = np.random.default_rng(seed).integers(0, 65536, (cells, channels, size, size)).astype(np.uint16)
    tifffile.imwrite(path, stack, metadata={"axes": "ICYX"})
    return stack


def write_event(path: Path, names: Sequence[str], height: int, width: int = 104, seed: int = 0) -> np.ndarray:
    pages = np.random.default_rng(seed).normal(0.2, 0.3, (len(names), height, width)).astype(np.float32)
    with tifffile.TiffWriter(path) as tiff:
        for name, page in zip(names, pages, strict=True):
            tiff.write(page, extratags=[(285, 2, 0, name, False)], metadata=None, contiguous=False)
    return pages


def write_sorter_folder(folder: Path, channel_counts: Sequence[int], heights: Sequence[int]) -> Path:
    (folder / "images").mkdir(parents=True)
    (folder / "output").mkdir()
    rows = ["id;gate;path"]
    for index, (count, height) in enumerate(zip(channel_counts, heights, strict=True)):
        write_event(folder / "images" / f"e{index}.tiff", [f"detector {i}" for i in range(count)], height, seed=index)
        rows.append(f"id{index};{'S' if index % 2 else 'G1'};../images/e{index}.tiff")
    (folder / "output" / "countpath.csv").write_text("\n".join(rows) + "\n")
    return folder


def refusal(call: object, *arguments: object) -> str:
    assert callable(call)
    with pytest.raises(IcsortError) as caught:
        call(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)
