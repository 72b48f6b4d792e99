# SPDX-License-Identifier: Apache-2.0
"""Whole networks: every logit of icsort_net in Verilator against FINN's graph and against QONNX."""

import fcntl
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from hw.compile import Build, compile_package
from hw.reference import finn_logits, qonnx_logits
from sim import verilate
from sim.bench import run_bench
from tests.hw.networks import Basic, BranchNetwork, Inverted, Network, make_package, random_images

# Small units, so that vectors are replayed, sums accumulate over beats, and converters of both kinds appear.
NARROW = {
    "MVAU_0": {"PE": 2, "SIMD": 3, "fifo_depth": 5},
    "Thresholding_0": {"PE": 1},
    "MVAU_1": {"PE": 1, "SIMD": 1},
    "Thresholding_1": {"PE": 6},
    "MVAU_2": {"PE": 1, "SIMD": 2},
}


# Both kinds of shortcut and of join; vectors that are replayed, and accumulators over taps, behind the strides.
BRANCHES = {
    "residual": BranchNetwork(height=7, width=6, blocks=(Basic(4), Basic(6, stride=2))),
    "depthwise": BranchNetwork(
        height=7,
        width=8,
        blocks=(Inverted(4, expand=1), Inverted(6, stride=2), Inverted(6, quantize_sum=False)),
        head=8,
    ),
}


@dataclass(frozen=True)
class Run:
    """Signed logits (N, classes); cycles in which each image's first and last pixel and its logits were transferred."""

    logits: np.ndarray
    first: np.ndarray
    last: np.ndarray
    done: np.ndarray


def run_net(build: Build, images: np.ndarray, folder: Path, *, idle: float = 0.0, stall: float = 0.0, seed: int) -> Run:
    """Run icsort_net of a build. `folder` holds mem/ and takes the files of the bench."""
    np.save(folder / "images.npy", images)
    environment = {
        "ICSORT_IMAGES": str(folder / "images.npy"),
        "ICSORT_RESULT": str(folder / "result.npz"),
        "ICSORT_IDLE": str(idle),
        "ICSORT_STALL": str(stall),
    }
    sources = [path for path in build.sources() if path.parent.name == "kernels" or path.name == "icsort_net.sv"]
    run_bench(
        "icsort_net",
        "tests.hw.bench_net",
        sources,
        seed=seed,
        parameters={"MEM_DIR": f"{folder}/mem/"},
        environment=environment,
    )
    result = np.load(folder / "result.npz")
    bits, classes = build.data["logit_bits"], len(build.manifest.classes)
    assert int(result["width"]) == bits * classes
    beats = [int.from_bytes(word, "little") for word in result["logits"]]
    raw = np.array([[(beat >> (c * bits)) & ((1 << bits) - 1) for c in range(classes)] for beat in beats])
    return Run(np.where(raw >> (bits - 1), raw - (1 << bits), raw), result["first"], result["last"], result["done"])


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return random_images(Network(), 8, 5)


@pytest.fixture(scope="module")
def work() -> Iterator[Path]:
    """One folder, the same in every run, used by one run at a time: its name is a parameter of the cached model."""
    folder = verilate.cache_folder("net", [b"memory files of tests/hw/test_net.py"])
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder


@pytest.fixture
def folder(build: Build, work: Path) -> Path:
    """That folder with a fresh copy of the build's memory files, to be damaged."""
    shutil.copytree(build.folder / "mem", work / "mem", dirs_exist_ok=True)
    return work


@pytest.fixture(scope="module")
def expected(build: Build, images: np.ndarray) -> np.ndarray:
    """Both references, which must agree before the RTL is looked at."""
    logits = finn_logits(build, images)
    np.testing.assert_array_equal(qonnx_logits(build, images)[0], logits)
    assert len(np.unique(logits, axis=0)) == len(images)
    return logits


