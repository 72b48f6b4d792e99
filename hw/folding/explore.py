# SPDX-License-Identifier: Apache-2.0
"""What networks would reach on boards: latency, rate and resources, folded for latency and, beside it, as FINN folds.

Nothing is generated or simulated: cycles and resources are those of the models (folding.cycles, folding.resources).
FINN's own folding for the same rate is placed on our kernels, so that the difference is the folding's alone; and ours
is also given no more than what FINN's takes.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from matplotlib.figure import Figure

from icsort.errors import IcsortError
from icsort.formats import package as manifest
from icsort.formats.board import Board, load_board
from icsort.formats.fill import RESOURCES, Fill, share_of
from icsort.hw.compile import front_end
from icsort.hw.folding import cycles, optimizer
from icsort.hw.folding import folding as fold
from icsort.report.figures import logarithmic, save

FORMAT = "icsort-explore"
VERSION = 1
RESULT_FILE = "explore.json"
PICTURE_FILE = "explore.png"
OURS, ALL_IN, EQUAL, FINN = "latency", "latency, all in", "latency, with what FINN's takes", "FINN's throughput"


@dataclass(frozen=True)
class Point:
    """One network on one board, folded for a rate.

    folding: OURS (to the knee), ALL_IN (where the board is a limit), EQUAL or FINN. wait_cycles, wait_us: from the last
    pixel to the logits. line_rate_us: from the first pixel to the logits, at the instrument's own line rate
    (cycles.at_line_rate). cells_per_s: what it keeps up with; keeps_rate: whether that is the rate asked for.
    resources: LUT, DSP, BRAM_18K, URAM. fits: whether the board's share has them. accuracy: of the package, on held-out
    cells, None where it has not seen any.
    """

    network: str
    board: str
    folding: str
    wait_cycles: int
    wait_us: float
    line_rate_us: float
    cells_per_s: float
    keeps_rate: bool
    resources: dict[str, int]
    fits: bool
    accuracy: float | None


@dataclass(frozen=True)
class Exploration:
    """Points found within the shares `fill` of the boards, and why there is none: (network, board, reason)."""

    fill: Fill
    points: list[Point]
    refused: list[tuple[str, str, str]]

    def write(self, folder: Path) -> None:
        """explore.json and explore.png, into a folder that is there."""
        data = {"format": FORMAT, "version": VERSION, **asdict(self)}
        (folder / RESULT_FILE).write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")
        draw(self.points, folder / PICTURE_FILE)


def explore(
    packages: Sequence[Path],
    boards: Sequence[str],
    rates: Sequence[float | None],
    progress: Callable[[str], None] = lambda _: None,
    fill: Fill = 1.0,
) -> Exploration:
    """Fold each network for each board and rate. rates: cells a second; None: a pixel each cycle.

    fill: shares of the board that a network may take.
    A rate or budget that cannot be kept is no error but a line of `refused`. Raises IcsortError for a package or board
    that is none, and a network that is not covered.
    """
    points: list[Point] = []
    refused: list[tuple[str, str, str]] = []
    descriptions = [load_board(board) for board in boards]
    models = [manifest.load(package) for package in packages]
    for package, model in zip(packages, models, strict=True):
        progress(model.name)
        hardware = front_end(package, model, 1, None, progress).model
        graph = cycles.read(hardware)
        scores = model.accuracy
        inventories: dict[tuple[str, bool], optimizer.Inventory] = {}  # what boards and rates share
        accuracy = scores.accuracy if scores is not None and scores.cells else None
        for board in descriptions:
            for rate in rates:
                progress(f"{model.name} on {board.name} at {'full rate' if rate is None else f'{rate:g} cells/s'}")
                try:
                    target = optimizer.target(board, graph, rate, None, fill)
                    inventory = _inventory(inventories, graph, target)
                    throughput = fold.complete(
                        graph,
                        fold.finn_throughput(hardware, board.part, target.frame_cycles),
                        target.line_cycles,
                    )
                    asked = target.frame_cycles
                    finn = _point(inventory, board, target, throughput, (model.name, FINN, accuracy), fill, asked)
                    points.append(finn)
                    equal = replace(  # no UltraRAM: deep FIFOs would take it whatever the folding
                        target,
                        budget={**finn.resources, "URAM": 0},
                        limited=True,
                        fill=1.0,
                        all_in=True,
                        frame_cycles=max(
                            target.frame_cycles, cycles.predict(graph, throughput, target.line_cycles).interval
                        ),
                    )
                    found, _ = optimizer.foldings(inventory, target)
                    kinds = dict(zip((OURS, ALL_IN), reversed(found), strict=False))  # one where nothing is a limit
                    dry = _inventory(inventories, graph, equal)
                    kinds[EQUAL] = optimizer.foldings(dry, equal)[0][0]
                    for kind, chosen in kinds.items():
                        goal, placed = (equal, dry) if kind == EQUAL else (target, inventory)
                        what = model.name, kind, accuracy
                        points.append(_point(placed, board, goal, chosen, what, fill, asked))
                except IcsortError as reason:
                    refused.append((model.name, board.name, str(reason)))
    return Exploration(fill, points, refused)


def _inventory(
    known: dict[tuple[str, bool], optimizer.Inventory], graph: cycles.Graph, target: optimizer.Target
) -> optimizer.Inventory:
    """Of a target, that of an earlier one where there was one like it."""
    key = target.family, target.ultra
    if key not in known:
        known[key] = optimizer.Inventory(graph, *key)
    return known[key]


def _point(
    inventory: optimizer.Inventory,
    board: Board,
    target: optimizer.Target,
    folding: fold.Folding,
    what: tuple[str, str, float | None],
    fill: Fill,
    asked: int,
) -> Point:
    prediction = cycles.predict(inventory.graph, folding, target.line_cycles)
    total = inventory.total(folding)
    clock = board.clock_mhz
    return Point(
        network=what[0],
        board=board.name,
        folding=what[1],
        wait_cycles=prediction.after_last_pixel,
        wait_us=prediction.after_last_pixel / clock,
        line_rate_us=cycles.at_line_rate(inventory.graph, folding, clock) / clock,
        cells_per_s=clock * 1e6 / prediction.interval,
        keeps_rate=prediction.interval <= asked,
        resources={key: round(amount) for key, amount in zip(RESOURCES, total, strict=True)},
        fits=all(
            amount <= share_of(fill, key) * board.budget.get(key, 0)
            for key, amount in zip(RESOURCES, total, strict=True)
        ),
        accuracy=what[2],
    )


def draw(points: Sequence[Point], path: Path) -> None:
    """A picture: the wait over the rate and over the LUTs, a colour a network and board, FINN's folding hollow, ours
    with the same resources half full, all in full below."""
    figure = Figure(figsize=(11, 4.5), layout="constrained")
    axes = figure.subplots(1, 2, sharey=True)
    names = sorted({(point.network, point.board) for point in points})
    for color, name in enumerate(names):
        for folding, fill in ((OURS, "full"), (ALL_IN, "bottom"), (EQUAL, "left"), (FINN, "none")):
            mine = sorted(
                (point for point in points if (point.network, point.board, point.folding) == (*name, folding)),
                key=lambda point: point.cells_per_s,
            )
            label = f"{name[0]} on {name[1]}, folded for {folding}"
            for axis, across in zip(
                axes, ([p.cells_per_s for p in mine], [p.resources["LUT"] for p in mine]), strict=True
            ):
                waits = [point.wait_us for point in mine]
                axis.plot(across, waits, "o-", color=f"C{color}", fillstyle=fill, label=label, linewidth=0.8)
    for axis, title in zip(axes, ("cells/s", "LUT"), strict=True):
        axis.set(xlabel=title)
        logarithmic(axis, "x", "y")
        axis.grid(visible=True, which="both", alpha=0.3)
    axes[0].set_ylabel("last pixel to logits, us (predicted)")
    if names:
        axes[1].legend(fontsize="x-small")
    save(figure, path)
