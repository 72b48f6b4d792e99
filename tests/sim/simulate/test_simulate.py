# SPDX-License-Identifier: Apache-2.0
"""`icsort simulate`: the whole sorter's RTL equals the references, and a single wrong bit does not pass."""

import random
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from icsort.errors import IcsortError
from icsort.hw.compile import compile_package, load_build
from icsort.sim.simulate.lines import load_cells
from icsort.sim.simulate.sorter import simulate
from tests.sim.conftest import System

pytestmark = pytest.mark.xdist_group("system")


def some(system: System, count: int):
    return replace(system.cells, images=system.cells.images[:count], labels=system.cells.labels[:count])


@pytest.mark.parametrize("line_gap", [0, 7])
def test_every_logit_and_decision_is_equal(system: System, line_gap: int) -> None:
    cells = some(system, 40)
    found = simulate(system.build, cells, line_gap=line_gap)
    assert found.cells == 40
    assert found.events == found.decisions_compared == found.decisions_equal > 30
    assert found.logits_compared == found.logits_equal == found.events * len(cells.classes)
    assert found.mismatches == []
    assert found.latency_cycles_last_pixel_to_decision.max <= 100


@pytest.mark.full
def test_a_network_that_takes_two_pixels_a_beat(system: System, tmp_path: Path) -> None:
    build = compile_package(system.package, tmp_path / "build", pixels_per_beat=2)
    found = simulate(build, some(system, 20))
    assert found.events == found.decisions_equal > 10
    assert found.logits_compared == found.logits_equal == found.events * len(system.cells.classes)


def test_does_not_buffer_the_image(system: System) -> None:
    """Cells without pause: one starts as soon as the trigger can be armed again, one line after the last."""
    window = system.build.manifest.input
    found = simulate(system.build, some(system, 20))
    assert found.cycles_per_cell == (window.height + 1) * window.width


def test_no_threshold_is_near_an_integer(system: System) -> None:
    """Training leaves no threshold where float rounding would decide; frontend.convert counts them in FINN's graph."""
    layers = system.build.data["layers"]
    assert sum(layer["op"] == "Thresholding" for layer in layers) == 2
    assert [layer["near_ties"] for layer in layers] == [0] * len(layers)


@pytest.mark.parametrize("kind", ["weights", "thresholds"])
def test_one_flipped_bit_is_found(system: System, tmp_path: Path, seed: int, kind: str) -> None:
    """The top bit of one random element of each memory file in turn: the references, made from graph.onnx, disagree.

    A bit that meets nothing but zeros truly changes nothing, so a few are tried, one at a time.
    """
    draw = random.Random(seed)
    for layer in system.build.data["layers"]:
        if not (layer["memory"] and kind in layer["memory"]):
            continue
        folder = tmp_path / layer["name"]
        shutil.copytree(system.build.folder, folder)
        file = folder / layer["memory"]
        words = file.read_text().split()
        bits = layer["params"]["WEIGHT_BITS" if kind == "weights" else "IN_BITS"]
        for _ in range(8):
            at, element = draw.randrange(len(words)), draw.randrange(len(words[0]) * 4 // bits)
            flipped = int(words[at], 16) ^ 1 << (element * bits + bits - 1)
            changed = [*words[:at], f"{flipped:0{len(words[at])}x}", *words[at + 1 :]]
            file.write_text("\n".join(changed) + "\n")
            found = simulate(load_build(folder), some(system, 20))
            if not found.equal:
                break
        else:
            pytest.fail(f"seed {seed}: no flipped bit in {file.name} was found")
        assert found.mismatches
        assert found.mismatches[0].qonnx == found.mismatches[0].finn != found.mismatches[0].rtl


def test_cells_that_do_not_fit(system: System, tmp_path: Path) -> None:
    manifest = system.build.manifest
    good = system.run / "heldout.npz"
    with np.load(good) as stored:
        fields = dict(stored)

    def refused(match: str, **changed: np.ndarray) -> None:
        path = tmp_path / "cells.npz"
        np.savez(path, **{**fields, **changed})
        with pytest.raises(IcsortError, match=match):
            load_cells(path, manifest)

    refused("channels", channels=fields["channels"][::-1])
    refused("classes", classes=np.array(["one", "two"]))
    refused("uint16 lines of 40 pixels", images=fields["images"][:, :, :-1])
    refused("uint16 lines of 40 pixels", images=fields["images"].astype(np.float32))
    truncated = tmp_path / "truncated.npz"
    truncated.write_bytes(good.read_bytes()[:1000])
    with pytest.raises(IcsortError, match="train again"):
        load_cells(truncated, manifest)
    with pytest.raises(IcsortError, match="does not exist"):
        load_cells(tmp_path / "none.npz", manifest)
    with pytest.raises(IcsortError, match="were asked for"):
        load_cells(good, manifest, 10**6)
