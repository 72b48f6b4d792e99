# SPDX-License-Identifier: Apache-2.0
"""`icsort search`: trains a family of networks, compiles each, and marks the ones that no other beats.

Everything is done with the commands that a user has (`icsort train`, `export`, `compile`), each in a folder of its own,
so that a search which was interrupted goes on where it was.
"""

import itertools
import json
import shlex
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from icsort.errors import IcsortError
from icsort.formats.build import Build, load_build
from icsort.jobs import job_pool
from icsort.output import planned_folder
from icsort.report.figures import GOOD, PLAIN, logarithmic, png
from icsort.report.page import Page, Section, write

SEARCH_FILE = "search.json"
PLAN_FILE = "plan.json"
FORMAT = "icsort-search"
VERSION = 1
RESOURCES = ("LUT", "DSP", "BRAM_18K")


@dataclass(frozen=True)
class Candidate:
    """One network of the family: options of `icsort train` (without the dashes) and their values."""

    options: tuple[tuple[str, str], ...]

    @property
    def name(self) -> str:
        """A folder's name and a person's."""
        return "_".join(f"{option}-{value}" for option, value in self.options)

    @property
    def words(self) -> list[str]:
        return [word for option, value in self.options for word in (f"--{option}", value)]


def family(tries: Sequence[str]) -> list[Candidate]:
    """All combinations. tries: OPTION=VALUE,VALUE of `icsort train`; OPTION+OPTION=VALUE,VALUE gives both one value.

    Raises IcsortError for words of another form or an option named twice.
    """
    axes = []
    for word in tries:
        names, equal, values = word.partition("=")
        options = [name.strip().removeprefix("--") for name in names.split("+")]
        chosen = [value.strip() for value in values.split(",")]
        if not equal or not all(options) or not all(chosen):
            raise IcsortError(f"--try {word}: write it as OPTION=VALUE,VALUE, such as width=0.25,0.5")
        axes.append([tuple((option, value) for option in options) for value in chosen])
    every = [option for axis in axes for option, _ in axis[0]]
    if len(set(every)) < len(every):
        raise IcsortError("--try names an option of `icsort train` twice; give all its values at once")
    return [Candidate(tuple(itertools.chain(*parts))) for parts in itertools.product(*axes)]


