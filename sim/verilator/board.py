# SPDX-License-Identifier: Apache-2.0
"""The virtual board: compile a build with Verilator once, then run its real RTL in a process of its own.

`sim/verilator/board.cpp` moves every clock edge, pixel and UART bit; Python only starts it and reads what it wrote.
"""

import contextlib
import json
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icsort.errors import IcsortError
from icsort.formats import event_record
from icsort.formats.build import Build
from icsort.sim.verilator import verilate

SOURCE = Path(__file__).parent / "board.cpp"
TOP = "icsort_build"


def compile_board(build: Build, netlist: Sequence[Path] = ()) -> Path:
    """Executable of a build's RTL, compiled once and kept by the content of its sources. Raises IcsortError.

    netlist: Verilog of the same top, mapped to cells, and of these, in place of the RTL. Memory files are read when the
    executable starts, so a change in one needs no new compilation; a netlist has them inside.
    """
    sources = netlist or build.sources()
    return verilate.compile_program("board", TOP, sources, SOURCE, libraries=["-lutil"], netlist=bool(netlist))


@dataclass(frozen=True)
class BoardOutcome:
    """What a finished board process wrote.

    summary: cycles, seconds, first_line (the timestamp in which it fell), lines, events, decisions, sort_pulses
    [[timestamp, length, direction], ...]; records: event record bodies as the sorter made them, before the link;
    uart: bytes that left the board's transmitter.
    """

    summary: dict[str, Any]
    records: list[bytes]
    uart: bytes


def _command(
    build: Build, lines: NDArray[np.uint16], line_rate: float | None, folder: Path, netlist: Sequence[Path] = ()
) -> list[str]:
    """The executable with its options; writes the lines into `folder`."""
    cycles = line_cycles(build, line_rate)
    lines.astype("<u2").tofile(folder / "lines.bin")
    options = {
        "--lines": folder / "lines.bin",
        "--line-width": lines.shape[1],
        "--line-pixels": build.line_pixels,
        "--line-cycles": repr(cycles),
        "--channels": lines.shape[2],
        "--sample-bits": build.manifest.line.sample_bits,
        "--clks-per-bit": build.clks_per_bit,
        "--records": folder / "records.bin",
        "--timeline": folder / "timeline.csv",
        "--summary": folder / "summary.json",
    }
    return [str(compile_board(build, netlist)), *(str(word) for option in options.items() for word in option)]


def _outcome(folder: Path) -> BoardOutcome:
    uart = folder / "uart-out.bin"
    return BoardOutcome(
        summary=json.loads((folder / "summary.json").read_text()),
        records=event_record.split((folder / "records.bin").read_bytes()),
        uart=uart.read_bytes() if uart.exists() else b"",
    )


def line_cycles(build: Build, line_rate: float | None) -> float:
    """Cycles from one line to the next at so many lines a second, None: a line right behind the other. Raises
    IcsortError where the build does not take lines so fast."""
    if line_rate is None:
        return float(build.line_beats)
    cycles = build.clock_mhz * 1e6 / line_rate
    if cycles < build.line_beats:
        raise IcsortError(
            f"--line-rate {line_rate:g}: leaves {cycles:.1f} cycles at {build.clock_mhz:g} MHz for a line of "
            f"{build.line_beats} beats; compile with more --line-pixels, or give a lower rate"
        )
    return cycles


def run_batch(
    build: Build,
    lines: NDArray[np.uint16],
    uart_in: bytes,
    *,
    line_rate: float | None = None,
    netlist: Sequence[Path] = (),
) -> BoardOutcome:
    """Send `uart_in` to the board, then the lines once it is armed; return when all is decided and idle.

    lines: (L, LINE_W, C) uint16; line_rate: of them a second, None: without pause; netlist: as of `compile_board`.
    Raises IcsortError.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "uart-in.bin").write_bytes(uart_in)
        command = _command(build, lines, line_rate, folder, netlist)
        command += ["--uart-in", str(folder / "uart-in.bin"), "--uart-out", str(folder / "uart-out.bin")]
        done = subprocess.run(command, cwd=build.folder, capture_output=True, text=True, check=False)
        if done.returncode:
            raise IcsortError(f"the virtual board stopped with code {done.returncode}: {done.stderr.strip()[-500:]}")
        return _outcome(folder)


class VirtualBoard:
    """A running board behind a pseudo-terminal; `port` is what the host opens."""

    def __init__(self, process: subprocess.Popen[str], port: Path, folder: Path) -> None:
        self.process = process
        self.port = port
        self.folder = folder

    def stop(self) -> BoardOutcome:
        """End the process and return what it wrote. Raises IcsortError where it had failed."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        _, stderr = self.process.communicate(timeout=30)
        if self.process.returncode:
            raise IcsortError(f"the virtual board stopped with code {self.process.returncode}: {stderr.strip()[-500:]}")
        return _outcome(self.folder)


@contextlib.contextmanager
def virtual_board(
    build: Build, lines: NDArray[np.uint16], port: Path, *, line_rate: float | None = None
) -> Iterator[VirtualBoard]:
    """Run a board in the background; its serial port is the symbolic link `port`, none yet or a dead one.

    lines, line_rate: as for `run_batch`. Raises IcsortError.
    """
    _refuse_taken(port)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        port.parent.mkdir(parents=True, exist_ok=True)
        command = [*_command(build, lines, line_rate, folder), "--pty", str(port.absolute())]
        process = subprocess.Popen(command, cwd=build.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            assert process.stdout is not None
            if not process.stdout.readline():  # the pseudo-terminal's name: printed once it can be opened
                _, stderr = process.communicate()
                raise IcsortError(f"the virtual board did not start: {stderr.strip()[-500:]}")
            yield VirtualBoard(process, port, folder)
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()
            if port.is_symlink() and not port.exists():  # the process was killed: its pseudo-terminal is gone with it
                port.unlink()


def _refuse_taken(port: Path) -> None:
    """Raises IcsortError where anything but a dead link stands at `port`."""
    if port.is_symlink() and not port.exists():
        return
    kinds = {"folder": port.is_dir, "file": port.is_file, "device, perhaps another board's port": port.is_char_device}
    kind = next((name for name, holds in kinds.items() if holds()), "")
    if kind or port.exists():
        raise IcsortError(f"{port}: is a {kind or 'socket or pipe'} and stays as it is; choose another --port")
