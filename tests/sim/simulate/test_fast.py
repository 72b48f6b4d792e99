# SPDX-License-Identifier: Apache-2.0
"""The fast model against the lines themselves, and against the RTL, record by record."""

import numpy as np
import pytest

from icsort.formats import event_record
from icsort.formats.event_record import Group
from icsort.formats.integer import IntegerNetwork
from icsort.sim.bit_true.event import cut_windows, find_events, line_sums
from icsort.sim.bit_true.scheduler import Direction, Outcome, Purity, Settings
from icsort.sim.simulate import fast
from icsort.sim.simulate.fast import FastFront, run_fast
from icsort.sim.simulate.sorter import run_armed
from icsort.sim.verilator.board import compile_board
from tests.sim.conftest import System

pytestmark = pytest.mark.xdist_group("system")


def test_blocks_are_what_the_lines_give(system: System, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """Two stretches, cells that overlap: events, neighbours and logits of the whole stream in one."""
    monkeypatch.setattr(fast, "STRETCH", 150)
    manifest = system.build.manifest
    trigger = manifest.event_trigger
    lines, shown = zip(
        *(
            (table[index], cell)
            for table, index, cell in FastFront(system.build, system.cells, 40_000, 2.2e6, seed=seed).stretches(300)
        ),
        strict=True,
    )
    stream, cell = manifest.corrected(np.concatenate(lines)), np.concatenate(shown)
    found = find_events(line_sums(stream, trigger), trigger)
    events = found.events
    raw = cut_windows(stream, events, trigger, manifest.event_window, manifest.preprocess.background)
    logits = IntegerNetwork(system.package).logits(manifest.pixels(raw))
    blocks = list(FastFront(system.build, system.cells, 40_000, 2.2e6, seed=seed).blocks(300))
    assert len(blocks) == 2
    assert np.array_equal(np.concatenate([block.logits for block in blocks]), logits)
    assert np.array_equal(np.concatenate([block.cells for block in blocks]), cell[events.trigger])
    cycles = system.build.clock_mhz * 1e6 / 2.2e6
    for name, line in (("time", events.trigger), ("accepted", events.accepted), ("ended", events.end)):
        assert np.array_equal(np.concatenate([getattr(block, name) for block in blocks]), (line * cycles).astype(int))
    for name in ("flags", "length"):
        assert np.array_equal(np.concatenate([getattr(block, name) for block in blocks]), getattr(events, name))
    neighbours = np.concatenate([block.neighbours for block in blocks])
    assert np.array_equal(np.sort(neighbours), (found.neighbours * cycles).astype(int))
    assert len(events) > 100


LONG = [pytest.mark.full, pytest.mark.timeout(3600)]


@pytest.mark.parametrize(
    ("count", "rate", "least"),
    [
        (300, 20_000, 180),
        pytest.param(15_000, 20_000, 10_000, marks=LONG),
        pytest.param(3_200, 30_000, 2_000, marks=LONG),
    ],
)
def test_records_are_the_rtls(system: System, seed: int, count: int, rate: float, least: int) -> None:
    """Random arrivals, cells that overlap: every field of every record but the group TIMING, every counter."""
    build, line_rate = system.build, 2.2e6
    front = FastFront(build, system.cells, rate, line_rate, seed=seed)
    lines = np.concatenate([table[index] for table, index, _ in front.stretches(count)])
    compile_board(build)
    outcome = run_armed(build, lines, line_rate=line_rate)
    first_line = outcome.summary["first_line"]
    found = run_fast(
        build, system.cells, count, cells_per_second=rate, line_rate=line_rate, seed=seed, first_line=first_line
    )
    timing = {field.name for field in event_record.FIELDS[Group.TIMING]}

    def compared(body: bytes) -> dict[str, object]:
        values, features, logits = event_record.unpack(body)
        kept = {name: value for name, value in values.items() if name not in timing | {"groups"}}
        return kept | {"logits": logits, "features": features}

    assert [compared(body) for body in outcome.records] == [compared(body) for body in found.records()]
    counters = found.counters
    print({name: value for name, value in counters.items() if value})
    assert counters["ACCEPTED"] == outcome.summary["events"] == len(outcome.records) >= least
    assert counters["SORTED"] == len(outcome.summary["sort_pulses"]) > 10
    assert sum(counters[end.name] for end in Outcome) == counters["ACCEPTED"]
    starts = [start for start, *_ in outcome.summary["sort_pulses"]]
    sorted_times = found.time[found.outcome == 0]
    assert starts == (sorted_times + 20_000).tolist()


def test_neighbours_abort_as_often_as_coincidence_has_it(system: System, seed: int) -> None:
    """Single cells, 20 us around each, 10,000 a second at random: 1 - exp(-rate x window), less what overlaps so far
    that it is one event."""
    window = 2000
    settings = Settings({0: Direction(delay=20_000, width=100)}, Purity.SINGLE, before=window, after=window)
    rate, count = 10_000, 20_000
    found = run_fast(
        system.build, system.cells, count, cells_per_second=rate, line_rate=2.2e6, seed=seed, settings=settings
    )
    cycles = system.build.clock_mhz * 1e6
    final = found.counters
    tried = final["SORTED"] + final["COINCIDENCE"] + final["AMBIGUOUS"]
    share = 1 - final["SORTED"] / tried
    length = float(np.median(found.length) + 4) * cycles / 2.2e6
    most = 1 - np.exp(-rate * 2 * (window + 10) / cycles)
    least = 1 - np.exp(-rate * 2 * (window - length) / cycles)
    noise = 4 * np.sqrt(most / tried)
    assert tried > 1000
    assert least * 0.8 - noise < share < most + noise
    assert sum(final[end.name] for end in Outcome) == final["ACCEPTED"]
