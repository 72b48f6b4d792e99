# SPDX-License-Identifier: Apache-2.0
"""What `icsort simulate` shows: a progress bar while it runs, then figures and tables, or JSON."""

import contextlib
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from icsort.cli import console
from icsort.cli.console import Progress
from icsort.formats.background import in_words
from icsort.formats.build import Build
from icsort.formats.heldout import HeldOut
from icsort.output import result_folder
from icsort.sim.bit_true.gate_engine import Program
from icsort.sim.bit_true.scheduler import Outcome, Settings
from icsort.sim.simulate import layer_times as layers
from icsort.sim.simulate.after_synthesis import compare
from icsort.sim.simulate.fast import FRONT_COUNTERS, run_fast
from icsort.sim.simulate.network import Cycles, NetSimulation, RunProgress, simulate_net
from icsort.sim.simulate.sorter import SCHEDULE, SHOWN_MISMATCHES, Simulation, simulate

RESULT_FILE = "simulation.json"
WIDE = 110  # columns of a terminal in which the layers' names have room as well


@dataclass(frozen=True)
class Pace:
    """How cells come: so many a second, in so many lines a second (None: without pause), arrivals and seed as for
    `lines.flow`."""

    cells_per_second: float
    line_rate: float | None
    arrivals: str
    seed: int


def fast(
    build: Build,
    cells: HeldOut,
    count: int,
    pace: Pace,
    settings: Settings = SCHEDULE,
    program: Program | None = None,
    as_json: bool = False,
) -> None:
    """Let `count` cells flow through the sorter's model, print what became of them. settings: of the scheduler;
    program: of the gates, None: `every_other`. Raises IcsortError."""
    began = time.monotonic()
    with console.progress("simulate") as progress:

        def told(done: int) -> None:
            progress("cells", done, count)

        found = run_fast(build, cells, count, **asdict(pace), settings=settings, program=program, progress=told)
    figures = found.to_json(cells, time.monotonic() - began)
    if as_json:
        console.show_json(figures)
        return
    counters = found.counters
    ends = ", ".join(f"{outcome.name.lower()} {counters[outcome.name]:,}" for outcome in Outcome)
    seen = ", ".join(f"{name.lower().replace('_', ' ')} {counters[name]:,}" for name in FRONT_COUNTERS)
    print(f"cells                    {count:,}, {pace.arrivals}, {pace.cells_per_second:,g} a second")
    print(f"seen                     {seen}")
    print(f"accepted events          {ends}")
    accuracy = "no event of a cell" if found.accuracy(cells) is None else f"{found.accuracy(cells):.4f}"
    print(f"accuracy                 {accuracy}")
    print(f"model                    {figures['cells_per_second']:,.0f} cells/s")


def sorter(build: Build, cells: HeldOut, pace: Pace, program: Program | None, as_json: bool) -> bool:
    """Run cells through the whole sorter, print what was found; returns whether all was equal. Raises IcsortError."""
    with console.progress("simulate") as progress:
        found = simulate(build, cells, **asdict(pace), program=program, progress=progress)
    if as_json:
        console.show_json(found.to_json())
    else:
        _print_sorter(found)
    return found.equal


def after_synthesis(
    build: Build, cells: HeldOut, family: str, pace: Pace, program: Program | None, as_json: bool
) -> bool:
    """Run cells through RTL and netlist, print what was found; returns whether all was equal. Raises IcsortError."""
    with console.progress("simulate") as progress:
        found = compare(build, cells, family, **asdict(pace), program=program, progress=progress)
    if as_json:
        console.show_json(found.to_json())
        return found.equal
    print(f"netlist                  {found.tool} for {found.family}")
    print(f"cells mapped to          {', '.join(f'{number:,} {kind}' for kind, number in found.cells_mapped.items())}")
    print(f"records equal            {found.records_equal} of {found.records} (netlist = RTL)")
    print(f"link                     {'equal' if found.link_equal else 'DIFFERS'}")
    print(
        f"sort pulses              {found.sort_pulses}, {'equal' if found.pulses_equal else 'DIFFERENT'} to the cycle"
    )
    took = ", ".join(f"{name} {seconds:,.0f} s" for name, seconds in found.seconds.items())
    print(f"{found.simulated_cycles:,} cycles; {took}")
    if found.differs:
        print(f"records that differ      {', '.join(map(str, found.differs[:SHOWN_MISMATCHES]))}")
    return found.equal


def network(
    build: Build,
    images: NDArray[np.uint8],
    *,
    line_gap: int | None,
    stall_runs: int,
    seed: int,
    out: Path | None,
    force: bool,
    as_json: bool,
) -> bool:
    """Run images through the network alone, print what was found, write it to `out`; returns whether all was equal.

    Raises IcsortError.
    """
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(result_folder(out, RESULT_FILE, force)) if out else None
        progress = _with_speed(stack.enter_context(console.progress("simulate")))
        found, outcome = simulate_net(
            build, images, line_gap=line_gap, stall_runs=stall_runs, seed=seed, progress=progress
        )
        if folder:
            layers.picture(build, outcome, found.layers, folder)
            (folder / RESULT_FILE).write_text(json.dumps(found.to_json(), indent=1) + "\n")
    if as_json:
        console.show_json(found.to_json())
    else:
        _print_network(found)
        if out:
            print(f"picture of the layers     {out / 'layers.png'}, {out / 'layers.svg'}")
    return found.equal


