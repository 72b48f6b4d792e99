# SPDX-License-Identifier: Apache-2.0
"""What `icsort simulate` shows: a progress bar while it runs, then figures and tables, or JSON."""

import contextlib
import json
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from icsort.hw.compile import Build
from icsort.output import result_folder
from icsort.sim.simulate import layer_times as layers
from icsort.sim.simulate.lines import Cells
from icsort.sim.simulate.network import Cycles, NetSimulation, simulate_net
from icsort.sim.simulate.network import Progress as Report
from icsort.sim.simulate.sorter import Simulation, simulate

RESULT_FILE = "simulation.json"
WIDE = 110  # columns of a terminal in which the layers' names have room as well


def sorter(build: Build, cells: Cells, rate: float, line_gap: int, as_json: bool) -> bool:
    """Run cells through the whole sorter, print what was found; returns whether all was equal. Raises IcsortError."""
    with Console(stderr=True).status("simulate") as status:
        found = simulate(
            build,
            cells,
            cells_per_second=rate,
            line_gap=line_gap,
            progress=lambda step: status.update(f"simulate: {step}"),
        )
    if as_json:
        print(json.dumps(found.to_json(), indent=1))
    else:
        _print_sorter(found)
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
        report = stack.enter_context(_bar())
        found, outcome = simulate_net(
            build, images, line_gap=line_gap, stall_runs=stall_runs, seed=seed, progress=report
        )
        if folder:
            layers.picture(build, outcome, found.layers, folder)
            (folder / RESULT_FILE).write_text(json.dumps(found.to_json(), indent=1) + "\n")
    if as_json:
        print(json.dumps(found.to_json(), indent=1))
    else:
        _print_network(found, Console())
        if out:
            print(f"picture of the layers     {out / 'layers.png'}, {out / 'layers.svg'}")
    return found.equal


@contextlib.contextmanager
def _bar() -> Iterator[Report]:
    """A progress bar on standard error; yields what a simulation calls."""
    columns = (
        SpinnerColumn(),
        TextColumn("simulate: {task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[speed]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task, step, since = bar.add_task("", speed="", total=None), "", time.monotonic()

        def report(name: str, done: int, total: int, cycles: int) -> None:
            nonlocal step, since
            if name != step:
                step, since = name, time.monotonic()
                bar.reset(task, description=name, total=total or None)
            spent = time.monotonic() - since
            speed = f"{done / spent:.3g} images/s" if done and spent > 0 else ""
            if speed and name == "RTL":
                speed += f", {cycles / spent:,.0f} cycles/s"
            bar.update(task, completed=done, speed=speed)

        yield report


def _print_sorter(found: Simulation) -> None:
    first, last = found.latency_cycles_first_pixel_to_decision, found.latency_cycles_last_pixel_to_decision
    clock = found.clock_target_mhz
    print(f"cells                    {found.cells}, of which {found.events} triggered an event")
    print(f"logits equal             {found.logits_equal} of {found.logits_compared} (RTL = QONNX = FINN's graph)")
    print(f"gate decisions equal     {found.decisions_equal} of {found.decisions_compared}")
    print(f"accuracy, balanced       {found.accuracy:.4f}, {found.balanced_accuracy:.4f}")
    for name, cycles in (("first", first), ("last", last)):
        print(
            f"{name + ' pixel to decision':24} {cycles.min} / {cycles.median:g} / {cycles.max} cycles "
            f"(min / median / max), median {cycles.median / clock:.2f} us at {clock:g} MHz (target)"
        )
    print(f"cycles per cell          {found.cycles_per_cell}, {clock * 1e6 / found.cycles_per_cell:.0f} cells/s")
    print(f"simulation               {found.simulated_cycles_per_second:,.0f} cycles/s")
    for wrong in found.mismatches:
        print(f"event {wrong.event}, {wrong.class_name}: RTL {wrong.rtl}, QONNX {wrong.qonnx}, FINN {wrong.finn}")


def _print_network(found: NetSimulation, console: Console) -> None:
    table = Table(title="layers, in cycles of the first image through an empty network", box=None, padding=(0, 1, 0, 0))
    table.add_column("instance", no_wrap=True)
    for heading in (
        "first\nbeat",
        "last\nbeat",
        "pre-\ndicted",
        "after\nlast px",
        "adds",
        "stall",
        "idle",
        "FIFO\npeak",
    ):
        table.add_column(heading, justify="right", no_wrap=True)
    if console.width >= WIDE:
        table.add_column("from layer")
    for layer in found.layers:
        figures = (layer.first_beat, layer.last_beat, layer.predicted, layer.after_last_pixel, layer.added)
        held = "\n".join(f"{fifo.peak_steady}|{fifo.peak}/{fifo.depth}" for fifo in layer.fifos)
        shares = (f"{share:.0%}" for share in (layer.stalled, layer.idle))
        source = (layer.source,) if console.width >= WIDE else ()
        table.add_row(layer.instance, *map(str, figures), *shares, held, *source)
    console.print(table)
    print("FIFO peak: beats held at most in the steady run | in all runs / depth")
    print(f"logits equal              {found.logits_equal} of {found.logits_compared} (RTL = QONNX = FINN's graph)")
    if found.seeds:
        print(f"runs with random stalls   {len(found.seeds)}, seeds {found.seeds[0]} to {found.seeds[-1]}: no deadlock")
    clock = found.clock_target_mhz
    for name, cycles in (("first pixel to logits", found.first_pixel), ("last pixel to logits", found.last_pixel)):
        print(f"{name:25} {_cycles(cycles)}, {cycles.simulated / clock:.2f} us at {clock:g} MHz (target)")
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
