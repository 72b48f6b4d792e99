# SPDX-License-Identifier: Apache-2.0
"""A model package on labelled cells, with the package's own integer arithmetic from the raw line to the posterior.

Each cell goes through the bit-true trigger, window and preprocessing, the integer network (formats.integer) and the
integer posterior of icsort.sim.bit_true.gate, exactly what the hardware computes of the same lines.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import softmax

from icsort.errors import IcsortError
from icsort.formats import heldout
from icsort.formats.acquisition import Acquisition
from icsort.formats.background import Background
from icsort.formats.gate import index_mask
from icsort.formats.heldout import HELDOUT_FILE
from icsort.formats.integer import BATCH, IntegerNetwork
from icsort.formats.package import Manifest
from icsort.formats.run import RunConfig
from icsort.quant.acquire.choose import measure_background
from icsort.quant.acquire.cut import Cut, cut_cells
from icsort.quant.cells.counts import Digitization
from icsort.quant.cells.find import Dataset, read_folder
from icsort.quant.evaluation import metrics, prevalence
from icsort.quant.evaluation.metrics import Decisions
from icsort.quant.training.runs import Run, load_run
from icsort.quant.training.seen import SEEN_FILE, Seen, read_seen
from icsort.quant.training.temperature import remark
from icsort.sim.bit_true import gate

EVALUATION_FILE = "evaluation.json"
FORMAT = "icsort-evaluation"
VERSION = 1
CHUNK = 1024  # cells that are in memory as lines and windows at once
EMPTY_CELLS = 20_000  # from which the counts between cells are found, at most


@dataclass(frozen=True)
class Wanted:
    """What a package or a run takes: classes, channels by name, lines and trigger, the cells it has seen, and how these
    were digitized where they were floating-point numbers."""

    classes: tuple[str, ...]
    channels: tuple[str, ...]
    acquisition: Acquisition
    seen: Seen
    digitization: Digitization | None

    @classmethod
    def by_package(cls, package: Manifest, folder: Path) -> "Wanted":
        """Raises IcsortError for a package of values, which has no classes."""
        refuse_values(package, folder)
        cells = package.data.cells
        seen = Seen() if cells is None else read_seen(folder / SEEN_FILE, cells)
        return cls(package.classes, package.channels, package, seen, Digitization.of(package.data.digitization))

    @classmethod
    def by_run(cls, run: Run) -> "Wanted":
        """Raises IcsortError for a run of values, which has no classes."""
        config = run.config
        refuse_values(config, Path(run.name))
        return cls(config.classes, config.channels, config, run.seen, Digitization.of(config.data.digitization))


def refuse_values(outputs: Manifest | RunConfig, folder: Path) -> None:
    """Raise IcsortError where a network predicts values: what asks for classes cannot judge it."""
    if outputs.values:
        raise IcsortError(
            f"{folder}: predicts {', '.join(outputs.classes)}, no classes; the report of `icsort stain` says how well"
        )


@dataclass(frozen=True)
class Cells:
    """Labelled cells in the network's channels and classes, and the lines between them.

    part: which of the data's cells these are, in words. left_out: cells that the network was trained on, and that chose
    its epoch: they are not among them.
    """

    dataset: Dataset
    background: Background
    part: str
    left_out: Mapping[str, int]


@dataclass(frozen=True)
class Groups:
    """Classes that count as one: `names` of the groups, `of` (K,) the group of each class of the package."""

    names: tuple[str, ...]
    of: NDArray[np.int64]


@dataclass(frozen=True)
class Scored:
    """What the package said: `events` (E,) index of the cells that triggered, their integer logits (E, K)."""

    events: NDArray[np.int64]
    logits: NDArray[np.int64]


def read_cells(
    path: Path,
    wanted: Wanted,
    channels: Sequence[str] | None = None,
    merged: Mapping[str, Sequence[str]] | None = None,
    digitization: Digitization | None = None,
) -> Cells:
    """Cells for a package or run: of a folder of labelled images, or of the heldout.npz of a run; see `unseen`.

    channels, digitization: as in cells.find.read_pieces; without a digitization, that of the cells that it was trained
    on. merged: classes of a folder that count as one (name -> classes).
    """
    if path.is_file():
        dataset, background = _read_heldout(path)
        lines = Background(background.lines[..., dataset.channel_order(wanted.channels)])
        # of a run: lines as a sorter is given them
        as_offered = replace(dataset.with_channels(wanted.channels), preparation=wanted.acquisition.preparation)
        return unseen(as_offered, wanted, lines)
    dataset = read_folder(path, channels, digitization or wanted.digitization)
    return unseen(dataset.with_merged_classes(merged) if merged else dataset, wanted)


def unseen(dataset: Dataset, wanted: Wanted, background: Background | None = None) -> Cells:
    """The cells that the network has not seen in its training, whatever they are called now.

    Channels are put in the wanted order by name, classes too; a class without cells here is left empty. background: the
    lines between cells, found in the images where None. Raises IcsortError for channels that are missing, classes
    that the network does not know (but for those that its own training left out), lines of another width, and where
    no cell is left.
    """
    dataset = replace(dataset, known_identities=dataset.identities)
    taught, chose = (np.isin(dataset.identities, cells) for cells in (wanted.seen.taught, wanted.seen.validation))
    chose &= ~taught
    seen = taught | chose
    small = _classes_left_out(dataset, wanted.classes, seen)
    if small:
        known = np.isin(dataset.labels, small, invert=True)
        dataset, seen, taught, chose = _known(dataset, wanted.classes), seen[known], taught[known], chose[known]
    every = align(dataset, wanted)
    if seen.all():
        raise IcsortError(
            f"{dataset.origin}: the network has seen all {len(seen)} cells in its training; give others, or the "
            f"{HELDOUT_FILE} of its run"
        )
    left_out = {"trained_on": int(taught.sum()), "validation": int(chose.sum())}
    if seen.any():
        words = (
            f"those that the network has not seen; left out: {left_out['trained_on']} that it was trained on, "
            f"{left_out['validation']} that chose its epoch"
        )
    elif len(wanted.seen.taught):
        words = "all of them; the network was trained on none"
    else:
        words = "all of them; the package names no cells that it was trained on"
    if small:
        words += f"; {(~known).sum()} of classes that its training left out, too"
    return Cells(
        every.subset(np.flatnonzero(~seen)), background or background_of(every, wanted.acquisition), words, left_out
    )


def align(dataset: Dataset, wanted: Wanted) -> Dataset:
    """Channels and classes by name in the wanted order. Raises IcsortError as read_cells does."""
    unknown = [name for name in dataset.classes if name not in wanted.classes]
    if unknown:
        raise IcsortError(
            f"{dataset.origin}: the network does not know the class {unknown[0]}, only {', '.join(wanted.classes)}; "
            "rename it or take its cells out"
        )
    index = np.asarray([wanted.classes.index(name) for name in dataset.classes])
    taken = wanted.acquisition
    cells = dataset.fitted_to(wanted.channels, taken.line.width, taken.preparation)
    return replace(cells, labels=index[dataset.labels], classes=wanted.classes)


def background_of(dataset: Dataset, acquisition: Acquisition) -> Background:
    """The lines between the cells of a folder, from the edges of its images."""
    return measure_background(list(dataset.some(EMPTY_CELLS, seed=0).images), acquisition)[0]


def score(network: IntegerNetwork, cells: Cells) -> Scored:
    """Send all cells through the package. A cell that triggers more than once keeps its first event."""
    package = network.manifest
    events, logits = [], []
    for begin, cut in cut_some(cells, package):
        events.append(begin + cut.cells)
        logits.append(network.logits(package.pixels(cut.windows)))
    found = Scored(np.concatenate(events), np.concatenate(logits))
    if not len(found.events):
        raise IcsortError(
            f"{cells.dataset.origin}: no cell triggers an event; these are not cells that the package's trigger was "
            "set for"
        )
    return found


def merge_classes(classes: Sequence[str], merged: Mapping[str, Sequence[str]]) -> Groups:
    """Groups for classes that count as one (name -> classes), in the order of their first class."""
    group = {member: name for name, members in merged.items() for member in members}
    unknown = sorted(set(group) - set(classes))
    if unknown:
        raise IcsortError(f"--merge names the class {unknown[0]}; the package has {', '.join(classes)}")
    new = [group.get(name, name) for name in classes]
    names = tuple(dict.fromkeys(new))
    return Groups(names, np.asarray([names.index(name) for name in new]))


def groups_of(classes: Sequence[str], merged: Mapping[str, Sequence[str]]) -> tuple[dict[str, Sequence[str]], Groups]:
    """What of `merged` the network of these classes was trained on as one class, and groups for the rest."""
    trained_as = {name: members for name, members in merged.items() if name in classes}
    return trained_as, merge_classes(classes, {name: merged[name] for name in merged if name not in trained_as})


def gate_decisions(package: Manifest, cells: Cells, scored: Scored, groups: Groups) -> Decisions:
    """Best class and posteriors as the hardware's gate computes them."""
    numbers = package.posterior
    masks = [index_mask(np.flatnonzero(groups.of == group)) for group in range(len(groups.names))]
    decided = [gate.decide(scored.logits, mask, 0, numbers.multiplier, numbers.shift) for mask in masks]
    posterior = np.stack([of_group for _, _, of_group in decided], axis=1) / gate.POSTERIOR_ONE
    return _decisions(cells, scored.events, decided[0][1], posterior, groups)


