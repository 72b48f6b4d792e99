# SPDX-License-Identifier: Apache-2.0
"""Training: from labelled cells to a run folder.

Every cell becomes what the hardware would give the network (quant.acquire). Backgrounds, gains, trigger channel and
threshold come from the training part alone. The epoch is chosen on the validation part; the test part is used once.
Where a training begins from another or follows one, cells keep the part they had there (training.seen).
"""

import dataclasses
import json
import math
import platform
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix
from torch import Tensor

from icsort.errors import IcsortError
from icsort.formats.acquisition import Acquisition
from icsort.formats.document import refusals
from icsort.formats.heldout import HELDOUT_FILE
from icsort.formats.package import ValueSpec
from icsort.formats.run import CONFIG_FILE, RunConfig, RunData, RunSources
from icsort.output import check_target, result_folder
from icsort.quant.acquire.choose import BRIGHTEST, Rules, choose_setup
from icsort.quant.acquire.restore import restored_setup
from icsort.quant.cells.find import Dataset
from icsort.quant.cells.splits import Split, split
from icsort.quant.networks.architectures import Architecture, Network
from icsort.quant.networks.blocks import fit_steps, turn_gammas_positive
from icsort.quant.networks.pretrained import load_published
from icsort.quant.training.checkpoint import Checkpoint
from icsort.quant.training.fitting import Fitting, Teacher, predict
from icsort.quant.training.processes import Processes, processes
from icsort.quant.training.recipe import NORMALIZATIONS, Recipe
from icsort.quant.training.runs import (
    CHECKPOINT_FILE,
    METRICS_FILE,
    SPLIT_FILE,
    VALIDATION_FILE,
    cells_of,
    load_run,
    write_heldout,
    write_history,
    write_json,
    write_weights,
)
from icsort.quant.training.samples import Samples, class_weights, make_samples
from icsort.quant.training.seen import SEEN_FILE, Seen, check_unseen, parts_had
from icsort.quant.training.tasks import Classification, Regression, Row, Task
from icsort.quant.training.temperature import fit_temperature, remark
from icsort.sim.bit_true.prepare import learn_quantiles

SETUP_CELLS = 20_000  # at most so many training cells say what the hardware is set to
_CHOSEN = (None, "trigger", BRIGHTEST, Rules())  # where nobody says how cells are cut
FITTED = 256  # cells from which the first steps of activations are found


@dataclass(frozen=True)
class Sources:
    """Where a training's knowledge comes from beside its cells.

    start: a run whose weights it begins with. teacher: runs whose mean probabilities it follows. weights: a file of a
    published network's weights (see icsort.quant.networks.pretrained).
    """

    start: Path | None = None
    teacher: tuple[Path, ...] = ()
    weights: Path | None = None

    def seen(self) -> dict[str, Seen]:
        """The cells that the runs have seen, by the words for each; also of a run whose file of weights is taken."""
        runs = {f"--teacher {folder}": folder for folder in self.teacher}
        if self.start is not None:
            runs[f"--start {self.start}"] = self.start
        if self.weights is not None and (self.weights.parent / CONFIG_FILE).is_file():
            runs[f"--weights {self.weights}"] = self.weights.parent
        return {words: cells_of(folder) for words, folder in runs.items()}


