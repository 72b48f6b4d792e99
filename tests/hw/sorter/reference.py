# SPDX-License-Identifier: Apache-2.0
"""What the sorter must do with a line stream: the bit-true models, put together as the hardware is.

The constants are those of tests/hw/sorter/rtl/sorter_bench.sv, which wraps icsort_top around a stub network.
"""

from dataclasses import dataclass

import numpy as np

from icsort.formats import event_record
from icsort.sim.bit_true.event import (
    Trigger,
    aborted_events,
    dead_time_cells,
    doubtful_lines,
    event_window,
    line_sums,
    normalise_line,
    trigger_starts,
)
from icsort.sim.bit_true.gate import calibrate, decide
from icsort.sim.bit_true.preprocess import preprocess
from icsort.sim.bit_true.scheduler import Decision, schedule

LINE_W, HEIGHT, WIDTH, X_OFFSET, CHANNELS, CLASSES = 12, 6, 8, 3, 2, 4
BACKGROUND, GAIN, SHIFT = (300, 30000), (90, -40), 12
EVENTS = 16  # events between trigger and decision
POSTERIOR = calibrate(scale=0.0011, temperature=1.3)


@dataclass(frozen=True)
class Beat:
    """One accepted beat of the line stream: its cycle, samples, tlast and tuser. made_up: the sorter's own; cut: the
    sorter ended its line here."""

    time: int
    samples: tuple[int, ...]
    last: bool
    user: int = 0
    made_up: bool = False
    cut: bool = False

    @property
    def stamp(self) -> int:
        """The time that the line brings, where this is its first beat."""
        return self.user % 2**48


@dataclass(frozen=True)
class Settings:
    """The registers that decide."""

    trigger_channel: int
    trigger_threshold: int
    gate_classes: int
    gate_posterior: int
    drop_delay: int
    pulse_cycles: int


@dataclass(frozen=True)
class Record:
    """An event record."""

    event: int
    time: int
    outcome: int
    best: int
    posterior: int
    from_first: int
    from_last: int
    logits: tuple[int, ...]

    @staticmethod
    def parse(body: bytes) -> "Record":
        header, logits = event_record.unpack(body)
        return Record(*header.values(), logits=logits)

    @property
    def decision(self) -> int:
        """The cycle of the decision."""
        return self.time + self.from_first


@dataclass(frozen=True)
class Expected:
    """What the records, the pulses and the counters must be."""

    records: list[Record]
    pulses: list[tuple[int, int]]
    counters: dict[str, int]


def stub_logits(window: np.ndarray) -> np.ndarray:
    """Twin of tests/hw/sorter/rtl/icsort_net.sv. window: (H, W, 2) uint8. Returns (4,) int64."""
    pixels = window.astype(np.int64)
    channels = pixels[..., 0].sum() - pixels[..., 1].sum()
    rows = pixels[0::2].sum() - pixels[1::2].sum()
    return np.asarray([channels, -channels, rows, -rows])


def split_lines(beats: list[Beat]) -> list[list[Beat]]:
    """Beats as lines; what follows the last tlast is a line that has not ended and is left out."""
    lines, line = [], []
    for beat in beats:
        line.append(beat)
        if beat.last:
            lines.append(line)
            line = []
    return lines


def expect(beats: list[Beat], settings: Settings, armed: list[tuple[int, int]], decisions: list[int]) -> Expected:
    """Everything that the sorter must have made of the beats it accepted since reset.

    armed: intervals [first, end) of cycles. decisions: the cycle of each decision, in order, as observed.
    """
    received = split_lines(beats)
    normalised = [normalise_line([beat.samples for beat in line], LINE_W) for line in received]
    lines = np.stack([line for line, _ in normalised])
    well_formed = np.asarray([good for _, good in normalised])
    ended_here = np.asarray([line[-1].made_up or line[-1].cut for line in received])
    brought = [line[0] for line in received if not line[0].made_up]  # made up lines have no number
    numbers, times, taken = (
        np.asarray(list(values), dtype=np.int64)
        for values in zip(*((beat.user >> 48, beat.stamp, beat.time) for beat in brought), strict=True)
    )
    doubtful = np.zeros(len(lines), dtype=np.bool_)
    doubtful[[not line[0].made_up for line in received]] = doubtful_lines(numbers, times, taken)
    trigger = Trigger(settings.trigger_channel, settings.trigger_threshold, HEIGHT, WIDTH, X_OFFSET)
    over = line_sums(lines, trigger) >= trigger.threshold
    all_starts = trigger_starts(over, HEIGHT)
    starts = all_starts[all_starts + HEIGHT <= len(lines)]
    aborted = aborted_events(starts, well_formed & ~doubtful, HEIGHT)

    def window_end(index: int) -> int:
        line = received[index]
        return line[min(len(line), X_OFFSET + WIDTH) - 1].time

    events, partial, missed = [], [], 0
    for start, bad in zip(starts.tolist(), aborted.tolist(), strict=True):
        # The line sum is known in the cycle behind its last beat; an entry is free in the cycle behind its decision.
        if sum(decision > window_end(start) for decision in decisions[: len(events)]) == EVENTS:
            missed += 1
            continue
        pixels = preprocess(event_window(lines, start, trigger), BACKGROUND, GAIN, SHIFT)
        logits = stub_logits(pixels)
        passes, best, posterior = decide(logits, settings.gate_classes, settings.gate_posterior, *POSTERIOR)
        time, decision = received[start][0].stamp, decisions[len(events)]
        events.append(Decision(time, decision, bool(passes), bad))
        from_first = min((decision - time) % 2**48, 2**32 - 1)  # a time still to come is long past, modulo 2^48
        partial.append((int(best), int(posterior), from_first, decision - window_end(start + HEIGHT - 1), logits))
    outcomes = schedule(events, settings.drop_delay, settings.pulse_cycles, armed)
    records = [
        Record(i, event.time, int(outcome), best, posterior, from_first, from_last, tuple(logits.tolist()))
        for i, (event, outcome, (best, posterior, from_first, from_last, logits)) in enumerate(
            zip(events, outcomes.decided, partial, strict=True)
        )
    ]
    counters = {"ACCEPTED": len(events), "MISSED": missed, "DEAD_TIME": dead_time_cells(over, all_starts)}
    counters |= {"LINE_ERRORS": int((~well_formed & ~ended_here).sum()), "LINE_GAPS": int(doubtful.sum())}
    for outcome in ("SORTED", "REJECTED", "DISARMED", "LATE", "ABORTED", "CONFLICT"):
        counters[outcome] = sum(final.name == outcome for final in outcomes.final)
    return Expected(records, list(outcomes.pulses), counters)
