# SPDX-License-Identifier: Apache-2.0
"""network_pairing around a network made of Python: one result a window, in order, also where the network errs."""

import random
from collections import deque

import cocotb

from tests.hw.sorter.signals import cycle, reset, start

INPUTS = {
    "timeout": 0, "clear": 0, "s_window_tvalid": 0, "s_window_tag": 0, "s_window_lost": 0, "s_axis_tdata": 0,
    "s_axis_tvalid": 0, "m_net_tready": 0, "s_logits_tdata": 0, "s_logits_tvalid": 0, "m_result_tready": 0,
}  # fmt: skip
SEEN = (
    "s_axis_tready", "net_rst", "m_net_tdata", "m_net_tvalid", "s_logits_tready", "m_result_tdata", "m_result_tag",
    "m_result_lost", "m_result_failed", "m_result_tvalid", "fault", "surplus", "overdue",
)  # fmt: skip


class Ends:
    """Pixels, network and results around the block. The logits of a window are the sum of its beats."""

    def __init__(self, dut, idle: float, stall: float) -> None:
        self.dut, self.idle, self.stall = dut, idle, stall
        self.beats, self.windows = dut.BEATS.value.to_unsigned(), dut.WINDOWS.value.to_unsigned()
        self.lag = 3  # cycles that a window is announced before or behind its last beat
        self.tag = random.getrandbits(8)
        self.pixels: deque[tuple[int, bool]] = deque()
        self.announce: deque[tuple[int, int, int]] = deque()  # beats taken from which on, tag, lost
        self.expected: list[tuple[int, int, int]] = []  # tag, lost, logits
        self.results: list[tuple[int, int, int, int]] = []
        self.logits: deque[tuple[int, int]] = deque()  # cycle from which on, value
        self.now = 0
        self.latency = max(2, dut.LEAST.value.to_unsigned())
        self.early_is_wrong = dut.LEAST.value.to_unsigned() > 0
        self.early = self.was_early = False  # logits of the next window at half of it
        self.partial: list[int] = []
        self.taken = self.sent = 0
        self.silent = False  # the network gives nothing
        self.offers = self.gives = False
        self.fault = 0
        self.causes = [0, 0]

    def send(self, count: int) -> None:
        for _ in range(count):
            beats = [random.getrandbits(8) for _ in range(self.beats)]
            self.sent += self.beats
            lost = int(random.random() < 0.2)
            self.pixels += beats
            self.announce.append((self.sent - random.randint(0, min(self.lag, self.beats)), self.tag, lost))
            self.expected.append((self.tag, lost, sum(beats)))
            self.tag = (self.tag + 1) % 256

    async def cycle(self, clear: int = 0) -> None:
        held = len(self.expected) - len(self.results) - len(self.announce)
        room = self.taken // self.beats - len(self.results) < self.windows
        self.offers = bool(self.pixels) and room and (self.offers or random.random() >= self.idle)
        offered = self.offers
        ready, takes = random.random() >= self.stall, random.random() >= self.stall
        self.now += 1
        due = bool(self.logits) and not self.silent and self.now >= self.logits[0][0]
        gives = self.gives = self.gives or (due and (not self.logits[0][0] or random.random() >= self.idle))
        window = bool(self.announce) and self.taken >= self.announce[0][0] and held < self.windows
        _, tag, lost = self.announce[0] if window else (0, 0, 0)
        values = dict(
            zip(
                SEEN,
                await cycle(
                    self.dut, *SEEN, clear=clear, s_axis_tvalid=offered, m_net_tready=ready, m_result_tready=takes,
                    s_axis_tdata=self.pixels[0] if self.pixels else 0, s_logits_tvalid=gives,
                    s_logits_tdata=self.logits[0][1] if gives else random.getrandbits(16), s_window_tvalid=window,
                    s_window_tag=tag, s_window_lost=lost,
                ),
                strict=True,
            )
        )  # fmt: skip
        if window:
            self.announce.popleft()
        if values["m_net_tvalid"] and ready:
            assert not values["net_rst"]
            self.partial.append(values["m_net_tdata"])
            if len(self.partial) == self.beats:
                if not self.was_early:
                    self.logits.append((self.now + self.latency, sum(self.partial)))
                self.was_early = False
                self.partial.clear()
            elif self.early and len(self.partial) == self.beats // 2:
                self.logits.append((self.now + 1, self.expected[-1][2]))
                self.early, self.was_early = False, True
        if gives and values["s_logits_tready"]:
            self.logits.popleft()
            self.gives = False
        if values["m_result_tvalid"] and takes:
            names = ("m_result_tag", "m_result_lost", "m_result_tdata", "m_result_failed")
            self.results.append(tuple(values[name] for name in names))
        if offered and values["s_axis_tready"]:
            self.pixels.popleft()
            self.taken += 1
            self.offers = False
        if values["net_rst"]:
            self.gives = False
            self.logits.clear()
            self.partial.clear()
        self.fault = values["fault"]
        self.causes[0] += values["surplus"]
        self.causes[1] += values["overdue"]

    async def run(self, cycles: int) -> None:
        for _ in range(cycles):
            await self.cycle()

    async def settle(self) -> None:
        while self.pixels or len(self.results) < len(self.expected):
            await self.cycle()
        await self.run(5)

    def check(self, good: range | None = None) -> None:
        """All windows have one result; those of `good` (all) with logits, the others with them or failed."""
        assert [result[:2] for result in self.results] == [expected[:2] for expected in self.expected]
        pairs = list(zip(self.results, self.expected, strict=True))
        assert all(logits == (0 if failed else right) for (_, _, logits, failed), (_, _, right) in pairs)
        assert not any(self.results[i][3] for i in (range(len(pairs)) if good is None else good))


