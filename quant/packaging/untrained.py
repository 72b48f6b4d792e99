# SPDX-License-Identifier: Apache-2.0
"""A model package with random weights: a network that can be compiled before anything is trained.

Its batch norms and activation steps are calibrated on cells, so that no layer is dead; its thresholds are settled and
its QONNX file checked as those of a trained network are. Its accuracy is given on 0 cells.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from icsort.errors import IcsortError
from icsort.formats import package as manifest
from icsort.formats.acquisition import MAX_GEOMETRY
from icsort.quant.acquire.choose import NoTriggerError, choose_setup
from icsort.quant.acquire.cut import cut_cells
from icsort.quant.cells.find import Dataset
from icsort.quant.networks.architectures import Architecture, Network
from icsort.quant.networks.blocks import fit_norms, fit_steps
from icsort.quant.networks.published import Published, PublishedNetwork
from icsort.quant.packaging.export import write_package

CALIBRATED = 256
BATCH = 64


def untrained_package(
    architecture: Architecture | Published,
    dataset: Dataset,
    out: Path,
    *,
    classes: int | None = None,
    name: str | None = None,
    seed: int = 0,
    force: bool = False,
) -> manifest.Manifest:
    """Write a package of a network with random weights for cells like those of the dataset. Returns its manifest.

    classes: number of logits, that of the data where None. Raises IcsortError for a float architecture, data that no
    trigger finds, and an output that exists or cannot be written.
    """
    count = classes or len(dataset.classes)
    names = dataset.classes if count == len(dataset.classes) else tuple(f"class{i}" for i in range(count))
    chosen = np.random.default_rng(seed).permutation(len(dataset.images))[:CALIBRATED]
    images = list(dataset.subset(chosen).images)
    try:
        setup = choose_setup(images, dataset.channels)
    except NoTriggerError:  # cut to the network's shape, cells may fill the image; nobody sorts with random weights
        setup = choose_setup(images, dataset.channels, window="image")
    cut = cut_cells(images, setup.acquisition, setup.background)
    pixels = torch.from_numpy(setup.acquisition.pixels(cut.windows).transpose(0, 3, 1, 2).astype(np.float32))
    torch.manual_seed(seed)
    model: Network | PublishedNetwork
    if isinstance(architecture, Published):
        model = architecture.build(count)
        model.calibrate(torch.split(pixels, BATCH))
    else:
        model = _random_network(architecture, count, pixels)
    return write_package(
        model,
        out,
        name=name or out.resolve().name,
        classes=names,
        acquisition=setup.acquisition,
        temperature=1.0,
        scored=manifest.AccuracySpec(accuracy=0.0, balanced_accuracy=0.0, cells=0),
        data=manifest.DataSpec(source=dataset.source, hash=dataset.sha256(), split_seed=seed),
        pixels=pixels,
        force=force,
    )


def _random_network(architecture: Architecture, classes: int, pixels: torch.Tensor) -> Network:
    """Its norms and steps calibrated on pixels (N, C, H, W)."""
    if architecture.weight_bits is None:
        raise IcsortError("a float network cannot be compiled: give --weight-bits and --activation-bits")
    model = architecture.build(pixels.shape[1], classes, *pixels.shape[2:])
    fit_steps(model, pixels[:BATCH])
    fit_norms(model, torch.split(pixels, BATCH))
    model.eval()
    model.settle_thresholds()
    return model


def fitted(dataset: Dataset, channels: int, height: int, width: int) -> Dataset:
    """The cells as images of another size and number of channels: channels repeat, background fills or edges go."""
    images = tuple(_fitted(image, channels, height, width) for image in dataset.images)
    names = tuple(dataset.channels[i % len(dataset.channels)] for i in range(channels))
    names = tuple(name if i < len(dataset.channels) else f"{name} {i}" for i, name in enumerate(names))
    return replace(dataset, images=images, channels=names)


def _fitted(image: NDArray[np.uint16], channels: int, height: int, width: int) -> NDArray[np.uint16]:
    edges = np.concatenate([image[0], image[-1]])
    fitted = np.empty((height, width, image.shape[2]), np.uint16)
    fitted[:] = np.median(edges, axis=0).astype(np.uint16)
    source, target = [], []
    for have, want in zip(image.shape[:2], (height, width), strict=True):
        kept = min(have, want)
        source.append(slice((have - kept) // 2, (have - kept) // 2 + kept))
        target.append(slice((want - kept) // 2, (want - kept) // 2 + kept))
    fitted[tuple(target)] = image[tuple(source)]
    return fitted[..., np.arange(channels) % image.shape[2]]


def parse_shape(text: str) -> tuple[int, int, int]:
    """CHANNELSxHEIGHTxWIDTH as three numbers. Raises IcsortError for anything else."""
    parts = text.split("x")
    if len(parts) != 3 or not all(part.isdecimal() and 0 < int(part) <= MAX_GEOMETRY for part in parts):
        raise IcsortError(f"--input {text}: give channels, height and width, each 1 to 255, for example 7x64x64")
    channels, height, width = map(int, parts)
    return channels, height, width
