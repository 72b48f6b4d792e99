# SPDX-License-Identifier: Apache-2.0
"""Ports of a top level, its pins, and the constraints that come of both."""

from typing import Any

import pytest

from icsort.errors import IcsortError
from icsort.formats.board import Place
from icsort.hw.bitstream.pins import Port, check, lpf, ports, xdc

TOP = """
// module board_top (input wire logic wrong);
module board_top (
    input  wire logic       clk_p,   // one, of a pair
    input  wire logic       clk_n,
    output logic      [1:0] led,     /* two lights,
                                        side by side */
    inout wire              bus
);
"""
PINS: dict[str, Any] = {
    "clk_p": {"balls": ["A1"], "standard": "LVDS"},
    "clk_n": {"balls": ["B1"], "standard": "LVDS"},
    "led": {"balls": ["C1", "C2"], "standard": "LVCMOS33", "drive": 4},
    "bus": {"balls": ["D1"], "standard": "LVCMOS33", "pull": "up"},
}


def place(**changes: Any) -> Place:
    pins = {name: pin for name, pin in {**PINS, **changes}.items() if pin is not None}
    contents = {"flow": "vivado", "oscillator": "clk_p", "oscillator_mhz": 125.0, "pins": pins}
    return Place.model_validate(contents)


def test_ports_of_a_top_level() -> None:
    assert ports(TOP) == {
        "clk_p": Port("clk_p", "input", None),
        "clk_n": Port("clk_n", "input", None),
        "led": Port("led", "output", 2),
        "bus": Port("bus", "inout", None),
    }
    assert ports(TOP)["led"].bit_names == ["led[0]", "led[1]"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("module top (input wire a);", "there is no `module board_top"),
        ("module board_top #(parameter N = 1) (input wire a);", "without parameters"),
        ("module board_top (input wire a, b);", "port 'b': write each as"),
        ("module board_top (input wire [N-1:0] a);", r"port 'input wire \[N-1:0\] a'"),
    ],
)
def test_top_levels_that_cannot_be_read(text: str, message: str) -> None:
    with pytest.raises(IcsortError, match=message):
        ports(text)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"bus": None}, "place.pins has no pins for port 'bus' of board_top.sv"),
        ({"lamp": PINS["bus"] | {"balls": ["E1"]}}, "place.pins has 'lamp', and board_top.sv no port of that name"),
        ({"led": PINS["led"] | {"balls": ["C1"]}}, "place.pins.led has 1 balls, and the port 2 bits"),
    ],
)
def test_pins_that_are_not_those_of_the_ports(changes: dict[str, Any], message: str) -> None:
    check(place(), ports(TOP))
    with pytest.raises(IcsortError, match=message):
        check(place(**changes), ports(TOP))


def test_an_oscillator_comes_in() -> None:
    with pytest.raises(IcsortError, match="port 'clk_p', the oscillator, must be an input of one bit"):
        check(place(), ports(TOP.replace("input  wire logic       clk_p", "output logic clk_p")))


def test_constraints_for_nextpnr() -> None:
    lines = lpf(place(), ports(TOP)).splitlines()
    assert lines[0] == 'FREQUENCY PORT "clk_p" 125 MHZ;'
    assert 'LOCATE COMP "led[1]" SITE "C2";' in lines
    assert 'IOBUF PORT "led[1]" IO_TYPE=LVCMOS33 PULLMODE=NONE DRIVE=4;' in lines
    assert 'IOBUF PORT "bus" IO_TYPE=LVCMOS33 PULLMODE=UP;' in lines
    assert sum(line.startswith("LOCATE") for line in lines) == 5


def test_constraints_for_vivado() -> None:
    lines = xdc(place(), ports(TOP)).splitlines()
    assert lines[0] == "create_clock -name oscillator -period 8.000 [get_ports {clk_p}]"
    assert "set_property -dict {PACKAGE_PIN C2 IOSTANDARD LVCMOS33 DRIVE 4} [get_ports {led[1]}]" in lines
    assert "set_property -dict {PACKAGE_PIN D1 IOSTANDARD LVCMOS33 PULLTYPE PULLUP} [get_ports {bus}]" in lines
    assert [line for line in lines if "false_path" in line] == [
        "set_false_path -to [get_ports {led[*]}]",
        "set_false_path -to [get_ports {bus}]",
    ]
