# SPDX-License-Identifier: Apache-2.0
"""A fake board before which cells of three kinds flow, always the same ones, and which does what its gates say."""

import struct
import threading
import time
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from icsort.formats.event_record import pack
from icsort.formats.package import Manifest
from icsort.host.link.registers import REGISTERS
from icsort.sim.bit_true import features
from icsort.sim.bit_true import gate_engine as engine
from icsort.sim.bit_true.scheduler import Outcome
from tests.host import fake_board
from tests.host.fake_board import ARMED, FakeBoard, pieces_of

CELLS = 2000
"""Which come over and over."""
LENGTH = 40
STEP_SECONDS = 0.02
STATISTICS_SECONDS = 0.25
CYCLES = 50_000
"""Between two cells."""


def cells(model: Manifest, seed: int = 1) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Logits, (CELLS, classes), and features, (CELLS, F), as a board's integers."""
    draw = np.random.default_rng(seed)
    classes, channels = len(model.classes), len(model.channels)
    kinds = draw.choice(classes, CELLS, p=[0.6, 0.3, 0.1])
    logits = draw.normal(0, 130, (CELLS, classes))
    logits[np.arange(CELLS), kinds] += 420
    names = features.names(model.channels)
    values = np.abs(draw.normal(0.5, 0.15, (CELLS, len(names))))
    for index in range(channels):
        values[:, index] = 260 * np.exp(draw.normal(0.35 * kinds, 0.12))  # size
        total = names.index(f"Total Intensity ({model.channels[index]})")
        values[:, total] = 30_000 * (1 + kinds) ** (1 + index) * np.exp(draw.normal(0, 0.13, CELLS))
    return np.rint(logits).astype(np.int64), np.rint(values / features.scales(channels)).astype(np.int64)


class CellBoard:
    """The cells, from now until the end of the block, which pulls the cable.

    rate: cells a second. counters: by name; the board sends them.
    """

    def __init__(self, board: FakeBoard, model: Manifest, rate: int = 2000, image_every: int = 200) -> None:
        self.board = board
        self.counters = dict.fromkeys(("ACCEPTED", "SORTED", "REJECTED", "DISARMED", "COINCIDENCE", "AMBIGUOUS"), 0)
        self.sends_statistics = True
        self._model = model
        self._rate = rate
        self._image_every = image_every
        self._logits, self._features = cells(model)
        self._draw = np.random.default_rng(2)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        board.registers[fake_board.GATE_VALUES] = self._features.shape[1]
        board.registers[fake_board.RECORD_FIELDS] = 0b1111

    def __enter__(self) -> "CellBoard":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self.board.unplug()  # where nobody reads any more, what is sent ends with the cable
        self._thread.join()

    def _run(self) -> None:
        begun = told = time.monotonic()
        number = frame = 0
        while not self._ended.wait(STEP_SECONDS):
            due = int((time.monotonic() - begun) * self._rate)
            serial = self.board.registers[fake_board.GATE_SERIAL]
            gates, direction, ambiguous = self._decided()
            sent = []
            for event in range(number, due):
                cell = event % CELLS
                outcome = self._outcome(direction[cell], ambiguous[cell])
                sent.append(self._frame(event, cell, gates[cell], direction[cell], outcome, serial))
                self.counters["ACCEPTED"] += 1
                self.counters[outcome.name] += 1
                if event % self._image_every == 0:
                    sent += [self.board.image(body) for body in pieces_of(event, self._window(cell), 2)]
            number = due
            now = time.monotonic()
            if self.sends_statistics and now - told >= STATISTICS_SECONDS:
                told, frame = now, frame + 1
                at = {REGISTERS[name].address: count for name, count in self.counters.items()}
                state = self.board.registers[fake_board.STATUS] & 0xFF
                sent.append(self.board.statistics(frame, number * CYCLES, at, state))
            self.board.put(b"".join(sent))

    def _decided(self) -> tuple[list[int], list[int], list[bool]]:
        """Bits of the gates that each cell passes, its direction, and whether that is ambiguous."""
        words = dict(self.board.in_force)
        if engine.INDEX_COUNTS not in words:
            return [0] * CELLS, [-1] * CELLS, [False] * CELLS
        program = engine.unpack(words)
        constants = self._model.posterior
        values = engine.values_of(
            self._logits, program, constants.multiplier, constants.shift, features=self._features, length=LENGTH
        )
        found = engine.evaluate(program, values, self._logits.argmax(axis=1))
        bits = found.gates @ (1 << np.arange(found.gates.shape[1]))
        return bits.tolist(), found.direction.tolist(), found.ambiguous.tolist()

    def _outcome(self, direction: int, ambiguous: bool) -> Outcome:
        if ambiguous:
            return Outcome.AMBIGUOUS
        if direction < 0:
            return Outcome.REJECTED
        if not self.board.registers[fake_board.STATUS] & ARMED:
            return Outcome.DISARMED
        return Outcome.COINCIDENCE if self._draw.random() < 0.1 else Outcome.SORTED

    def _frame(self, event: int, cell: int, gates: int, direction: int, outcome: Outcome, serial: int) -> bytes:
        values = {
            "event_id": event, "event_time": event * CYCLES, "tag": event % 256, "outcome": outcome,
            "direction": 255 if direction < 0 else direction, "flags": 0, "length": LENGTH,
            "class_index": int(self._logits[cell].argmax()), "posterior": 0, "gates": gates,
            "first_pixel_to_decision": 5100 + cell % 90, "last_pixel_to_decision": 515 + cell % 40,
            "gate_serial": serial,
        }  # fmt: skip
        record = pack(values, self._features[cell].tolist(), self._logits[cell].tolist())
        self.board.event_seq = (self.board.event_seq + 1) % 256
        return self.board.frame(struct.pack("<BB", 0xE0, self.board.event_seq) + record)

    def _window(self, cell: int) -> bytes:
        """A round cell, in the size that its record says."""
        shape = self._model.input
        radius = (self._features[cell, 0] * features.scales(shape.channels)[0] / np.pi) ** 0.5
        y, x = np.mgrid[: shape.height, : shape.width]
        away = np.hypot(y - shape.height / 2, x - shape.width / 2)
        bright = 110 + 25 * np.cos(np.minimum(away / radius, 1.5) * np.pi) + 8 * (away < radius)
        stained = 30 + 190 * np.exp(-((away / (0.55 * radius)) ** 4))
        noise = self._draw.normal(0, 4, (2, *bright.shape))
        planes = np.stack([bright + noise[0], stained + noise[1]], axis=-1)
        return np.clip(planes, 0, 255).astype(np.uint8).tobytes()
