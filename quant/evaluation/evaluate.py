# SPDX-License-Identifier: Apache-2.0
"""A model package on labelled cells, with the package's own integer arithmetic from the raw line to the posterior.

Each cell goes through the bit-true trigger, window and preprocessing, the integer network (packaging.integer) and the
integer posterior of icsort.sim.bit_true.gate, exactly what the hardware computes of the same lines.
"""

import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import softmax

from icsort.errors import IcsortError
from icsort.formats.package import Manifest
from icsort.quant.acquire.choose import Constants, Cut, cut_cells
from icsort.quant.cells.find import Dataset, read_folder
from icsort.quant.cells.splits import split
from icsort.quant.evaluation import metrics, prevalence
from icsort.quant.evaluation.metrics import Decisions
from icsort.quant.packaging.integer import BATCH, IntegerNetwork
from icsort.quant.training.runs import HELDOUT_FILE, Run, load_run
from icsort.quant.training.temperature import fit_temperature
from icsort.sim.bit_true import gate
from icsort.sim.bit_true.event import Trigger

EVALUATION_FILE = "evaluation.json"
FORMAT = "icsort-evaluation"
VERSION = 1
CHUNK = 1024  # cells that are in memory as lines and windows at once
EMPTY_CELLS = 20_000  # from which the counts between cells are found, at most


@dataclass(frozen=True)
class Wanted:
    """What a package or a run takes: classes, channels by name, lines, trigger, and the cells it was trained on."""

    classes: tuple[str, ...]
    channels: tuple[str, ...]
    line_width: int
    trigger: Trigger
    data_hash: str
    split_seed: int

    @classmethod
    def by_package(cls, package: Manifest) -> "Wanted":
        data = package.data
        lines = package.line.width, package.event_trigger
        return cls(package.classes, package.channels, *lines, data.hash, data.split_seed)

    @classmethod
    def by_run(cls, run: Run) -> "Wanted":
        data = run.config["data"]
        names = tuple(run.config["classes"]), tuple(run.config["channels"])
        return cls(*names, run.constants.line_width, run.constants.trigger, data["hash"], data["split_seed"])


@dataclass(frozen=True)
class Cells:
    """Labelled cells in the network's channels and classes, and the counts (C,) of an empty pixel between them.

    part: which of the data's cells these are, in words.
    """

    dataset: Dataset
    background: tuple[int, ...]
    part: str


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
    group_by: str | None = None,
) -> Cells:
    """Cells for a package or run: a folder of labelled images, or the heldout.npz of a run.

    Channels are put in the wanted order by name, classes too; a class without cells here is left empty. Where the
    folder holds the very cells that the network was trained on, only their test part is taken. Raises IcsortError for
    channels that are missing, classes that the network does not know, or lines of another width.

    channels: names of those of class stacks, in order. merged: classes of a folder that count as one (name -> classes).
    group_by: see icsort.quant.cells.groups.
    """
    if path.is_file():
        dataset, background = _read_heldout(path)
        empty = tuple(background[i] for i in dataset.channel_order(wanted.channels))
        return Cells(align(dataset, wanted), empty, "held-out cells of a training run")
    every = read_folder(path, channels, group_by=group_by)
    if merged:
        every = every.with_merged_classes(merged)
    trained = align(_known(every, wanted.classes), wanted)
    if trained.sha256() != wanted.data_hash:
        dataset = align(every, wanted)
        words = "all of them; whether some were trained on cannot be told"
        return Cells(dataset, empty_pixel(dataset, wanted.trigger), words)
    part = split(trained.labels, trained.classes, wanted.split_seed, trained.groups)["test"]
    words = f"the test part (split seed {wanted.split_seed}); the network was trained on the others"
    return Cells(trained.subset(part), empty_pixel(trained, wanted.trigger), words)


