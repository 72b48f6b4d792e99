# SPDX-License-Identifier: Apache-2.0
"""A board, from the processor beside it: registers by PYNQ's MMIO, records by its DMA, as the frames of the link.

A port is `pynq://` and the path of an overlay that `boards/processor.tcl` made. Requests and answers are those of
docs/link.md, so that all that talks to a serial port talks to this one. Each register access is a sign of life for the
board's heartbeat, and nothing here makes one that nobody asked for.
"""

import contextlib
import fcntl
import struct
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any, Final

from icsort.errors import IcsortError
from icsort.host.link.protocol import unbatch
from icsort.host.link.registers import REGISTERS
from icsort.host.link.transport import POLL_SECONDS, PYNQ, PortBusyError, PortGoneError
from icsort.sim.bit_true.framing import HEADER_BYTES, Decoder, MessageType, NackCode, encode

BUFFER_WORDS: Final = 8192
"""Of the DMA's buffers: a batch is shorter than 4,096 words, a record and its trailer (record_batches.sv)."""
IDLE_SECONDS: Final = 0.001
"""Between looks at a transfer that has not ended."""
DMA_TRIES: Final = 3
BACKLOG_BYTES: Final = 64 << 20
"""That wait for a program that does not read; records beyond are dropped, and it sees the gap."""
_CONTROL, _RESET = 0x30, 4  # S2MM_DMACR of the DMA (PG021), and its bit that resets the engine
_BY_ADDRESS: Final = {register.address: register for register in REGISTERS.values()}
_ADDRESS: Final = struct.Struct("<H")
_ADDRESS_DATA: Final = struct.Struct("<HI")


