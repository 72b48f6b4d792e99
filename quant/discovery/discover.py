# SPDX-License-Identifier: Apache-2.0
"""Phenotypes that nobody has labelled: clusters of cells, and a network that sorts by them.

Features of the cells give the first clusters; networks of several seeds learn and renew them until they settle, and
the seed that agrees best with the others is kept. What lies far from every cluster may become a class of its own. The
last training is an ordinary one (quant.training) whose labels are the clusters, so that its package compiles and its
gates sort like any other. Labels that the data has are looked at once, at the end, to say how well clusters match them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from sklearn.metrics import adjusted_mutual_info_score, adjusted_rand_score

from icsort.errors import IcsortError
from icsort.formats.integer import IntegerNetwork
from icsort.jobs import HERE, Pool
from icsort.quant.acquire.choose import choose_setup
from icsort.quant.acquire.restore import restored_setup
from icsort.quant.cells.counts import Digitization
from icsort.quant.cells.dataset import Dataset, concatenate
from icsort.quant.cells.find import read_pieces
from icsort.quant.cells.readers.shards import write_shards
from icsort.quant.cells.splits import MIN_CELLS_PER_CLASS, PARTS, TEST, split
from icsort.quant.discovery.clusters import (
    Labels,
    agreement,
    check_sizes,
    distances,
    divergence,
    k_means,
    pixels_baseline,
    portions,
    silhouettes,
)
from icsort.quant.discovery.features import CellFeatures, cell_features
from icsort.quant.discovery.order import order, order_report, root_cells
from icsort.quant.discovery.self_label import ROUND, SelfLabels, self_label
from icsort.quant.evaluation.classify import classified
from icsort.quant.evaluation.explain import embed
from icsort.quant.networks.architectures import Architecture
from icsort.quant.packaging.export import export_package
from icsort.quant.training.recipe import Recipe
from icsort.quant.training.samples import Samples, make_samples
from icsort.quant.training.train import SETUP_CELLS, train_run

DISCOVERY_FILE = "discovery.json"
TABLE_FILE = "clusters.csv"
CELLS_FOLDER, RUN_FOLDER, PACKAGE_FOLDER = "cells", "run", "package"
FORMAT = "icsort-discovery"
VERSION = 1
COUNT = 20_000  # cells that are looked at, at most
MOST_CLUSTERS = 10  # that the silhouette is asked about
REPEATS = 5
MAPPED = 2000  # cells of the map, at most
MIN_GROUPS = len(PARTS)  # in which a class must lie so that no group falls on two sides of the split
SAME = 0.9  # adjusted mutual information from which on clusters are the groups under another name
OUTLIER = "outlier"


@dataclass(frozen=True)
class Plan:
    """How clusters are looked for.

    clusters: how many; None: by the silhouette. seeds: whole repeats, of which the most central is kept. rounds: of
    self-labelling, at most. outliers: share of the cells, the furthest from all clusters, that become a class.
    architecture, recipe: of the last training; the rounds' networks are like it, in floating point. sort_by: channels
    that the last network sees, where those that clusters are found by are more (a stain, say). root:
    where an order of the cells begins, a group, class or feature; None: no order. order_by: channels that it is made
    from, all without. phases: classes in the order that it is compared with. window, height: as for `train_run`.

    Raises IcsortError for numbers that make no clusters.
    """

    clusters: int | None = None
    seeds: int = 5
    rounds: int = 4
    outliers: float = 0.0
    architecture: Architecture = field(default_factory=Architecture)
    recipe: Recipe = field(default_factory=Recipe)
    sort_by: tuple[str, ...] = ()
    root: str | None = None
    order_by: tuple[str, ...] = ()
    phases: tuple[str, ...] = ()
    window: str = "trigger"
    height: int | None = None

    def __post_init__(self) -> None:
        if self.clusters is not None and self.clusters < 2:
            raise IcsortError(f"--clusters {self.clusters}: one cluster tells nothing apart; give 2 or more")
        if not 0 <= self.outliers < 0.5:
            raise IcsortError(f"--outliers {self.outliers:g}: give a share from 0 to below 0.5, such as 0.02")
        if self.root is None and (self.order_by or self.phases):
            raise IcsortError(
                f"--{'order-by' if self.order_by else 'phases'} is of an order of the cells; give its --root as well"
            )
        if self.seeds < 1 or self.rounds < 0:
            raise IcsortError(
                f"{self.seeds} seeds of {self.rounds} rounds: give at least 1 seed and no negative rounds"
            )


@dataclass(frozen=True)
class Discovery:
    """What the page is drawn from, beside the report: of the N cells that triggered, pixels (N, H, W, C) uint8, labels
    (N,) index into `classes`, distances (N,), where the mapped ones (M,) lie (M, 2), and the place (N,) of each in the
    order, None without one."""

    pixels: NDArray[np.uint8]
    labels: Labels
    classes: tuple[str, ...]
    distances: NDArray[np.float64]
    mapped: NDArray[np.int64]
    places: NDArray[np.float64]
    order: NDArray[np.float64] | None = None


def read_cells(
    data: Path,
    channels: Sequence[str] | None = None,
    digitization: Digitization | None = None,
    group_by: str | None = None,
    count: int = COUNT,
    seed: int = 0,
) -> Dataset:
    """At most `count` cells of a folder, labelled or not, drawn with the seed; the rest as for cells.find.read_pieces.

    channels: of those that the data names, the ones to take; else names for all of them. Raises IcsortError for a
    folder without cells.
    """
    try:
        pieces = read_pieces(data, None, digitization, group_by, size=None, labelled=False)
        cells = concatenate(pieces)
    except ValueError:
        raise IcsortError(f"{data}: holds no cells; give a folder with cell images") from None
    if channels is not None:
        if set(channels) <= set(cells.channels):
            cells = cells.with_channels(tuple(channels))
        else:
            cells = concatenate(read_pieces(data, channels, digitization, group_by, size=None, labelled=False))
    return cells.some(count, seed)


def discover(
    dataset: Dataset,
    folder: Path,
    plan: Plan | None = None,
    *,
    seed: int = 0,
    pool: Pool = HERE,
    progress: Callable[[str], None] = lambda _: None,
) -> tuple[dict[str, Any], Discovery]:
    """Find clusters and write cells, table, run and package into an existing folder. Returns report and pictures.

    dataset: labels are optional, and used for the score at the end alone; groups are conditions that are compared, and
    are kept on one side of the last training's split where clusters allow. pool: where the seeds' searches run; those
    of another pool than this process see `folder`. progress: is told what is done. Raises IcsortError for too few
    cells, images that are all alike, clusters too small to learn, and as `train_run` does.
    """
    plan = plan or Plan()
    torch.set_num_threads(1)
    progress("features of the cells")
    samples, cells = _cut(dataset, plan, folder, seed)
    features = cell_features(cells.images, cells.channels, folder)
    place, ordered = _ordered(cells, features, plan, folder, seed)
    curve = _curve(features, plan, seed)
    clusters = plan.clusters or max(curve, key=lambda entry: entry["silhouette"])["clusters"]
    firsts = [_first(features, clusters, seed + number) for number in range(plan.seeds)]
    if plan.rounds:
        members = _searched(dataset, samples, firsts, plan, seed, folder, pool, progress)
    else:
        members = [SelfLabels(first, features.rings, ()) for first in firsts]
    rand = agreement([member.labels for member in members])
    kept = members[int(rand.mean(axis=1).argmax())]
    found = _by_size(kept.labels)
    far = distances(kept.features, found)
    labels, classes = _with_outliers(found, far, plan.outliers)
    mapped = np.sort(np.random.default_rng(seed).permutation(len(labels))[:MAPPED])
    progress("map of the cells")
    places = embed(kept.features[mapped], seed)
    labelled = replace(cells, labels=labels, classes=classes)
    groups = _conditions(labelled, features)
    trained = labelled if groups is None or groups["split"] else replace(labelled, groups=None)
    if plan.sort_by:
        trained = trained.with_channels(plan.sort_by)
    progress("training of the network that sorts")
    parts = split(trained.labels, classes, seed, trained.groups, trained.identities)
    metrics = train_run(
        trained, folder / RUN_FOLDER, plan.recipe, plan.architecture, parts=parts, seed=seed, height=plan.height,
        window=plan.window, device="cpu", progress=False,
    )  # fmt: skip
    package = plan.architecture.weight_bits is not None
    if package:
        export_package(folder / RUN_FOLDER, folder / PACKAGE_FOLDER, "discovered")
    write_shards(folder / CELLS_FOLDER, [labelled])
    _write_table(folder / TABLE_FILE, cells, labels, classes, far, place)
    tested = cells.subset(parts[PARTS[TEST]])
    report = {
        "format": FORMAT,
        "version": VERSION,
        "data": {
            "origin": dataset.origin,
            "hash": dataset.sha256(),
            "cells": len(dataset.images),
            "not_triggered": len(dataset.images) - len(cells.images),
            "channels": list(dataset.channels),
            "noise": dict(zip(dataset.channels, features.noise.tolist(), strict=True)),
        },
        "seed": seed,
        "chosen_by": "silhouette" if plan.clusters is None else "--clusters",
        "silhouettes": curve,
        "clusters": _cluster_entries(features, labels, classes),
        "divergence": _between(features, labels, len(classes)),
        "rounds": [list(member.rounds) for member in members],
        "settled": sum(member.settled for member in members),
        "stability": {"seeds": plan.seeds, "rand": rand.tolist(), "mean": _mean_of_pairs(rand)},
        "conditions": groups,
        "order": ordered,
        "network": {
            "name": plan.architecture.title,
            "channels": list(trained.channels),
            "test": {key: metrics["test"][key] for key in ("cells", "accuracy", "balanced_accuracy")},
        },
        "score": _score(dataset, cells, found, clusters, seed, _decided(folder, tested) if package else None, tested),
    }
    return report, Discovery(
        samples.upright().numpy().transpose(0, 2, 3, 1), labels, classes, far, mapped, places, place
    )


def _cut(dataset: Dataset, plan: Plan, folder: Path, seed: int) -> tuple[Samples, Dataset]:
    """The cells that trigger, in their orientations, and those cells; the labels of the samples are their numbers."""
    numbered = replace(dataset, labels=np.arange(len(dataset.images)))
    images = list(dataset.some(SETUP_CELLS, seed).images)
    if dataset.acquisition is None:
        height = plan.height or int(dataset.heights.max())
        setup = choose_setup(images, dataset.channels, height, plan.window)
    else:
        setup = restored_setup(images, dataset.acquisition)
    samples = make_samples(numbered, setup.acquisition, setup.background, ROUND.turns, folder)
    return samples, dataset.subset(samples.labels.numpy())


def _curve(features: CellFeatures, plan: Plan, seed: int) -> list[dict[str, Any]]:
    """The silhouette of each number of clusters that these cells could be learned in."""
    most = min(MOST_CLUSTERS, len(features.rings) // (2 * MIN_CELLS_PER_CLASS))
    if most < max(2, plan.clusters or 0) and (plan.clusters or 2) * MIN_CELLS_PER_CLASS > len(features.rings):
        raise IcsortError(
            f"{len(features.rings)} cells are too few for {plan.clusters or 2} clusters: each needs at least "
            f"{MIN_CELLS_PER_CLASS}; give more cells or fewer --clusters"
        )
    return silhouettes(features.rings, max(2, most), REPEATS, seed)


def _first(features: CellFeatures, clusters: int, seed: int) -> Labels:
    """The clusters that a search begins with."""
    first = k_means(features.rings, clusters, seed)
    check_sizes(first, clusters)
    return first


def _searched(
    dataset: Dataset,
    samples: Samples,
    firsts: Sequence[Labels],
    plan: Plan,
    seed: int,
    folder: Path,
    pool: Pool,
    progress: Callable[[str], None],
) -> list[SelfLabels]:
    """One whole search from each of the first clusters on. Other processes cut the cells themselves: samples are larger
    than what they are cut of."""
    here = pool is HERE
    held, told = (samples, progress) if here else (None, _silent)

    def search(own_seed: int, first: Labels) -> SelfLabels:
        torch.set_num_threads(1)
        shown = held or _cut(dataset, plan, folder, seed)[0]
        return self_label(
            shown,
            first,
            plan.architecture,
            plan.rounds,
            own_seed,
            lambda said: told(f"seed {own_seed}, {said}"),
            folder,
        )

    members: list[SelfLabels] = []
    for member in pool.run(search, ((seed + number, first) for number, first in enumerate(firsts))):
        members.append(member)
        if not here:
            progress(f"{len(members)} of {len(firsts)} seeds")
    return members


def _silent(_: str) -> None:
    pass


def _by_size(labels: Labels) -> Labels:
    """The clusters numbered anew, the largest first."""
    order = np.argsort(-np.bincount(labels), kind="stable")
    return np.asarray(np.argsort(order)[labels], np.int64)


def _with_outliers(labels: Labels, far: NDArray[np.float64], share: float) -> tuple[Labels, tuple[str, ...]]:
    """Labels and their names, where the `share` of cells that lie furthest is a class behind the clusters."""
    names = tuple(f"cluster {number + 1}" for number in range(labels.max() + 1))
    if share == 0:
        return labels, names
    count = round(share * len(labels))
    if count < MIN_CELLS_PER_CLASS:
        raise IcsortError(
            f"--outliers {share:g} is {count} of {len(labels)} cells, and a class needs {MIN_CELLS_PER_CLASS}; "
            "give a greater share, or 0"
        )
    with_class = labels.copy()
    with_class[np.argsort(-far, kind="stable")[:count]] = len(names)
    check_sizes(with_class, len(names) + 1)
    return with_class, (*names, OUTLIER)


def _cluster_entries(features: CellFeatures, labels: Labels, classes: Sequence[str]) -> list[dict[str, Any]]:
    """Of each cluster: cells, and each feature's median and divergence from all other cells, most telling first."""
    entries = []
    for label, name in enumerate(classes):
        inside = labels == label
        telling: list[dict[str, Any]] = [
            {
                "feature": feature,
                "median": float(np.median(values[inside])),
                "median_of_others": float(np.median(values[~inside])),
                "divergence": divergence(values, inside, ~inside),
            }
            for feature, values in zip(features.names, features.descriptors.T, strict=True)
        ]
        telling.sort(key=lambda entry: -entry["divergence"])
        entries.append({"name": name, "cells": int(inside.sum()), "features": telling})
    return entries


