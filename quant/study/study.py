# SPDX-License-Identifier: Apache-2.0
"""The image-enabled-cell-sorting classification study again: architectures, channels, pretraining, inference time.

ResNet50, ResNet18 and MobileNetV2 are trained on all channels, on the label-free ones and on one, from random weights
and from those of a training on other images; every network is timed. Each training is a run folder of its own, so an
interrupted study goes on where it was.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from icsort.errors import IcsortError
from icsort.jobs import job_pool
from icsort.output import planned_folder
from icsort.quant.cells.dataset import Dataset, concatenate
from icsort.quant.evaluation.intervals import balanced_accuracy, balanced_difference, share
from icsort.quant.networks.architectures import Architecture
from icsort.quant.study.timing import inference_time
from icsort.quant.synthetic.fire import Instrument
from icsort.quant.synthetic.generate import generate
from icsort.quant.synthetic.study_kinds import KINDS
from icsort.quant.training.checkpoint import STATE_FILE, Checkpoint
from icsort.quant.training.recipe import PRESETS
from icsort.quant.training.runs import METRICS_FILE, load_run
from icsort.quant.training.train import Sources, train_run

STUDY_FILE = "study.json"
PLAN_FILE = "plan.json"
FORMAT = "icsort-study"
VERSION = 1
ARCHITECTURES = ("resnet50", "resnet18", "mobilenet_v2")  # in the order in which the study found them
LABEL_FREE = 3  # channels that need no stain: light loss, forward scatter, side scatter, the instrument's first
FIELD_UM = 32.0  # side of the generated images


@dataclass(frozen=True)
class Plan:
    """What a study trains. channel_sets: names of channels, the richest set first. weights: architecture -> file.

    width_multiplier, stem: of architectures.Architecture; epochs: of the recipe "study". window: see acquire.choose;
    the study's networks saw whole images, and not every single channel could trigger. timed: random inputs of the
    inference time.
    """

    channel_sets: tuple[tuple[str, ...], ...]
    architectures: tuple[str, ...] = ARCHITECTURES
    weights: Mapping[str, str] | None = None
    width_multiplier: float = 1.0
    stem: str = "standard"
    epochs: int = 50
    window: str = "image"
    seed: int = 0
    timed: int = 10_000

    def __post_init__(self) -> None:
        counts = [len(channels) for channels in self.channel_sets]
        if sorted(set(counts), reverse=True) != counts:
            raise IcsortError("the sets of --channels must have ever fewer channels, the richest set first")

    def trainings(self) -> Iterator["Training"]:
        """Every network of the study, the small ones first, so that something can be seen early."""
        for architecture in reversed(self.architectures):
            files = [None, (self.weights or {}).get(architecture)]
            for weights in files if files[1] else files[:1]:
                for channels in self.channel_sets:
                    yield Training(architecture, channels, weights)


@dataclass(frozen=True)
class Training:
    """One network: its architecture, its channels, and the file of its first weights (None: random)."""

    architecture: str
    channels: tuple[str, ...]
    weights: str | None = None

    @property
    def name(self) -> str:
        start = "-pretrained" if self.weights else ""
        return f"{self.architecture}-{len(self.channels)}ch{start}"


def default_channels(names: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    """All channels, the label-free ones and one, as the study has them; of three or fewer, ever fewer of them."""
    names = tuple(names)
    if len(names) > LABEL_FREE:
        return names, names[:LABEL_FREE], names[:1]
    return tuple(names[:count] for count in range(len(names), 0, -1))


def generated_cells(per_class: int, size: int, seed: int) -> Dataset:
    """The 36 generated classes in images of size x size pixels, the same field whatever the size."""
    instrument = Instrument(columns=size, pixel_um=FIELD_UM / size)
    return concatenate(generate(KINDS, per_class, size, instrument, seed))


def run_study(
    dataset: Dataset, out: Path, plan: Plan, builds: Sequence[Path] = (), jobs: int = 1, ray: str | None = None
) -> dict[str, Any]:
    """Train and time what is not yet in the folder `out`. Returns the machine-readable report.

    builds: build folders of `icsort compile`, whose predicted times are laid beside. jobs: trainings side by side;
    ray: on a cluster instead (icsort.jobs), all of which sees `out`. Networks are timed here, one after the other.
    Raises IcsortError where `out` holds a study of another plan or other cells.
    """
    trainings = list(plan.trainings())

    def train(training: Training) -> None:
        _train(training, dataset, out / training.name, plan, progress=jobs == 1 and ray is None)

    with job_pool(jobs, ray) as pool:
        planned_folder(out, PLAN_FILE, {"plan": asdict(plan), "data": dataset.sha256()}, "study")
        fpga = [_build_times(folder) for folder in builds]
        for _ in pool.run(train, ((training,) for training in trainings)):
            pass
    results = [_result(training, out / training.name, plan) for training in trainings]
    return {
        "format": FORMAT,
        "version": VERSION,
        "data": {"origin": dataset.origin, "cells": len(dataset.images), "classes": list(dataset.classes)},
        "plan": asdict(plan),
        "results": results,
        "claims": list(claims(results, plan)),
        "fpga": fpga,
    }


def _train(training: Training, dataset: Dataset, folder: Path, plan: Plan, progress: bool) -> None:
    """Train, unless that is done."""
    if not (folder / METRICS_FILE).is_file():
        train_run(
            dataset.with_channels(training.channels),
            folder,
            replace(PRESETS["study"], epochs=plan.epochs),
            Architecture(
                training.architecture, plan.width_multiplier, weight_bits=None, activation_bits=None, stem=plan.stem
            ),
            Sources(weights=None if training.weights is None else Path(training.weights)),
            seed=plan.seed,
            window=plan.window,
            resume=(Checkpoint(folder).folder / STATE_FILE).is_file(),
            progress=progress,
        )


def _result(training: Training, folder: Path, plan: Plan) -> dict[str, Any]:
    """Time, unless that is done; the figures of training and time."""
    run = load_run(folder)
    timed = folder.with_suffix(".time.json")
    shape = run.config.input
    if not timed.is_file():
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        times = inference_time(run.model.to(device), (shape.channels, shape.height, shape.width), plan.timed, plan.seed)
        timed.write_text(json.dumps(times), encoding="utf-8")
    table = np.asarray(run.metrics["confusion_test"])
    return {
        "name": training.name,
        "architecture": training.architecture,
        "channels": list(training.channels),
        "pretrained": training.weights is not None,
        "parameters": run.metrics["parameters"],
        "accuracy": share(int(np.diag(table).sum()), int(table.sum())),
        "balanced_accuracy": balanced_accuracy(table),
        "confusion": table.tolist(),
        "inference": json.loads(timed.read_text(encoding="utf-8")),
    }


def claims(results: Sequence[Mapping[str, Any]], plan: Plan) -> Iterator[dict[str, Any]]:
    """What the study found, and whether it comes out here: balanced accuracy of a better and a worse network."""
    by_name = {result["name"]: result for result in results}

    def claim(words: str, better: Training, worse: Training) -> dict[str, Any]:
        return _claim(words, by_name[better.name], by_name[worse.name])

    for channels in plan.channel_sets:
        for larger, smaller in zip(plan.architectures, plan.architectures[1:], strict=False):
            yield claim("the larger network is better", Training(larger, channels), Training(smaller, channels))
    for architecture in plan.architectures:
        for more, fewer in zip(plan.channel_sets, plan.channel_sets[1:], strict=False):
            yield claim("more channels are better", Training(architecture, more), Training(architecture, fewer))
    for training in plan.trainings():
        if training.weights is not None:
            no_gain = claim(
                "weights of other images do not help", Training(training.architecture, training.channels), training
            )
            yield {**no_gain, "holds": no_gain["difference"]["high"] >= 0}  # a gain within chance is none


def _claim(words: str, better: Mapping[str, Any], worse: Mapping[str, Any]) -> dict[str, Any]:
    """holds: the sign is the study's; clear: zero lies outside the difference's 95 % interval."""
    difference = balanced_difference(better["confusion"], worse["confusion"])
    return {
        "claim": words,
        "better": better["name"],
        "worse": worse["name"],
        "difference": difference,
        "holds": difference["value"] >= 0,
        "clear": difference["low"] > 0 or difference["high"] < 0,
    }


def _build_times(folder: Path) -> dict[str, Any]:
    """What a build says of itself; only build.json is read."""
    try:
        build = json.loads((folder / "build.json").read_text(encoding="utf-8"))
        clock = build["clock_mhz"]
        return {
            "name": build["name"],
            "board": build["board"],
            "clock_mhz": clock,
            "clock_is": build["clock_is"],
            "cycles_are": build["cycles_are"],
            "cell_us": build["interval_cycles"] / clock,
            "last_pixel_to_logits_us": build["last_pixel_latency_cycles"] / clock,
        }
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise IcsortError(f"{folder}: is no build ({error}); make one with `icsort compile`") from None
