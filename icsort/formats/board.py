# SPDX-License-Identifier: Apache-2.0
"""A board's description, `board.json`: its clock, its part with what that has, the rate of its serial port, and for
`icsort build` its oscillator and pins."""

from collections import Counter
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, NonNegativeInt, StringConstraints, field_validator, model_validator

from icsort.errors import IcsortError
from icsort.formats.document import Document, Name, Strict, read

BOARDS = Path(__file__).resolve().parents[1] / "boards"
BOARD_FILE = "board.json"
TOP_FILE = "board_top.sv"  # beside it: the module whose ports are the pins
README_FILE = "README.md"
BAUD_ERROR = 0.015  # of both ends together the receiver tolerates more, but the bridge has an error of its own

RESOURCES = ("LUT", "DSP", "BRAM_18K", "URAM")
Budget = dict[str, NonNegativeInt]


Ball = Annotated[str, StringConstraints(pattern=r"^[A-Z]{1,2}[1-9][0-9]?$")]


class Pins(Strict):
    """Where a port of the top level leaves the package. balls: one a bit, bit 0 first. standard: of the I/O, as the
    tools name it. pull: of the pin's resistor. drive: mA of an output; None leaves what the tool takes."""

    balls: Annotated[list[Ball], Field(min_length=1)]
    standard: Name
    pull: Literal["up", "down", "none"] = "none"
    drive: Annotated[int, Field(ge=1, le=24)] | None = None


class Place(Strict):
    """What makes a bitstream of a build. flow: the tools. oscillator: the port whose clock comes from outside, of
    `oscillator_mhz`. pins: of every port of the top level. loader: the board as openFPGALoader names it. board_part:
    Vivado's files of the board, of any version (`VENDOR:NAME:part0:*`), for the sorter beside its processor."""

    flow: Literal["nextpnr-ecp5", "vivado"]
    oscillator: Name
    oscillator_mhz: Annotated[float, Field(gt=0, le=1000)]
    pins: dict[Name, Pins]
    loader: Name | None = None
    board_part: Name | None = None

    @field_validator("pins")
    @classmethod
    def _once(cls, pins: dict[str, Pins]) -> dict[str, Pins]:
        balls = Counter(ball for port in pins.values() for ball in port.balls)
        if twice := [ball for ball, uses in balls.items() if uses > 1]:
            raise ValueError(f"{twice[0]} is the pin of two ports")
        return pins

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.oscillator not in self.pins:
            raise ValueError(f"oscillator is {self.oscillator!r}, which has no pins")
        return self


class GateEngine(Strict):
    """What a gate set may have on a board: tests, gates, scales and corners of a polygon, up to what gate_engine.sv
    takes. Scales and corners are kept in block RAM, and each corner is multiplied: a small FPGA has fewer.
    """

    tests: Annotated[int, Field(ge=2, le=32)] = 32
    gates: Annotated[int, Field(ge=2, le=16)] = 16
    scales: Annotated[int, Field(ge=2, le=16)] = 16
    corners: Annotated[int, Field(ge=3, le=16)] = 16


class Board(Document):
    """One board. `clock_is`: whether place and route reached the clock or is yet to. `budget`: what the part has;
    `budget_is`: whether a network that needs more is refused. `place`: None for a board of which no bitstream is made.
    """

    format: Literal["icsort-board"]
    version: Literal[1]
    name: Annotated[str, StringConstraints(pattern=r"^[\w.-]+$")]
    description: str = ""
    clock_mhz: Annotated[float, Field(gt=0, le=2000)]
    clock_is: Literal["target", "routed"]
    baud: Annotated[int, Field(ge=1)]
    part: Name
    budget: Budget
    budget_is: Literal["limit", "for comparison"]
    gate_engine: GateEngine = GateEngine()
    place: Place | None = None

    @property
    def clks_per_bit(self) -> int:
        """Cycles of the board's clock in one bit of the UART, the nearest to its baud rate."""
        return round(self.clock_mhz * 1e6 / self.baud)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.budget.keys() != set(RESOURCES):
            raise ValueError(f"budget must have {', '.join(RESOURCES)} and nothing else, 0 for what there is none of")
        if self.clock_mhz * 1e6 < 4 * self.baud:
            raise ValueError(
                f"baud {self.baud} needs a clock at least 4 times faster than {self.clock_mhz:g} MHz allows"
            )
        cycles = self.clks_per_bit
        reached = self.clock_mhz * 1e6 / cycles
        if abs(reached / self.baud - 1) > BAUD_ERROR:
            raise ValueError(
                f"{self.clock_mhz:g} MHz makes no {self.baud} baud, {cycles} cycles a bit are {reached:.0f}; "
                "give a rate that the clock and your USB bridge make, such as 12000000, 8000000, 4000000 or 3000000"
            )
        return self


def board_names() -> list[str]:
    """The boards that come along."""
    return sorted(path.parent.name for path in BOARDS.glob(f"*/{BOARD_FILE}"))


def board_folder(name: str) -> Path:
    """The folder of a board that comes along, by its name, or any other by its path."""
    return BOARDS / name if name in board_names() else Path(name)


def load_board(name: str) -> Board:
    """A board that comes along, by its name, or any other by the path of its folder.

    Raises IcsortError where there is none, and for a description with a key or value that cannot be.
    """
    path = board_folder(name) / BOARD_FILE
    if not path.is_file():
        raise IcsortError(
            f"there is no board {name!r}; known are {', '.join(board_names())}, or give a folder with a {BOARD_FILE}"
        )
    return read(Board, path, "see boards/ for examples")
