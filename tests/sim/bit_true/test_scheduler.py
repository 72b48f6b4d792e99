# SPDX-License-Identifier: Apache-2.0
"""The scheduler's model against formulations that know nothing of its engine: pairs of cells, theory, drops by
NumPy."""

import time
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from icsort.errors import IcsortError
from icsort.sim.bit_true.scheduler import (
    GUARD,
    LATE_MARGIN,
    LOOKED_AT,
    NEVER,
    Cell,
    Direction,
    Drops,
    Envelope,
    Outcome,
    Purity,
    Result,
    Schedule,
    Scheduler,
    Settings,
    internal_drops,
)

ALWAYS = ((0, NEVER),)
LATENCY = 3000  # from the light to the result
BASE = Settings({0: Direction(delay=60_000, width=100), 1: Direction(delay=80_000, width=100)}, Purity.SINGLE)


def poisson(rng: np.random.Generator, events: int, rate: float) -> NDArray[np.int64]:
    """Times of cells, cycles; at least one apart."""
    return np.cumsum(np.ceil(rng.exponential(1 / rate, events))).astype(np.int64) + 1000


def run(
    settings: Settings,
    times: NDArray[np.int64],
    wishes: list[int | None],
    events: list[bool] | None = None,
    enabled: tuple[tuple[int, int], ...] = ALWAYS,
    drops: Drops | None = None,
    latency: int = LATENCY,
) -> Schedule:
    """Cells that are seen 50 cycles behind their light; the wish of each that is an event, a latency behind it."""
    events = events or [True] * len(times)
    cells = [Cell(t + 50, t, event) for t, event in zip(times.tolist(), events, strict=True)]
    results = [
        Result(t + latency, wish) for t, wish, event in zip(times.tolist(), wishes, events, strict=True) if event
    ]
    return Scheduler(settings, enabled, drops).run(cells, results)


def crowded(times: NDArray[np.int64], before: int, after: int) -> NDArray[np.bool_]:
    """Whether each cell has another one around it, pair by pair."""
    apart = times[None, :] - times[:, None]
    near = (apart >= -before) & (apart <= after)
    np.fill_diagonal(near, False)
    return near.any(axis=1)


@pytest.mark.parametrize(("before", "after"), [(700, 700), (2000, 400), (300, 5000)])
def test_single_mode_is_all_pairs(seed: int, before: int, after: int) -> None:
    """Every neighbour counts, wanted or not, before and after; each event once."""
    rng = np.random.default_rng([seed, before])
    times = poisson(rng, 1500, 1 / 4000)
    events = rng.random(1500) < 0.7
    settings = replace(BASE, before=before, after=after)
    result = run(settings, times, [0] * 1500, events.tolist())
    near = crowded(times, before, after)[events]
    # Where more cells than are looked at are near, that is doubt as well; all other outcomes need a neighbour.
    assert [outcome is Outcome.SORTED for outcome in result.final] == (~near).tolist()
    assert set(result.final) <= {Outcome.SORTED, Outcome.COINCIDENCE, Outcome.AMBIGUOUS}
    assert len({event for event, _, _ in result.amended}) == len(result.amended)
    begins = sorted(begin for _, _, begin in result.sorts)
    assert begins == (times[events][~near] + settings.directions[0].delay).tolist()


def test_purity_by_pairs(seed: int) -> None:
    """A neighbour that goes elsewhere or nowhere aborts; one that is sorted into the same tube does not."""
    rng = np.random.default_rng(seed)
    times = poisson(rng, 2000, 1 / 3000)
    events = rng.random(2000) < 0.8
    wishes = [[0, 1, None][kind] for kind in rng.choice(3, 2000, p=[0.6, 0.2, 0.2])]
    settings = replace(BASE, purity=Purity.PURITY, before=600, after=600)
    result = run(settings, times, wishes, events.tolist())
    final = dict(zip(np.flatnonzero(events).tolist(), result.final, strict=True))
    goes = {index: wish for index, wish in enumerate(wishes) if events[index] and wish is not None}
    kept = 0
    for index, wish in goes.items():
        near = [j for j in np.flatnonzero(np.abs(times - times[index]) <= 600).tolist() if j != index]
        if any(goes.get(j) != wish for j in near):
            assert final[index] is not Outcome.SORTED
        elif all(final[j] is Outcome.SORTED for j in near):
            assert final[index] is Outcome.SORTED or final[index] is Outcome.CONFLICT, index
            kept += bool(near) and final[index] is Outcome.SORTED
    assert kept > 20


