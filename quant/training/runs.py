# SPDX-License-Identifier: Apache-2.0
"""The run folder: what a training leaves behind, and how it is read back."""

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import torch
from numpy.typing import NDArray

from icsort.errors import IcsortError
from icsort.formats import heldout
from icsort.formats.background import Background
from icsort.formats.document import read
from icsort.formats.heldout import HELDOUT_FILE, HeldOut
from icsort.formats.run import CONFIG_FILE, RunConfig
from icsort.quant.acquire.cut import cut_cells
from icsort.quant.cells.find import Dataset
from icsort.quant.networks.architectures import Architecture, Network
from icsort.quant.networks.stored import load_stored
from icsort.quant.training.seen import SEEN_FILE, Seen, read_seen
from icsort.quant.training.temperature import fit_temperature

METRICS_FILE = "metrics.json"
HISTORY_FILE = "history.csv"
PLOT_FILE = "history.png"
SPLIT_FILE = "split.json"
CHECKPOINT_FILE = "checkpoint.pt"
VALIDATION_FILE = "validation.npz"
FOLDS_FILE = "folds.json"  # of a folder of runs, see training.folds
CHECKED_CELLS = 64
HELDOUT_CELLS = 10_000  # that a run keeps as images, at most


@dataclass(frozen=True)
class Run:
    """A run folder as read back: configuration, metrics, network, held-out pixels (N, C, H, W), validation logits.

    background: the lines between its cells. seen: the cells of its parts.
    """

    name: str
    config: RunConfig
    metrics: dict[str, Any]
    model: Network
    background: Background
    seen: Seen
    heldout_pixels: torch.Tensor
    validation_logits: NDArray[np.float32]
    validation_labels: NDArray[Any]

    @property
    def temperature(self) -> float:
        """Of its logits, fitted to the validation cells; 1 where they are values."""
        if self.config.values:
            return 1.0
        return fit_temperature(self.validation_logits, self.validation_labels)


def check_run(folder: Path) -> None:
    """Raise IcsortError for a folder that is not a run."""
    if (folder / FOLDS_FILE).is_file():
        raise IcsortError(f"{folder}: holds folds; give one of its runs, or train with --folds too")
    if not (folder / CONFIG_FILE).is_file():
        raise IcsortError(f"{folder}: is not a run (no {CONFIG_FILE}); make one with `icsort train --out {folder}`")


def read_config(folder: Path) -> RunConfig:
    """A run's config.json. Raises IcsortError where it cannot be read."""
    return read(RunConfig, folder / CONFIG_FILE, "train again")


def cells_of(folder: Path) -> Seen:
    """The cells that a run has seen. Raises IcsortError as `load_run` does."""
    check_run(folder)
    return read_seen(folder / SEEN_FILE, read_config(folder).data.parts)


def load_run(folder: Path) -> Run:
    """Read a run folder. Raises IcsortError for one that is missing, incomplete or of another version."""
    check_run(folder)
    config = read_config(folder)
    cells = heldout.load(folder / HELDOUT_FILE)
    try:
        metrics = json.loads((folder / METRICS_FILE).read_text(encoding="utf-8"))
        shape = config.input
        model = Architecture(**config.architecture).build(
            shape.channels, len(config.classes), shape.height, shape.width
        )
        model.load_state_dict(load_stored(folder / CHECKPOINT_FILE, "train again"))
        model.eval()
        with np.load(folder / VALIDATION_FILE, allow_pickle=False) as stored:
            validation_logits, validation_labels = stored["logits"], stored["labels"]
        windows = cut_cells(cells.images[:CHECKED_CELLS], config, cells.background).windows
        pixels = torch.from_numpy(config.pixels(windows).transpose(0, 3, 1, 2).astype(np.float32))
        return Run(
            folder.resolve().name,
            config,
            metrics,
            model,
            cells.background,
            read_seen(folder / SEEN_FILE, config.data.parts),
            pixels,
            validation_logits,
            validation_labels,
        )
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, EOFError, BadZipFile) as error:
        detail = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise IcsortError(f"{folder}: is not a complete run ({detail}); train again") from None


def write_heldout(path: Path, dataset: Dataset, indices: NDArray[np.int64], background: Background) -> None:
    """The test cells as raw images, at most HELDOUT_CELLS."""
    cells = replace(dataset, known_identities=dataset.identities).subset(indices).some(HELDOUT_CELLS, seed=0)
    names = dataset.classes, dataset.channels
    heldout.save(path, HeldOut(tuple(cells.images), cells.labels, *names, background, cells.identities))


def write_weights(path: Path, model: Network) -> None:
    """The network's weights, as `load_run` reads them."""
    content = io.BytesIO()  # torch's own writer turns a full disk into an error of its own
    torch.save(model.state_dict(), content)
    path.write_bytes(content.getvalue())


def write_history(folder: Path, history: list[dict[str, float]], shown: Sequence[str]) -> None:
    """history: a row an epoch. shown: scores of the validation part that are plotted beside the losses."""
    with (folder / HISTORY_FILE).open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(history[0]))
        writer.writeheader()
        writer.writerows(history)
    from matplotlib.figure import Figure

    from icsort.report.figures import save

    epochs = [row["epoch"] for row in history]
    figure = Figure(figsize=(8, 3.2), layout="constrained")
    losses, accuracies = figure.subplots(1, 2)
    for key in ("train_loss", "validation_loss"):
        losses.plot(epochs, [row[key] for row in history], label=key.replace("_", " "))
    for key in (f"validation_{name}" for name in shown):
        accuracies.plot(epochs, [row[key] for row in history], label=key.replace("_", " "))
    for axes in (losses, accuracies):
        axes.set_xlabel("epoch")
        axes.legend()
    save(figure, folder / PLOT_FILE)


def write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
