# SPDX-License-Identifier: Apache-2.0
"""A board's description is taken as people write it, and refused in one line that names the file and the key."""

import json
from pathlib import Path
from typing import Any

import pytest

from icsort.errors import IcsortError
from icsort.formats.board import BOARDS, board_names, load_board

PINS = {"clk": {"balls": ["A1"], "standard": "LVCMOS33"}}
PLACE = {"flow": "vivado", "oscillator": "clk", "oscillator_mhz": 25.0, "pins": PINS}


def write(folder: Path, **changes: Any) -> Path:
    """board.json of the virtual board with these changes; None leaves a key out."""
    board = {**json.loads((BOARDS / "virtual" / "board.json").read_text()), **changes}
    folder.mkdir(exist_ok=True)
    path = folder / "board.json"
    path.write_text(json.dumps({key: value for key, value in board.items() if value is not None}))
    return path


def test_boards_that_come_along() -> None:
    assert {"virtual", "pynq_z2", "zcu104", "rfsoc4x2", "ulx3s"} <= set(board_names())
    for name in board_names():
        assert load_board(name).name == name


def test_a_whole_number_is_a_clock(tmp_path: Path) -> None:
    write(tmp_path / "mine", clock_mhz=100)
    assert load_board(str(tmp_path / "mine")).clock_mhz == 100.0


def test_a_folder_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By any path; a name that comes along means that board, also where a folder of that name is here."""
    write(tmp_path / "mine", name="mine")
    write(tmp_path / "zcu104", name="mine")
    monkeypatch.chdir(tmp_path)
    assert [load_board(path).name for path in ("./mine", "mine", str(tmp_path / "mine"))] == ["mine"] * 3
    assert load_board("zcu104").name == "zcu104"
    assert load_board("./zcu104").name == "mine"
    for unknown in ("none", "./", "", "../boards"):
        with pytest.raises(IcsortError, match=f"there is no board '{unknown}'; known are .*zcu104"):
            load_board(unknown)


FULL = {"LUT": 1, "DSP": 1, "BRAM_18K": 1, "URAM": 1}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"version": 2}, "version is 2: it must be 1; see boards/ for examples"),
        ({"format": "icsort-build"}, "format is 'icsort-build': it must be 'icsort-board'"),
        ({"format": None}, "format is missing"),
        ({"clock_mhz": "fast"}, "clock_mhz is 'fast': it must be a valid number"),
        ({"clock_mhz": True}, "clock_mhz is True: it must be a valid number"),
        ({"clock_mhz": 0}, "clock_mhz is 0.*: it must be greater than 0"),
        ({"clock_mhz": float("nan")}, "not JSON|clock_mhz is nan: it must be a finite number"),
        ({"clock_mhz": 100e6}, "clock_mhz is 100000000.0: it must be less than or equal to 2000"),
        ({"clock_is": "hoped"}, "clock_is is 'hoped': it must be 'target' or 'routed'"),
        ({"budget_is": "limits"}, "budget_is is 'limits': it must be 'limit' or 'for comparison'"),
        ({"budget": {**FULL, "LUT": -1}}, "budget.LUT is -1: it must be greater than or equal to 0"),
        ({"budget": {**FULL, "LUT": 1.5}}, "budget.LUT is 1.5: it must be a valid integer"),
        ({"budget": {"LUT": 1}}, "budget must have LUT, DSP, BRAM_18K, URAM and nothing else"),
        ({"budget": {**FULL, "FF": 1}}, "budget must have LUT, DSP, BRAM_18K, URAM and nothing else"),
        ({"baud": 0}, "baud is 0: it must be greater than or equal to 1"),
        ({"baud": 50_000_000}, "baud 50000000 needs a clock at least 4 times faster than 100 MHz allows"),
        ({"baud": 12_000_000}, "100 MHz makes no 12000000 baud, 8 cycles a bit are 12500000; give a rate"),
        ({"part": None}, "part is missing"),
        ({"part": ""}, "part is '': .*at least 1 character"),
        ({"name": "my board"}, "name is 'my board': .*match pattern"),
        ({"colour": "green"}, "unknown key colour"),
        ({"gate_engine": {"tests": 33}}, "gate_engine.tests is 33: it must be less than or equal to 32"),
        ({"gate_engine": {"corners": 2}}, "gate_engine.corners is 2: it must be greater than or equal to 3"),
        ({"gate_engine": {"scale": 4}}, "unknown key gate_engine.scale"),
        ({"place": {**PLACE, "flow": "quartus"}}, "place.flow is 'quartus': it must be 'nextpnr-ecp5' or 'vivado'"),
        ({"place": {**PLACE, "oscillator": "osc"}}, "place: oscillator is 'osc', which has no pins"),
        ({"place": {**PLACE, "oscillator_mhz": 0}}, "place.oscillator_mhz is 0.*: it must be greater than 0"),
        ({"place": {**PLACE, "pins": {"clk": {**PINS["clk"], "balls": ["1A"]}}}}, r"place.pins.clk.balls\[0\] is '1A'"),
        ({"place": {**PLACE, "pins": {**PINS, "led": PINS["clk"]}}}, "place.pins: A1 is the pin of two ports"),
        ({"place": {**PLACE, "pins": {"clk": {**PINS["clk"], "pull": "left"}}}}, "place.pins.clk.pull is 'left'"),
        ({"place": {**PLACE, "pins": {"clk": {"balls": ["A1"]}}}}, "place.pins.clk.standard is missing"),
    ],
)
def test_descriptions_that_cannot_be(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    path = write(tmp_path / "mine", **changes)
    with pytest.raises(IcsortError, match=f"{path}: ({message})") as refused:
        load_board(str(tmp_path / "mine"))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("text", ["", "[]", "{", "null", "[" * 100_000])
def test_files_that_are_no_description(text: str, tmp_path: Path) -> None:
    path = write(tmp_path / "mine")
    path.write_text(text)
    with pytest.raises(IcsortError, match=r"board\.json: .*see boards/") as refused:
        load_board(str(tmp_path / "mine"))
    assert "\n" not in str(refused.value)


def test_the_example_in_contributing_is_a_board(tmp_path: Path) -> None:
    text = (Path(__file__).parents[3] / "CONTRIBUTING.md").read_text().partition("## Adding a board")[2]
    (tmp_path / "board.json").write_text(text.partition("```json\n")[2].partition("```")[0])
    assert load_board(str(tmp_path)).name == "arty_a7"
