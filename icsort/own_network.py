# SPDX-License-Identifier: Apache-2.0
"""`icsort package`: a model package of a network that was not trained here, a QONNX file or a Brevitas module.

The front end (hw) takes the network in and finds its scale; labelled cells, where there are any, set the trigger, the
preprocessing and the temperature (quant). This module stands on both.
"""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from icsort.cli import console
from icsort.cli.options import Force, Json, out
from icsort.errors import IcsortError
from icsort.formats import package as manifest
from icsort.formats.acquisition import (
    Acquisition,
    InputSpec,
    LineSpec,
    PreprocessSpec,
    TriggerSpec,
)
from icsort.formats.document import refusals
from icsort.output import check_target, result_folder
from icsort.sim.bit_true.event import THRESHOLD_MAX

if TYPE_CHECKING:
    import torch

    from icsort.hw.frontend.own_network import OwnNetwork
    from icsort.quant.acquire.choose import Setup
    from icsort.quant.cells.dataset import Dataset

UNCALIBRATED = "none: not calibrated"
PIXEL_SHIFT = 16  # gain 2^16 >> 16: a count is a pixel
NEVER = THRESHOLD_MAX  # no line is as bright: nothing is sorted until cells have set the trigger


@dataclass(frozen=True)
class Packaged:
    """What `package` made. rounded: most that the rounding of a bias moved a logit by."""

    manifest: manifest.Manifest
    rounded: float

    @property
    def calibrated(self) -> bool:
        """Whether labelled cells set trigger, preprocessing and posterior."""
        return self.manifest.accuracy is not None and self.manifest.accuracy.cells > 0


def package(
    model: "Path | str | torch.nn.Module",
    out_folder: Path,
    *,
    classes: Sequence[str],
    shape: tuple[int, int, int] | None = None,
    channels: Sequence[str] = (),
    input_scale: float | None = None,
    mean: Sequence[float] = (),
    deviation: Sequence[float] = (),
    cells: Path | None = None,
    name: str | None = None,
    force: bool = False,
) -> Packaged:
    """Write a model package of a QONNX file or of a Brevitas module, whole or not at all.

    shape: (C, H, W) of a module's input; a file states its own. input_scale: what one step of a pixel, 0..255, is worth
    to a network that takes floats, as 1/255; mean, deviation: what is then taken off and divided by, one or one a
    channel. channels: names; without them those of the cells. cells: labelled images that set trigger, window,
    preprocessing and temperature; without them the trigger never fires and the posterior is not calibrated.

    Raises IcsortError for a network that is not covered, by the layer of the file, and for cells that do not fit.
    """
    from icsort.hw.frontend.own_network import take_in

    check_target(out_folder, manifest.MANIFEST_FILE, force)
    with tempfile.TemporaryDirectory() as scratch:
        work = Path(scratch)
        path = Path(model) if isinstance(model, str | Path) else _exported(model, shape, work)
        (work / "checked").mkdir()
        network = take_in(path, work / "checked", input_scale=input_scale, mean=mean, deviation=deviation)
    if network.classes != len(classes):
        raise IcsortError(f"{path.name}: gives {network.classes} logits, --classes names {len(classes)}; name each one")
    dataset = None if cells is None else _read_cells(cells, network, classes, channels)
    title = name or (path.stem if isinstance(model, str | Path) else type(model).__name__)
    with result_folder(out_folder, manifest.MANIFEST_FILE, force) as folder:
        (folder / manifest.MODEL_FILE).write_bytes(network.model.SerializeToString(deterministic=True))
        written = _write(folder, network, title, tuple(classes), tuple(channels), dataset)
    return Packaged(written, network.rounded)