async def prepare(dut, idle: float, stall: float, timeout: int = 0) -> Ends:
    await start(dut, **INPUTS | {"timeout": timeout})
    return Ends(dut, idle, stall)


@cocotb.test(timeout_time=2, timeout_unit="ms")
@cocotb.parametrize(idle=[0.0, 0.6], stall=[0.0, 0.6])
async def every_window_has_its_logits(dut, idle, stall):
    ends = await prepare(dut, idle, stall, 500)
    ends.send(60)
    await ends.settle()
    ends.check()
    assert ends.causes == [0, 0]


@cocotb.test(timeout_time=2, timeout_unit="ms")
async def at_full_speed_it_costs_no_cycle(dut):
    ends = await prepare(dut, 0.0, 0.0)
    if ends.beats == 1:
        return  # the windows that wait for the network's latency are too few
    await ends.run(2)
    ends.send(20)
    await ends.run(20 * ends.beats)
    assert ends.taken == 20 * ends.beats


@cocotb.test(timeout_time=2, timeout_unit="ms")
@cocotb.parametrize(kind=["surplus", "missing", "silent"])
async def a_network_that_errs(dut, kind):
    """No window has logits that are not its own: from the fault on each fails; behind `clear` all is as before."""
    timeout = 40
    ends = await prepare(dut, 0.2, 0.2, timeout)

    async def spaced(windows: int) -> None:
        for _ in range(windows):
            ends.send(1)
            while ends.pixels:
                await ends.cycle()
            await ends.run(timeout + 20)

    for _ in range(10):
        first = len(ends.results)
        await spaced(random.randrange(4))
        assert not ends.fault
        ends.silent = kind == "silent"
        await ends.run(3)
        if kind == "surplus":
            if ends.early_is_wrong and random.getrandbits(1):
                ends.send(1)
                while not ends.logits:
                    await ends.cycle()
                ends.logits.appendleft((0, 77))
            else:
                ends.logits.append((0, 77))
                await ends.run(20)
        if kind == "missing":
            ends.send(1)
            while not ends.logits:
                await ends.cycle()
            ends.logits.popleft()
            await ends.run(timeout + 20)
        await spaced(random.randrange(1, 4))
        assert ends.fault
        ends.silent = False
        ends.send(6)
        await ends.settle()
        assert ends.fault
        failed = [result[3] for result in ends.results[first:]]
        assert failed == sorted(failed)
        assert sum(failed) >= 6
        await ends.cycle(clear=1)
        await ends.run(3)
        assert not ends.fault
    await spaced(5)
    ends.check(range(len(ends.results) - 5, len(ends.results)))
    assert (ends.causes[0], ends.causes[1]) == ((10, 0) if kind == "surplus" else (0, 10))


@cocotb.test(timeout_time=2, timeout_unit="ms")
async def clear_waits_for_a_whole_window(dut):
    """Within a window, and while results wait, `clear` does nothing."""
    ends = await prepare(dut, 0.0, 0.0)
    await ends.run(3)
    ends.logits.append((0, 1))
    await ends.run(5)
    assert ends.fault
    ends.send(1)
    for _ in range(ends.beats - 1):
        await ends.cycle(clear=1)
        assert ends.fault
    await ends.settle()
    await ends.cycle(clear=1)
    await ends.run(3)
    assert not ends.fault


@cocotb.test(timeout_time=2, timeout_unit="ms")
async def logits_before_the_last_pixel(dut):
    """A network that needs no last row: its results come early and are not waited for."""
    ends = await prepare(dut, 0.2, 0.2, 40)
    if ends.early_is_wrong:
        return
    for _ in range(30):
        ends.send(1)
        ends.early = random.random() < 0.7
        while ends.pixels:
            await ends.cycle()
        await ends.run(60)
    ends.check()
    assert ends.causes == [0, 0]


@cocotb.test(timeout_time=2, timeout_unit="ms")
async def reset_in_the_middle(dut):
    ends = await prepare(dut, 0.3, 0.3)
    ends.send(20)
    await ends.run(60)
    for name in INPUTS:
        getattr(dut, name).value = 0
    await reset(dut)
    ends = Ends(dut, 0.3, 0.3)
    ends.send(20)
    await ends.settle()
    ends.check()