def _between(features: CellFeatures, labels: Labels, classes: int) -> list[list[float]]:
    """The mean over features of the divergence of each two clusters, (K, K)."""
    return [
        [
            float(np.mean([divergence(values, labels == one, labels == other) for values in features.descriptors.T]))
            for other in range(classes)
        ]
        for one in range(classes)
    ]


def _conditions(labelled: Dataset, features: CellFeatures) -> dict[str, Any] | None:
    """Groups as conditions: share of each cluster in each, how far features differ, and whether the split keeps them.

    None where the data has no groups, or one.
    """
    if labelled.groups is None or len(names := np.unique(labelled.groups)) < 2:
        return None
    of_group = [labelled.groups == name for name in names]
    cells = [np.bincount(labelled.labels[chosen], minlength=len(labelled.classes)) for chosen in of_group]
    shifts: list[dict[str, Any]] = [
        {
            "feature": feature,
            "divergence": float(np.mean([divergence(values, chosen, ~chosen) for chosen in of_group])),
        }
        for feature, values in zip(features.names, features.descriptors.T, strict=True)
    ]
    information = float(adjusted_mutual_info_score(labelled.groups, labelled.labels))
    return {
        "groups": names.tolist(),
        "cells": [row.tolist() for row in cells],
        "features": sorted(shifts, key=lambda entry: -entry["divergence"]),
        "mutual_information": information,
        "same": information >= SAME,
        "split": bool(((np.stack(cells) > 0).sum(axis=0) >= MIN_GROUPS).all()),
    }