def _exported(model: "torch.nn.Module", shape: tuple[int, int, int] | None, folder: Path) -> Path:
    from icsort.quant.packaging.export import write_qonnx

    if shape is None:
        raise IcsortError("a Brevitas module does not state its input: give shape=(channels, height, width)")
    path = folder / "exported.onnx"
    try:
        write_qonnx(model.eval(), shape, path)
    except Exception as error:  # torch and brevitas each raise their own
        line = (str(error).splitlines() or [type(error).__name__])[0]
        raise IcsortError(f"{type(model).__name__}: brevitas cannot export it to QONNX ({line})") from None
    return path


def _read_cells(folder: Path, network: "OwnNetwork", classes: Sequence[str], channels: Sequence[str]) -> "Dataset":
    """Labelled cells in the network's classes. Raises IcsortError where they do not fit the network."""
    from dataclasses import replace

    import numpy as np

    from icsort.quant.cells.find import read_folder

    dataset = read_folder(folder)
    if channels:
        dataset = dataset.with_channels(tuple(channels))
    unknown = sorted(set(dataset.classes) ^ set(classes))
    if unknown:
        raise IcsortError(
            f"{folder}: has the classes {', '.join(dataset.classes)}, --classes names {', '.join(classes)}; "
            f"{unknown[0]} is in one of them only: name the classes alike"
        )
    height, width, depth = network.shape
    image = dataset.images[0]
    if image.shape[1:] != (width, depth):
        raise IcsortError(
            f"{folder}: images of {image.shape[1]} pixels and {image.shape[2]} channels, the network takes {width} and "
            f"{depth} (and {height} lines); give cells as it takes them, and its channels with --channels"
        )
    order = np.asarray([list(classes).index(each) for each in dataset.classes])
    return replace(dataset, labels=order[dataset.labels], classes=tuple(classes))


def _write(
    folder: Path,
    network: "OwnNetwork",
    name: str,
    classes: tuple[str, ...],
    channels: tuple[str, ...],
    dataset: "Dataset | None",
) -> manifest.Manifest:
    """The manifest beside model.onnx; with cells, twice: the network is calibrated as a package."""
    height, width, depth = network.shape
    if channels and len(channels) != depth:
        raise IcsortError(f"--channels names {len(channels)}, the network takes {depth}; name each one")
    named = channels or (dataset.channels if dataset is not None else tuple(f"channel{i}" for i in range(depth)))
    setup = None
    if dataset is None:
        with refusals(name, "give a smaller network"):
            acquisition = Acquisition(
                channels=named,
                input=InputSpec(height=height, width=width, channels=depth),
                line=LineSpec(width=width),
                trigger=TriggerSpec.whole_window(0, depth, NEVER, height),
                preprocess=PreprocessSpec(background=(0,) * depth, gain=(2**PIXEL_SHIFT,) * depth, shift=PIXEL_SHIFT),
            )
        data = manifest.DataSpec(source=UNCALIBRATED, hash="0" * 64, split_seed=0)
    else:
        from icsort.quant.acquire.choose import choose_setup

        setup = choose_setup(dataset.images, named, height)
        acquisition = setup.acquisition
        digitization = None if dataset.digitization is None else dataset.digitization.spec
        data = manifest.DataSpec(source=dataset.source, hash=dataset.sha256(), split_seed=0, digitization=digitization)

    def save(temperature: float, accuracy: manifest.AccuracySpec) -> manifest.Manifest:
        with refusals(name, "such a package cannot be built"):
            logits = manifest.LogitsSpec(scale=network.scale, temperature=temperature)
            made = manifest.Manifest(
                **{key: getattr(acquisition, key) for key in Acquisition.model_fields},
                name=name,
                created_by="icsort package",
                classes=classes,
                logits=logits,
                posterior=manifest.PosteriorSpec.of(logits),
                accuracy=accuracy,
                data=data,
                files={manifest.MODEL_FILE: manifest.sha256_of_model(folder)},
            )
        manifest.save(made, folder)
        return made

    written = save(1.0, manifest.AccuracySpec(accuracy=0.0, balanced_accuracy=0.0, cells=0))
    if dataset is not None and setup is not None:
        from icsort.formats import known
        from icsort.formats.heldout import HeldOut

        written = save(*_calibrated(folder, network.scale, dataset, setup))
        names = dataset.classes, dataset.channels
        known.write(folder, HeldOut(tuple(dataset.images), dataset.labels, *names, setup.background))
    return written


