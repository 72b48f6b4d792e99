# SPDX-License-Identifier: Apache-2.0
"""The pins of a board: checked against the ports of its top level, and written as the tools' constraints."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain

from icsort.errors import IcsortError
from icsort.formats.board import BOARD_FILE, TOP_FILE, Place

TOP = "board_top"

_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
_HEADER = re.compile(rf"\bmodule\s+{TOP}\s*\((.*?)\)\s*;", re.DOTALL)
_PORT = re.compile(r"(input|output|inout)\b(?:\s+(?:wire|logic|var|reg))*\s*(?:\[\s*(\d+)\s*:\s*0\s*\])?\s*(\w+)\s*")


@dataclass(frozen=True)
class Port:
    """A port of the top level. bit_names: as constraints name its bits."""

    name: str
    direction: str
    bits: int | None  # None: no vector

    @property
    def bit_names(self) -> list[str]:
        """`led[0]` and so on; the name alone where it is no vector."""
        return [self.name] if self.bits is None else [f"{self.name}[{bit}]" for bit in range(self.bits)]


def ports(top: str) -> dict[str, Port]:
    """Ports of board_top in its text, each declared by itself. Raises IcsortError where they cannot be read."""
    header = _HEADER.search(_COMMENT.sub("", top))
    if header is None:
        raise IcsortError(f"{TOP_FILE}: there is no `module {TOP} (...);`, without parameters")
    found = {}
    for declaration in header[1].split(","):
        port = _PORT.fullmatch(declaration.strip() + " ")
        if port is None:
            raise IcsortError(
                f"{TOP_FILE}: port {' '.join(declaration.split())!r}: write each as `input wire logic [3:0] name`"
            )
        found[port[3]] = Port(port[3], port[1], None if port[2] is None else int(port[2]) + 1)
    return found


def check(place: Place, found: Mapping[str, Port]) -> None:
    """Raises IcsortError, by the port's name, where the pins are not those of the top level's ports."""
    for name in place.pins:
        if name not in found:
            raise IcsortError(f"{BOARD_FILE}: place.pins has {name!r}, and {TOP_FILE} no port of that name")
    for name, port in found.items():
        if name not in place.pins:
            raise IcsortError(f"{BOARD_FILE}: place.pins has no pins for port {name!r} of {TOP_FILE}")
        balls = len(place.pins[name].balls)
        if balls != len(port.bit_names):
            raise IcsortError(
                f"{BOARD_FILE}: place.pins.{name} has {balls} balls, and the port {len(port.bit_names)} bits"
            )
    oscillator = found[place.oscillator]
    if (oscillator.direction, oscillator.bits) != ("input", None):
        raise IcsortError(f"{TOP_FILE}: port {place.oscillator!r}, the oscillator, must be an input of one bit")


def lpf(place: Place, found: Mapping[str, Port]) -> str:
    """Constraints for nextpnr-ecp5."""
    lines = [f'FREQUENCY PORT "{place.oscillator}" {place.oscillator_mhz:g} MHZ;']
    for name, pins in place.pins.items():
        options = f"IO_TYPE={pins.standard} PULLMODE={pins.pull.upper()}"
        options += f" DRIVE={pins.drive}" if pins.drive else ""
        for bit, ball in zip(found[name].bit_names, pins.balls, strict=True):
            lines += [f'LOCATE COMP "{bit}" SITE "{ball}";', f'IOBUF PORT "{bit}" {options};']
    return "".join(f"{line}\n" for line in lines)


def xdc(place: Place, found: Mapping[str, Port]) -> str:
    """Constraints for Vivado. Pins are of any clock: what comes in is synchronized, what goes out waits for nobody."""
    period = f"{1e3 / place.oscillator_mhz:.3f}"
    clock = f"create_clock -name oscillator -period {period} [get_ports {{{place.oscillator}}}]\n"
    return clock + "".join(chain.from_iterable(_xdc_port(place, found[name]) for name in place.pins))


def _xdc_port(place: Place, port: Port) -> Iterator[str]:
    pins = place.pins[port.name]
    for bit, ball in zip(port.bit_names, pins.balls, strict=True):
        properties = f"PACKAGE_PIN {ball} IOSTANDARD {pins.standard}"
        properties += f" PULLTYPE PULL{pins.pull.upper()}" if pins.pull != "none" else ""
        properties += f" DRIVE {pins.drive}" if pins.drive else ""
        yield f"set_property -dict {{{properties}}} [get_ports {{{bit}}}]\n"
    if port.name not in (place.oscillator, f"{place.oscillator.removesuffix('_p')}_n"):  # the other half of a pair
        end = "-from" if port.direction == "input" else "-to"
        yield f"set_false_path {end} [get_ports {{{port.name}{'' if port.bits is None else '[*]'}}}]\n"
