# SPDX-License-Identifier: Apache-2.0
"""Training in several processes, as torchrun starts them."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from icsort.errors import IcsortError
from icsort.quant.training.processes import processes

REPOSITORY = Path(__file__).parents[3]
OPTIONS = ("--generated", "--limit", "200", "--epochs", "12", "--batch", "32", "--device", "cpu")


@pytest.mark.full
def test_two_processes_train_as_well_as_one(tmp_path: Path) -> None:
    train = ["-m", "icsort", "train", *OPTIONS, "--out"]
    subprocess.run([sys.executable, *train, str(tmp_path / "one")], cwd=REPOSITORY, check=True)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    subprocess.run([*torchrun, *train, str(tmp_path / "two")], cwd=REPOSITORY, check=True)
    one, two = (json.loads((tmp_path / name / "metrics.json").read_text())["test"] for name in ("one", "two"))
    assert one["cells"] == two["cells"] == 100
    assert min(one["accuracy"], two["accuracy"]) > 0.6  # of five classes
    # Three standard deviations of the difference of two such figures.
    noise = 3 * (2 * one["accuracy"] * (1 - one["accuracy"]) / one["cells"]) ** 0.5
    assert abs(one["accuracy"] - two["accuracy"]) <= noise


def test_devices_that_are_not_there() -> None:
    with pytest.raises(IcsortError, match="no device 'tpu'"), processes("tpu"):
        pass
    if not torch.cuda.is_available():
        with pytest.raises(IcsortError, match="no GPU"), processes("cuda"):
            pass
