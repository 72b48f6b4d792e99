# SPDX-License-Identifier: Apache-2.0
"""Cells whose treatment shows in one thing, for the tests of responses."""

import numpy as np
import pandas as pd

from icsort.quant.cells.dataset import Dataset

SIZE = 24


def blobs(count: int, seed: int, groups: int = 4, told_by: str = "spots") -> Dataset:
    """Round cells on a dim background, half of them treated. told_by: "spots" puts bright grains into treated ones,
    "size" makes them larger, "nothing" leaves them alike."""
    random = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    rows, columns = np.mgrid[:SIZE, :SIZE]
    images = []
    for label in labels:
        radius = random.uniform(5, 7) + 2 * (told_by == "size" and label)
        middle = random.uniform(11, 13, 2)
        inside = np.hypot(rows - middle[0], columns - middle[1]) < radius
        image = random.normal(100, 5, (SIZE, SIZE, 2)) + 300 * inside[..., np.newaxis]
        if told_by == "spots" and label:
            image[..., 1] += 400 * (inside & (random.random((SIZE, SIZE)) < 0.15))
        images.append(np.clip(image, 0, 65535).astype(np.uint16))
    plates = np.asarray([f"p{index // 2 % groups}" for index in range(count)])
    return Dataset(
        source="blobs",
        origin="blobs of a test",
        images=tuple(images),
        labels=labels.astype(np.int64),
        classes=("DMSO", "drug"),
        channels=("DNA", "actin"),
        names=tuple(f"set/c{index}.png" for index in range(count)),
        groups=plates,
        parameters=pd.DataFrame({"plate": plates, "well": [f"w{index % 2}" for index in range(count)]}),
    )