def _calibrated(folder: Path, scale: float, dataset: "Dataset", setup: "Setup") -> tuple[float, manifest.AccuracySpec]:
    """Temperature that fits the cells, and what the package's integers make of them."""
    import numpy as np

    from icsort.formats.integer import IntegerNetwork
    from icsort.quant.acquire.cut import cut_cells
    from icsort.quant.training.temperature import fit_temperature

    cut = cut_cells(list(dataset.images), setup.acquisition, setup.background)
    labels = dataset.labels[cut.cells]
    logits = IntegerNetwork(folder).logits(setup.acquisition.pixels(cut.windows))
    right = logits.argmax(axis=1) == labels
    recalls = [right[labels == label].mean() for label in np.unique(labels)]
    accuracy = manifest.AccuracySpec(
        accuracy=float(right.mean()), balanced_accuracy=float(np.mean(recalls)), cells=len(labels)
    )
    return fit_temperature(logits * scale, labels), accuracy


def command(
    model: Annotated[Path, typer.Argument(help="QONNX file of the network, as Brevitas exports it.")],
    out_folder: Annotated[Path, out("Model package to make.")],
    classes: Annotated[str, typer.Option(help="Names of the classes in the order of the logits: a,b,c.")],
    channels: Annotated[str, typer.Option(help="Names of the image's channels in their order: a,b,c.")] = "",
    input_scale: Annotated[
        float | None, typer.Option(help="Worth of one step of a pixel, 0 to 255, to the network: 0.00392156862745098.")
    ] = None,
    mean: Annotated[str, typer.Option(help="Taken off the scaled pixels: one number, or one a channel: a,b,c.")] = "",
    std: Annotated[str, typer.Option(help="Then divided by: one number, or one a channel: a,b,c.")] = "",
    cells: Annotated[
        Path | None, typer.Option(help="Labelled cells that set trigger, preprocessing and posterior.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name of the model (default: the file's).")] = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Make a model package of your own QONNX file, to compile and simulate.

    Refused by the layer of your file where the network is not covered. Without --cells the posterior is not calibrated
    and the trigger never fires.

    Example: icsort package model.onnx --classes live,dead --cells cells --out out/package
    """
    made = package(
        model,
        out_folder,
        classes=_words(classes),
        channels=_words(channels),
        input_scale=input_scale,
        mean=_numbers("--mean", mean),
        deviation=_numbers("--std", std),
        cells=cells,
        name=name,
        force=force,
    )
    description, image = made.manifest, made.manifest.input
    if as_json:
        console.show_json({**description.to_json(), "bias_rounded": made.rounded})
        return
    typer.echo(
        f"model {description.model_id}: {image.channels} x {image.height} x {image.width}, "
        f"{len(description.classes)} classes, one integer logit is worth {description.logits.scale:.6g}"
    )
    if made.rounded:
        steps = made.rounded / description.logits.scale
        typer.echo(f"bias: rounded to the accumulator's steps, which moves a logit by {steps:.2g} of one at most")
    if made.calibrated:
        scores = description.accuracy
        assert scores is not None
        typer.echo(
            f"posterior: temperature {description.logits.temperature:.3g} on {scores.cells} cells, of which "
            f"{scores.accuracy:.3f} are right ({scores.balanced_accuracy:.3f} balanced), whether trained on or not"
        )
    else:
        typer.echo("posterior: not calibrated, and the trigger never fires: give labelled cells with --cells")
    typer.echo(f"package: {out_folder}")


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",")) if text else ()


def _numbers(option: str, text: str) -> tuple[float, ...]:
    try:
        return tuple(float(word) for word in _words(text))
    except ValueError:
        raise IcsortError(f"{option} {text}: give numbers with commas between them, as 0.485,0.456,0.406") from None