def align(dataset: Dataset, wanted: Wanted) -> Dataset:
    """Channels and classes by name in the wanted order. Raises IcsortError as read_cells does."""
    unknown = [name for name in dataset.classes if name not in wanted.classes]
    if unknown:
        raise IcsortError(
            f"{dataset.origin}: the network does not know the class {unknown[0]}, only {', '.join(wanted.classes)}; "
            "rename it or take its cells out"
        )
    index = np.asarray([wanted.classes.index(name) for name in dataset.classes])
    cells = dataset.fitted_to(wanted.channels, wanted.line_width)
    return replace(cells, labels=index[dataset.labels], classes=wanted.classes)


def empty_pixel(dataset: Dataset, trigger: Trigger) -> tuple[int, ...]:
    """Counts (C,) of a pixel between cells: the median of the images' first and last lines, as training finds it.

    Images that are frames without a border would trigger with those lines too: between them nothing is seen.
    """
    cells = dataset.some(EMPTY_CELLS, seed=0)
    edges = np.concatenate([np.concatenate([image[:1], image[-1:]]) for image in cells.images])
    found = np.rint(np.median(edges, axis=(0, 1))).astype(np.int64)
    if found[trigger.channel] * trigger.width >= trigger.threshold:
        found[:] = 0
    return tuple(found.tolist())


def score(network: IntegerNetwork, cells: Cells) -> Scored:
    """Send all cells through the package. A tall cell that triggers again after its window keeps its first event."""
    constants = constants_of(network.manifest, cells.background)
    events, logits = [], []
    for begin, cut in cut_some(cells, constants):
        events.append(begin + cut.cells)
        logits.append(network.logits(constants.pixels(cut.windows)))
    found = Scored(np.concatenate(events), np.concatenate(logits))
    if not len(found.events):
        raise IcsortError(
            f"{cells.dataset.origin}: no cell triggers an event; these are not cells that the package's trigger was "
            "set for"
        )
    return found


def constants_of(package: Manifest, background_line: tuple[int, ...]) -> Constants:
    """The package's trigger, window and preprocessing as training has them."""
    numbers = package.preprocess
    return Constants(
        package.event_trigger, package.line.width, background_line, numbers.background, numbers.gain, numbers.shift
    )


def merge_classes(classes: Sequence[str], merged: Mapping[str, Sequence[str]]) -> Groups:
    """Groups for classes that count as one (name -> classes), in the order of their first class."""
    group = {member: name for name, members in merged.items() for member in members}
    unknown = sorted(set(group) - set(classes))
    if unknown:
        raise IcsortError(f"--merge names the class {unknown[0]}; the package has {', '.join(classes)}")
    new = [group.get(name, name) for name in classes]
    names = tuple(dict.fromkeys(new))
    return Groups(names, np.asarray([names.index(name) for name in new]))


