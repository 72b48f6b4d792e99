# SPDX-License-Identifier: Apache-2.0
"""`icsort evaluate` and the RTL say the same of the same cells: events, logits, decisions, accuracy."""

import numpy as np
import pytest

from icsort.formats.integer import IntegerNetwork
from icsort.quant.evaluation.evaluate import Wanted, evaluate, gate_decisions, merge_classes, read_cells, score
from icsort.sim.simulate.lines import flow
from icsort.sim.simulate.sorter import events, run_armed
from icsort.sim.verilator.board import compile_board
from tests.sim.conftest import System

pytestmark = pytest.mark.xdist_group("system")


def test_evaluation_equals_the_rtl(system: System) -> None:
    build, package = system.build, system.build.manifest
    stream = flow(system.cells, package, lines_per_cell=170)  # that the link has time for every record
    compile_board(build)
    records = events(run_armed(build, stream.lines))

    network = IntegerNetwork(system.package)
    cells = read_cells(system.run / "heldout.npz", Wanted.by_package(package, system.package))
    scored = score(network, cells)
    decided = gate_decisions(package, cells, scored, merge_classes(package.classes, {}))
    assert np.array_equal(scored.events, stream.cells)
    assert np.array_equal(scored.logits, [record.logits for record in records])
    assert np.array_equal(decided.best, [record.class_index for record in records])

    found, _ = evaluate(system.package, system.run / "heldout.npz")
    right = [
        record.class_index == system.cells.labels[cell] for record, cell in zip(records, stream.cells, strict=True)
    ]
    assert found["cells"] == len(records)
    assert found["accuracy"]["value"] == pytest.approx(np.mean(right))
