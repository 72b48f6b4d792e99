# SPDX-License-Identifier: Apache-2.0
"""`icsort benchmark`: networks made, compiled for their boards, simulated and compared, with the figures of each.

Which networks, boards and rates is data: `benchmark.json`, or a file like it. Every step is an `icsort` command, whose
results stay in the output folder, and benchmark.json there grows with each network.
"""

import contextlib
import json
import resource
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from icsort.cli import console
from icsort.errors import IcsortError
from icsort.formats import package as manifest
from icsort.output import work_folder
from icsort.sim.flows.shell import Shell
from icsort.sim.simulate.images import generated_images, real_images

NETWORKS = Path(__file__).with_name("benchmark.json")
RESULT_FILE = "benchmark.json"
IMAGES_FILE = "images.npy"
RESOURCES = ("LUT", "DSP", "BRAM_18K", "URAM")
Figure = Callable[[dict[str, Any]], str]  # a row of the results -> what the table says


@dataclass(frozen=True)
class Benchmarked:
    """One line of the list: options of `icsort model`, board, cells a second to be kept up with, images to compare, and
    further options of `icsort compile`."""

    name: str
    model: tuple[str, ...]
    board: str
    rate: float
    images: int
    compile: tuple[str, ...] = ()


def load_networks(path: Path, names: Sequence[str]) -> list[Benchmarked]:
    """The networks of a list, or those of `names`. Raises IcsortError for a file that is none, and unknown names."""
    try:
        networks = [
            Benchmarked(**{**entry, "model": tuple(entry["model"]), "compile": tuple(entry.get("compile", ()))})
            for entry in json.loads(path.read_text())
        ]
    except FileNotFoundError:
        raise IcsortError(f"{path} does not exist") from None
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise IcsortError(f"{path} is no list of networks ({error}); see {NETWORKS}") from None
    known = {network.name: network for network in networks}
    if unknown := [name for name in names if name not in known]:
        raise IcsortError(f"{path} has no network {unknown[0]!r}; it has {', '.join(known)}")
    return [known[name] for name in names or known]


def run(networks: Sequence[Benchmarked], out: Path, *, stall_runs: int, force: bool) -> list[dict[str, Any]]:
    """Benchmark each network; a step that fails is its result, and the next network is begun.

    Raises IcsortError where `out` holds something else, or an earlier benchmark and not `force`.
    """
    result = out / RESULT_FILE
    work_folder(out, RESULT_FILE, [RESULT_FILE, *(f"{network.name}/{IMAGES_FILE}" for network in networks)], force)
    rows: list[dict[str, Any]] = []
    for network in networks:
        try:
            rows.append({"name": network.name, **measure(network, out / network.name, stall_runs)})
        except IcsortError as error:
            rows.append({"name": network.name, "error": str(error)})
        result.write_text(json.dumps(rows, indent=1) + "\n")
    return rows


