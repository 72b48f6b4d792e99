# SPDX-License-Identifier: Apache-2.0
"""Gate sets over features, from the file to the decision: RTL, bit-true models and the fast model say the same."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from icsort.formats.build import Build
from icsort.hw.compile import compile_package
from icsort.sim.bit_true.features import features, names, scales
from icsort.sim.commands.simulate import gate_program
from icsort.sim.simulate.fast import run_fast
from icsort.sim.simulate.lines import flow_past
from icsort.sim.simulate.sorter import simulate
from tests.sim.conftest import System

pytestmark = pytest.mark.xdist_group("system")

LINE_RATE = 2.2e6
GATES = 16


def written(build: Build, system: System, file: Path, tests: int) -> None:
    """A gate set: ranges of features from their middles on, a polygon over two, GATES gates, some of them negated."""
    manifest = build.manifest
    stream = flow_past(build, system.cells, line_rate=LINE_RATE)
    lines, found = manifest.corrected(stream.lines), stream.events
    values = features(lines, found.first, found.last, manifest.feature_settings) * scales(len(manifest.channels))
    named = names(manifest.channels)
    middle, low, high = (of(values, axis=0).tolist() for of in (np.median, np.min, np.max))
    a, b = (named.index(f"{kind} ({manifest.channels[1]})") for kind in ("Size", "Total Intensity"))
    corners = [[low[a], low[b]], [high[a] + 1, low[b]], [high[a] + 1, high[b] + 1]]
    chosen = [which for which in range(len(named)) if low[which] < high[which]][: tests - 1]
    text = ['format = "icsort-gate-set"', "version = 1"]
    for which in chosen:
        axis = f'{{value = "{named[which]}", min = {middle[which]}}}'
        text += ["[[tests]]", f'name = "{named[which]}"', 'kind = "range"', f"x = {axis}"]
    text += ["[[tests]]", 'name = "drawn"', 'kind = "polygon"', f'x = {{value = "{named[a]}"}}']
    text += [f'y = {{value = "{named[b]}"}}', f"corners = {corners}"]
    for gate in range(GATES):
        first, second = named[chosen[gate % len(chosen)]], named[chosen[(3 * gate + 1) % len(chosen)]]
        words = ["drawn", f"not {first}"] if gate == 0 else [first, f"not {second}" if gate % 2 else second]
        text += ["[[gates]]", f'name = "g{gate}"', f"{'any' if gate % 3 else 'all'} = {words}"]
    for output in range(6):
        text += ["[[directions]]", f"output = {output}", f'gate = "g{output}"', f"priority = {output}"]
    file.write_text("\n".join(text) + "\n")


def test_rtl_and_models_agree_on_gates_over_features(system: System, tmp_path: Path, seed: int) -> None:
    """Cells at random times; of every record gates and features, of every decision the direction."""
    build, file = system.build, tmp_path / "gates.toml"
    written(build, system, file, 16)
    program = gate_program(build, file)
    found = simulate(build, system.cells.first(60), line_rate=LINE_RATE, arrivals="poisson", seed=seed, program=program)
    assert found.equal
    assert found.features_compared == found.events * build.features > 0
    fast = run_fast(build, system.cells, 200, line_rate=LINE_RATE, seed=seed, program=program)
    share = fast.gates.mean(axis=0)
    assert ((share > 0) & (share < 1)).sum() > GATES // 2  # the gates say different things of these cells
    assert fast.features.shape == (len(fast.time), build.features)


@pytest.mark.full
def test_a_decision_within_a_microsecond_of_the_last_line(system: System, tmp_path: Path) -> None:
    """At 200 MHz, 8 pixels a beat, lines as fast as the instrument's, features and 16 gates; docs/sorter.md has the
    figures. Events shorter than the network's window wait for its padding and are not meant."""
    build = compile_package(
        system.package, tmp_path / "build", board="zcu104", line_rate=LINE_RATE, line_pixels=8, features=True
    )
    written(build, system, tmp_path / "gates.toml", 16)
    program, cells = gate_program(build, tmp_path / "gates.toml"), system.cells.first(60)
    # Every other one is twice as long: longer than the window.
    cells = replace(cells, images=tuple(np.repeat(image, 1 + i % 2, axis=0) for i, image in enumerate(cells.images)))
    found = simulate(build, cells, line_rate=LINE_RATE, program=program)
    assert found.equal
    shown = flow_past(build, cells, line_rate=LINE_RATE).events
    whole = shown.last - shown.first + 1 >= build.manifest.input.height
    latencies = np.array(found.last_line_latencies)
    for which in (latencies[whole], latencies[~whole]):
        print(f"{len(which)} events: {np.unique(which)} cycles from the last line to the decision")
    assert whole.any()
    assert latencies[whole].max() <= build.clock_mhz