def test_full_rate_and_predicted_cycles(build, folder, images, expected, seed):
    run = run_net(build, images, folder, seed=seed)
    np.testing.assert_array_equal(run.logits, expected)
    assert set((run.done - run.first).tolist()) == {build.data["net_latency_cycles"]}
    assert set((run.done - run.last).tolist()) == {build.data["last_pixel_latency_cycles"]}
    assert set(np.diff(run.first).tolist()) == {build.data["interval_cycles"]}


def test_random_stalls(build, folder, images, expected, seed):
    for idle, stall in ((0.5, 0.0), (0.0, 0.9), (0.3, 0.6)):
        run = run_net(build, images, folder, idle=idle, stall=stall, seed=seed)
        np.testing.assert_array_equal(run.logits, expected)


def test_narrow_folding_of_signed_activations(images, work, tmp_path, seed):
    package = make_package(tmp_path / "package", Network(signed_activations=True), 2)
    (tmp_path / "folding.json").write_text(json.dumps(NARROW))
    narrow = compile_package(package, tmp_path / "build", folding=tmp_path / "folding.json")
    shutil.copytree(narrow.folder / "mem", work / "mem", dirs_exist_ok=True)
    expected = finn_logits(narrow, images[:3])
    np.testing.assert_array_equal(qonnx_logits(narrow, images[:3])[0], expected)
    run = run_net(narrow, images[:3], work, idle=0.2, stall=0.2, seed=seed)
    np.testing.assert_array_equal(run.logits, expected)


def flip(path: Path, word: int, bit: int) -> None:
    lines = path.read_text().splitlines()
    lines[word] = f"{int(lines[word], 16) ^ (1 << bit):0{len(lines[word])}x}"
    path.write_text("".join(f"{line}\n" for line in lines))


def test_one_flipped_weight_bit_is_caught(build, folder, images, expected, seed):
    """Top bit of a weight of class 1, last element of the last pixel: class 1 changes where that element is not 0."""
    layer = build.data["layers"][-1]
    params = layer["params"]
    bit = (1 * params["SIMD"] + params["SIMD"] - 1) * params["WEIGHT_BITS"] + params["WEIGHT_BITS"] - 1
    path = folder / layer["memory"]
    flip(path, len(path.read_text().splitlines()) - 1, bit)
    run = run_net(build, images, folder, seed=seed)
    wrong = run.logits != expected
    assert wrong[:, 1].any()
    assert not wrong[:, [0, 2]].any()


def test_one_flipped_threshold_bit_is_caught(build, folder, images, expected, seed):
    layer = next(layer for layer in build.data["layers"] if layer["kernel"] == "threshold")
    params = layer["params"]
    flip(folder / layer["memory"], 0, (params["STEPS"] // 2) * params["IN_BITS"] + params["IN_BITS"] - 1)
    run = run_net(build, images, folder, seed=seed)
    assert (run.logits != expected).any()


@pytest.mark.parametrize("name", BRANCHES)
def test_branches(name, work, tmp_path, seed):
    """At full rate and under random stalls, several frames back to back: each logit equal, and no join stands still."""
    images = random_images(BRANCHES[name], 4, 5)
    build = compile_package(make_package(tmp_path / "package", BRANCHES[name], 3), tmp_path / "build")
    shutil.copytree(build.folder / "mem", work / "mem", dirs_exist_ok=True)
    expected = finn_logits(build, images)
    np.testing.assert_array_equal(qonnx_logits(build, images)[0], expected)
    assert len(np.unique(expected, axis=0)) == len(images)
    for idle, stall in ((0.0, 0.0), (0.5, 0.0), (0.0, 0.9), (0.3, 0.6)):
        run = run_net(build, images, work, idle=idle, stall=stall, seed=seed)
        np.testing.assert_array_equal(run.logits, expected)
        if not idle and not stall:  # later frames also wait where borders make more pixels than came
            assert run.done[0] - run.first[0] == pytest.approx(build.data["net_latency_cycles"], rel=0.05)
            assert np.diff(run.first).mean() == pytest.approx(build.data["interval_cycles"], rel=0.05)
