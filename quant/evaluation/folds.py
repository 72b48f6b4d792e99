# SPDX-License-Identifier: Apache-2.0
"""Cross-validation's figures: every cell scored once, by the network of the fold that has not seen it, and pooled."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from icsort.errors import IcsortError
from icsort.formats.integer import IntegerNetwork
from icsort.quant.cells.dataset import Dataset
from icsort.quant.evaluation.evaluate import (
    Cells,
    Wanted,
    figures,
    float_decisions,
    gate_decisions,
    groups_of,
    row,
    run_decisions,
    score,
    unseen,
)
from icsort.quant.evaluation.intervals import balanced_difference
from icsort.quant.evaluation.metrics import Decisions
from icsort.quant.training.folds import Fold
from icsort.quant.training.runs import load_run


@dataclass(frozen=True)
class FoldResult:
    """One fold on the cells that it has not seen: decisions, those without the temperature, and the temperature."""

    cells: Cells
    decisions: Decisions
    raw: Decisions
    temperature: float
    identity: str


def evaluate_folds(
    run_folds: Sequence[Fold],
    dataset: Dataset,
    *,
    merged: Mapping[str, Sequence[str]] | None = None,
    posterior: float = 0.9,
    sample: Mapping[str, float] | None = None,
) -> tuple[dict[str, Any], Decisions]:
    """The report of icsort.quant.evaluation.evaluate over all folds, and the pooled decisions.

    Quantized networks decide in their packages' integers. dataset: the cells that were trained on in folds, or some of
    them. merged, posterior, sample: as for `evaluate`. Raises IcsortError for cells that no fold knows.
    """
    merged = merged or {}
    results = [_one(fold, dataset, merged) for fold in run_folds]
    tested = np.zeros(len(dataset.images), np.int64)
    for result in results:
        tested += np.isin(dataset.identities, result.cells.dataset.identities)
    if (tested > 1).any():
        raise IcsortError(
            f"{dataset.origin}: {int((tested > 1).sum())} cells were in no fold's training; evaluate one package on "
            f"them ({run_folds[0].package})"
        )
    decisions, raw = pool([result.decisions for result in results]), pool([result.raw for result in results])
    name = f"{run_folds[0].folder.resolve().name} ({len(run_folds)} folds)"
    arithmetic = "integer, as in hardware" if run_folds[0].package.is_dir() else "float"
    data = {
        "origin": dataset.origin,
        "part": f"every cell once, by the one of {len(run_folds)} networks that has not seen it",
        "cells": sum(len(result.cells.dataset.images) for result in results),
        "channels": list(results[0].cells.dataset.channels),
        "hash": dataset.sha256(),
    }
    report = figures(
        {"name": name, "model_id": ", ".join(result.identity for result in results)},
        data,
        merged,
        decisions,
        raw,
        [result.temperature for result in results],
        posterior,
        sample,
        [
            row(arithmetic, name, decisions),
            *(
                row(arithmetic, fold.run.name, result.decisions)
                for fold, result in zip(run_folds, results, strict=True)
            ),
        ],
    )
    return report, decisions


def lay_beside(grouped: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """The report `grouped` of folds that keep groups apart, with that of folds of the same cells that do not, and the
    drop of the balanced accuracy from these to those.

    The drop's interval takes the cells of both to be independent, and so is rather too wide. Raises IcsortError for
    reports of other cells or classes.
    """
    if [entry["name"] for entry in grouped["classes"]] != [entry["name"] for entry in other["classes"]]:
        raise IcsortError("--beside: its folds have other classes; train both on the same data")
    if (grouped["cells"], grouped["not_triggered"]) != (other["cells"], other["not_triggered"]):
        raise IcsortError("--beside: its folds have tested other cells; train both on the same data")
    scores = {key: other[key] for key in ("accuracy", "balanced_accuracy")}
    drop = balanced_difference(other["confusion"], grouped["confusion"])
    return grouped | {"beside": {"name": other["package"]["name"], **scores, "drop": drop}}


def _one(fold: Fold, dataset: Dataset, merged: Mapping[str, Sequence[str]]) -> FoldResult:
    if fold.package.is_dir():
        network = IntegerNetwork(fold.package)
        package = network.manifest
        trained_as, groups = groups_of(package.classes, merged)
        cells = _cells(dataset, trained_as, Wanted.by_package(package, fold.package))
        scored = score(network, cells)
        raw = float_decisions(cells, scored.events, scored.logits * package.logits.scale, 1.0, groups)
        decisions = gate_decisions(package, cells, scored, groups)
        return FoldResult(cells, decisions, raw, package.logits.temperature, package.model_id)
    run = load_run(fold.run)
    classes, channels = run.config.classes, run.config.channels
    trained_as, groups = groups_of(classes, merged)
    cells = _cells(dataset, trained_as, Wanted.by_run(run))
    _, _, decisions = run_decisions(fold.run, cells, classes, channels, groups)
    _, _, raw = run_decisions(fold.run, cells, classes, channels, groups, temperature=1.0)
    return FoldResult(cells, decisions, raw, run.temperature, run.name)


def _cells(dataset: Dataset, trained_as: Mapping[str, Sequence[str]], wanted: Wanted) -> Cells:
    return unseen(dataset.with_merged_classes(trained_as) if trained_as else dataset, wanted)


def pool(parts: Sequence[Decisions]) -> Decisions:
    """The decisions of several classifiers of the same classes on different cells, as if of one."""
    if len({part.names for part in parts}) > 1:
        raise IcsortError("the folds have different classes; train them again")
    return Decisions(
        parts[0].names,
        np.concatenate([part.labels for part in parts]),
        np.concatenate([part.best for part in parts]),
        np.concatenate([part.posterior for part in parts]),
        np.sum([part.missed for part in parts], axis=0),
    )