@pytest.mark.parametrize("rate", [1 / 40_000, 1 / 6000])
def test_abort_rate_is_that_of_theory(seed: int, rate: float) -> None:
    """1 - exp(-rate x window), within four standard deviations of as many independent cells."""
    rng = np.random.default_rng([seed, int(1 / rate)])
    cells, before, after = 20_000, 900, 600
    result = run(replace(BASE, before=before, after=after), poisson(rng, cells, rate), [0] * cells)
    aborted = sum(outcome is not Outcome.SORTED for outcome in result.final) / cells
    theory = 1 - np.exp(-rate * (before + after))
    assert abs(aborted - theory) < 6 * np.sqrt(theory * (1 - theory) / cells)  # neighbours share their fate


def test_yield_mode_looks_at_no_neighbour(seed: int) -> None:
    times = poisson(np.random.default_rng(seed), 500, 1 / 2000)
    result = run(replace(BASE, purity=Purity.YIELD, before=10**6, after=10**6), times, [0] * 500)
    assert set(result.final) == {Outcome.SORTED, Outcome.CONFLICT}
    # Nearer than LATE_MARGIN from begin to begin there is no room for another pulse.
    begins = np.sort([begin for _, _, begin in result.sorts])
    assert np.diff(begins).min() >= LATE_MARGIN
    assert all(last - first + 1 >= 100 for first, last in result.pulses[0])


@pytest.mark.parametrize(("every", "target"), [(1, 37), (3, 0), (4, 11)])
def test_every_and_target(seed: int, every: int, target: int) -> None:
    """Exactly each n-th, exactly as many as were asked for, counted again from each arming."""
    times = poisson(np.random.default_rng(seed), 400, 1 / 50_000) * 2
    direction = replace(BASE.directions[0], every=every, target=target)
    half = int(times[200]) - 300
    enabled = ((0, half), (half + 200, NEVER))
    result = run(replace(BASE, directions={0: direction}), times, [0] * 400, enabled=enabled)
    counts = Counter(result.final)
    for arming in range(2):
        sorted_here = [event for event, _, _ in result.sorts if (event >= 199) == bool(arming)]
        eligible = 199 // every
        assert abs(len(sorted_here) - (min(target, eligible) if target else eligible)) <= (0 if target else 2)
    assert (counts[Outcome.COMPLETE] > 0) == (target > 0)
    assert (counts[Outcome.SKIPPED] > 0) == (every > 1)


def test_target_is_filled_again_where_a_sort_does_not_come() -> None:
    """A sort that is aborted after its decision gives its place back: the target is met and never exceeded."""
    direction = Direction(delay=20_000, width=50, target=3)
    settings = replace(BASE, directions={0: direction}, before=0, after=15_000)
    times = np.array([10_000, 22_000, 60_000, 100_000, 140_000, 180_000])  # the second comes too near to the first
    result = run(settings, times, [0] * 6, latency=2000)
    assert [outcome.name for outcome in result.final] == ["COINCIDENCE", *["SORTED"] * 3, *["COMPLETE"] * 2]
    assert result.amended == [(0, Outcome.COINCIDENCE, 0)]


def test_duty_is_bounded(seed: int) -> None:
    """In any window the output is high for burst and the duty's share of it at most, plus one pulse."""
    duty, width, burst = 0.05, 400, 2000
    direction = Direction(delay=60_000, width=width, cost=int(width / duty), burst=int(burst / duty))
    times = poisson(np.random.default_rng(seed), 3000, 1 / 3000)
    result = run(replace(BASE, purity=Purity.YIELD, directions={0: direction}), times, [0] * 3000)
    assert result.final.count(Outcome.LIMITED) > 100
    begins = np.sort([begin for _, _, begin in result.sorts])
    for first in range(0, len(begins), 7):
        on = width * np.arange(1, len(begins) - first + 1)
        assert (on <= burst + width + duty * (begins[first:] - begins[first]) + 1).all()


def outcome(result: Result, settings: Settings = BASE, enabled=ALWAYS, doubtful: bool = False) -> Outcome:
    cells = [Cell(1050, 1000, doubtful=doubtful)]
    return Scheduler(settings, enabled).run(cells, [result]).final[0]