def float_decisions(
    cells: Cells, events: NDArray[np.int64], logits: NDArray[np.floating], temperature: float, groups: Groups
) -> Decisions:
    """Best class and softmax(logits / temperature) of logits (E, K)."""
    probability = softmax(logits.astype(np.float64) / temperature, axis=1)
    posterior = np.stack([probability[:, groups.of == group].sum(axis=1) for group in range(len(groups.names))], axis=1)
    return _decisions(cells, events, logits.argmax(axis=1), posterior, groups)


def evaluate(
    package_folder: Path,
    data: Path,
    *,
    channels: Sequence[str] | None = None,
    merged: Mapping[str, Sequence[str]] | None = None,
    runs: Sequence[Path] = (),
    posterior: float = 0.9,
    sample: Mapping[str, float] | None = None,
    digitization: Digitization | None = None,
) -> tuple[dict[str, Any], Decisions]:
    """Score a package on labelled cells (a folder, or a run's heldout.npz).

    channels, digitization: as in cells.find.read_pieces.
    merged: classes that count as one: of the data where the network was trained on them as one, else of the network.
    runs: training runs, float or quantized, to lay beside on the same cells. posterior: least posterior of the gates
    whose promise is checked. sample: prevalence of classes in the sample to be sorted, where it is another than in the
    data (see icsort.quant.evaluation.prevalence). Returns the machine-readable report and the decisions that it counts.
    """
    network = IntegerNetwork(package_folder)
    package = network.manifest
    merged = merged or {}
    trained_as, groups = groups_of(package.classes, merged)
    cells = read_cells(data, Wanted.by_package(package, package_folder), channels, trained_as, digitization)
    scored = score(network, cells)
    found = gate_decisions(package, cells, scored, groups)
    raw = float_decisions(cells, scored.events, scored.logits * package.logits.scale, 1.0, groups)
    comparison = [
        row("integer, as in hardware", package.name, found),
        *(row(*run_decisions(run, cells, package.classes, package.channels, groups)) for run in runs),
    ]
    data_row = {
        "origin": cells.dataset.origin,
        "part": cells.part,
        "left_out": dict(cells.left_out),
        "cells": len(cells.dataset.images),
        "channels": list(package.channels),
        "hash": cells.dataset.sha256(),
    }
    subject = {"name": package.name, "model_id": package.model_id}
    return figures(
        subject, data_row, merged, found, raw, [package.logits.temperature], posterior, sample, comparison
    ), found