def _mean_of_pairs(rand: NDArray[np.float64]) -> float | None:
    """The mean over pairs of different seeds; None for one seed."""
    pairs = rand[np.triu_indices(len(rand), 1)]
    return float(pairs.mean()) if len(pairs) else None


def _ordered(
    cells: Dataset, features: CellFeatures, plan: Plan, folder: Path, seed: int
) -> tuple[NDArray[np.float64] | None, dict[str, Any] | None]:
    """Places of the cells (N,) along their order, and its report; None where none is asked for."""
    if plan.root is None:
        return None, None
    root, kind = root_cells(plan.root, cells, features)
    by = plan.order_by or cells.channels
    seen = features
    if by != cells.channels:
        some = cells.with_channels(by)
        seen = cell_features(some.images, some.channels, folder)
    found = order(seen.rings, root, seed)
    return found.place, order_report(found, (plan.root, kind), cells, features, by, plan.phases)


def _write_table(
    path: Path,
    cells: Dataset,
    labels: Labels,
    classes: Sequence[str],
    far: NDArray[np.float64],
    place: NDArray[np.float64] | None,
) -> None:
    """A row a cell: name, label, distance from its cluster, and its place in the order if there is one."""
    with path.open("w", encoding="utf-8", newline="") as stream:
        for part in portions(len(labels)):
            columns = {
                "name": [cells.name_of(cell) for cell in range(part.start, part.stop)],
                "label": [classes[label] for label in labels[part]],
                "distance": far[part].round(4),
            }
            if place is not None:
                columns["place"] = place[part].round(5)
            pd.DataFrame(columns).to_csv(stream, index=False, header=part.start == 0, lineterminator="\n")