def test_every_rule_and_its_edge() -> None:
    wish = Result(5000, 0)
    assert outcome(wish) is Outcome.SORTED
    for flag in ("fault", "stalled", "hardware", "overlong"):
        assert outcome(replace(wish, **{flag: True})).name == flag.upper()
        assert outcome(replace(wish, **{flag: True}), enabled=()).name == flag.upper()
    assert outcome(replace(wish, doublet=True)) is Outcome.AMBIGUOUS
    assert outcome(replace(wish, doublet=True), replace(BASE, doublets=True)) is Outcome.SORTED
    assert outcome(replace(wish, overlong=True), replace(BASE, overlong=True)) is Outcome.SORTED
    assert outcome(wish, enabled=()) is Outcome.DISARMED
    assert outcome(replace(wish, wish=None)) is Outcome.REJECTED
    assert outcome(replace(wish, wish=4)) is Outcome.REJECTED  # a direction that is not used
    assert outcome(replace(wish, wish=None, several=True)) is Outcome.AMBIGUOUS
    assert outcome(wish, doubtful=True) is Outcome.AMBIGUOUS
    # The decision begins one cycle behind the result and looks at the time 10 cycles later.
    latest = 1000 + 60_000 - LATE_MARGIN - 11
    assert outcome(replace(wish, ready=latest)) is Outcome.SORTED
    assert outcome(replace(wish, ready=latest + 1)) is Outcome.LATE
    assert outcome(wish, enabled=((0, 60_999),)) is Outcome.DISARMED
    assert outcome(wish, enabled=((0, 61_000),)) is Outcome.SORTED


def test_a_neighbour_counts_until_the_pulse() -> None:
    """One that is seen as late as a few cycles before the pulse still aborts it; one behind it does not."""
    settings = replace(BASE, after=60_000)
    for seen, expected in (
        (60_970, Outcome.COINCIDENCE),
        (61_000 - GUARD, Outcome.COINCIDENCE),
        (61_050, Outcome.SORTED),
    ):
        cells = [Cell(1050, 1000), Cell(seen, 50_000, event=False)]
        assert Scheduler(settings, ALWAYS).run(cells, [Result(5000, 0)]).final == [expected]


def test_too_many_neighbours_are_a_doubt() -> None:
    """Neighbours that go the same way do not abort, but those beyond the ones that are looked at are not known."""
    direction = Direction(delay=60_000, width=30_000)
    settings = replace(BASE, purity=Purity.PURITY, directions={0: direction}, before=10**5, after=10**5)
    near = np.arange(LOOKED_AT + 2) * 300 + 1000
    assert Outcome.AMBIGUOUS not in run(settings, near[:LOOKED_AT], [0] * LOOKED_AT).final
    assert Outcome.AMBIGUOUS in run(settings, near, [0] * len(near)).final