class PynqTransport:
    """The sorter of an overlay, which is downloaded where the FPGA holds another design.

    One program at a time has it. Raises IcsortError where there is no PYNQ, no such overlay, or none of a sorter,
    PortBusyError where another program has it.
    """

    has_rate = False
    baud = 0

    def __init__(self, port: str) -> None:
        self.name = port
        self._decoder = Decoder()
        self._arrived = threading.Condition()
        self._out = bytearray()
        self._numbers = Counter[int]()
        self._gone = ""
        self._closing = False
        self._file = path_of(port).open("rb")
        try:
            _lock(self._file, port)
            overlay = _overlay(port, download=True)
            self._sorter, self._dma = _cell(port, overlay, "sorter").mmio, _cell(port, overlay, "dma")
            self._buffers = [_allocated() for _ in range(2)]
        except BaseException:
            self._file.close()
            raise
        self._thread = threading.Thread(target=self._run, name="icsort records", daemon=True)
        self._thread.start()

    def read(self) -> bytes:
        with self._arrived:
            if not self._out and not self._gone:
                self._arrived.wait(POLL_SECONDS)
            data = bytes(self._out)
            self._out.clear()
        if not data and self._gone:
            raise PortGoneError(f"{self.name}: the DMA gives no records ({self._gone}); load the overlay again")
        return data

    def write(self, data: bytes) -> None:
        for payload in self._decoder.feed(data):
            answer = self._carried_out(payload)
            with self._arrived:
                self._out += encode(answer)
                self._arrived.notify()

    def drain(self) -> None:
        """What was written was carried out."""

    def close(self) -> None:
        self._closing = True
        self._thread.join()
        with contextlib.suppress(RuntimeError):
            self._reset()  # nothing writes into the buffers from here on; where it fails, they stay
            for buffer in self._buffers:
                buffer.freebuffer()
        self._file.close()

    def _carried_out(self, payload: bytes) -> bytes:
        """The answer to a request, as icsort_link gives it. A register that is none is never touched: the processor
        would be told of a bus error, which ends the program."""
        kind, seq, body = payload[0], payload[1], payload[HEADER_BYTES:]
        layout = {MessageType.READ: _ADDRESS, MessageType.WRITE: _ADDRESS_DATA}.get(kind)  # type: ignore[call-overload]
        if layout is None:
            return bytes([MessageType.NACK, seq, NackCode.UNKNOWN_TYPE])
        if len(body) != layout.size:
            return bytes([MessageType.NACK, seq, NackCode.BAD_LENGTH])
        address, *data = layout.unpack(body)
        register = _BY_ADDRESS.get(address)
        if register is None or not (register.writable if data else register.readable):
            return bytes([MessageType.NACK, seq, NackCode.BAD_ADDRESS])
        if data:
            self._sorter.write(address, data[0])
        value = self._sorter.read(address) if register.readable else 0
        return bytes([kind | 0x80, seq]) + _ADDRESS_DATA.pack(address, value)

    # Records, in a thread of their own

    def _run(self) -> None:
        failures = 0
        while not self._closing:
            try:
                self._reset()
                self._dma.recvchannel.start()
                for batch in self._batches():
                    failures = 0
                    self._take(batch)
            except (RuntimeError, OSError, ValueError) as error:  # what PYNQ raises; gaps tell what was lost
                failures += 1
                if failures == DMA_TRIES:
                    with self._arrived:
                        self._gone = str(error)
                        self._arrived.notify()
                    return

    def _batches(self) -> Any:
        """What the DMA brings, until this is closed: while one buffer is read, the other one is filled."""
        channel, (filling, other) = self._dma.recvchannel, self._buffers
        channel.transfer(filling)
        while True:
            while not channel.idle and not channel.error:
                if self._closing:
                    return
                time.sleep(IDLE_SECONDS)
            channel.wait()  # says how long it is, or raises what went wrong
            size = channel.transferred
            channel.transfer(other)
            yield bytes(filling[: size // 4])
            filling, other = other, filling

    def _take(self, batch: bytes) -> None:
        frames = bytearray()
        for kind, body in unbatch(batch):
            frames += encode(bytes([kind, self._numbers[kind] % 256]) + body)
            self._numbers[kind] += 1
        with self._arrived:
            if len(self._out) < BACKLOG_BYTES:
                self._out += frames
                self._arrived.notify()

    def _reset(self) -> None:
        """Ends whatever transfer is under way, also one of a program that was killed."""
        self._dma.mmio.write(_CONTROL, _RESET)
        limit = time.monotonic() + 1
        while self._dma.mmio.read(_CONTROL) & _RESET:
            if time.monotonic() > limit:
                raise RuntimeError("it stays in reset")


def path_of(port: str) -> Path:
    """Of the overlay. Raises IcsortError where there is none."""
    path = Path(port.removeprefix(PYNQ))
    if not path.is_file():
        raise IcsortError(
            f"{port}: there is no overlay {path}; copy sorter.bit and sorter.hwh of `icsort build --kind processor` "
            "onto the board, side by side"
        )
    return path


def disarm(port: str) -> None:
    """Disarm although another program has the overlay. Raises IcsortError where the board does not confirm it."""
    sorter = _cell(port, _overlay(port, download=False), "sorter").mmio
    sorter.write(REGISTERS["DISARM"].address, 1)
    fields = REGISTERS["STATUS"].fields
    status = sorter.read(REGISTERS["STATUS"].address)
    if any(status >> fields[name].low & 1 for name in ("armed", "testing")):
        raise IcsortError(f"{port}: the board stays armed; switch the sorter off")


def _lock(file: Any, port: str) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise PortBusyError(
            f"{port}: busy, another program has the overlay; close that one (another `icsort watch`?) and try again"
        ) from None


def _overlay(port: str, download: bool) -> Any:
    try:
        import pynq
    except ImportError:
        raise IcsortError(
            f"{port}: this Python has no PYNQ; run icsort on the board itself, in PYNQ's environment (docs/boards.md)"
        ) from None
    path = path_of(port)
    try:
        overlay = pynq.Overlay(str(path), download=False)
        if not overlay.is_loaded():  # else it may be armed, and stays so
            if not download:
                raise IcsortError(f"{port}: the FPGA holds another design, and nothing of this one can be disarmed")
            overlay.download()
    except (RuntimeError, OSError, ValueError) as error:
        raise IcsortError(
            f"{port}: PYNQ does not load it ({error}); its sorter.hwh must be beside it, and PYNQ wants root"
        ) from None
    return overlay


def _cell(port: str, overlay: Any, name: str) -> Any:
    """The driver of a cell of the block design."""
    try:
        return getattr(overlay, name)
    except AttributeError:
        raise IcsortError(
            f"{port}: has no cell {name!r}; give sorter.bit of `icsort build --kind processor`, with its sorter.hwh"
        ) from None


def _allocated() -> Any:
    import pynq

    return pynq.allocate((BUFFER_WORDS,), "u4")
