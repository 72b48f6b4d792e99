# SPDX-License-Identifier: Apache-2.0
"""`icsort simulate`: the whole sorter's RTL equals the references, and a single wrong bit does not pass."""

import random
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from icsort.errors import IcsortError
from icsort.formats.background import Background
from icsort.formats.build import load_build
from icsort.host.link.protocol import EventRecord
from icsort.hw.compile import compile_package
from icsort.sim.bit_true import gate
from icsort.sim.bit_true.event_flag import EventFlag
from icsort.sim.bit_true.scheduler import Outcome
from icsort.sim.simulate.lines import load_cells
from icsort.sim.simulate.sorter import compare_decisions, gate_classes, simulate
from tests.sim.conftest import System

pytestmark = pytest.mark.xdist_group("system")


@pytest.mark.parametrize("line_rate", [None, 2.1e6])
def test_every_logit_and_decision_is_equal(system: System, line_rate: float | None) -> None:
    cells = system.cells.first(40)
    found = simulate(system.build, cells, line_rate=line_rate)
    assert found.cells == 40
    assert found.cells_triggered == found.events - found.false_triggers["false_triggers"]
    assert found.false_triggers["empty_lines"] > 1000
    assert 0 < found.posterior_error <= found.posterior_bound
    assert found.events == found.decisions_compared == found.decisions_equal > 30
    assert found.logits_compared == found.logits_equal == found.events * len(cells.classes)
    assert found.features_compared == found.features_equal == found.events * 33
    assert found.mismatches == []
    window = system.build.manifest.input
    # Front 15, gate 61, scheduler 22 or more, the rest the network's.
    assert found.latency_cycles_first_pixel_to_decision.max <= window.height * window.width + 200


@pytest.mark.full
def test_a_network_that_takes_two_pixels_a_beat(system: System, tmp_path: Path) -> None:
    build = compile_package(system.package, tmp_path / "build", pixels_per_beat=2)
    found = simulate(build, system.cells.first(20))
    assert found.events == found.decisions_equal > 10
    assert found.logits_compared == found.logits_equal == found.events * len(system.cells.classes)


def test_does_not_buffer_the_image(system: System) -> None:
    """Cells without pause: one starts as soon as the one before has ended."""
    window, trigger = system.build.manifest.input, system.build.manifest.trigger
    found = simulate(system.build, system.cells.first(20))
    between = max(trigger.end_lines, trigger.pre_lines)
    assert found.cycles_per_cell == (window.height + between) * window.width


def test_no_threshold_is_near_an_integer(system: System) -> None:
    """Training leaves no threshold where float rounding would decide; frontend.convert counts them in FINN's graph."""
    layers = system.build.layers
    assert sum(layer.op == "Thresholding" for layer in layers) == 2
    assert [layer.near_ties for layer in layers] == [0] * len(layers)