@pytest.mark.parametrize("envelope", list(Envelope))
def test_droplets_against_numpy(seed: int, envelope: Envelope) -> None:
    """Drops of uneven length: which is charged for each cell, and which cells share one, told by NumPy from the begins
    of the drops."""
    rng = np.random.default_rng([seed, envelope])
    begins = np.cumsum(rng.integers(900, 1100, 4000)) + 2000
    times = poisson(rng, 600, 1 / 5000)
    times = times[(times > begins[40]) & (times < begins[-400])]
    delay = 16 * 25 + 5
    settings = Settings({2: Direction(delay=delay)}, Purity.SINGLE, droplet=True, envelope=envelope, margin=2)
    result = run(settings, times, [2] * len(times), drops=Drops(begins.tolist()), latency=6000)
    inside = np.searchsorted(begins, times, side="right")  # number of the drop
    period = begins[inside - 1] - begins[inside - 2]
    phase = np.minimum((times - begins[inside - 1]) * 16 // period, 15)
    place = 16 * inside + phase + delay
    share = {Envelope.ONE: 0.0, Envelope.ONE_AND_A_HALF: 0.25, Envelope.TWO: 0.5}[envelope]
    first = place // 16 - (place % 16 < 16 * share)
    end = place // 16 + 1 + (place % 16 >= 16 * (1 - share))
    near = [
        bool(((np.delete(place, i) >= 16 * first[i] - 2) & (np.delete(place, i) < 16 * end[i] + 2)).any())
        for i in range(len(times))
    ]
    scheduled = -1  # end of the last drops that are charged
    expected = []
    for i in range(len(times)):
        shared = bool(first[i] < scheduled)  # with the cell before, although neither is in the other's drops
        expected.append(Outcome.COINCIDENCE if near[i] else Outcome.CONFLICT if shared else Outcome.SORTED)
        if result.decided[i][1] is Outcome.SORTED:  # even where it was amended later
            scheduled = int(end[i])
    assert [
        Outcome.COINCIDENCE if o is Outcome.CONFLICT and n else o for o, n in zip(result.final, near, strict=True)
    ] == expected
    # The output is high from a drop's begin to another's, 2 cycles behind them.
    charged = sorted(
        (begins[a - 1] + 2, begins[b - 1] + 1)
        for a, b, n in zip(first, end, result.final, strict=True)
        if n is Outcome.SORTED
    )
    joined: list[list[int]] = []
    for a, b in charged:
        if joined and a <= joined[-1][1] + 1:
            joined[-1][1] = int(b)
        else:
            joined.append([int(a), int(b)])
    assert [list(pulse) for pulse in result.pulses[2]] == joined


def test_two_cells_of_a_drop_are_two_sorts() -> None:
    """In purity mode cells of one drop that go the same way come together, and both are counted."""
    begins = [1000 * n for n in range(1, 100)]
    settings = Settings({0: Direction(delay=16 * 20, target=2)}, Purity.PURITY, droplet=True)
    times = np.array([10_100, 10_500, 15_100])
    result = run(settings, times, [0, 0, 0], drops=Drops(begins), latency=2000)
    assert [outcome.name for outcome in result.final] == ["SORTED", "SORTED", "COMPLETE"]
    assert result.pulses[0] == [(30_002, 31_001)]


def test_phase_gate() -> None:
    begins = [1600 * n for n in range(1, 200)]
    settings = Settings({0: Direction(delay=16 * 30)}, Purity.SINGLE, droplet=True, first_phase=3, last_phase=12)
    for sixteenth in range(16):
        result = run(settings, np.array([16_000 + 100 * sixteenth + 50]), [0], drops=Drops(begins), latency=2000)
        assert result.final == [Outcome.SORTED if 3 <= sixteenth <= 12 else Outcome.AMBIGUOUS]


def test_internal_drops_are_the_phase() -> None:
    """Drops begin where a phase of 32 bits passes a whole one; on average 2^32 / increment cycles apart."""
    increment = 2**32 // 777
    begins = np.array(internal_drops(increment, 0, 200_000))
    phase = (np.arange(200_000, dtype=object) * increment) // 2**32
    carries = np.flatnonzero(np.diff(phase.astype(np.int64))) + 1
    assert begins.tolist() == [c + 2 for c in carries.tolist() if c + 2 <= 200_000]


def test_settings_are_words_and_back(seed: int) -> None:
    rng = np.random.default_rng(seed)
    for _ in range(50):
        directions = {
            int(number): Direction(
                *map(int, (rng.integers(2**32), rng.integers(2**16), rng.integers(2**16), rng.integers(2**16))),
                *map(int, rng.integers(2**32, size=3)),
            )
            for number in rng.permutation(6)[: rng.integers(7)]
        }
        settings = Settings(
            dict(sorted(directions.items())),
            Purity(int(rng.integers(3))),
            *map(int, rng.integers(2**32, size=2)),
            droplet=bool(rng.integers(2)),
            external=bool(rng.integers(2)),
            envelope=Envelope(int(rng.integers(3))),
            margin=int(rng.integers(32)),
            first_phase=int(rng.integers(16)),
            last_phase=int(rng.integers(16)),
            doublets=bool(rng.integers(2)),
            overlong=bool(rng.integers(2)),
            increment=int(rng.integers(2**32)),
            timeout=int(rng.integers(2**32)),
        )
        assert Settings.of_words(settings.words()) == settings


def test_refuses_what_cannot_be() -> None:
    with pytest.raises(IcsortError, match="armed intervals"):
        Scheduler(BASE, [(0, 5), (5, 9)])
    with pytest.raises(IcsortError, match="drops belong to droplet mode"):
        Scheduler(replace(BASE, droplet=True), ALWAYS)
    with pytest.raises(IcsortError, match=r"direction 0: width of 65536 is not within 0\.\.65535"):
        replace(BASE, directions={0: Direction(width=2**16)}).words()


@pytest.mark.full
def test_a_million_events(seed: int) -> None:
    """30,000 cells a second at 200 MHz: counts add up, no sort at a wrong time, the abort rate is theory's, in a
    minute or two."""
    rng = np.random.default_rng(seed)
    cells, rate = 1_000_000, 30_000 / 200e6
    times = poisson(rng, cells, rate)
    begun = time.monotonic()
    result = run(replace(BASE, before=1000, after=1000), times, [0] * cells)
    print(f"{cells / (time.monotonic() - begun):,.0f} events a second")
    aborted = sum(outcome is not Outcome.SORTED for outcome in result.final)
    assert len(result.sorts) + aborted == cells
    assert all(begin == times[event] + BASE.directions[0].delay for event, _, begin in result.sorts)
    theory = 1 - np.exp(-rate * 2000)
    assert abs(aborted / cells - theory) < 6 * np.sqrt(theory * (1 - theory) / cells)
