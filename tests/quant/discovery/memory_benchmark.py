# SPDX-License-Identifier: Apache-2.0
"""How much memory evaluating, classifying and discovering take as a set in shards grows.

    python -m tests.quant.discovery.memory_benchmark [evaluate] [classify] [discover]

Sets of 1, 2 and 4 shards of 2,048 generated cells, of 384 for discover, which takes longer; each command in a process
of its own, whose anonymous memory is sampled (pages of files that the system could drop do not count). What commands
hold of a sample of the cells whatever the size of the set, up to 20,000 of them, is bounded by half a shard here, so
that these sets are past the bound.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from unittest.mock import patch

import numpy as np

from icsort.quant.cells.dataset import Dataset
from icsort.quant.cells.find import generated_dataset
from icsort.quant.cells.readers import shards
from icsort.quant.discovery import clusters, discover
from icsort.quant.evaluation import classify, evaluate
from icsort.quant.packaging.export import export_package
from icsort.quant.training import fitting, train
from icsort.quant.training.recipe import Recipe

SHARDS = (1, 2, 4)
BLOCKS = {"evaluate": 32, "classify": 32, "discover": 6}  # a shard
BOUNDS = (
    (clusters, "LARGE"),
    (clusters, "SILHOUETTE_CELLS"),
    (discover, "COUNT"),
    (discover, "MAPPED"),
    (discover, "SETUP_CELLS"),
    (evaluate, "EMPTY_CELLS"),
    (fitting, "NORM_CELLS"),
    (train, "SETUP_CELLS"),
)


def pieces(count: int, size: int) -> Iterator[Dataset]:
    """So many shards of `size` cells, none of them twice."""
    for seed in range(count):
        cells = generated_dataset(size // 5 + 1, seed)
        order = np.random.default_rng(seed).permutation(len(cells.images))[:size]
        yield cells.subset(order)


def run(command: str, data: Path, package: Path, out: Path) -> None:
    bound = BLOCKS[command] * shards.CELLS_PER_BLOCK // 2
    for module, name in BOUNDS:
        patch.object(module, name, bound).start()
    patch.object(shards, "BLOCKS_PER_SHARD", BLOCKS[command]).start()
    if command == "evaluate":
        evaluate.evaluate(package, data)
    elif command == "classify":
        classify.classify(package, data, out)
    else:
        out.mkdir()
        plan = discover.Plan(3, seeds=1, rounds=1, recipe=Recipe(epochs=1))
        discover.discover(discover.read_cells(data, count=10**9), out, plan)


def anonymous(process: int) -> float:
    """MB."""
    try:
        lines = Path(f"/proc/{process}/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0.0
    return sum(float(line.split()[1]) for line in lines if line.startswith("RssAnon")) / 1e3


def measured(words: list[str]) -> float:
    """The most memory, MB, of a process of this module with these words."""
    process = subprocess.Popen([sys.executable, "-m", __spec__.name, *words], stdout=subprocess.DEVNULL)
    most = 0.0
    while process.poll() is None:
        most = max(most, anonymous(process.pid))
        time.sleep(0.02)
    assert process.returncode == 0
    return most


def main(commands: Sequence[str]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        train.train_run(generated_dataset(60, 99), folder / "run", Recipe(epochs=1), progress=False)
        export_package(folder / "run", folder / "package")
        for command in commands:
            size = BLOCKS[command] * shards.CELLS_PER_BLOCK
            most, stored = [], []
            for count in SHARDS:
                data, out = folder / f"{command}-cells-{count}", folder / f"{command}-{count}"
                with patch.object(shards, "BLOCKS_PER_SHARD", BLOCKS[command]):
                    shards.write_shards(data, pieces(count, size))
                stored.append(sum(path.stat().st_size for path in data.iterdir()) / 1e6)
                most.append(measured([command, *map(str, (data, folder / "package", out))]))
            for what, each in ((command, most), ("  on disk", stored)):
                growth = (each[-1] - each[0]) * 1e3 / ((SHARDS[-1] - SHARDS[0]) * size)
                figures = ", ".join(
                    f"{count * size:,} cells {mb:.0f} MB" for count, mb in zip(SHARDS, each, strict=True)
                )
                print(f"{what:<11}{figures}: {growth:.2f} kB a cell more", flush=True)


if __name__ == "__main__":
    if len(sys.argv) == 5:
        run(sys.argv[1], *map(Path, sys.argv[2:]))
    else:
        main(sys.argv[1:] or list(BLOCKS))
