# SPDX-License-Identifier: Apache-2.0
"""`icsort simulate`, `icsort board`, `icsort demo` and `icsort search`."""

import json
import time
from pathlib import Path
from typing import Annotated

import typer

from sim.bit_true.errors import IcsortError
from sim.lines import CELLS_PER_SECOND, flow, load_cells

BuildArgument = Annotated[Path, typer.Argument(help="Build folder made by `icsort compile`.")]
CellsOption = Annotated[Path, typer.Option(help="Held-out cells: heldout.npz of the training run.")]
RateOption = Annotated[float, typer.Option(min=1, help="Cells per second, at the board's clock.")]
GapOption = Annotated[int, typer.Option(min=0, help="Idle cycles behind each line of the stream.")]


def simulate(
    build: BuildArgument,
    cells: CellsOption,
    count: Annotated[int | None, typer.Option(min=1, help="Take only the first COUNT cells.")] = None,
    rate: RateOption = CELLS_PER_SECOND,
    line_gap: GapOption = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Run cells through the RTL and compare every logit with the QONNX model and with FINN's graph.

    Ends with code 1 where one differs. Example: icsort simulate out/build --cells out/run/heldout.npz
    """
    from rich.console import Console

    from hw.compile import load_build
    from sim.simulate import simulate as run

    loaded = load_build(build)
    chosen = load_cells(cells, loaded.manifest, count)
    with Console(stderr=True).status("simulate") as status:
        found = run(
            loaded,
            chosen,
            cells_per_second=rate,
            line_gap=line_gap,
            progress=lambda step: status.update(f"simulate: {step}"),
        )
    if as_json:
        print(json.dumps(found.to_json(), indent=1))
    else:
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
    if not found.equal:
        raise typer.Exit(1)


def board(
    build: BuildArgument,
    cells: CellsOption,
    port: Annotated[Path, typer.Option(help="Serial port to make (a symbolic link).")] = Path("out/board"),
    count: Annotated[int | None, typer.Option(min=1, help="Send only the first COUNT cells.")] = None,
    rate: RateOption = CELLS_PER_SECOND,
    line_gap: GapOption = 0,
) -> None:
    """Run a virtual board: the real RTL behind a serial port. Ctrl-C ends it.

    Cells begin to flow when the board is armed. Example: icsort board out/build --cells out/run/heldout.npz
    """
    from hw.compile import load_build
    from sim.board import virtual_board

    loaded = load_build(build)
    stream = flow(load_cells(cells, loaded.manifest, count), loaded.manifest, loaded.clock_mhz * 1e6 / rate)
    with virtual_board(loaded, stream.lines, port, line_gap=line_gap) as running:
        print(
            f"board {loaded.build_id} on {port}: {len(stream.starts)} cells will flow once it is armed; Ctrl-C ends it",
            flush=True,
        )
        try:
            while running.process.poll() is None:
                time.sleep(0.2)
        except KeyboardInterrupt:
            pass
        summary = running.stop().summary
    print(f"{summary['events']} events, {len(summary['sort_pulses'])} sort pulses in {summary['cycles']} cycles")


def demo(
    out: Annotated[Path, typer.Option(help="Folder for everything that the demo makes; replaced.")] = Path("out/demo"),
    generated: Annotated[
        bool, typer.Option("--generated", help="Use generated cells even where real ones are.")
    ] = False,
    epochs: Annotated[int | None, typer.Option(min=1, help="Train for this many epochs.")] = None,
) -> None:
    """The whole path on held-out cells: train, export, compile, simulate, then a virtual board and its host.

    Writes report.html and report.json. Example: icsort demo --out out/demo
    """
    from sim.demo import run

    report = run(out, generated=generated, epochs=epochs)
    if report["logits_equal"] != report["logits_compared"]:
        raise IcsortError(f"the RTL differs from the references: see {out / 'report.html'}")


def search(
    out: Annotated[Path, typer.Option(help="Folder of the search; an interrupted one goes on where it was.")],
    tries: Annotated[
        list[str],
        typer.Option(
            "--try",
            help="Option of `icsort train` and its values: OPTION=VALUE,VALUE; OPTION+OPTION gives both one value. "
            "May be repeated: all combinations are tried.",
        ),
    ],
    train: Annotated[
        list[str] | None, typer.Argument(help="Behind --: options of `icsort train` that all share.")
    ] = None,
    board: Annotated[str, typer.Option(help="Board: a folder of boards/, or a path to one.")] = "virtual",
    accuracy: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Balanced accuracy that is enough; without it, 0.01 below the best."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Train and compile a family of networks; show which is the smallest that is good enough.

    Example: icsort search --out out/search --try width=0.25,0.5 --try weight-bits+activation-bits=2,4 -- --data images/
    """
    from rich.console import Console

    from sim.search import PAGE_FILE, family, write_page
    from sim.search import search as run

    with Console(stderr=True).status("search") as status:
        found = run(out, family(tries), train or [], board, progress=lambda step: status.update(f"search: {step}"))
    write_page(out, found, accuracy)
    if as_json:
        print(json.dumps(found, indent=1))
        return
    for network in found["networks"]:
        if network["refused"] is not None:
            print(f"  {network['name']:<40} refused: {network['refused']}")
            continue
        print(
            f"{'*' if network['front'] else ' '} {network['name']:<40} "
            f"{network['validation']:.3f} {network['test']:.3f} {network['latency_us']:8.2f} us "
            f"{100 * network['share_of_board']:5.0f} % of the board"
        )
    print(f"* front; balanced accuracy in validation and test. report: {out / PAGE_FILE}")
