# SPDX-License-Identifier: Apache-2.0
"""The module `pynq` as far as icsort uses it, around a fake board: its registers by MMIO, its records by a DMA.

What PYNQ and the DMA do is that of pynq/lib/dma.py and PG021; a register that is none ends the program on a real board,
and the test here.
"""

import struct
import threading
from typing import Any

import numpy as np
from cobs import cobs

from tests.host.fake_board import FakeBoard

READ, WRITE, NACK = 1, 2, 0xFF
CONTROL, RESET = 0x30, 4


class Registers:
    """The MMIO of the sorter."""

    def __init__(self, board: FakeBoard) -> None:
        self.board = board
        self.touched: list[int] = []

    def read(self, offset: int) -> int:
        answer = self._ask(bytes([READ, 0]) + struct.pack("<H", offset))
        return struct.unpack_from("<I", answer, 4)[0]

    def write(self, offset: int, value: int) -> None:
        assert 0 <= value < 2**32
        self._ask(bytes([WRITE, 0]) + struct.pack("<HI", offset, value))

    def _ask(self, request: bytes) -> bytes:
        answer = self.board._execute(request)
        assert answer[0] != NACK, "bus error"
        self.touched.append(struct.unpack_from("<H", request, 2)[0])
        return answer


class Buffer(np.ndarray):
    freed = False

    def freebuffer(self) -> None:
        self.freed = True


def allocate(shape: tuple[int, ...], dtype: str) -> Buffer:
    return np.zeros(shape, dtype).view(Buffer)


class Channel:
    """The DMA's way to memory. waiting: packets that have not found a transfer."""

    def __init__(self) -> None:
        self.waiting: list[bytes] = []
        self.transfers = 0
        self.fails = 0  # so many transfers more
        self.transferred = 0
        self.error = False
        self._lock = threading.Lock()
        self.stop()

    def stop(self) -> None:
        self._running, self._filling, self._done = False, None, False

    def start(self) -> None:
        self._running, self.error = True, False

    def transfer(self, array: Any) -> None:
        if not self._running:
            raise RuntimeError("DMA channel not started")
        if self._filling is not None:
            raise RuntimeError("DMA channel not idle")
        assert not array.freed
        self.transfers += 1
        self._filling, self._done = array, False

    @property
    def idle(self) -> bool:
        with self._lock:
            if self._filling is not None and self.waiting:
                packet = self.waiting.pop(0)
                if self.fails:
                    self.fails -= 1
                    self.error = True
                    return False
                assert len(packet) <= self._filling.nbytes
                self._filling[: len(packet) // 4] = np.frombuffer(packet, "<u4")
                self._size, self._filling, self._done = len(packet), None, True
            return self._done

    def wait(self) -> None:
        if self.error:
            raise RuntimeError("DMA Slave Error (cannot access memory map interface)")
        assert self._done
        self.transferred = self._size


class FakePynq:
    """loaded: whether the FPGA holds the overlay. Stands for the module, its overlay, and the DMA's registers."""

    def __init__(self, board: FakeBoard) -> None:
        self.board = board
        self.loaded = False
        self.downloads = 0
        self.buffers: list[Buffer] = []
        self.registers, self.channel = Registers(board), Channel()
        board.put = self.send  # type: ignore[method-assign]

    def Overlay(self, path: str, download: bool = True) -> Any:  # noqa: N802
        assert path.startswith("/")
        assert not download
        fake = self

        class Dma:
            recvchannel = self.channel

            class mmio:  # noqa: N801
                @staticmethod
                def write(offset: int, value: int) -> None:
                    assert (offset, value) == (CONTROL, RESET)
                    fake.channel.stop()

                @staticmethod
                def read(offset: int) -> int:
                    assert offset == CONTROL
                    return 0

        class Overlay:
            dma = Dma

            class sorter:  # noqa: N801
                mmio = self.registers

            def is_loaded(self) -> bool:
                return fake.loaded

            def download(self) -> None:
                fake.downloads += 1
                fake.loaded = True

        return Overlay()

    def allocate(self, shape: tuple[int, ...], dtype: str) -> Buffer:
        self.buffers.append(allocate(shape, dtype))
        return self.buffers[-1]

    def send(self, *frames: bytes, cut: int = 0) -> None:
        """Frames as one batch, without its first `cut` bytes."""
        batch = b""
        for frame in frames:
            payload = cobs.decode(frame.removesuffix(b"\0"))[:-4]
            body = payload[2:]
            batch += body + struct.pack("<I", payload[0] << 24 | len(body) // 4)
        self.channel.waiting.append(batch[cut:])