def gate_decisions(package: Manifest, cells: Cells, scored: Scored, groups: Groups) -> Decisions:
    """Best class and posteriors as the hardware's gate computes them."""
    numbers = package.posterior
    masks = [sum(1 << int(c) for c in np.flatnonzero(groups.of == group)) for group in range(len(groups.names))]
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
    group_by: str | None = None,
    posterior: float = 0.9,
    sample: Mapping[str, float] | None = None,
) -> tuple[dict[str, Any], Decisions]:
    """Score a package on labelled cells (a folder, or a run's heldout.npz).

    merged: classes that count as one: of the data where the network was trained on them as one, else of the network.
    group_by: the rule with which the training's data was split, where it is not the data's own. runs: training runs,
    float or quantized, to lay beside on the same cells. posterior: least posterior of the gates whose promise is
    checked. sample: prevalence of classes in the sample to be sorted, where it is another than in the data (see
    icsort.quant.evaluation.prevalence). Returns the machine-readable report and the decisions that it counts.
    """
    network = IntegerNetwork(package_folder)
    package = network.manifest
    merged = merged or {}
    trained_as = {name: members for name, members in merged.items() if name in package.classes}
    groups = merge_classes(package.classes, {name: merged[name] for name in merged if name not in trained_as})
    cells = read_cells(data, Wanted.by_package(package), channels, trained_as, group_by)
    scored = score(network, cells)
    found = gate_decisions(package, cells, scored, groups)
    raw = float_decisions(cells, scored.events, scored.logits * package.logits.scale, 1.0, groups)
    report = {
        "format": FORMAT,
        "version": VERSION,
        "package": {"name": package.name, "model_id": package.model_id},
        "data": {
            "origin": cells.dataset.origin,
            "part": cells.part,
            "cells": len(cells.dataset.images),
            "channels": list(package.channels),
            "hash": cells.dataset.sha256(),
        },
        "merged": {name: list(members) for name, members in merged.items()},
        **metrics.summary(found),
        "calibration": {
            "temperature": package.logits.temperature,
            "error_before": metrics.calibration_error(raw),
            "error": metrics.calibration_error(found),
            "error_by_chance": metrics.chance_calibration_error(found),
            "bins": metrics.calibration_bins(found),
        },
        "gates": [metrics.gate_check(found, index, posterior) for index in (None, *range(len(found.names)))],
        "sample": prevalence.in_sample(found, sample, posterior) if sample else None,
        "comparison": [
            _row("integer, as in hardware", package.name, found),
            *(_row(*_run_decisions(run, cells, package, groups)) for run in runs),
        ],
    }
    return report, found


def _run_decisions(folder: Path, cells: Cells, package: Manifest, groups: Groups) -> tuple[str, str, Decisions]:
    """A training run's own network on the cells, with its own trigger and preprocessing and a fitted temperature."""
    run = load_run(folder)
    if tuple(run.config["classes"]) != package.classes or tuple(run.config["channels"]) != package.channels:
        raise IcsortError(f"{folder}: is a run of other classes or channels than the package; give a run of the same")
    events, logits = [], []
    for begin, cut in cut_some(cells, run.constants):
        pixels = torch.from_numpy(run.constants.pixels(cut.windows)).permute(0, 3, 1, 2)
        with torch.inference_mode():
            logits.append(torch.cat([run.model(part.float()) for part in torch.split(pixels, BATCH)]).numpy())
        events.append(begin + cut.cells)
    temperature = fit_temperature(run.validation_logits, run.validation_labels)
    found = float_decisions(cells, np.concatenate(events), np.concatenate(logits), temperature, groups)
    return run.config["model"], run.name, found


def _row(arithmetic: str, name: str, found: Decisions) -> dict[str, Any]:
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


def cut_some(cells: Cells, constants: Constants) -> Iterator[tuple[int, Cut]]:
    """Windows of the cells, some at a time, with the index of the first cell of each time."""
    for begin in range(0, len(cells.dataset.images), CHUNK):
        yield begin, cut_cells(cells.dataset.images[begin : begin + CHUNK], constants)


def _read_heldout(path: Path) -> tuple[Dataset, tuple[int, ...]]:
    try:
        with np.load(path, allow_pickle=False) as stored:
            images, labels, classes, channels, background = (
                stored[name] for name in ("images", "labels", "classes", "channels", "background")
            )
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise IcsortError(
            f"{path}: is not the {HELDOUT_FILE} of a training run ({error}); give that or a folder"
        ) from None
    names = tuple(map(str, classes))
    dataset = Dataset(path.stem, str(path), tuple(images), labels, names, tuple(map(str, channels)))
    return dataset, tuple(int(value) for value in background)


def _known(dataset: Dataset, classes: Sequence[str]) -> Dataset:
    """Without the classes that the network does not know: training leaves small ones out."""
    kept = tuple(name for name in dataset.classes if name in classes)
    if kept in ((), dataset.classes):
        return dataset
    position = np.asarray([kept.index(name) if name in kept else -1 for name in dataset.classes])
    cells = dataset.subset(np.flatnonzero(position[dataset.labels] >= 0))
    return replace(cells, labels=position[cells.labels], classes=kept)
