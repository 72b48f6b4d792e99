# SPDX-License-Identifier: Apache-2.0
"""A network that predicts a value in the RTL: equal to its references, and sorted by on the virtual board."""

import json
from dataclasses import dataclass
from pathlib import Path

import flowio
import numpy as np
import pytest

from icsort.formats.build import Build, load_build
from icsort.formats.heldout import HeldOut
from icsort.formats.integer import IntegerNetwork
from icsort.quant.cells.find import generated_dataset
from icsort.quant.networks.architectures import Architecture
from icsort.quant.packaging.export import export_package
from icsort.quant.stain.cells import stained
from icsort.quant.training.recipe import Recipe
from icsort.quant.training.train import train_run
from icsort.sim.bit_true.scheduler import Outcome
from icsort.sim.commands.simulate import gate_program
from icsort.sim.simulate.fast import run_fast
from icsort.sim.simulate.lines import flow, flow_past, load_cells
from icsort.sim.simulate.sorter import events, run_armed, simulate
from icsort.sim.verilator.board import virtual_board
from tests.sim.conftest import icsort
from tests.sim.verilator.test_board import CYCLES_PER_CELL, host, refused

pytestmark = [pytest.mark.full, pytest.mark.xdist_group("system")]

GATES = """
format = "icsort-gate-set"
version = 1

[[tests]]
name = "much DNA"
kind = "range"
x = {{value = "DNA", min = {least}}}

[[gates]]
name = "sort"
all = ["much DNA"]

[[directions]]
output = 0
gate = "sort"
"""


@dataclass(frozen=True)
class ValueSystem:
    """The build, its held-out cells, and a file of gates that sorts the half with more of the predicted stain."""

    build: Build
    cells: HeldOut
    gates: Path
    least: float


@pytest.fixture(scope="module")
def values(tmp_path_factory: pytest.TempPathFactory) -> ValueSystem:
    folder = tmp_path_factory.mktemp("values")
    dataset = stained(generated_dataset(per_class=80, seed=6), ("Brightfield", "Darkfield"), "DNA")
    train_run(dataset, folder / "run", Recipe(epochs=6, batch=16), Architecture(), seed=2, progress=False)
    export_package(folder / "run", folder / "package")
    icsort("compile", folder / "package", "--out", folder / "build")
    build = load_build(folder / "build")
    cells = load_cells(folder / "run" / "heldout.npz", build.manifest)
    integers = IntegerNetwork(folder / "package").logits(flow(cells, build.manifest).pixels)[:, 0]
    least = float(np.median(integers)) * build.manifest.unit_values[0]
    (folder / "gates.toml").write_text(GATES.format(least=least))
    return ValueSystem(build, cells, folder / "gates.toml", least)


def test_rtl_is_equal_to_its_references(values: ValueSystem) -> None:
    program = gate_program(values.build, values.gates)
    found = simulate(values.build, values.cells, program=program)
    assert found.equal
    assert found.logits_compared == found.events >= found.cells_triggered > 30
    assert found.accuracy is None
    fast = run_fast(values.build, values.cells, 200, program=program)
    assert 0.3 < fast.gates.mean() < 0.7
    assert fast.accuracy(values.cells) is None


def test_sort_pulses_follow_the_value(values: ValueSystem) -> None:
    """Whatever the machine's load: lines in one go, a pulse for each event of which enough is predicted."""
    build = values.build
    stream = flow_past(build, values.cells)
    outcome = run_armed(build, stream.lines, program=gate_program(build, values.gates))
    expected = IntegerNetwork(build.folder).logits(stream.pixels)[:, 0] * build.manifest.unit_values[0]
    found = [record.outcome is Outcome.SORTED for record in events(outcome)]
    assert found == (expected >= values.least).tolist()
    assert 0 < sum(found) == len(outcome.summary["sort_pulses"]) < len(found)


def test_a_gate_on_the_value_sorts(values: ValueSystem, tmp_path: Path) -> None:
    """Of every event value and decision, in the host's words, in the recording and in the preview of it."""
    build = values.build
    manifest, stream = build.manifest, flow(values.cells, build.manifest, CYCLES_PER_CELL / build.line_beats)
    count = len(stream.events)
    expected = IntegerNetwork(build.folder).logits(stream.pixels)[:, 0] * manifest.unit_values[0]
    with virtual_board(build, stream.lines, tmp_path / "board") as board:
        at = ("--port", board.port, "--model", build.folder)
        assert "no classes, it predicts DNA" in refused(host("gate", "set", "DNA", *at))
        assert host("gate", "set", values.gates, *at).returncode == 0
        out = tmp_path / "events.jsonl"
        words = ("--arm", "--count", count, "--out", out, "--record", tmp_path / "a.fcs", "--json")
        done = host("watch", *words, *at)
        assert done.returncode == 0, done.stderr
        board.stop()
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    told = np.array([line["values"]["DNA"] for line in lines])
    assert told == pytest.approx(expected)
    wanted = told >= values.least
    assert [line["outcome"] == "SORTED" for line in lines] == wanted.tolist()
    assert 0 < wanted.sum() < count
    data = flowio.FlowData(tmp_path / "a.fcs")
    column = data.as_array().reshape(-1, data.channel_count)[:, data.pnn_labels.index("DNA")]
    assert column == pytest.approx(expected, rel=1e-6)
    seen = host("gate", "preview", values.gates, "--events", tmp_path / "a.fcs", "--model", build.folder, "--json")
    assert seen.returncode == 0, seen.stderr
    assert json.loads(seen.stdout)["directions"]["0"]["events"] == wanted.sum()