def measure(network: Benchmarked, folder: Path, stall_runs: int) -> dict[str, Any]:
    """Figures of one network; its package, build and simulation are in `folder`. Raises IcsortError."""
    shell = Shell()
    folder.mkdir()
    package, build, simulation = folder / "package", folder / "build", folder / "simulation"
    shell.icsort("model", *network.model, "--out", package, show=False)
    shape = manifest.load(package).input
    images = real_images(shape, network.images)
    np.save(folder / IMAGES_FILE, generated_images(shape, network.images) if images is None else images)
    with timed() as compiled:
        target = ("--board", network.board, "--rate", network.rate, "--all-in", *network.compile)
        data = json.loads(shell.icsort("compile", package, "--out", build, *target, "--json", show=False))
    with timed() as simulated:
        runs = ("--images", folder / IMAGES_FILE, "--stalls", stall_runs, "--out", simulation)
        shell.icsort("simulate", build, *runs, "--json", show=False)
    found = json.loads((simulation / "simulation.json").read_text())
    parts = [data["glue_resources"], *(layer["resources"] for layer in data["layers"])]
    used = {kind: sum(part.get(kind, 0) for part in parts) for kind in RESOURCES}
    return {
        "board": network.board,
        "clock_target_mhz": data["clock_mhz"],
        "rate_asked": network.rate,
        "images": "Jurkat cells, repeated to the network's shape" if images is not None else "generated",
        "layers": len(data["layers"]),
        "compile": compiled,
        "simulate": simulated,
        "verilator_seconds": found["compile_seconds"],
        "logits_equal": found["logits_equal"],
        "logits_compared": found["logits_compared"],
        "seeds": found["seeds"],
        **{name: found[name] for name in ("first_pixel", "last_pixel", "interval")},
        "cells_per_second": data["clock_mhz"] * 1e6 / found["interval"]["simulated"],
        "resources": used,
        "budget": {kind: data["budget"][kind] for kind in RESOURCES},
        "fifo_bits": found["fifo_bits"],
        "cycles_per_second": found["cycles_per_second"],
        "images_per_second": found["images_per_second"],
        "commands": shell.commands,
    }


@contextlib.contextmanager
def timed() -> Iterator[dict[str, float]]:
    """Time of the processes started in the block: on the clock, and of the processors."""
    spent: dict[str, float] = {}
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    yield spent
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent["seconds"] = round(time.monotonic() - began, 1)
    spent["processor_seconds"] = round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 1)


def show(rows: Sequence[dict[str, Any]]) -> None:
    """Print the networks side by side, a figure a line."""
    table = console.table("", *(row["name"] for row in rows), title="networks, at each board's clock target")
    for name, figure in FIGURES.items():
        table.add_row(name, *("" if "error" in row else figure(row) for row in rows))
    console.show(table)
    for row in rows:
        if "error" in row:
            console.show(f"{row['name']}: {row['error']}", style="red")


def _cycles(name: str) -> Figure:
    def text(row: dict[str, Any]) -> str:
        cycles = row[name]
        us = cycles["simulated"] / row["clock_target_mhz"]
        return (
            f"{cycles['simulated']} = {us:.2f} us, predicted {cycles['predicted']} ({cycles['error_percent']:+.1f} %)"
        )

    return text


def _time(name: str) -> Figure:
    return lambda row: f"{row[name]['seconds']:.0f} s ({row[name]['processor_seconds']:.0f} s of processor)"


def _resource(kind: str) -> Figure:
    def text(row: dict[str, Any]) -> str:
        used, budget = row["resources"][kind], row["budget"][kind]
        return f"{used:,} of {budget:,} ({used / budget:.0%})" if budget else f"{used:,} of none"

    return text


FIGURES: dict[str, Figure] = {
    "board, clock target": lambda row: f"{row['board']}, {row['clock_target_mhz']:g} MHz",
    "layers": lambda row: str(row["layers"]),
    "logits equal": lambda row: f"{row['logits_equal']} of {row['logits_compared']}",
    "images": lambda row: row["images"],
    "stall runs": lambda row: str(len(row["seeds"])),
    "first pixel to logits": _cycles("first_pixel"),
    "last pixel to logits": _cycles("last_pixel"),
    "image to image": _cycles("interval"),
    "cells/s (asked)": lambda row: f"{row['cells_per_second']:,.0f} ({row['rate_asked']:,.0f})",
    **{f"{kind}, predicted": _resource(kind) for kind in RESOURCES},
    "FIFO bits, times steady peak": lambda row: (
        f"{row['fifo_bits']['built']:,}, {row['fifo_bits']['built'] / row['fifo_bits']['peak_steady']:.2f}"
    ),
    "compile": _time("compile"),
    "simulate, all": _time("simulate"),
    "Verilator and C++": lambda row: f"{row['verilator_seconds']:.0f} s of processor",
    "simulation": lambda row: f"{row['cycles_per_second']:,.0f} cycles/s, {row['images_per_second']:.3g} images/s",
}
