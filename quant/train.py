# SPDX-License-Identifier: Apache-2.0
"""Training with quantization from the first step: from labelled cells to a run folder.

Every cell becomes what the hardware would give the network: its lines, followed by lines of background, go through the
bit-true trigger and window of sim.bit_true.event, then through sim.bit_true.preprocess. Backgrounds, gains, trigger
channel and threshold come from the training part alone. The epoch is chosen on the validation part; the test part is
used once.
"""

import csv
import dataclasses
import io
import json
import math
import platform
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import balanced_accuracy_score, confusion_matrix
from sklearn.model_selection import train_test_split
from torch import Tensor, nn
from tqdm import tqdm

from quant.constants import Constants, choose_constants, cut_cells
from quant.data import Dataset
from quant.layers import fit_steps, keep_gammas_positive
from quant.models import Architecture, Network
from sim.bit_true.errors import IcsortError
from sim.bit_true.output import result_folder

CONFIG_FILE = "config.json"
METRICS_FILE = "metrics.json"
HISTORY_FILE = "history.csv"
PLOT_FILE = "history.png"
SPLIT_FILE = "split.json"
CHECKPOINT_FILE = "checkpoint.pt"
HELDOUT_FILE = "heldout.npz"
VALIDATION_FILE = "validation.npz"
RUN_FORMAT = "icsort-run"
RUN_VERSION = 2
MIN_CELLS_PER_CLASS = 10
FITTED = 256  # cells from which the first steps of activations are found


@dataclass(frozen=True)
class Recipe:
    """How to train. Epochs, batch, peak learning rate, weight decay, and the rest as named.

    balance: class weights in the loss are (1 / frequency) ** balance. threads: of torch; with one, weights do not depend on the number of cores, and a
    busy machine does not stall (torch's threads wait for each other after every layer).
    """

    epochs: int = 60
    batch: int = 64
    learning_rate: float = 4e-3
    weight_decay: float = 1e-4
    balance: float = 0.5
    label_smoothing: float = 0.02
    shift_columns: int = 2
    threads: int = 1


@dataclass
class _Part:
    """One part of the split on the way to torch: pixels uint8 (V, M, C, H, W) of V orientations, labels (M,)."""

    pixels: Tensor
    labels: Tensor
    missed: int = field(default=0)


def split_cells(labels: NDArray[np.int64], classes: Sequence[str], seed: int) -> dict[str, NDArray[np.int64]]:
    """Indices of the parts train, validation and test: 80, 10 and 10 % of each class, seeded, each ascending.

    Raises IcsortError for a class with fewer than 10 cells, the least that leaves one in each part.
    """
    found = np.bincount(labels, minlength=len(classes))
    if len(classes) < 2:
        raise IcsortError(f"the data has one class ({classes[0]}): a classifier needs at least two")
    for name, count in zip(classes, found, strict=True):
        if count < MIN_CELLS_PER_CLASS:
            raise IcsortError(
                f"class {name} has {count} cells: at least {MIN_CELLS_PER_CLASS} are needed to split 80/10/10; "
                "add cells or leave the class out"
            )
    every = np.arange(len(labels))
    held = math.ceil(len(labels) / 10)
    rest, test = train_test_split(every, test_size=held, stratify=labels, random_state=seed)
    train, validation = train_test_split(rest, test_size=held, stratify=labels[rest], random_state=seed)
    parts = {"train": np.sort(train), "validation": np.sort(validation), "test": np.sort(test)}
    for part, indices in parts.items():
        empty = np.flatnonzero(np.bincount(labels[indices], minlength=len(classes)) == 0)
        if len(empty):
            raise IcsortError(f"class {classes[empty[0]]} has too few cells: none fell into the {part} part; add cells")
    return parts


