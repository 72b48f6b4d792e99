# SPDX-License-Identifier: Apache-2.0
"""Training batches straight from shards: shuffled, shared among processes and workers, in flat memory."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from icsort.errors import IcsortError
from icsort.quant.cells.readers.shards import Shards, open_shards

Collate = Callable[[list[NDArray[np.uint16]], NDArray[np.int64]], Any]
POOL_CELLS = 2048


def stack(images: list[NDArray[np.uint16]], labels: NDArray[np.int64]) -> tuple[torch.Tensor, torch.Tensor]:
    """Images of one height as a uint16 tensor (N, H, W, C) and their labels int64 (N,)."""
    if len({image.shape for image in images}) != 1:
        raise IcsortError("the cells differ in height: cut them to one window before they are stacked")
    return torch.from_numpy(np.stack(images)), torch.from_numpy(labels)


class CellStream(IterableDataset[Any]):
    """Batches of some of the cells of a folder of shards, as `torch.utils.data.DataLoader(stream, batch_size=None)`.

    indices: the cells to give (a part of the split); all of them without it. collate: from the images and labels of a
    batch to what is given (default: `stack`).

    Order: the blocks are shuffled, and a pool of the next `pool` cells is shuffled again, so that memory holds the pool
    and no more. It depends on seed and epoch alone (`epoch` may be set between passes), not on the number of workers'
    processes. rank of world: this process gives its equal share of the cells (torchrun's RANK and WORLD_SIZE); so that
    no process waits for another, up to world - 1 cells of an epoch are left out, other ones each time. The loader's
    workers share the batches of their process; each holds a pool of its own.
    """

    def __init__(
        self,
        shards: Shards,
        indices: NDArray[np.int64] | None = None,
        batch: int = 32,
        seed: int = 0,
        shuffle: bool = True,
        pool: int = POOL_CELLS,
        rank: int = 0,
        world: int = 1,
        collate: Collate = stack,
    ) -> None:
        super().__init__()
        self.shards = shards
        self.indices = np.arange(len(shards.labels)) if indices is None else np.asarray(indices, np.int64)
        self.batch, self.seed, self.shuffle, self.rank, self.world = batch, seed, shuffle, rank, world
        self.pool = max(batch, pool // batch * batch)
        self.collate = collate
        self.epoch = 0
        if len(self.indices) < world:
            raise IcsortError(f"{shards.folder}: {len(self.indices)} cells cannot be shared by {world} processes")

    def __len__(self) -> int:
        """Batches of an epoch in this process."""
        return -(-(len(self.indices) // self.world) // self.batch)

    def order(self) -> NDArray[np.int64]:
        """The cells of this process in this epoch, in the order in which they are given."""
        if not self.shuffle:
            share = np.array_split(self.indices, self.world)[self.rank]
            return share[: len(self.indices) // self.world]
        random = np.random.default_rng([self.seed, self.epoch])
        rank_of_block = random.permutation(len(self.shards.block_starts))
        cells = random.permutation(self.indices)
        cells = cells[np.argsort(rank_of_block[self.shards.block_of[cells]], kind="stable")]
        cells = np.roll(cells, random.integers(len(cells)))
        size = len(cells) // self.world
        share = cells[self.rank * size : (self.rank + 1) * size].copy()
        for begin in range(0, size, self.pool):
            random.shuffle(share[begin : begin + self.pool])
        return share

    def __iter__(self) -> Iterator[Any]:
        worker = get_worker_info()
        number, workers = (0, 1) if worker is None else (worker.id, worker.num_workers)
        order = self.order()
        for pool, begin in enumerate(range(0, len(order), self.pool)):
            if pool % workers != number:
                continue
            cells = order[begin : begin + self.pool]
            images = self.shards.images(cells)
            for first in range(0, len(cells), self.batch):
                part = slice(first, first + self.batch)
                yield self.collate(images[part], self.shards.labels[cells[part]])


def measure(folder: Path, images: int, batch: int, workers: int, seed: int) -> Iterator[dict[str, float]]:
    """Load at least that many images, epoch after epoch, and report about ten times on the way.

    Each report: images so far, images a second since the start, resident memory in MB of this process and its workers.
    """
    torch.set_num_threads(1)
    stream = CellStream(open_shards(folder), batch=batch, seed=seed)
    process = psutil.Process()
    done, reported, began = 0, 0, time.monotonic()
    while done < images:
        for _, labels in DataLoader(stream, batch_size=None, num_workers=workers):
            done += len(labels)
            if done - reported >= images / 10 or done >= images:
                memory = sum(member.memory_info().rss for member in [process, *process.children(recursive=True)])
                speed = done / (time.monotonic() - began)
                yield {"images": done, "images_per_second": round(speed, 1), "rss_mb": round(memory / 1e6, 1)}
                reported = done
            if done >= images:
                return
        stream.epoch += 1