def figures(
    subject: Mapping[str, str],
    data: Mapping[str, Any],
    merged: Mapping[str, Sequence[str]],
    found: Decisions,
    raw: Decisions,
    temperatures: Sequence[float],
    posterior: float,
    sample: Mapping[str, float] | None,
    comparison: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """The machine-readable report of decisions, `raw` those without the temperature; of folds, each has its own."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "package": dict(subject),
        "data": dict(data),
        "merged": {name: list(members) for name, members in merged.items()},
        **metrics.summary(found),
        "calibration": {
            "temperature": float(np.mean(temperatures)),
            "remark": next(filter(None, map(remark, temperatures)), None),
            "error_before": metrics.calibration_error(raw),
            "error": metrics.calibration_error(found),
            "error_by_chance": metrics.chance_calibration_error(found),
            "bins": metrics.calibration_bins(found),
        },
        "gates": [metrics.gate_check(found, index, posterior) for index in (None, *range(len(found.names)))],
        "sample": prevalence.in_sample(found, sample, posterior) if sample else None,
        "comparison": list(comparison),
    }


def run_decisions(
    folder: Path,
    cells: Cells,
    classes: tuple[str, ...],
    channels: tuple[str, ...],
    groups: Groups,
    temperature: float | None = None,
) -> tuple[str, str, Decisions]:
    """A training run's own network on the cells, with its own trigger and preprocessing; a fitted temperature if None.

    Returns the network's title, the run's name, and the decisions.
    """
    run = load_run(folder)
    if run.config.classes != classes or run.config.channels != channels:
        raise IcsortError(f"{folder}: is a run of other classes or channels than the package; give a run of the same")
    if run.config.preparation != cells.dataset.preparation:
        raise IcsortError(
            f"{folder}: its images are {run.config.preparation.in_words}, the package's "
            f"{cells.dataset.preparation.in_words} (or by other cells' quantiles); give a run of the same"
        )
    events, logits = [], []
    for begin, cut in cut_some(cells, run.config):
        pixels = torch.from_numpy(run.config.pixels(cut.windows)).permute(0, 3, 1, 2)
        with torch.inference_mode():
            logits.append(torch.cat([run.model(part.float()) for part in torch.split(pixels, BATCH)]).numpy())
        events.append(begin + cut.cells)
    if temperature is None:
        temperature = run.temperature
    found = float_decisions(cells, np.concatenate(events), np.concatenate(logits), temperature, groups)
    return run.config.model, run.name, found


def row(arithmetic: str, name: str, found: Decisions) -> dict[str, Any]:
    scores = metrics.summary(found)
    return {
        "arithmetic": arithmetic,
        "name": name,
        **{key: scores[key] for key in ("cells", "not_triggered", "accuracy", "balanced_accuracy")},
        "calibration_error": metrics.calibration_error(found),
    }


def _decisions(
    cells: Cells, events: NDArray[np.int64], best: NDArray[np.int64], posterior: NDArray[np.float64], groups: Groups
) -> Decisions:
    truth = groups.of[cells.dataset.labels]
    missed = np.bincount(np.delete(truth, events), minlength=len(groups.names))
    return Decisions(groups.names, truth[events], groups.of[best], posterior, missed)


def cut_some(cells: Cells, acquisition: Acquisition) -> Iterator[tuple[int, Cut]]:
    """Windows of the cells, some at a time, with the index of the first cell of each time."""
    for begin in range(0, len(cells.dataset.images), CHUNK):
        yield begin, cut_cells(cells.dataset.images[begin : begin + CHUNK], acquisition, cells.background)


def _read_heldout(path: Path) -> tuple[Dataset, Background]:
    cells = heldout.load(path)
    if (cells.labels < 0).any():
        raise IcsortError(f"{path}: {(cells.labels < 0).sum()} of its cells have no label; give labelled cells")
    names = cells.classes, cells.channels
    dataset = Dataset(path.stem, str(path), cells.images, cells.labels, *names, known_identities=cells.identities)
    return dataset, cells.background


def _classes_left_out(dataset: Dataset, classes: Sequence[str], seen: NDArray[np.bool_]) -> list[int]:
    """Which classes of a training's own data its network does not know, since they were too small."""
    unknown = [label for label, name in enumerate(dataset.classes) if name not in classes]
    return unknown if seen.any() and not seen[np.isin(dataset.labels, unknown)].any() else []


def _known(dataset: Dataset, classes: Sequence[str]) -> Dataset:
    """Without the classes that the network does not know: training leaves small ones out."""
    kept = tuple(name for name in dataset.classes if name in classes)
    if kept in ((), dataset.classes):
        return dataset
    position = np.asarray([kept.index(name) if name in kept else -1 for name in dataset.classes])
    cells = dataset.subset(np.flatnonzero(position[dataset.labels] >= 0))
    return replace(cells, labels=position[cells.labels], classes=kept)