def _padded(cells: Dataset) -> NDArray[np.uint16]:
    """The images as they were read, (N, H, W, C), in the middle of the tallest one's lines."""
    tallest = int(cells.heights.max())
    padded = np.zeros((len(cells.images), tallest, *cells.images[0].shape[1:]), np.uint16)
    for image, place in zip(cells.images, padded, strict=True):
        top = (tallest - len(image)) // 2
        place[top : top + len(image)] = image
    return padded


def _decided(folder: Path, tested: Dataset) -> tuple[Labels, NDArray[np.bool_]]:
    """What the package says of cells in the FPGA's integers, (N,), and which of them trigger, (N,)."""
    network = IntegerNetwork(folder / PACKAGE_FOLDER)
    best, triggered = zip(*((part.best, part.triggered) for part in classified(network, iter([tested]))), strict=True)
    return np.concatenate(best), np.concatenate(triggered)


def _score(
    dataset: Dataset,
    cells: Dataset,
    found: Labels,
    clusters: int,
    seed: int,
    decided: tuple[Labels, NDArray[np.bool_]] | None,
    tested: Dataset,
) -> dict[str, Any] | None:
    """How well clusters match the labels that the data has, by adjusted Rand index; None where it has none."""
    known = cells.labels >= 0
    if len(np.unique(cells.labels[known])) < 2:
        return None
    # all pixels of all cells would not fit into memory
    drawn = np.sort(np.random.default_rng(seed).permutation(len(found))[:COUNT])
    baseline = pixels_baseline(_padded(cells.subset(drawn)), clusters, seed)
    heldout = None
    if decided is not None:
        seen = decided[1] & (tested.labels >= 0)
        heldout = {"cells": int(seen.sum()), "rand": float(adjusted_rand_score(tested.labels[seen], decided[0][seen]))}
    return {
        "classes": list(dataset.classes),
        "cells": int(known.sum()),
        "rand": float(adjusted_rand_score(cells.labels[known], found[known])),
        "rand_of_pixels": float(adjusted_rand_score(cells.labels[drawn][known[drawn]], baseline[known[drawn]])),
        "package_on_unseen_cells": heldout,
        "table": pd.crosstab(found[known], cells.labels[known])
        .reindex(columns=range(len(dataset.classes)), fill_value=0)
        .to_numpy()
        .tolist(),
    }
