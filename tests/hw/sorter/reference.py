# SPDX-License-Identifier: Apache-2.0
"""What the sorter must do with a line stream: the bit-true models, put together as the hardware is.

The constants are those of tests/hw/sorter/rtl/sorter_bench.sv, which wraps icsort_top around a stub network.
"""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from icsort.formats import event_record
from icsort.sim.bit_true import gate_engine
from icsort.sim.bit_true.event import (
    EventFlag,
    Trigger,
    Window,
    cut_windows,
    doubtful_lines,
    find_events,
    line_sums,
    normalise_line,
)
from icsort.sim.bit_true.features import Settings as Features
from icsort.sim.bit_true.features import features as features_of
from icsort.sim.bit_true.gate import calibrate, decide
from icsort.sim.bit_true.preprocess import preprocess
from icsort.sim.bit_true.scheduler import NO_DIRECTION, Cell, Direction, Outcome, Purity, Result, Scheduler
from icsort.sim.bit_true.scheduler import Settings as Schedule

LINE_W, HEIGHT, WIDTH, X_OFFSET, CHANNELS, CLASSES = 12, 6, 8, 3, 2, 4
BACKGROUND, GAIN, SHIFT = (300, 30000), (90, -40), 12
EVENTS = 16  # events between trigger and decision
POSTERIOR = calibrate(scale=0.0011, temperature=1.3)
# Cycles from the last beat of a line to what the trigger makes of it: line_input, flat_field, channel_delay, line_sums
# and event_trigger.
LINE_TO_EVENT = 1 + 4 + 2 + 5 + 4


@dataclass(frozen=True)
class Beat:
    """One beat of the line stream: its cycle, samples, tlast and tuser."""

    time: int
    samples: tuple[int, ...]
    last: bool
    user: int = 0


@dataclass(frozen=True)
class Settings:
    """The registers that decide."""

    trigger: Trigger
    window: Window
    gate_classes: int
    gate_posterior: int
    drop_delay: int
    pulse_cycles: int
    line_timeout: int = 1_000_000
    purity: Purity = Purity.YIELD
    near: int = 0  # cycles, before and after
    calibration: tuple[int, int] = POSTERIOR  # (0, 0): none
    features: Features | None = None  # of a build that has them
    program: gate_engine.Program | None = None  # instead of the gate of classes

    @property
    def gates(self) -> gate_engine.Program:
        return self.program or gate_engine.of_classes(self.gate_classes, self.gate_posterior, CLASSES)

    @property
    def schedule(self) -> Schedule:
        direction = Direction(delay=self.drop_delay, width=self.pulse_cycles)
        return Schedule({0: direction}, self.purity, self.near, self.near)


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
    flags: int
    length: int
    gates: int
    direction: int
    serial: int = 1  # gate sets that came in force before
    features: tuple[int, ...] | None = None

    @staticmethod
    def parse(body: bytes) -> "Record":
        values, features, logits = event_record.unpack(body)
        assert values["groups"] == (0b1011 if features is None else 0b1111)
        assert values["tag"] == values["event_id"] % 256
        assert logits is not None
        return Record(
            event=values["event_id"],
            time=values["event_time"],
            outcome=values["outcome"],
            best=values["class_index"],
            posterior=values["posterior"],
            from_first=values["first_pixel_to_decision"],
            from_last=values["last_pixel_to_decision"],
            logits=logits,
            flags=values["flags"],
            length=values["length"],
            gates=values["gates"],
            direction=values["direction"],
            serial=values["gate_serial"],
            features=features,
        )

    @property
    def decision(self) -> int:
        """The cycle of the decision."""
        return self.time + self.from_first


@dataclass(frozen=True)
class Expected:
    """What the records, the pulses and the counters must be."""

    records: list[Record]
    amended: list[tuple[int, Outcome, int]]
    pulses: list[tuple[int, int]]
    counters: dict[str, int]
    windows: np.ndarray  # (events, H, W, C) uint8, as the network takes them


