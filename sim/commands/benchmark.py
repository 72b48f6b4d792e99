# SPDX-License-Identifier: Apache-2.0
"""`icsort benchmark`."""

from pathlib import Path
from typing import Annotated

import typer

from icsort.cli import console
from icsort.cli.options import Force, Json, out


def benchmark(
    names: Annotated[list[str] | None, typer.Argument(help="Networks of the list; without any, all of it.")] = None,
    networks: Annotated[
        Path | None, typer.Option("--list", help="Another list of networks, like sim/flows/benchmark.json.")
    ] = None,
    out: Annotated[Path, out("Folder to make, for packages, builds and simulations.")] = Path("out/benchmark"),
    stalls: Annotated[int, typer.Option(min=0, help="Runs of each network with random stalls.")] = 100,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Compile networks for their boards, compare the RTL with the references, and print speed, latency and size.

    Weights are random, cells are real where they are at hand. Ends with code 1 where a network fails.
    Example: icsort benchmark student --out out/benchmark
    """
    from icsort.sim.flows import benchmark

    rows = benchmark.run(
        benchmark.load_networks(networks or benchmark.NETWORKS, names or ()), out, stall_runs=stalls, force=force
    )
    if as_json:
        console.show_json(rows)
    else:
        benchmark.show(rows)
    if any("error" in row for row in rows):
        raise typer.Exit(1)
