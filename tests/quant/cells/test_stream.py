# SPDX-License-Identifier: Apache-2.0
"""Batches from shards: every cell once an epoch, shuffled, the same for a seed, shared by processes and workers."""

from itertools import chain
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from icsort.errors import IcsortError
from icsort.quant.cells.find import Dataset
from icsort.quant.cells.readers import shards
from icsort.quant.cells.readers.shards import Shards, open_shards, write_shards
from icsort.quant.cells.stream import CellStream


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Shards:
    """200 cells whose first pixel is their number, in blocks of 8."""
    images = np.zeros((200, 6, 5, 2), np.uint16)
    images[:, 0, 0, 0] = np.arange(200)
    cells = Dataset("n", "numbered", tuple(images), np.arange(200) % 4, tuple("ABCD"), ("FSC", "SSC"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shards, "CELLS_PER_BLOCK", 8)
        folder = tmp_path_factory.mktemp("stream") / "shards"
        write_shards(folder, [cells])
    return open_shards(folder)


def numbers(stream: CellStream, workers: int = 0) -> list[list[int]]:
    found = []
    for images, labels in DataLoader(stream, batch_size=None, num_workers=workers):
        assert images.dtype == torch.uint16
        assert images.shape[1:] == (6, 5, 2)
        cells = images[:, 0, 0, 0].to(torch.int64)
        assert (cells % 4 == labels).all()
        found.append(cells.tolist())
    return found


def test_every_cell_once_and_shuffled(opened: Shards, seed: int) -> None:
    stream = CellStream(opened, batch=16, seed=seed, pool=64)
    batches = numbers(stream)
    order = list(chain(*batches))
    assert sorted(order) == list(range(200))
    assert [len(batch) for batch in batches] == [16] * 12 + [8]
    assert len(stream) == len(batches)
    assert abs(np.corrcoef(order, np.arange(200))[0, 1]) < 0.5
    assert numbers(stream) == batches
    stream.epoch = 1
    assert numbers(stream) != batches


def test_a_part_in_order(opened: Shards) -> None:
    part = np.asarray([3, 50, 51, 120, 199])
    assert numbers(CellStream(opened, part, batch=2, shuffle=False)) == [[3, 50], [51, 120], [199]]
    assert sorted(chain(*numbers(CellStream(opened, part, batch=2)))) == part.tolist()


def test_workers_give_the_same_cells(opened: Shards) -> None:
    stream = CellStream(opened, batch=16, pool=32)
    assert sorted(numbers(stream, workers=2)) == sorted(numbers(stream))


@pytest.mark.parametrize("world", [2, 3])
def test_processes_share_the_cells_evenly(opened: Shards, world: int) -> None:
    streams = [CellStream(opened, batch=16, pool=32, rank=rank, world=world) for rank in range(world)]
    shares = [list(chain(*numbers(stream))) for stream in streams]
    assert {len(share) for share in shares} == {200 // world}
    assert len(set().union(*shares)) == 200 // world * world


def test_too_few_cells_for_the_processes(opened: Shards) -> None:
    with pytest.raises(IcsortError, match="cannot be shared by 3"):
        CellStream(opened, np.arange(2), world=3)


def test_cells_of_differing_height_need_a_cut(tmp_path: Path) -> None:
    images = tuple(np.zeros((height, 4, 1), np.uint16) for height in (5, 6))
    write_shards(tmp_path / "s", [Dataset("h", "h", images, np.asarray([0, 1]), ("A", "B"), ("FSC",))])
    stream = CellStream(open_shards(tmp_path / "s"))
    with pytest.raises(IcsortError, match="differ in height"):
        list(stream)
    stream.collate = lambda images, _: [image.shape[0] for image in images]
    assert sorted(chain(*stream)) == [5, 6]