def stub_logits(window: np.ndarray) -> np.ndarray:
    """Twin of hw/bench/icsort_net.sv. window: (H, W, 2) uint8. Returns (4,) int64."""
    pixels = window.astype(np.int64)
    channels = pixels[..., 0].sum() - pixels[..., 1].sum()
    rows = pixels[0::2].sum() - pixels[1::2].sum()
    return np.asarray([channels, -channels, rows, -rows])


@dataclass(frozen=True)
class Lines:
    """Beats as lines. pixels: (L, LINE_W, C); good, doubtful: (L,) whether well formed, number or time is in doubt;
    time, end: (L,) what each brought, and the cycle of its last beat; stops: lines before which lines had stopped;
    errors: lines of another length."""

    pixels: np.ndarray
    good: np.ndarray
    doubtful: np.ndarray
    time: np.ndarray
    end: np.ndarray
    stops: list[int]
    errors: int


def split_lines(beats: list[Beat], timeout: int, until: int) -> Lines:
    """What line_input makes of beats, the last of which ends a line; until: the cycle up to which none followed."""
    lines, line, good, stops, errors = [], [], [], [], 0
    dropped = False  # up to the end of a line that was cut
    for beat, following in zip(beats, [*(beat.time for beat in beats[1:]), until], strict=True):
        if not dropped:
            line.append(beat)
            full = len(line) == LINE_W
            if beat.last or full:
                lines.append(line)
                good.append(beat.last and full)
                errors += not good[-1]
                line = []
                dropped = not beat.last
        elif beat.last:
            dropped = False
        if following - beat.time - 1 >= timeout + 2:
            if line:
                lines.append(line)
                good.append(False)
                line, dropped = [], True
            stops.append(len(lines))
    assert not line
    numbers, times, taken, ends = (
        np.asarray(list(values), dtype=np.int64)
        for values in zip(
            *((line[0].user >> 48, line[0].user % 2**48, line[0].time, line[-1].time) for line in lines), strict=True
        )
    )
    return Lines(
        np.stack([normalise_line([beat.samples for beat in line], LINE_W)[0] for line in lines]),
        np.asarray(good),
        doubtful_lines(numbers, times, taken),
        times,
        ends,
        stops,
        errors,
    )