def train_run(
    dataset: Dataset,
    out: Path,
    recipe: Recipe | None = None,
    seed: int = 0,
    height: int | None = None,
    force: bool = False,
    progress: bool = True,
) -> dict[str, Any]:
    """Train the student on a dataset and write the run folder `out`, whole or not at all. Returns the metrics.

    Same data, recipe, seed and machine give the same weights. Raises IcsortError for data that cannot be split or
    triggered on and for an output that exists or cannot be written.
    """
    recipe = recipe or Recipe()
    if recipe.epochs < 1:
        raise IcsortError(f"--epochs is {recipe.epochs}: train for at least 1")
    if not 0 < recipe.learning_rate < math.inf:
        raise IcsortError(f"--learning-rate is {recipe.learning_rate}: it must be above 0")
    began = time.monotonic()
    with result_folder(out, CONFIG_FILE, force) as folder:
        split = split_cells(dataset.labels, dataset.classes, seed)
        training_images = [dataset.images[i] for i in split["train"]]
        constants = choose_constants(training_images, height)
        torch.manual_seed(seed)
        torch.set_num_threads(recipe.threads)
        parts = {name: _part(dataset, indices, constants, turned=name == "train") for name, indices in split.items()}
        architecture = Architecture()
        model = architecture.build(
            len(dataset.channels), len(dataset.classes), constants.trigger.height, constants.trigger.width
        )
        fit_steps(model, parts["train"].pixels[0, :FITTED].float())
        history, best = _fit(model, parts["train"], parts["validation"], recipe, constants, seed, progress)
        model.load_state_dict(best)
        model.settle_thresholds()
        metrics: dict[str, Any] = {
            "best_epoch": max(history, key=_rank)["epoch"],
            "parameters": sum(parameter.numel() for parameter in model.parameters()),
        }
        logits: dict[str, Tensor] = {}
        for name in ("validation", "test"):
            logits[name] = _logits(model, parts[name].pixels[0])
            metrics[name] = _scores(logits[name], parts[name].labels) | {"not_triggered": parts[name].missed}
        metrics["train"] = {"cells": len(parts["train"].labels), "not_triggered": parts["train"].missed}
        predicted = logits["test"].argmax(dim=1).numpy()
        metrics["confusion_test"] = confusion_matrix(
            parts["test"].labels.numpy(), predicted, labels=range(len(dataset.classes))
        ).tolist()

        _write_heldout(folder / HELDOUT_FILE, dataset, split["test"], constants)
        np.savez_compressed(
            folder / VALIDATION_FILE, logits=logits["validation"].numpy(), labels=parts["validation"].labels.numpy()
        )
        checkpoint = io.BytesIO()  # torch's own writer turns a full disk into an error of its own
        torch.save(model.state_dict(), checkpoint)
        (folder / CHECKPOINT_FILE).write_bytes(checkpoint.getvalue())
        _write_history(folder, history)
        _write_json(folder / SPLIT_FILE, {name: indices.tolist() for name, indices in split.items()})
        _write_json(folder / CONFIG_FILE, _configuration(dataset, architecture, recipe, constants, seed))
        metrics["seconds"] = round(time.monotonic() - began, 1)
        _write_json(folder / METRICS_FILE, metrics)
    return metrics


def _part(dataset: Dataset, indices: NDArray[np.int64], constants: Constants, turned: bool) -> _Part:
    """Cut one part. turned: also upside down and by a quarter, before the cut, as the trigger would see such a cell."""
    images = [dataset.images[i] for i in indices]
    orientations = [images]
    if turned:
        orientations.append([image[::-1] for image in images])
        if all(image.shape[0] == image.shape[1] for image in images):
            orientations += [[image.transpose(1, 0, 2) for image in turn] for turn in orientations[:2]]
    cuts = [cut_cells(turn, constants) for turn in orientations]
    upright = cuts[0]
    cells = upright.cells
    for cut in cuts[1:]:
        cells = np.intersect1d(cells, cut.cells)
    if len(cells) == 0:
        raise IcsortError("no cell of a part triggers an event; check that the images show cells on a background")
    pixels = np.stack([constants.pixels(cut.windows[np.isin(cut.cells, cells)]) for cut in cuts])
    return _Part(
        pixels=torch.from_numpy(np.ascontiguousarray(pixels.transpose(0, 1, 4, 2, 3))),
        labels=torch.from_numpy(dataset.labels[indices[cells]]),
        missed=len(upright.missed),
    )