def train_run(
    dataset: Dataset,
    out: Path,
    recipe: Recipe | None = None,
    architecture: Architecture | None = None,
    sources: Sources | None = None,
    *,
    parts: Split | None = None,
    seed: int = 0,
    height: int | None = None,
    window: str = "trigger",
    brightest: float = BRIGHTEST,
    rules: Rules | None = None,
    normalize: str = "none",
    device: str = "auto",
    resume: bool = False,
    force: bool = False,
    progress: bool = True,
) -> dict[str, Any]:
    """Train a network on a dataset and write the run folder `out`, whole or not at all. Returns the metrics.

    It learns the classes, or of a dataset with `measured` values those.
    parts: of the cells, where they are not split here. height: lines of the window; window, brightest,
    rules: see acquire.choose. normalize: "quantile" gives each image the distribution of counts of the training part's
    pixels, channel by channel, which no hardware does. The state of each epoch is kept beside `out` until the end; with
    `resume` a training that was killed goes on from it. Same data, recipe, seed and machine give the same weights,
    resumed or not. Under torchrun all processes share each batch, and the first one writes.

    Raises IcsortError for data that cannot be split or triggered on, a training that diverges, sources that do not fit,
    and an output that exists or cannot be written.
    """
    recipe, architecture, sources = recipe or Recipe(), architecture or Architecture(), sources or Sources()
    # the weights then do not depend on the number of cores, threads do not wait for each other after every layer on a
    # busy machine, and oneDNN's gradient of a strided 1x1 convolution crashes with two (torch 2.13, 29 cells, AVX-512)
    torch.set_num_threads(1)
    if normalize not in NORMALIZATIONS:
        raise IcsortError(f"--normalize {normalize}: give one of {', '.join(NORMALIZATIONS)}")
    began = time.monotonic()
    check_target(out, CONFIG_FILE, force)
    with processes(device) as group:
        identities, earlier = dataset.identities, sources.seen()
        kept = parts_had(identities, earlier)
        if parts is None:
            parts = split(dataset.labels, dataset.classes, seed, dataset.groups, identities, kept)
        check_unseen(parts, kept)
        seen = Seen(**{name: identities[indices] for name, indices in parts.items()}).with_earlier([*earlier.values()])
        training = dataset.subset(parts["train"])
        images = list(training.some(SETUP_CELLS, seed).images)
        if normalize == "quantile":
            quantiles = learn_quantiles(images)
            dataset = dataset.prepared(dataset.preparation.model_copy(update={"quantiles": quantiles}))
            training = dataset.subset(parts["train"])
            images = list(training.some(SETUP_CELLS, seed).images)
        if dataset.acquisition is not None and (height, window, brightest, rules or Rules()) != _CHOSEN:
            raise IcsortError(
                f"{dataset.origin}: trigger, window and preprocessing stay those that they were recorded with; leave "
                "out the options of the window and the trigger, and --brightest"
            )
        height = height or int(training.heights.max())
        if dataset.acquisition is None:
            setup = choose_setup(images, dataset.channels, height, window, brightest, rules)
        else:
            setup = restored_setup(images, dataset.acquisition)
        acquisition = setup.acquisition.model_copy(update={"preparation": dataset.preparation})
        units = _units(training)
        configuration = _configuration(dataset, architecture, recipe, sources, acquisition, units, seen, seed)
        checkpoint = Checkpoint(out)
        state = checkpoint.begin(resume, force) if resume or group.first else None
        if state is not None and state["configuration"] != configuration.to_json():
            raise IcsortError(f"{out}: was begun with other cells or options; repeat them, or start again with --force")
        torch.manual_seed(seed)
        model = architecture.build(
            len(dataset.channels), len(dataset.outputs), configuration.input.height, configuration.input.width
        )
        samples = {
            name: make_samples(
                _in_units(dataset.subset(indices), units),
                configuration,
                setup.background,
                recipe.turns if name == "train" else 0,
                out.resolve().parent,
                name if progress and group.first else "",
            )
            for name, indices in parts.items()
        }
        _begin(model, samples["train"], sources, seed)
        task: Task = Regression()
        if dataset.measured is None:
            weights = class_weights(samples["train"].labels, dataset.classes, recipe.balance)
            task = Classification(weights, recipe.label_smoothing, recipe.softness)
        teacher = _teacher(sources.teacher, configuration, task, group)
        fitting = Fitting(model, samples["train"], samples["validation"], recipe, task, seed, group, teacher)
        if state is not None:
            fitting.restore(state["fitting"])

        def save(_: Row) -> None:
            current = {"configuration": configuration.to_json(), "fitting": fitting.state()}
            if group.first:
                checkpoint.write(current)

        done = fitting.run(save, progress and group.first)
        if not group.first:
            return {}
        model = model.cpu()
        model.load_state_dict(done.best)
        if model.quantized:
            model.settle_thresholds()
        metrics: dict[str, Any] = {
            "best_epoch": done.best_epoch,
            "parameters": model.weights,
            "copies": [alike.tolist() for alike in dataset.copies()],
        }
        logits = {name: predict(model, samples[name].upright()) for name in ("validation", "test")}
        metrics |= _metrics(logits, samples, task)
        if dataset.measured is None:
            metrics |= _of_classes(logits, samples)
        metrics["false_triggers"] = setup.false_triggers.to_json(configuration.input.height)
        with result_folder(out, CONFIG_FILE, force) as folder:
            write_heldout(folder / HELDOUT_FILE, dataset, parts["test"], setup.background)
            seen.write(folder / SEEN_FILE)
            np.savez_compressed(
                folder / VALIDATION_FILE,
                logits=logits["validation"].numpy(),
                labels=samples["validation"].labels.numpy(),
            )
            write_weights(folder / CHECKPOINT_FILE, model)
            write_history(folder, done.history, task.shown)
            write_json(folder / SPLIT_FILE, {name: indices.tolist() for name, indices in parts.items()})
            write_json(folder / CONFIG_FILE, configuration.to_json())
            metrics["seconds"] = round(time.monotonic() - began, 1)
            write_json(folder / METRICS_FILE, metrics)
        checkpoint.discard()
    return metrics