def expect(
    lines: Lines,
    settings: Settings,
    armed: list[tuple[int, int]],
    decisions: list[int],
    lost: list[bool],
    cells: list[Cell],
    ready: list[int],
    failed: Collection[int] = (),
    featureless: Collection[int] = (),
) -> Expected:
    """Everything that the sorter must have made of the lines since reset.

    armed: intervals [first, end) of cycles. As observed, in order: decisions, the cycle of each; lost, which windows
    were overwritten before they were read, or cut by a commit; cells, as the trigger told the scheduler of them;
    ready, the cycle from which the result and the end of each event were there. failed: events of which the network
    gave nothing. featureless: those without features, where the build has any.
    """
    bad = ~lines.good | lines.doubtful
    found = find_events(line_sums(lines.pixels, settings.trigger), settings.trigger, bad, lines.stops)
    assert found.events.ended.all()
    # One is accepted where there is room as its line's sum is judged; a place is free in the cycle behind a decision.
    here, begun = np.zeros(len(found.events), np.bool_), 0
    for i, accepted in enumerate(found.events.accepted.tolist()):
        at = lines.end[accepted] + LINE_TO_EVENT - 1
        here[i] = begun - sum(decision < at for decision in decisions) < EVENTS
        begun += here[i]
    kept = found.events[here]
    raw = cut_windows(lines.pixels, kept, settings.trigger, settings.window, BACKGROUND)
    windows = preprocess(raw, BACKGROUND, GAIN, SHIFT)
    numbers = None
    if settings.features:
        numbers = features_of(lines.pixels, kept.first, kept.last, settings.features)

    events, event_times, partial, gates = [], [], [], []
    for i, (pixels, decision) in enumerate(zip(windows, decisions, strict=True)):
        logits = stub_logits(np.zeros_like(pixels) if lost[i] or i in failed else pixels)
        # Constants that are not known make every class as likely, and every test unknown.
        known, constants = settings.calibration[0] > 0, settings.calibration if settings.calibration[0] else (1, 47)
        _, best, posterior = decide(logits, settings.gate_classes, settings.gate_posterior, *constants)
        of_event = numbers is not None and i not in featureless
        values = gate_engine.values_of(
            logits[None],
            settings.gates,
            *constants,
            features=numbers[i : i + 1] if of_event else None,
            length=kept.length[i],
            interval=(int(lines.time[kept.trigger[i]]) - event_times[-1]) % 2**48 if event_times else 2**48,
        )
        limit = gate_engine.VALUE_FEATURE + (numbers.shape[1] if of_event else 0)
        gated = gate_engine.evaluate(settings.gates, values, np.asarray([best]), limit if known else 0)
        gates.append(sum(1 << bit for bit, true in enumerate(gated.gates[0].tolist()) if true))
        time, flags = int(lines.time[kept.trigger[i]]), EventFlag(int(kept.flags[i]))
        events.append(
            Result(
                ready[i],
                None if gated.direction[0] < 0 else int(gated.direction[0]),
                several=bool(gated.ambiguous[0]),
                fault=i in failed,
                stalled=bool(flags & EventFlag.STALLED) or lost[i],
                hardware=bool(flags & EventFlag.DOUBTFUL),
                overlong=bool(flags & EventFlag.OVERLONG),
                doublet=bool(flags & EventFlag.DOUBLET),
            )
        )
        event_times.append(time)
        from_first = min((decision - time) % 2**48, 2**32 - 1)  # a time still to come is long past, modulo 2^48
        from_last = min((decision - int(lines.time[kept.timed[i]])) % 2**48, 2**31 - 1)
        partial.append((int(best), int(posterior), from_first, from_last, logits))
    assert [cell.time for cell in cells if cell.event] == event_times
    scheduled = Scheduler(settings.schedule, armed).run(cells, events)
    assert [cycle for cycle, _, _ in scheduled.decided] == decisions
    records = [
        Record(
            event=i,
            time=time,
            outcome=int(outcome),
            best=best,
            posterior=posterior,
            from_first=from_first,
            from_last=from_last,
            logits=tuple(logits.tolist()),
            flags=int(kept.flags[i])
            | (int(EventFlag.STALLED) if lost[i] else 0)
            | (int(EventFlag.FEATURELESS) if i in featureless else 0),
            length=int(kept.length[i]),
            gates=gates[i],
            direction=255 if direction == NO_DIRECTION else direction,
            features=None if numbers is None or i in featureless else tuple(numbers[i].tolist()),
        )
        for i, (time, (_, outcome, direction), (best, posterior, from_first, from_last, logits)) in enumerate(
            zip(event_times, scheduled.decided, partial, strict=True)
        )
    ]
    counters = {"ACCEPTED": len(events), "MISSED": int((~here).sum())}
    counters |= {"DEBRIS": len(found.debris), "DEAD_TIME": len(found.dead_time), "WINDOWS_LOST": sum(lost)}
    stalled = [part.flagged(EventFlag.STALLED).sum() for part in (found.events, found.debris)]
    counters |= {
        "LINE_ERRORS": lines.errors, "LINE_GAPS": int(lines.doubtful.sum()), "LINES_STOPPED": int(sum(stalled)),
    }  # fmt: skip
    assert sum(not cell.event for cell in cells) == counters["MISSED"] + counters["DEBRIS"] + counters["DEAD_TIME"]
    for outcome in Outcome:
        counters[outcome.name] = scheduled.final.count(outcome)
    counters["SORTED_0"] = counters["SORTED"]
    return Expected(records, scheduled.amended, scheduled.pulses[0], counters, windows)