def _fit(
    model: Network,
    training: _Part,
    validation: _Part,
    recipe: Recipe,
    constants: Constants,
    seed: int,
    progress: bool,
) -> tuple[list[dict[str, float]], dict[str, Tensor]]:
    """Adam with one learning-rate cycle. Returns the history and the weights of the best validation epoch."""
    draw = torch.Generator().manual_seed(seed)
    frequency = torch.bincount(training.labels).double() / len(training.labels)
    weights = frequency**-recipe.balance
    loss_of = nn.CrossEntropyLoss((weights / weights.mean()).float(), label_smoothing=recipe.label_smoothing)
    optimizer = torch.optim.AdamW(model.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
    steps = math.ceil(len(training.labels) / recipe.batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, recipe.learning_rate, total_steps=steps * recipe.epochs, pct_start=0.2
    )
    empty = constants.pixels(np.asarray([constants.background_line], np.uint16))[0]
    history: list[dict[str, float]] = []
    best: dict[str, Tensor] = {}
    with tqdm(total=recipe.epochs, desc="train", unit="epoch", disable=not progress) as bar:
        for epoch in range(1, recipe.epochs + 1):
            model.train()
            total = 0.0
            for indices in torch.randperm(len(training.labels), generator=draw).tensor_split(steps):
                pixels = _augmented(training.pixels, indices, empty, recipe.shift_columns, draw)
                loss = loss_of(model(pixels), training.labels[indices])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
                keep_gammas_positive(model)
                total += float(loss.detach()) * len(indices)
            if not math.isfinite(total):
                raise IcsortError(f"training diverged in epoch {epoch}; try a smaller --learning-rate")
            row = {"epoch": epoch, "train_loss": total / len(training.labels)}
            row |= {
                f"validation_{k}": v
                for k, v in _scores(_logits(model, validation.pixels[0]), validation.labels).items()
                if k != "cells"
            }
            history.append(row)
            if _rank(row) == max(map(_rank, history)):
                best = {name: value.detach().clone() for name, value in model.state_dict().items()}
            bar.set_postfix(loss=f"{row['train_loss']:.3f}", balanced=f"{row['validation_balanced_accuracy']:.3f}")
            bar.update()
    return history, best


def _rank(row: dict[str, float]) -> tuple[float, float, float]:
    """Order of epochs, all of the validation part: mean of accuracy and balanced accuracy, loss, the later one.

    Balanced accuracy alone hangs on the few cells of the rarest classes and would pick an epoch by their luck.
    """
    mean = (row["validation_accuracy"] + row["validation_balanced_accuracy"]) / 2
    return mean, -row["validation_loss"], row["epoch"]


def _augmented(
    pixels: Tensor, indices: Tensor, empty: NDArray[np.uint8], columns: int, draw: torch.Generator
) -> Tensor:
    """A batch: a random orientation of each cell, mirrored left to right, and moved sideways over the background."""
    turn = torch.randint(pixels.shape[0], (len(indices),), generator=draw)
    batch = pixels[turn, indices].float()
    mirror = torch.rand(len(indices), generator=draw) < 0.5
    batch[mirror] = batch[mirror].flip(-1)
    if columns:
        width = batch.shape[-1]
        wide = (
            torch.from_numpy(empty).float()[None, :, None, None].expand(*batch.shape[:3], width + 2 * columns).clone()
        )
        wide[..., columns : columns + width] = batch
        moves = torch.randint(2 * columns + 1, (len(indices),), generator=draw)
        at = moves[:, None] + torch.arange(width)
        batch = wide.gather(3, at[:, None, None, :].expand(*batch.shape))
    return batch


def _logits(model: nn.Module, pixels: Tensor) -> Tensor:
    model.eval()
    with torch.no_grad():
        return torch.cat([model(batch.float()) for batch in torch.split(pixels, 256)])


def _scores(logits: Tensor, labels: Tensor) -> dict[str, float]:
    predicted = logits.argmax(dim=1)
    return {
        "loss": float(nn.functional.cross_entropy(logits, labels)),
        "accuracy": float((predicted == labels).double().mean()),
        "balanced_accuracy": float(balanced_accuracy_score(labels.numpy(), predicted.numpy())),
        "cells": len(labels),
    }


def _write_heldout(path: Path, dataset: Dataset, indices: NDArray[np.int64], constants: Constants) -> None:
    """The test cells as raw images; shorter ones are filled with background lines to one height."""
    images = [dataset.images[i] for i in indices]
    height = max(image.shape[0] for image in images)
    background = np.asarray(constants.background_line, np.uint16)
    stack = np.empty((len(images), height, *images[0].shape[1:]), np.uint16)
    stack[:] = background
    for cell, image in zip(stack, images, strict=True):
        cell[: len(image)] = image
    np.savez_compressed(
        path,
        images=stack,
        labels=dataset.labels[indices],
        classes=np.asarray(dataset.classes),
        channels=np.asarray(dataset.channels),
        background=background,
    )


def _configuration(
    dataset: Dataset, architecture: Architecture, recipe: Recipe, constants: Constants, seed: int
) -> dict[str, object]:
    trigger = constants.trigger
    return {
        "format": RUN_FORMAT,
        "version": RUN_VERSION,
        "model": architecture.title,
        "architecture": dataclasses.asdict(architecture),
        "classes": list(dataset.classes),
        "channels": list(dataset.channels),
        "input": {"height": trigger.height, "width": trigger.width, "channels": len(dataset.channels)},
        "line": {"width": constants.line_width, "x_offset": trigger.x_offset},
        "trigger": {"channel": trigger.channel, "threshold": trigger.threshold},
        "preprocess": {
            "background": list(constants.background),
            "gain": list(constants.gain),
            "shift": constants.shift,
        },
        "background_line": list(constants.background_line),
        "data": {
            "source": dataset.source,
            "origin": dataset.origin,
            "hash": dataset.sha256(),
            "split_seed": seed,
            "cells": dataset.counts(),
        },
        "recipe": dataclasses.asdict(recipe),
        "seed": seed,
        "tools": {name: version(name) for name in ("torch", "brevitas", "numpy")}
        | {"python": platform.python_version()},
    }


def _write_history(folder: Path, history: list[dict[str, float]]) -> None:
    with (folder / HISTORY_FILE).open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(history[0]))
        writer.writeheader()
        writer.writerows(history)
    from matplotlib.figure import Figure

    epochs = [row["epoch"] for row in history]
    figure = Figure(figsize=(8, 3.2), layout="constrained")
    losses, accuracies = figure.subplots(1, 2)
    for key in ("train_loss", "validation_loss"):
        losses.plot(epochs, [row[key] for row in history], label=key.replace("_", " "))
    for key in ("validation_accuracy", "validation_balanced_accuracy"):
        accuracies.plot(epochs, [row[key] for row in history], label=key.replace("_", " "))
    for axes in (losses, accuracies):
        axes.set_xlabel("epoch")
        axes.legend()
    figure.savefig(folder / PLOT_FILE, dpi=110)


def _write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
