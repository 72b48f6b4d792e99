# SPDX-License-Identifier: Apache-2.0
"""`icsort demo`: the whole path with the commands that a user has, then a report of what they did.

Train, export, compile and simulate run as `icsort` sub-commands; then a virtual board starts, and the host's own
commands set a gate, arm the board and watch the event of every held-out cell.
"""

import json
import shlex
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from icsort.errors import IcsortError
from icsort.formats.background import in_words
from icsort.formats.build import Build, load_build
from icsort.formats.heldout import HeldOut
from icsort.output import work_folder
from icsort.report.figures import save
from icsort.report.page import PAGE_FILE, write
from icsort.sim.bit_true.scheduler import Outcome
from icsort.sim.flows import demo_page
from icsort.sim.flows.shell import Shell
from icsort.sim.simulate.lines import Flow, flow_past, load_cells
from icsort.sim.verilator.board import virtual_board

# What the demo sorts: dividing cells, by the names that the data has for them; where it has others, its first class.
GATES = (("Prophase", "Metaphase", "Anaphase", "Telophase"), ("Mitotic",))
POSTERIOR = 0.8
DROP_DELAY_US = 50  # shorter than an instrument's, so that the timeline shows a cell and its pulse beside each other
PULSE_US = 5
RESULT_FILE = "report.json"
PICTURE_FILE = "overview.png"
FILES = (PAGE_FILE, RESULT_FILE, PICTURE_FILE, "board", "events.jsonl", "timeline.csv")  # beside run, package and build


@dataclass(frozen=True)
class Sort:
    """What the host received (events, counters) and what the board itself saw (summary, timeline)."""

    events: list[dict[str, Any]]
    counters: dict[str, int]
    summary: dict[str, Any]
    gate: tuple[str, ...]


def run(out: Path, *, generated: bool, epochs: int | None, force: bool = False, quiet: bool = False) -> dict[str, Any]:
    """Run the demo, `force` in place of an earlier one; returns what is in `out/report.json`. Raises IcsortError.

    quiet: nothing of it on standard output, but on standard error.
    """
    work_folder(out, "demo", FILES, force)
    shell = Shell(sys.stderr if quiet else sys.stdout)
    run_folder, package, build_folder = out / "run", out / "package", out / "build"
    options = ["--generated"] * generated + (["--epochs", str(epochs)] if epochs else [])
    shell.icsort("train", "--out", run_folder, "--min-class", "10", *options)  # the rare phases of mitosis too
    shell.icsort("export", run_folder, "--out", package)
    shell.icsort("compile", package, "--out", build_folder)
    heldout = run_folder / "heldout.npz"
    simulated = json.loads(shell.icsort("simulate", build_folder, "--cells", heldout, "--json", show=False))
    shell.say(f"{simulated['logits_equal']} of {simulated['logits_compared']} logits: RTL = QONNX = FINN's graph")

    build = load_build(build_folder)
    cells = load_cells(heldout, build.manifest)
    stream = flow_past(build, cells)
    sort = sort_cells(shell, build, heldout, stream, out)
    result = figures(shell, build, cells, stream, simulated, sort)
    result["dataset_description"] = describe(json.loads((run_folder / "config.json").read_text()))
    truth = stream.truth(cells)
    page = demo_page.page(result, build, stream.pixels, truth, sort.events, out / "timeline.csv")
    write(out, page, RESULT_FILE, result)
    save(demo_page.overview(result, stream.pixels, truth, sort.events, out / "timeline.csv"), out / PICTURE_FILE)
    shell.say(table(result, out / PAGE_FILE))
    return result


def sort_cells(shell: Shell, build: Build, heldout: Path, stream: Flow, out: Path) -> Sort:
    """Start the virtual board and let the host's commands sort every cell of the stream."""
    port, events_file = out / "board", out / "events.jsonl"
    known = build.manifest.classes
    gate = next((classes for classes in GATES if set(classes) <= set(known)), known[:1])
    board = ("--port", port, "--model", build.folder)
    command = ["icsort", "board", str(build.folder), "--cells", str(heldout), "--port", str(port)]
    shell.note(f"{shlex.join(command)} &")
    with virtual_board(build, stream.lines, port) as running:
        shell.icsort("gate", "set", *gate, "--posterior", POSTERIOR, *board)
        count = len(stream.events)
        arm = ("--arm", "--drop-delay-us", DROP_DELAY_US, "--pulse-us", PULSE_US)
        shell.icsort("watch", *arm, "--count", count, "--out", events_file, *board)
        info = json.loads(shell.icsort("info", "--json", *board, show=False))
        outcome = running.stop()
        shutil.copy2(running.folder / "timeline.csv", out / "timeline.csv")
    return Sort(events_of(events_file), info["counters"], outcome.summary, gate)


def events_of(path: Path) -> list[dict[str, Any]]:
    """Events that `icsort watch` recorded, a sort that did not come with the outcome that its amendment tells."""
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    amended = {line["amended"]: line["outcome"] for line in lines if "amended" in line}
    events = [line for line in lines if "event" in line]
    return [event | {"outcome": amended.get(event["event"] % 2**24, event["outcome"])} for event in events]