def _begin(model: Network, training: Samples, sources: Sources, seed: int) -> None:
    """First weights, and the steps of the activations that fit them."""
    if sources.weights is not None:
        load_published(model, sources.weights)
    if sources.start is not None:
        run = load_run(sources.start)
        stored, needed = run.model.state_dict(), model.state_dict()
        fits = {key: value for key, value in stored.items() if key in needed and value.shape == needed[key].shape}
        if not any(key.startswith("trunk.") and key.endswith("conv.weight") for key in fits):
            raise IcsortError(f"{sources.start}: is a run of another network ({run.config.model}); give one like it")
        model.load_state_dict(fits, strict=False)
    if model.quantized:
        turn_gammas_positive(model)
        chosen = torch.randperm(len(training.labels), generator=torch.Generator().manual_seed(seed))[:FITTED]
        fit_steps(model, training.upright()[chosen].float())


def _units(training: Dataset) -> NDArray[np.float64]:
    """What a network's output of 1 is worth of each measured value, (V,): its standard deviation over these cells.

    Raises IcsortError for one that does not vary, which no network can learn.
    """
    if training.measured is None:
        return np.empty(0)
    units = np.asarray(training.measured.values.std(axis=0))
    for name, unit in zip(training.measured.names, units.tolist(), strict=True):
        if not unit > 0 or not math.isfinite(unit):
            raise IcsortError(
                f"{training.origin}: {name} is the same in all training cells, or no number in one, so that there is "
                "nothing to learn; give another channel, or cells that differ in it"
            )
    return units


def _in_units(part: Dataset, units: NDArray[np.float64]) -> Dataset:
    """The cells with their measured values as the network gives them."""
    if part.measured is None:
        return part
    return dataclasses.replace(part, measured=dataclasses.replace(part.measured, values=part.measured.values / units))


def _teacher(folders: tuple[Path, ...], configuration: RunConfig, task: Task, group: Processes) -> Teacher | None:
    """What the runs' mean answers for pixels (n, C, H, W)."""
    if not folders:
        return None
    runs = [load_run(folder) for folder in folders]
    for run in runs:
        for key in (
            "classes",
            "values",
            "channels",
            "input",
            "line",
            "trigger",
            "preprocess",
            "flat_field",
            "preparation",
        ):
            if getattr(run.config, key) != getattr(configuration, key):
                raise IcsortError(f"--teacher {run.name}: was trained with another {key}; train it like this one")
    models = [group.place(run.model).eval() for run in runs]

    def answer(pixels: Tensor) -> Tensor:
        return task.mean([model(pixels) for model in models])

    return answer


def _metrics(logits: dict[str, Tensor], samples: dict[str, Samples], task: Task) -> dict[str, Any]:
    metrics: dict[str, Any] = {
        name: task.score(values, samples[name].labels) | {"not_triggered": samples[name].missed}
        for name, values in logits.items()
    }
    metrics["train"] = {"cells": len(samples["train"].labels), "not_triggered": samples["train"].missed}
    return metrics


def _of_classes(logits: dict[str, Tensor], samples: dict[str, Samples]) -> dict[str, Any]:
    """Confusions of the test part, and the temperature."""
    classes = range(logits["test"].shape[1])
    predicted = logits["test"].argmax(dim=1).numpy()
    temperature = fit_temperature(logits["validation"].numpy(), samples["validation"].labels.numpy())
    return {
        "confusion_test": confusion_matrix(samples["test"].labels.numpy(), predicted, labels=classes).tolist(),
        "temperature": temperature,
        "temperature_remark": remark(temperature),
    }


def _configuration(
    dataset: Dataset,
    architecture: Architecture,
    recipe: Recipe,
    sources: Sources,
    acquisition: Acquisition,
    units: NDArray[np.float64],
    seen: Seen,
    seed: int,
) -> RunConfig:
    with refusals(dataset.origin, "no network of them could be exported: change the data, or --min-class, --merge"):
        return RunConfig(
            **dict(acquisition),
            model=architecture.title,
            architecture=_plain(architecture),
            classes=dataset.outputs,
            values=()
            if dataset.measured is None
            else tuple(
                ValueSpec(scale=scale, unit=unit)
                for scale, unit in zip(units.tolist(), dataset.measured.units, strict=True)
            ),
            data=RunData(
                source=dataset.source,
                origin=dataset.origin,
                hash=dataset.sha256(),
                split_seed=seed,
                parts=seen.sha256(),
                cells=dataset.counts(),
                digitization=None if dataset.digitization is None else dataset.digitization.spec,
            ),
            recipe=_plain(recipe),
            sources=RunSources(
                start=None if sources.start is None else sources.start.resolve().name,
                teacher=tuple(folder.resolve().name for folder in sources.teacher),
                weights=None if sources.weights is None else sources.weights.name,
            ),
            seed=seed,
            tools={name: version(name) for name in ("torch", "brevitas", "numpy")}
            | {"python": platform.python_version()},
        )


def _plain(settings: Architecture | Recipe) -> dict[str, Any]:
    """As JSON has them."""
    plain: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(settings)))
    return plain