def _with_speed(progress: Progress) -> RunProgress:
    """What a simulation calls: adds the speed of each step to the progress that is shown."""
    current, since = "", time.monotonic()

    def report(step: str, done: int, total: int, cycles: int) -> None:
        nonlocal current, since
        if step != current:
            current, since = step, time.monotonic()
        spent = time.monotonic() - since
        speed = f"{done / spent:.3g} images/s" if done and spent > 0 else ""
        if speed and step == "RTL":
            speed += f", {cycles / spent:,.0f} cycles/s"
        progress(step, done, total, speed)

    return report


def _print_sorter(found: Simulation) -> None:
    clock = found.clock_target_mhz
    latencies = {
        "first pixel": found.latency_cycles_first_pixel_to_decision,
        "last pixel": found.latency_cycles_last_pixel_to_decision,
        "last line": found.latency_cycles_last_line_to_decision,
    }
    print(f"cells                    {found.cells}, of which {found.cells_triggered} triggered an event")
    print(f"false triggers           {in_words(found.false_triggers)}")
    print(f"events equal             {found.events_equal} of {found.events} (time, length, flags)")
    print(f"logits equal             {found.logits_equal} of {found.logits_compared} (RTL = QONNX = FINN's graph)")
    if found.features_compared:
        print(f"features equal           {found.features_equal} of {found.features_compared} (RTL = model)")
    print(f"gate decisions equal     {found.decisions_equal} of {found.decisions_compared}")
    print(
        f"posterior and softmax    differ by {found.posterior_error:.5f} at most, {found.posterior_bound:.5f} allowed"
    )
    shares = (found.accuracy, found.balanced_accuracy)
    print(f"accuracy, balanced       {', '.join('no labels' if share is None else f'{share:.4f}' for share in shares)}")
    for name, cycles in latencies.items():
        print(
            f"{name + ' to decision':24} {cycles.min} / {cycles.median:g} / {cycles.max} cycles "
            f"(min / median / max), median {cycles.median / clock:.2f} us at {clock:g} MHz ({found.clock_is})"
        )
    print(f"cycles per cell          {found.cycles_per_cell}, {clock * 1e6 / found.cycles_per_cell:.0f} cells/s")
    print(f"simulation               {found.simulated_cycles_per_second:,.0f} cycles/s")
    for wrong in found.mismatches:
        print(f"event {wrong.event}, {wrong.class_name}: RTL {wrong.rtl}, QONNX {wrong.qonnx}, FINN {wrong.finn}")


def _print_network(found: NetSimulation) -> None:
    wide = console.stdout().width >= WIDE
    figures = ("first\nbeat", "last\nbeat", "pre-\ndicted", "after\nlast px", "adds", "stall", "idle", "FIFO\npeak")
    table = console.table(
        *("instance", *figures, *["from layer"] * wide),
        title="layers, in cycles of the first image through an empty network",
        text=("instance", "from layer"),
        lines=False,
    )
    for layer in found.layers:
        beats = (layer.first_beat, layer.last_beat, layer.predicted, layer.after_last_pixel, layer.added)
        held = "\n".join(f"{fifo.peak_steady}|{fifo.peak}/{fifo.depth}" for fifo in layer.fifos)
        shares = (f"{share:.0%}" for share in (layer.stalled, layer.idle))
        table.add_row(layer.instance, *map(str, beats), *shares, held, *[layer.source] * wide)
    console.show(table)
    print("FIFO peak: beats held at most in the steady run | in all runs / depth")
    print(f"logits equal              {found.logits_equal} of {found.logits_compared} (RTL = QONNX = FINN's graph)")
    if found.seeds:
        print(f"runs with random stalls   {len(found.seeds)}, seeds {found.seeds[0]} to {found.seeds[-1]}: no deadlock")
    clock = found.clock_target_mhz
    for name, cycles in (("first pixel to logits", found.first_pixel), ("last pixel to logits", found.last_pixel)):
        print(f"{name:25} {_cycles(cycles)}, {cycles.simulated / clock:.2f} us at {clock:g} MHz ({found.clock_is})")
    if found.interval:
        rate = clock * 1e6 / found.interval.simulated
        print(f"{'image to image':25} {_cycles(found.interval)}, {rate:,.0f} cells/s")
    bits = found.fifo_bits
    print(f"bits in FIFOs             {bits['built']:,}")
    for name, peak in (("the steady run", bits["peak_steady"]), ("all runs", bits["peak"])):
        print(f"{f'  held at most, {name}':31} {peak:,}: the FIFOs have {bits['built'] / peak:.2f} times that")
    speed = found.simulated_images / found.seconds
    print(f"simulation                {found.cycles_per_second:,.0f} cycles/s, {speed:.3g} images/s")
    for wrong in found.mismatches:
        print(f"image {wrong.event}, {wrong.class_name}: RTL {wrong.rtl}, QONNX {wrong.qonnx}, FINN {wrong.finn}")


def _cycles(cycles: Cycles) -> str:
    return f"{cycles.simulated} cycles (predicted {cycles.predicted}, {cycles.error_percent:+.1f} %)"
