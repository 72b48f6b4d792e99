# SPDX-License-Identifier: Apache-2.0
"""image_snapshot: what comes out are whole windows, byte for byte, of the events that were asked for; the others of
those are counted."""

import random
import struct
from dataclasses import dataclass, field

import cocotb
import numpy as np

from tests.hw.sorter.signals import cycle, reset, start

NONE, REQUEST, EVERY, GATE = range(4)
OUTPUTS = ("m_axis_tvalid", "m_axis_tdata", "m_axis_tlast", "busy", "skipped")


@dataclass
class Window:
    pixels: bytes
    gates: int
    lost: bool
    begun: int = 0
    ended: int = 0


@dataclass
class Images:
    """Windows that pass and events that are decided, in order, and a sink. idle, stall: probabilities a cycle that no
    beat passes, that the sink takes none; delay: cycles from a window's end to its decision at most; apart: cycles
    between windows at most."""

    dut: object
    idle: float = 0.0
    stall: float = 0.0
    delay: int = 60
    apart: int = 20
    lost: float = 0.0
    windows: list[Window] = field(default_factory=list)
    packets: list[list[int]] = field(default_factory=list)
    words: list[int] = field(default_factory=list)
    skipped: int = 0
    busy: int = 0
    now: int = 0
    decided: int = 0
    offered: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        self.beats, self.size, self.piece = (
            getattr(self.dut, name).value.to_unsigned() for name in ("BEATS", "BEAT_BYTES", "PIECE_WORDS")
        )

    async def cycle(self, **inputs: int) -> None:
        ready = random.random() >= self.stall
        decided = 0
        if self.decided < len(self.windows):
            window = self.windows[self.decided]
            if window.ended and self.now > window.ended and random.random() < 2 / self.delay:
                decided = 1
                inputs |= {"decided_tag": self.decided % 256, "decided_gates": window.gates}
                self.decided += 1
        valid, data, last, self.busy, skipped = await cycle(
            self.dut, *OUTPUTS, m_axis_tready=ready, decided=decided, **inputs
        )
        self.now += 1
        self.skipped += skipped
        if self.offered is not None:
            assert (valid, data, last) == (1, *self.offered)
        self.offered = (data, last) if valid and not ready else None
        if valid and ready:
            self.words.append(data)
            if last:
                self.packets.append(self.words)
                self.words = []

    async def quiet(self, cycles: int) -> None:
        for _ in range(cycles):
            await self.cycle(s_beat_tvalid=0, s_beat_tdata=random.getrandbits(8 * self.size), window_valid=0, request=0)

    async def window(self, **inputs: int) -> None:
        """A window of random pixels passes; inputs: of its first cycle."""
        window = Window(
            random.randbytes(self.beats * self.size), random.getrandbits(32), random.random() < self.lost, self.now
        )
        told = random.randrange(1, self.beats - 1)  # beat in whose cycle its end is on its way
        tag = len(self.windows) % 256
        self.windows.append(window)
        for beat in range(self.beats):
            while random.random() < self.idle:
                await self.quiet(1)
            data = int.from_bytes(window.pixels[beat * self.size : (beat + 1) * self.size], "little")
            valid = beat == told
            await self.cycle(
                s_beat_tvalid=1, s_beat_tdata=data, window_valid=valid, window_tag=tag if valid else 0,
                window_lost=window.lost and valid, request=0, **inputs,
            )  # fmt: skip
            inputs = {}
        window.ended = self.now
        await self.quiet(random.randrange(self.apart + 1))
        while len(self.windows) - self.decided > random.randrange(1, 9):  # as many may be between trigger and decision
            await self.quiet(1)

    async def drained(self) -> None:
        while self.busy or self.decided < len(self.windows) or self.offered:
            await self.quiet(1)
        await self.quiet(3)

    async def some_images(self) -> None:
        """90 windows, and then, one by one, as many as it takes for two images."""
        for _ in range(90):
            await self.window()
        await self.drained()
        while len(self.images()) < 2:
            await self.window()
            await self.drained()

    def images(self) -> list[tuple[int, int]]:
        """Event and reason of each image that came, checked word for word."""
        came, total = [], -(-self.beats * self.size // 4)
        pieces = -(-total // self.piece)
        packets = iter(self.packets)
        for first in packets:
            event, reason = first[0], first[1] >> 8
            pixels = b""
            for piece in range(pieces):
                packet = first if not piece else next(packets)
                assert packet[:3] == [event, event % 256 | reason << 8, piece | pieces << 16]
                assert len(packet) - 3 == min(self.piece, total - piece * self.piece)
                pixels += struct.pack(f"<{len(packet) - 3}I", *packet[3:])
            expected = self.windows[event].pixels
            assert pixels == expected + b"\0" * (-len(expected) % 4)
            assert not self.windows[event].lost
            came.append((event, reason))
        assert not self.words
        return came


async def prepare(dut, **how) -> Images:
    inputs = ("rule", "rule_number", "request", "s_beat_tdata", "s_beat_tvalid", "window_valid", "window_tag")
    inputs += ("window_lost", "decided", "decided_tag", "decided_gates", "m_axis_tready")
    await start(dut, **dict.fromkeys(inputs, 0))
    return Images(dut, **how)


@cocotb.test()
@cocotb.parametrize(stall=[0.0, 0.7], every=[0, 1, 3])
async def every_nth(dut, stall, every):
    bench = await prepare(dut, idle=0.2, stall=stall, lost=0.1)
    dut.rule.value, dut.rule_number.value = EVERY, every
    await bench.some_images()
    asked = range(max(every, 1) - 1, len(bench.windows), max(every, 1))
    came = bench.images()
    assert all(event in asked and reason == EVERY for event, reason in came)
    assert len(came) + bench.skipped == len(asked)


@cocotb.test()
async def each_that_finds_room(dut):
    """Windows far apart: none is skipped."""
    bench = await prepare(dut, apart=0)
    dut.rule.value, dut.rule_number.value = EVERY, 1
    for _ in range(10):
        await bench.window()
        await bench.drained()
    assert bench.images() == [(event, EVERY) for event in range(10)]
    assert bench.skipped == 0


@cocotb.test()
@cocotb.parametrize(stall=[0.0, 0.8])
async def gate_hits(dut, stall):
    """Events whose gate does not hold never come, and do not keep the memory; hits that do not come are counted."""
    bench = await prepare(dut, idle=0.1, stall=stall, lost=0.1)
    gate = random.randrange(32)
    dut.rule.value, dut.rule_number.value = GATE, gate
    await bench.some_images()
    hits = [event for event, window in enumerate(bench.windows) if window.gates >> gate & 1]
    came = bench.images()
    assert all(event in hits and reason == GATE for event, reason in came)
    assert len(came) + bench.skipped == len(hits)


@cocotb.test()
@cocotb.parametrize(rule=[NONE, GATE])
async def requests(dut, rule):
    """Each request gives one image, of a window that began behind it, the first that finds room, whatever its gates and
    the rule; a window with lost lines does not serve it."""
    bench = await prepare(dut, lost=0.4)
    dut.rule.value, dut.rule_number.value = rule, 0
    for _ in range(12):
        await bench.drained()
        await bench.cycle(request=1, s_beat_tvalid=0, window_valid=0)
        asked, before = len(bench.windows), len(bench.images())
        while len(bench.images()) == before:
            await bench.window()
            await bench.drained()
        event, reason = bench.images()[before]
        assert reason == REQUEST
        assert event == next(i for i, w in enumerate(bench.windows) if i >= asked and not w.lost)
    assert bench.skipped <= (sum(w.gates & 1 for w in bench.windows) if rule == GATE else 0)


@cocotb.test()
async def nothing_unasked(dut):
    bench = await prepare(dut)
    for _ in range(5):
        await bench.window()
    await bench.drained()
    assert (bench.packets, bench.skipped) == ([], 0)


@cocotb.test()
async def the_rule_changes_within_a_window(dut):
    """What is kept goes by the rule that was in force at its first beat."""
    bench = await prepare(dut)
    dut.rule.value, dut.rule_number.value = EVERY, 1
    await bench.window()
    dut.rule.value, dut.rule_number.value = NONE, 0
    for _ in range(3):
        await bench.window()
    await bench.drained()
    assert bench.images() == [(0, EVERY)]


@cocotb.test()
async def tags_wrap(dut):
    bench = await prepare(dut, apart=2, delay=3)
    for _ in range(300):
        await bench.window()
    dut.rule.value, dut.rule_number.value = EVERY, 1
    await bench.drained()
    await bench.window()
    await bench.drained()
    assert bench.images() == [(300, EVERY)]


@cocotb.test()
async def reset_in_the_middle(dut):
    for cycles in random.sample(range(1, 400), 4):
        bench = await prepare(dut, stall=0.3)
        dut.rule.value, dut.rule_number.value = EVERY, 1
        await bench.window()
        await bench.quiet(cycles)
        dut.s_beat_tvalid.value = dut.decided.value = 0
        await reset(dut)
        bench = Images(dut)
        await bench.window()
        await bench.drained()
        assert bench.images() == [(0, EVERY)]


@cocotb.test()
async def words_come_in_time(dut):
    """At most 7 cycles a word."""
    bench = await prepare(dut)
    dut.rule.value, dut.rule_number.value = EVERY, 1
    await bench.window()
    while bench.decided == 0:
        await bench.quiet(1)
    since = bench.now
    while not bench.packets and not bench.words:
        await bench.quiet(1)
    assert bench.now - since <= 3
    await bench.drained()
    words = sum(len(packet) for packet in bench.packets)
    assert bench.now - since <= 7 * words + 6
    assert np.prod([bench.beats, bench.size]) <= 4 * (words - 3 * len(bench.packets))