@pytest.mark.parametrize("kind", ["weights", "thresholds"])
@pytest.mark.quick(1)
def test_one_flipped_bit_is_found(system: System, tmp_path: Path, seed: int, kind: str) -> None:
    """The top bit of one random element of each memory file in turn: the references, made from graph.onnx, disagree.

    A bit that meets nothing but zeros truly changes nothing, so a few are tried, one at a time.
    """
    draw = random.Random(seed)
    for layer in system.build.layers:
        if not (layer.memory and kind in layer.memory):
            continue
        folder = tmp_path / layer.name
        shutil.copytree(system.build.folder, folder)
        file = folder / layer.memory
        words = file.read_text().split()
        bits = layer.params["WEIGHT_BITS" if kind == "weights" else "IN_BITS"]
        for _ in range(8):
            at, element = draw.randrange(len(words)), draw.randrange(len(words[0]) * 4 // bits)
            flipped = int(words[at], 16) ^ 1 << (element * bits + bits - 1)
            changed = [*words[:at], f"{flipped:0{len(words[at])}x}", *words[at + 1 :]]
            file.write_text("\n".join(changed) + "\n")
            found = simulate(load_build(folder), system.cells.first(20))
            if not found.equal:
                break
        else:
            pytest.fail(f"seed {seed}: no flipped bit in {file.name} was found")
        assert found.mismatches
        assert found.mismatches[0].qonnx == found.mismatches[0].finn != found.mismatches[0].rtl


def test_events_of_noise_are_equal_in_rtl_and_model_and_are_no_cells(system: System, seed: int) -> None:
    """Background that triggers now and then: the RTL has the same events, and accuracy counts cells alone."""
    trigger = system.build.manifest.event_trigger
    lines = system.cells.background.lines.copy()
    bright = np.random.default_rng(seed).permutation(len(lines))[: len(lines) // 100]
    lines[bright, :, trigger.weights.index(1)] = trigger.on // system.build.manifest.input.width + 1
    cells = replace(system.cells.first(20), background=Background(lines))
    quiet = simulate(system.build, system.cells.first(20))
    found = simulate(system.build, cells)
    assert found.equal
    assert found.false_triggers["false_triggers"] > 10 > quiet.false_triggers["false_triggers"]
    assert found.events == found.cells_triggered + found.false_triggers["false_triggers"]
    rate = found.false_triggers["false_triggers"] / found.false_triggers["empty_lines"]
    assert found.false_triggers["per_empty_line"] == pytest.approx(rate)


@pytest.mark.parametrize("change", [0.25, 0.5, 0.97, 1.03])
def test_wrong_gate_constants_do_not_pass(system: System, seed: int, change: float) -> None:
    """Hardware and bit-true gate with the same wrong constants agree; the softmax does not."""
    manifest = system.build.manifest
    random = np.random.default_rng(seed)
    step = manifest.logits.temperature / manifest.logits.scale
    logits = np.rint(random.normal(0, 2 * step, (500, len(manifest.classes)))).astype(np.int64)

    def compared(multiplier: int) -> tuple[bool, bool]:
        constants = manifest.posterior.model_copy(update={"multiplier": multiplier})
        package = manifest.model_copy(update={"posterior": constants})
        mask, threshold = gate_classes(package), 2**15
        decided = gate.decide(logits, mask, threshold, multiplier, constants.shift)
        records = [
            EventRecord(
                seq=0,
                event_id=i,
                time=0,
                tag=0,
                outcome=Outcome.SORTED if passes else Outcome.REJECTED,
                direction=None,
                flags=EventFlag(0),
                length=0,
                class_index=best,
                posterior=posterior,
                gates=int(passes),
                logits=tuple(row),
            )
            for i, (row, passes, best, posterior) in enumerate(
                zip(logits.tolist(), *(values.tolist() for values in decided), strict=True)
            )
        ]
        result = compare_decisions(records, package)
        return result.equal == len(records), result.posterior_error <= gate.posterior_error(len(manifest.classes))

    assert compared(manifest.posterior.multiplier) == (True, True)
    assert compared(round(manifest.posterior.multiplier * change)) == (True, False)


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
    refused("classes", classes=fields["classes"][::-1])
    narrow = {name: fields[name][..., :-1, :] for name in ("images", "background")}
    refused("lines of 39 pixels; the model wants lines of 40", **narrow)
    refused("images is float32", images=fields["images"].astype(np.float32))
    truncated = tmp_path / "truncated.npz"
    truncated.write_bytes(good.read_bytes()[:1000])
    with pytest.raises(IcsortError, match="train again"):
        load_cells(truncated, manifest)
    np.save(tmp_path / "cells.npy", np.zeros((2, 8, 8, 1), np.uint8))
    with pytest.raises(IcsortError, match="one array, not the arrays of a held-out file"):
        load_cells(tmp_path / "cells.npy", manifest)
    with pytest.raises(IcsortError, match="does not exist"):
        load_cells(tmp_path / "none.npz", manifest)
    with pytest.raises(IcsortError, match="were asked for"):
        load_cells(good, manifest, 10**6)
