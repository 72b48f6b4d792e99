# SPDX-License-Identifier: Apache-2.0
"""How much memory evaluating, classifying and discovering take as a set in shards grows.

    python -m tests.quant.discovery.memory_benchmark

Sets of 1, 2 and 4 shards of 2,048 generated cells; each command in a process of its own, whose anonymous memory is
sampled (pages of files that the system could drop do not count). What commands hold of a sample of the cells whatever
the size of the set, up to 20,000 of them, is bounded by 1,000 here, so that these sets are past the bound.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import numpy as np

from icsort.quant.cells.dataset import Dataset
from icsort.quant.cells.find import generated_dataset
from icsort.quant.cells.readers import shards
from icsort.quant.discovery import clusters, discover
from icsort.quant.evaluation import classify, evaluate
from icsort.quant.packaging.export import export_package
from icsort.quant.training import train
from icsort.quant.training.recipe import Recipe

SHARDS = (1, 2, 4)
BLOCKS = 32  # a shard
CELLS = BLOCKS * shards.CELLS_PER_BLOCK
BOUND = 1000
BOUNDS = ((train, "SETUP_CELLS"), (discover, "SETUP_CELLS"), (discover, "COUNT"), (evaluate, "EMPTY_CELLS"))


def pieces(count: int) -> Iterator[Dataset]:
    """So many shards' cells, none of them twice."""
    for seed in range(count):
        cells = generated_dataset(CELLS // 5 + 1, seed)
        order = np.random.default_rng(seed).permutation(len(cells.images))[:CELLS]
        yield cells.subset(order)


def run(command: str, data: Path, package: Path, out: Path) -> None:
    for module, name in BOUNDS:
        patch.object(module, name, BOUND).start()
    patch.object(clusters, "LARGE", BOUND).start()
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


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        train.train_run(generated_dataset(60, 99), folder / "run", Recipe(epochs=1), progress=False)
        export_package(folder / "run", folder / "package")
        sizes = []
        for count in SHARDS:
            with patch.object(shards, "BLOCKS_PER_SHARD", BLOCKS):
                shards.write_shards(folder / f"cells-{count}", pieces(count))
            sizes.append(sum(path.stat().st_size for path in (folder / f"cells-{count}").iterdir()) / 1e6)
        print("command    " + "".join(f"{count * CELLS:>8,} cells" for count in SHARDS) + "   kB a cell more")
        for command in ("evaluate", "classify", "discover"):
            most = [
                measured(
                    [
                        command,
                        str(folder / f"cells-{count}"),
                        str(folder / "package"),
                        str(folder / f"{command}-{count}"),
                    ]
                )
                for count in SHARDS
            ]
            growth = (most[-1] - most[0]) * 1e3 / ((SHARDS[-1] - SHARDS[0]) * CELLS)
            print(f"{command:<11}" + "".join(f"{each:>11.0f} MB" for each in most) + f"{growth:>14.2f}", flush=True)
        growth = (sizes[-1] - sizes[0]) * 1e3 / ((SHARDS[-1] - SHARDS[0]) * CELLS)
        print(f"{'on disk':<11}" + "".join(f"{each:>11.0f} MB" for each in sizes) + f"{growth:>14.2f}")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        with patch.object(shards, "BLOCKS_PER_SHARD", BLOCKS):
            run(sys.argv[1], *map(Path, sys.argv[2:]))
    else:
        main()
