# SPDX-License-Identifier: Apache-2.0
"""`icsort explore` against what `icsort compile` predicts for the same network, board and rate, and against FINN."""

import json

import pytest
from typer.testing import CliRunner

from icsort.cli.root import app
from icsort.errors import IcsortError
from icsort.formats.board import load_board
from icsort.hw.compile import compile_package
from icsort.hw.folding import folding
from icsort.hw.folding.explore import ALL_IN, EQUAL, FINN, OURS, explore


def test_points_are_what_compile_predicts(package, tmp_path):
    found = explore([package], ["virtual", "zcu104"], [20_000.0])
    assert not found.refused
    assert [(point.board, point.folding) for point in found.points] == [
        *(("virtual", folding) for folding in (FINN, OURS, EQUAL)),  # its resources are no limit
        *(("zcu104", folding) for folding in (FINN, OURS, ALL_IN, EQUAL)),
    ]
    for number, point in enumerate(point for point in found.points if point.folding in (OURS, ALL_IN)):
        all_in = point.folding == ALL_IN
        build = compile_package(package, tmp_path / str(number), board=point.board, rate=20_000.0, all_in=all_in)
        assert build.all_in is all_in
        assert point.wait_cycles == build.last_pixel_latency_cycles
        assert point.wait_us == pytest.approx(build.last_pixel_latency_cycles / build.clock_mhz)
        assert point.cells_per_s == pytest.approx(build.clock_mhz * 1e6 / build.interval_cycles)
        assert point.line_rate_us == pytest.approx(build.line_rate_latency_cycles / build.clock_mhz)
        assert point.resources == build.resources
        assert point.fits


def test_finn_waits_longer_at_the_same_rate(package):
    theirs, ours, all_in, equal = explore([package], ["zcu104"], [20_000.0]).points
    assert min(theirs.cells_per_s, equal.cells_per_s, ours.cells_per_s) >= 20_000
    assert theirs.wait_cycles >= equal.wait_cycles
    assert all(equal.resources[key] <= amount for key, amount in theirs.resources.items())
    assert theirs.wait_cycles > ours.wait_cycles >= all_in.wait_cycles
    assert ours.resources["LUT"] <= all_in.resources["LUT"]
    assert theirs.keeps_rate
    assert ours.keeps_rate


def test_a_rate_that_is_not_reached_is_said(package, monkeypatch):
    def narrow(model, *_):
        return {node.name: {"PE": 1, "SIMD": 1} for node in model.graph.node if node.op_type in folding.MULTIPLIERS}

    monkeypatch.setattr(folding, "finn_throughput", narrow)
    theirs, ours, _, equal = explore([package], ["zcu104"], [100_000.0]).points
    assert theirs.cells_per_s < 100_000
    assert (theirs.keeps_rate, ours.keeps_rate, equal.keeps_rate) == (False, True, False)


def test_a_share_of_the_board_is_all_that_is_taken(package):
    whole, *_ = explore([package], ["pynq_z2"], [20_000.0]).points
    share = 1.1 * whole.resources["LUT"] / load_board("pynq_z2").budget["LUT"]  # FINN's takes nearly all of it
    theirs, *ours, _ = explore([package], ["pynq_z2"], [20_000.0], fill=share).points
    assert theirs.fits
    assert all(point.fits and point.resources["LUT"] <= 1.1 * whole.resources["LUT"] for point in ours)
    theirs, *_ = explore([package], ["pynq_z2"], [20_000.0], fill=0.9 * share / 1.1).points
    assert not theirs.fits


def test_command_writes_table_data_and_picture(package, tmp_path):
    out = tmp_path / "explored"
    arguments = ["explore", str(package), "--board", "pynq_z2", "--rate", "20000", "--rate", "5e7", "--out", str(out)]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert "at most" in result.output  # 5e7 cells/s are refused in one line
    data = json.loads((out / "explore.json").read_text())
    assert (data["format"], len(data["points"]), len(data["refused"])) == ("icsort-explore", 4, 1)
    assert (out / "explore.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert (
        CliRunner().invoke(app, [*arguments, "--json", "--force"]).output.endswith((out / "explore.json").read_text())
    )


def test_an_unknown_board_is_one_error_and_leaves_nothing(package, tmp_path):
    with pytest.raises(IcsortError, match="no board 'zcu999'"):
        explore([package], ["zcu999"], [None])
    result = CliRunner().invoke(app, ["explore", str(package), "--board", "zcu999", "--out", str(tmp_path / "none")])
    assert result.exit_code != 0
    assert not list(tmp_path.iterdir())
