# SPDX-License-Identifier: Apache-2.0
"""The network alone: what `icsort simulate` says of layers and FIFOs, and how it refuses."""

import json
import os
import signal
from pathlib import Path

import numpy as np
import psutil
import pytest
from typer.testing import CliRunner

from icsort.cli.root import app
from icsort.errors import IcsortError
from icsort.formats.build import Build
from icsort.hw.compile import compile_package
from icsort.sim.simulate.layer_times import layer_figures
from icsort.sim.simulate.network import measure_fifos
from icsort.sim.verilator.net import run_net
from tests.hw.networks import Basic, BranchNetwork, Network, make_package, random_images

RESIDUAL = BranchNetwork(height=7, width=6, blocks=(Basic(4), Basic(6, stride=2)))


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_package(tmp_path_factory.mktemp("packages") / "package", RESIDUAL, 3)


@pytest.fixture(scope="module")
def build(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Build:
    return compile_package(package, tmp_path_factory.mktemp("builds") / "build")


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return random_images(RESIDUAL, 3, 5)


def simulate(build: Build, *words: object) -> tuple[int, str]:
    """Exit code and standard output of `icsort simulate`."""
    result = CliRunner().invoke(app, ["simulate", *map(str, (build.folder, *words))])
    if isinstance(result.exception, IcsortError):
        return 2, str(result.exception)
    return result.exit_code, result.stdout


def test_command(build: Build, images: np.ndarray, tmp_path: Path) -> None:
    """Equal logits in every run, and a folder with the picture and all figures."""
    np.save(tmp_path / "images.npy", images)
    out = tmp_path / "out"
    code, said = simulate(build, "--images", tmp_path / "images.npy", "--stalls", 3, "--seed", 7, "--out", out)
    assert code == 0, said
    assert "3, seeds 7 to 9: no deadlock" in said
    found = json.loads((out / "simulation.json").read_text())
    assert found["logits_compared"] == found["logits_equal"] == 4 * 3 * len(build.manifest.classes)
    assert found["seeds"] == [7, 8, 9]
    assert [layer["instance"] for layer in found["layers"]] == [layer.instance for layer in build.layers]
    assert sum(layer["added"] for layer in found["layers"]) == found["first_pixel"]["simulated"] - 1
    assert (out / "layers.png").read_bytes().startswith(b"\x89PNG")
    assert b"<svg" in (out / "layers.svg").read_bytes()


def test_one_image_whose_last_pixels_no_window_needs(tmp_path: Path) -> None:
    """Its logits are there before its last pixels, which a pool of an odd map leaves out: they are taken all the same,
    and the cycles from the last one on are negative, as predicted."""
    network = Network(height=13, width=22, features=(2, 2))
    build = compile_package(make_package(tmp_path / "package", network, 2), tmp_path / "build")
    code, said = simulate(build, "--count", 1, "--json")
    found = json.loads(said)
    assert (code, found["logits_equal"]) == (0, network.classes)
    assert found["last_pixel"]["simulated"] == found["last_pixel"]["predicted"] < 0


def test_a_wrong_weight_ends_with_code_1(build: Build, package: Path, images: np.ndarray, tmp_path: Path) -> None:
    """The command runs the build's own memories, and says which logit differs."""
    build = refolded(build, package, tmp_path / "multipliers", {build.layers[-1].name: {"mult_style": "lut"}})
    np.save(tmp_path / "images.npy", images)
    layer = build.layers[-1]
    memory = build.folder / layer.memory
    words = memory.read_text().split()
    bits = layer.params["WEIGHT_BITS"]
    memory.write_text("".join(f"{int(word, 16) ^ 1 << (bits - 1):0{len(word)}x}\n" for word in words))
    code, said = simulate(build, "--images", tmp_path / "images.npy")
    assert code == 1
    assert "image 0, class0: RTL" in said


def test_layer_figures(build: Build, images: np.ndarray) -> None:
    """Beats, first and last cycles are what the shapes and latencies of the layers want."""
    outcome = run_net(build, images)
    layers = {layer.instance: layer for layer in layer_figures(build, outcome)}
    pixels = RESIDUAL.height * RESIDUAL.width
    assert layers["fmpad_0"].beats == (RESIDUAL.height + 2) * (RESIDUAL.width + 2)
    first = next(layer.instance for layer in build.layers if layer.name == "MVAU_0")
    assert layers["sliding_window_0"].beats == layers[first].beats == pixels
    assert layers["fmpad_0"].first_beat < 0 < layers["sliding_window_0"].first_beat
    last = build.layers[-1].instance
    assert layers[last].last_beat + 1 == outcome.steady.done[0] - outcome.steady.first[0]
    for layer in layers.values():
        assert layer.first_beat <= layer.last_beat
        assert 0 <= layer.stalled < 1
        assert 0 <= layer.idle < 1
        assert all(0 < fifo.peak_steady <= fifo.peak <= fifo.depth for fifo in layer.fifos)


def test_pace(build: Build, images: np.ndarray) -> None:
    """A pixel each 5 cycles and 20 idle cycles behind each line: images follow at that distance."""
    run = run_net(build, images, pace=5, line_gap=20).steady
    assert set(np.diff(run.first).tolist()) == {RESIDUAL.height * (5 * RESIDUAL.width + 20)}


def test_lines_wait_for_nobody(tmp_path: Path) -> None:
    """A first layer of four cycles a window stops the pixels of a line, but the next line comes when it is due."""
    network = Network()
    make_package(tmp_path / "package", network, 1)
    (tmp_path / "folding.json").write_text(json.dumps({"MVAU_0": {"PE": 1, "SIMD": 18}}))
    build = compile_package(tmp_path / "package", tmp_path / "build", folding=tmp_path / "folding.json")
    run = run_net(build, random_images(network, 3, 5), line_gap=60).steady
    begins = (network.height - 1) * (network.width + 60)  # of the last line
    assert set(np.diff(run.first).tolist()) == {network.height * (network.width + 60)}
    lasts = run.last[:2] - run.first[:2] - begins  # the logits of the third do not wait for its last pixels
    assert (lasts > 2 * network.width).all()
    assert (lasts < 4 * network.width).all()


def refolded(build: Build, package: Path, out: Path, changes: dict[str, dict[str, int | str]]) -> Build:
    """The package folded like a build, but for these values."""
    out.mkdir()
    folding = {name: {**unit, **changes.get(name, {})} for name, unit in build.folding.items()}
    (out / "folding.json").write_text(json.dumps(folding))
    return compile_package(package, out / "build", folding=out / "folding.json")


def test_fifos_are_as_deep_as_they_must_be(build: Build, package: Path, images: np.ndarray, tmp_path: Path) -> None:
    """Deeper ones everywhere make nothing faster; the join's, one beat shallower than what it held, slows or stops."""
    frames = np.repeat(images, 2, axis=0)
    keys = ("fifo_depth", "fifo_depth_1", "lhs_fifo_depth", "rhs_fifo_depth")
    endless = {name: {key: 1024 for key in keys if key in unit} for name, unit in build.folding.items()}
    held = measure_fifos(build, frames)["u_stream_add_0_rhs_fifo"]
    sized, deep = (run_net(one, frames).steady for one in (build, refolded(build, package, tmp_path / "deep", endless)))
    np.testing.assert_array_equal(sized.done, deep.done)
    short = refolded(build, package, tmp_path / "short", {"ElementwiseAdd_0": {"rhs_fifo_depth": held - 1}})
    with pytest.raises((IcsortError, AssertionError), match=r"deadlock|Mismatched elements"):
        np.testing.assert_array_equal(run_net(short, frames).steady.done, sized.done)


def test_deadlock_is_named(package: Path, build: Build, images: np.ndarray, tmp_path: Path) -> None:
    """A join whose shortcut cannot hold what the other branch needs first stands still."""
    shallow = refolded(build, package, tmp_path / "shallow", {"ElementwiseAdd_0": {"rhs_fifo_depth": 2}})
    with pytest.raises(
        IcsortError, match=r"deadlock .* u_stream_add_0_rhs_fifo is full \(2 beats\) while u_stream_add_0_lhs"
    ):
        run_net(shallow, images)


def test_measured_fifos(build: Build, images: np.ndarray) -> None:
    peaks = measure_fifos(build, images)
    depths = next(layer for layer in build.layers if layer.instance == "stream_add_0").join_fifo_depths
    assert 2 < peaks["u_stream_add_0_rhs_fifo"] <= depths[1]
    assert peaks[f"u_{build.layers[-1].instance}_fifo"] == 1


def test_killed(build: Build, images: np.ndarray) -> None:
    def kill(*_: int) -> None:
        for child in psutil.Process().children():
            os.kill(child.pid, signal.SIGKILL)

    with pytest.raises(IcsortError, match="killed by SIGKILL"):
        run_net(build, np.repeat(images, 50, axis=0), stall_runs=100, progress=kill)


def test_refusals(build: Build, tmp_path: Path) -> None:
    def refused(match: str, *words: object) -> None:
        code, said = simulate(build, *words)
        assert code == 2
        assert match in said

    np.save(tmp_path / "float.npy", np.zeros((2, 7, 6, 2)))
    np.save(tmp_path / "two.npy", np.zeros((2, 7, 6, 2), np.uint8))
    (tmp_path / "text.npy").write_text("no images")
    refused("float64 (2, 7, 6, 2); the network takes uint8 (N, 7, 6, 2)", "--images", tmp_path / "float.npy")
    refused("2 images, 3 were asked for", "--images", tmp_path / "two.npy", "--count", 3)
    refused("not a .npy file", "--images", tmp_path / "text.npy")
    refused("does not exist", "--images", tmp_path / "none.npy")
    refused("exclude each other", "--images", tmp_path / "two.npy", "--cells", tmp_path / "heldout.npz")
    refused("add --net-only", "--cells", tmp_path / "heldout.npz", "--stalls", 3)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("keep")
    refused("mine", "--images", tmp_path / "two.npy", "--out", tmp_path / "mine", "--force")
    assert (tmp_path / "mine" / "notes.txt").read_text() == "keep"