def search(
    out: Path,
    candidates: Sequence[Candidate],
    train_words: Sequence[str],
    board: str,
    *,
    jobs: int = 1,
    ray: str | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Train and compile what is not yet in the folder `out`. Returns the machine-readable report.

    train_words: options of `icsort train` that all share. jobs: networks side by side; ray: on a cluster instead
    (icsort.jobs), all of which sees `out`. progress: called with each step before it runs; of networks side by side
    with each that is done. A network that cannot be trained or compiled stays in the report with the reason. Raises
    IcsortError where `out` holds another search, and where no network could be compiled.
    """
    plan = {"candidates": [candidate.name for candidate in candidates], "train": list(train_words), "board": board}
    here = jobs == 1 and ray is None
    steps = progress if here else lambda _: None
    work = [(candidate, out / candidate.name, train_words, board, steps) for candidate in candidates]
    results = []
    with job_pool(jobs, ray) as pool:
        planned_folder(out, PLAN_FILE, plan, "search")
        for candidate, result in zip(candidates, pool.run(_result, work), strict=True):
            results.append(result)
            if not here:
                progress(f"{candidate.name}: done")
    built = [result for result in results if result["refused"] is None]
    if not built:
        raise IcsortError(f"no network of the search could be compiled; the first: {results[0]['refused']}")
    losses = np.array([[-result["validation"], result["latency_us"], result["share_of_board"]] for result in built])
    for result, on_front in zip(built, front(losses), strict=True):
        result["front"] = bool(on_front)
    return {"format": FORMAT, "version": VERSION, "train": list(train_words), "board": board, "networks": results}


def front(losses: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which rows of (N, K) no other row beats: none is at most as large everywhere and smaller somewhere."""
    no_larger = (losses[:, None] <= losses).all(axis=2)
    smaller = (losses[:, None] < losses).any(axis=2)
    return ~np.asarray((no_larger & smaller).any(axis=0))


def smallest(networks: Sequence[Mapping[str, Any]], accuracy: float) -> Mapping[str, Any] | None:
    """The network of the front that takes least of the board and has at least this balanced accuracy in validation."""
    enough = [network for network in networks if network["front"] and network["validation"] >= accuracy]
    return min(enough, key=lambda network: float(network["share_of_board"]), default=None)


def _result(
    candidate: Candidate, folder: Path, train_words: Sequence[str], board: str, progress: Callable[[str], None]
) -> dict[str, Any]:
    run, package, build = folder / "run", folder / "package", folder / "build"
    steps = (
        (run / "metrics.json", ["train", "--out", run, *candidate.words, *train_words]),
        (package / "manifest.json", ["export", run, "--out", package]),
        (build / "build.json", ["compile", package, "--out", build, "--board", board]),
    )
    result: dict[str, Any] = {"name": candidate.name, "options": dict(candidate.options), "front": False}
    for result_file, words in steps:
        if not result_file.is_file():
            resume = words[0] == "train" and unfinished(run).is_file()
            progress(f"{candidate.name}: {words[0]}")
            refusal = _icsort([*words, *["--resume"] * resume])
            if refusal is not None and resume:
                raise IcsortError(f"{candidate.name}: a training that was cut short cannot go on: {refusal}")
            if refusal is not None:
                return {**result, "refused": refusal}
    metrics = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    return {**result, "refused": None, **_scores(metrics), **costs(load_build(build))}


def unfinished(run: Path) -> Path:
    """Where `icsort train` keeps the state of a training that has not ended."""
    return run.parent / f".{run.name}.training" / "state.pt"


def _icsort(words: Sequence[object]) -> str | None:
    """Run a command; None, or the line with which it refused (exit code 2).

    Raises IcsortError where it ended otherwise: killed, interrupted or failed, which says nothing about the network.
    """
    done = subprocess.run(
        [sys.executable, "-m", "icsort", *map(str, words)],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        check=False,
    )
    lines = done.stderr.decode(errors="replace").split("\n")
    said = next((line.strip() for line in reversed(lines) if line.strip()), "nothing was said")
    if done.returncode == 2:
        return said.removeprefix("icsort: error: ")
    if done.returncode:
        how = f"was ended by signal {-done.returncode}" if done.returncode < 0 else f"ended with code {done.returncode}"
        command = shlex.join(["icsort", *map(str, words)])
        raise IcsortError(f"`{command}` {how} ({said}); the same `icsort search` goes on from there")
    return None


def _scores(metrics: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "parameters": metrics["parameters"],
        "validation": metrics["validation"]["balanced_accuracy"],
        "test": metrics["test"]["balanced_accuracy"],
        "test_accuracy": metrics["test"]["accuracy"],
        "test_cells": metrics["test"]["cells"],
    }


def costs(build: Build) -> dict[str, Any]:
    """Latency, rate and resources that a build predicts. share_of_board: the scarcest resource's, 1 is full."""
    used = {kind: build.resources[kind] for kind in RESOURCES}
    shares = [used[kind] / build.budget[kind] if build.budget[kind] else float(used[kind]) for kind in RESOURCES]
    return {
        "latency_us": build.net_latency_cycles / build.clock_mhz,
        "last_pixel_us": build.last_pixel_latency_cycles / build.clock_mhz,
        "cells_per_second": build.clock_mhz * 1e6 / build.interval_cycles,
        "resources": used,
        "share_of_board": max(shares),
        "clock_mhz": build.clock_mhz,
        "part": build.part,
    }


def write_page(out: Path, report: dict[str, Any], accuracy: float | None) -> None:
    """report.html and search.json in the search's folder. report: gets the smallest network that is good enough."""
    built = [network for network in report["networks"] if network["refused"] is None]
    refused = [network for network in report["networks"] if network["refused"] is not None]
    best = max(built, key=lambda network: network["validation"])
    goal = best["validation"] - 0.01 if accuracy is None else accuracy
    choice = smallest(built, goal)
    report["smallest"] = {"balanced_accuracy": goal, "name": None if choice is None else choice["name"]}
    words = f"at least {100 * goal:.1f} % balanced accuracy in validation"
    advice = f"No network reaches {words}; the best, {best['name']}, has {100 * best['validation']:.1f} %."
    if choice is not None:
        advice = (
            f"The smallest network with {words} is {choice['name']}: {100 * choice['test']:.1f} % on the test part, "
            f"{choice['latency_us']:.1f} µs from the first pixel to the answer, "
            f"{100 * choice['share_of_board']:.0f} % of the board."
        )
    ordered = sorted(built, key=lambda network: network["share_of_board"])
    page = Page(
        title="How small may the network be?",
        lead=f"{len(built) + len(refused)} networks, for {best['part']} at {best['clock_mhz']:g} MHz (a target).",
        sections=[
            Section(
                "Accuracy against latency and board",
                f"{advice} A network on the front (green) has no other that is at least as good in accuracy, latency "
                "and resources and better in one. The front is chosen on the validation part; the test part, which no "
                "training and no choice saw, says what to expect.",
                [png(_picture(built))],
            ),
            Section(
                "All networks",
                "Latency and resources are predicted; no synthesis has run.",
                head=[
                    *("network", "parameters", "validation", "test", "latency µs", "after last pixel µs", "cells/s"),
                    *RESOURCES,
                    "of the board",
                ],
                rows=[_row(network) for network in ordered],
                marked=[i for i, network in enumerate(ordered) if network["front"]],
            ),
            *(
                [Section("Refused", "", head=["network", "why"], rows=[[n["name"], n["refused"]] for n in refused])]
                if refused
                else []
            ),
        ],
    )
    write(out, page, SEARCH_FILE, report)


def _row(network: Mapping[str, Any]) -> list[str]:
    return [
        network["name"],
        f"{network['parameters']:,}",
        f"{100 * network['validation']:.1f} %",
        f"{100 * network['test']:.1f} %",
        f"{network['latency_us']:.2f}",
        f"{network['last_pixel_us']:.2f}",
        f"{network['cells_per_second']:,.0f}",
        *(f"{network['resources'][kind]:,.0f}" for kind in RESOURCES),
        f"{100 * network['share_of_board']:.0f} %",
    ]


def _picture(built: Sequence[Mapping[str, Any]]) -> Figure:
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    axes = figure.subplots(1, 2, sharey=True)
    kinds = {"latency_us": "predicted latency, first pixel to answer, µs", "share_of_board": "share of the board"}
    for axis, (key, label) in zip(axes, kinds.items(), strict=True):
        for on_front in (False, True):
            chosen = [network for network in built if network["front"] == on_front]
            axis.plot(
                [network[key] for network in chosen],
                [network["validation"] for network in chosen],
                "o",
                color=GOOD if on_front else PLAIN,
                label="front" if on_front else "beaten",
            )
            for network in chosen if on_front else []:
                axis.annotate(network["name"], (network[key], network["validation"]), fontsize=6, rotation=20)
        axis.set(xlabel=label)
        logarithmic(axis, "x")
    axes[0].set_ylabel("balanced accuracy, validation")
    axes[0].legend()
    return figure
