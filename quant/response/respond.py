# SPDX-License-Identifier: Apache-2.0
"""How well the response of cells is told, on groups that no network has seen, beside what simpler means reach."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icsort.errors import IcsortError
from icsort.jobs import job_pool
from icsort.quant.cells.dataset import Dataset
from icsort.quant.cells.groups import group_cells
from icsort.quant.evaluation import metrics
from icsort.quant.evaluation.metrics import Decisions
from icsort.quant.response import baselines
from icsort.quant.response.fit import Answer, Plan, answer
from icsort.quant.response.folds import confounds, held_out, validation_part, without_surplus
from icsort.quant.response.inputs import Inputs, read_inputs
from icsort.quant.response.network import TABLE
from icsort.quant.response.votes import Votes, vote

RESPONSE_FILE = "response.json"
FORMAT = "icsort-response"
VERSION = 1
PICTURES = ("image", "mask", "distance")
INPUTS = (*PICTURES, TABLE)
NETWORK = "network"
BOTH = "network and logistic regression, mean posterior"


@dataclass(frozen=True)
class Response:
    """What was found, beside the machine-readable report.

    decisions: of each cell, by the name of what decided: "network" (all inputs), "image alone", "table alone" and the
    baselines. votes: the same by voting group, empty without any. weights: (N, inputs) of the attention gate.
    """

    inputs: Inputs
    decisions: dict[str, Decisions]
    votes: dict[str, Votes]
    weights: NDArray[np.float64]
    used: tuple[str, ...]
    fold_of: NDArray[np.int64]


def respond(
    dataset: Dataset,
    *,
    table: Path | None = None,
    measure: bool = False,
    without: str | None = None,
    masks: Path | None = None,
    side: int | None = None,
    used: Sequence[str] = INPUTS,
    vote_by: str | None = None,
    controls: Sequence[str] = (),
    confound_by: Sequence[str] = (),
    alone: bool = True,
    folds: int | None = None,
    plan: Plan | None = None,
    seed: int = 0,
    jobs: int = 1,
    ray: str | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> tuple[dict[str, Any], Response]:
    """Train and test networks of several inputs over folds of whole groups (dataset.groups; without them, of cells).

    table, measure, without, masks, side: see `read_inputs`. used: which inputs the network takes. vote_by: which cells
    vote together, confound_by: what else may tell the classes; as `group_cells` takes them. controls: classes that are
    downsampled; the first is what treated cells are checked against. alone: whether networks of the image alone
    and of the table alone are trained beside. folds: see `held_out`. jobs: trainings side by side; ray: on a cluster
    instead (icsort.jobs); results do not depend on it. Returns the machine-readable report and what the pictures are
    made of. Raises IcsortError for bad input.
    """
    plan = plan or Plan()
    classes, labels = dataset.classes, dataset.labels
    if len(classes) < 2:
        raise IcsortError(f"{dataset.origin}: holds one class, {classes[0]}; a response needs two")
    control_labels = [_control(name, classes) for name in controls]
    unknown = [name for name in used if name not in INPUTS]
    if unknown or not used:
        raise IcsortError(f"--inputs {','.join(used)}: give some of {','.join(INPUTS)}")
    groups = dataset.groups if dataset.groups is not None else np.asarray([f"{i}" for i in range(len(labels))])
    tested = held_out(labels, classes, groups, folds, seed)
    voting = None if vote_by is None else _groups(dataset, vote_by, "--vote-by")
    columns = _columns(dataset, [*([vote_by] if vote_by else []), *confound_by])
    kinds = {NETWORK: tuple(name for name in INPUTS if name in used)}
    if alone and TABLE in used and len(used) > 1:
        kinds |= {"image alone": tuple(name for name in PICTURES if name in used), "table alone": (TABLE,)}
    work = [(kind, number) for kind in kinds for number in range(len(tested))]

    def train(kind: str, number: int) -> Answer:
        test = tested[number]
        rest = np.setdiff1d(np.arange(len(labels)), test)
        rest = without_surplus(labels, rest, control_labels, seed + number)
        draw = seed * len(tested) + number
        parts = [validation_part(labels, groups, rest, plan.members * draw + member) for member in range(plan.members)]
        return answer(inputs, kinds[kind], parts, test, plan, draw)

    report = progress or (lambda *_: None)
    answers: dict[tuple[str, int], Answer] = {}
    with job_pool(jobs, ray) as pool:
        inputs = read_inputs(dataset, table=table, measure=measure, without=without, masks=masks, side=side, pool=pool)
        report("training", 0, len(work))
        for each, found in zip(work, pool.run(train, work), strict=True):
            answers[each] = found
            report("training", len(answers), len(work))

    decisions = {kind: _pooled(answers, kind, tested, labels, classes) for kind in kinds}
    weights = np.zeros((len(labels), len(kinds[NETWORK])))
    fold_of = np.zeros(len(labels), np.int64)
    for number, test in enumerate(tested):
        weights[test], fold_of[test] = answers[NETWORK, number].weights, number + 1
    values, areas = inputs.table.to_numpy(np.float64), np.log(inputs.areas)[:, np.newaxis]
    decisions |= {
        "trees on the table": baselines.by_folds(values, labels, classes, tested, baselines.trees, seed),
        "logistic regression on the table": baselines.by_folds(
            values, labels, classes, tested, baselines.logistic, seed
        ),
        "area alone": baselines.by_folds(areas, labels, classes, tested, baselines.logistic, seed),
    }
    linear = decisions["logistic regression on the table"]
    both = (decisions[NETWORK].posterior + linear.posterior) / 2
    decisions[BOTH] = Decisions(linear.names, labels, both.argmax(axis=1), both, linear.missed)
    if voting is not None:
        decisions["number of cells alone"] = baselines.counts_alone(labels, classes, voting, tested, seed)
    votes = {} if voting is None else {name: vote(each, voting) for name, each in decisions.items()}
    response = Response(inputs, decisions, votes, weights, kinds[NETWORK], fold_of)
    return {
        "format": FORMAT,
        "version": VERSION,
        "data": {
            "origin": dataset.origin,
            "hash": dataset.sha256(),
            "cells": len(labels),
            "classes": list(classes),
            "channels": list(dataset.channels),
            "groups": None if dataset.groups is None else len(np.unique(groups)),
        },
        "inputs": {
            "used": list(kinds[NETWORK]),
            "side": inputs.pictures["image"].shape[2],
            "columns": list(inputs.table.columns),
            "measured": inputs.measured or measure,
            "left_out": list(inputs.left_out),
        },
        "plan": asdict(plan) | {"seed": seed, "folds": len(tested), "controls": list(controls)},
        "deciders": [
            {
                "name": name,
                "is_network": name in kinds,
                **metrics.summary(each, seed),
                **({} if name not in votes else {"vote": _vote_summary(votes[name], seed)}),
            }
            for name, each in decisions.items()
        ],
        "epochs": {kind: [answers[kind, number].epochs for number in range(len(tested))] for kind in kinds},
        "folds": [
            {
                "cells": len(test),
                "groups": [] if dataset.groups is None else np.unique(groups[test]).tolist(),
                "balanced_accuracy": metrics.summary(_some(decisions[NETWORK], test), seed)["balanced_accuracy"],
            }
            for test in tested
        ],
        "attention": {
            "mean": dict(zip(kinds[NETWORK], weights.mean(axis=0).tolist(), strict=True)),
            "classes": {
                name: dict(zip(kinds[NETWORK], weights[labels == index].mean(axis=0).tolist(), strict=True))
                for index, name in enumerate(classes)
                if (labels == index).any()
            },
        },
        "confounds": confounds(labels, classes, columns),
        "control": baselines.control_check(values, labels, classes, control_labels[0], tested, seed)
        if control_labels
        else None,
    }, response


def cells_table(response: Response) -> Any:
    """A row a cell: name, fold, class, decision and posteriors of the network."""
    import pandas as pd

    decisions = response.decisions[NETWORK]
    dataset = response.inputs.dataset
    table = {
        "cell": [dataset.name_of(index) for index in range(len(dataset.labels))],
        "fold": response.fold_of,
        "class": [decisions.names[label] for label in decisions.labels],
        "decision": [decisions.names[best] for best in decisions.best],
    }
    for index, name in enumerate(decisions.names):
        table[f"posterior {name}"] = decisions.posterior[:, index]
    return pd.DataFrame(table)


def _pooled(
    answers: dict[tuple[str, int], Answer],
    kind: str,
    tested: Sequence[NDArray[np.int64]],
    labels: NDArray[np.int64],
    classes: Sequence[str],
) -> Decisions:
    posterior = np.zeros((len(labels), len(classes)))
    for number, test in enumerate(tested):
        posterior[test] = answers[kind, number].posterior
    return Decisions(tuple(classes), labels, posterior.argmax(axis=1), posterior, np.zeros(len(classes), np.int64))


def _some(decisions: Decisions, cells: NDArray[np.int64]) -> Decisions:
    return Decisions(
        decisions.names,
        decisions.labels[cells],
        decisions.best[cells],
        decisions.posterior[cells],
        np.zeros(len(decisions.names), np.int64),
    )


def _vote_summary(votes: Votes, seed: int) -> dict[str, Any]:
    keys = ("accuracy", "balanced_accuracy", "confusion")
    majority, mean = (metrics.summary(each, seed) for each in (votes.majority, votes.mean))
    return {
        "groups": len(votes.names),
        "mixed": len(votes.mixed),
        "majority": {key: majority[key] for key in keys},
        "mean_posterior": {key: mean[key] for key in keys},
    }


def _control(name: str, classes: Sequence[str]) -> int:
    if name not in classes:
        raise IcsortError(f"--control {name}: there is no such class; there are {', '.join(classes)}")
    return list(classes).index(name)


def _groups(dataset: Dataset, rule: str, option: str) -> NDArray[np.str_]:
    try:
        groups = group_cells(dataset.names, rule, dataset.parameters)
    except IcsortError as error:
        raise IcsortError(str(error).replace("--group-by", option)) from None
    if groups is None:
        raise IcsortError(f"{option} {rule}: names no groups; leave the option out")
    return groups


def _columns(dataset: Dataset, rules: Sequence[str]) -> dict[str, NDArray[np.str_]]:
    """What each rule tells of the cells; of one that joins columns of their table, each column as well."""
    found = {}
    for rule in rules:
        parts = [part.strip() for part in rule.split("+")]
        known = dataset.parameters is not None and set(parts) <= set(dataset.parameters.columns)
        for part in parts if known else [rule]:
            found[part] = _groups(dataset, part, "--confound")
    return found