def figures(
    shell: Shell, build: Build, cells: HeldOut, stream: Flow, simulated: dict[str, Any], sort: Sort
) -> dict[str, Any]:
    """Everything of `report.json`. The latencies are those that the host received from the board."""
    classes = build.manifest.classes
    truth = stream.truth(cells)
    wanted = np.isin(truth, [classes.index(name) for name in sort.gate])
    chosen = demo_page.was_sorted(sort.events)
    # Two wanted cells that follow each other closely share one longer pulse.
    pulses, came = len(sort.summary["sort_pulses"]), sort.counters["SORTED"]
    if pulses > came or (came and not pulses):
        raise IcsortError(
            f"the board made {pulses} sort pulses and counted {sort.counters['SORTED']}: please report this"
        )

    def cycles(key: str) -> dict[str, float]:
        values = np.array([event[key] for event in sort.events])
        return {"min": int(values.min()), "median": float(np.median(values)), "max": int(values.max())}

    return {
        "dataset": build.manifest.data.source,
        "cells": simulated["cells"],
        "classes": list(classes),
        "channels": list(build.manifest.channels),
        "logits_compared": simulated["logits_compared"],
        "logits_equal": simulated["logits_equal"],
        "features_compared": simulated["features_compared"],
        "features_equal": simulated["features_equal"],
        "accuracy": simulated["accuracy"],
        "balanced_accuracy": simulated["balanced_accuracy"],
        "latency_cycles_first_pixel_to_decision": cycles("first_pixel_to_decision_cycles"),
        "latency_cycles_last_pixel_to_decision": cycles("last_pixel_to_decision_cycles"),
        "cycles_per_cell": simulated["cycles_per_cell"],
        "clock_target_mhz": build.clock_mhz,
        "clock": build.clock_text,
        "false_triggers": simulated["false_triggers"],
        "events_sent": sort.summary["events"],
        "events_received_by_host": len(sort.events),
        "sorted": sort.counters["SORTED"],
        "not_sorted_by_cause": {
            outcome.name.lower(): sort.counters[outcome.name] for outcome in Outcome if outcome is not Outcome.SORTED
        },
        "gate": {
            "classes": list(sort.gate),
            "posterior": POSTERIOR,
            "drop_delay_us": DROP_DELAY_US,
            "pulse_us": PULSE_US,
        },
        "purity": float(wanted[chosen].mean()) if chosen.any() else None,
        "yield": float(chosen[wanted].mean()) if wanted.any() else None,
        "simulated_cycles_per_second": simulated["simulated_cycles_per_second"],
        "build_id": build.build_id,
        "model_id": build.manifest.model_id,
        "commands": shell.commands,
    }


def describe(configuration: dict[str, Any]) -> str:
    """One sentence on the cells, from the run's config.json."""
    total = sum(configuration["data"]["cells"].values())
    source = configuration["data"]["source"]
    kind = "generated cells" if source == "generated" else f"real cells ({source})"
    return (
        f"{total} {kind} of {len(configuration['classes'])} classes, in the channels "
        f"{', '.join(configuration['channels'])}; 80 % to train, 10 % to choose the epoch, "
        f"10 % held out and shown here (split seed {configuration['data']['split_seed']})."
    )


def table(result: dict[str, Any], page: Path) -> str:
    """The short table at the end."""
    clock = result["clock_target_mhz"]
    rows = [
        ("cells", f"{result['cells']} ({result['dataset']}, held out)"),
        ("logits equal", f"{result['logits_equal']} of {result['logits_compared']}"),
        ("features equal", f"{result['features_equal']} of {result['features_compared']}"),
        ("accuracy, balanced", f"{result['accuracy']:.3f}, {result['balanced_accuracy']:.3f}"),
    ]
    for name in ("first", "last"):
        cycles = result[f"latency_cycles_{name}_pixel_to_decision"]
        rows.append(
            (
                f"{name} pixel to decision",
                f"{cycles['median']:g} cycles, {cycles['median'] / clock:.2f} us (most: {cycles['max']})",
            )
        )
    causes = ", ".join(f"{name} {count}" for name, count in result["not_sorted_by_cause"].items() if count)
    rows += [
        ("cycles per cell", f"{result['cycles_per_cell']}, {clock * 1e6 / result['cycles_per_cell']:,.0f} cells/s"),
        ("clock", result["clock"]),
        ("false triggers", in_words(result["false_triggers"])),
        ("events received", f"{result['events_received_by_host']} of {result['events_sent']}"),
        ("sorted", f"{result['sorted']} (not: {causes or 'none'})"),
        ("purity, yield", f"{demo_page.share(result['purity'])}, {demo_page.share(result['yield'])}"),
        ("build", result["build_id"]),
        ("report", str(page)),
    ]
    return "\n" + "\n".join(f"{name:24} {value}" for name, value in rows)
