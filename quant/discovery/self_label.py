# SPDX-License-Identifier: Apache-2.0
"""Self-label clustering: a network learns the clusters, its features give the next ones, until they settle.

After Caron et al. 2018 (Deep Clustering) and the self-labels of Zhang et al.: training cells are turned, mirrored and
moved, so that what the network tells apart is no matter of orientation. A cell's features are those before the head,
averaged over all orientations; k-means sees them through the head and its softmax, where directions in which clusters
do not differ count nothing and a cell that the network is sure of cannot outweigh the others.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import adjusted_rand_score

from icsort.quant.cells.on_disk import on_disk
from icsort.quant.discovery.clusters import Labels, check_sizes, components, k_means
from icsort.quant.networks.architectures import Architecture, Network
from icsort.quant.training.fitting import BATCH, Fitting
from icsort.quant.training.processes import processes
from icsort.quant.training.recipe import Recipe
from icsort.quant.training.samples import Samples, class_weights
from icsort.quant.training.tasks import Classification

SETTLED = 0.95  # adjusted Rand index of two rounds
COMPONENTS = 16  # of the network's features
STEPS = 100  # of a round's training, at least: fewer cells are shown more often, up to MOST_EPOCHS times
MOST_EPOCHS = 20
VALIDATED = 10  # one cell of so many chooses a round's epoch
ROUND = Recipe(learning_rate=2e-3)  # but for the epochs


@dataclass(frozen=True)
class SelfLabels:
    """labels (N,); features (N, F), principal components of those of the last network; of each round the adjusted Rand
    index to the one before."""

    labels: Labels
    features: NDArray[np.float64]
    rounds: tuple[float, ...]

    @property
    def settled(self) -> bool:
        """Whether the last round left the clusters as they were."""
        return bool(self.rounds) and self.rounds[-1] >= SETTLED


def self_label(
    samples: Samples,
    first: Labels,
    architecture: Architecture,
    rounds: int,
    seed: int,
    progress: Callable[[str], None] = lambda _: None,
    folder: Path | None = None,
) -> SelfLabels:
    """Clusters of cells from the first ones (N,), which are 0 to K - 1, by 1 to `rounds` trainings.

    samples: of the N cells in their orientations; their labels are not looked at. architecture: trained in floating
    point; it goes on from the round before. progress: is told each round. folder: where features are kept, in files
    (cells.on_disk). Raises IcsortError where a cluster shrinks to fewer cells than can be learned, and for a training
    that diverges.
    """
    clusters = int(first.max()) + 1
    recipe = replace(ROUND, epochs=min(MOST_EPOCHS, -(-STEPS * ROUND.batch // len(first))))
    torch.manual_seed(seed)
    _, _, channels, height, width = samples.pixels.shape
    network = architecture.as_float().build(channels, clusters, height, width)
    order = torch.randperm(len(first), generator=torch.Generator().manual_seed(seed))
    held = order[: max(2, len(first) // VALIDATED)]
    names = [f"cluster {number + 1}" for number in range(clusters)]
    labels, changes = first, list[float]()
    for number in range(1, rounds + 1):
        check_sizes(labels, clusters)
        training = replace(samples, labels=torch.from_numpy(labels))
        validation = replace(training, pixels=samples.pixels[:1, held], labels=training.labels[held])
        weights = class_weights(training.labels, names, recipe.balance)
        task = Classification(weights, recipe.label_smoothing, recipe.softness)
        with processes("cpu") as alone:
            done = Fitting(network, training, validation, recipe, task, seed + number, alone).run(
                lambda _: None, progress=False
            )
        network.load_state_dict(done.best)
        features, posteriors = orientation_features(network, samples, folder)
        centres = np.stack([posteriors[labels == cluster].mean(axis=0) for cluster in range(clusters)])
        renewed = k_means(posteriors, clusters, seed, centres)
        changes.append(float(adjusted_rand_score(labels, renewed)))
        labels = renewed
        progress(f"round {number}: {changes[-1]:.2f} as before")
        if changes[-1] >= SETTLED:
            break
    check_sizes(labels, clusters)
    return SelfLabels(labels, components(features, COMPONENTS, seed, folder), tuple(changes))


def orientation_features(
    network: Network, samples: Samples, folder: Path | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What the head sees of each cell, (N, F), averaged over its orientations, each mirrored too, and the posteriors
    (N, K) that it gives that mean, both in files of the folder (cells.on_disk)."""
    network.eval()
    cells = samples.pixels.shape[1]
    features, posteriors = np.empty((0, 0)), np.empty((0, 0))
    with torch.no_grad():
        for begin in range(0, cells, BATCH):
            place = slice(begin, begin + BATCH)
            total = sum(
                network.embed(part.flip(-1) if mirrored else part)
                for part in (orientation[place].float() for orientation in samples.pixels)
                for mirrored in (False, True)
            )
            mean = torch.as_tensor(total) / (2 * len(samples.pixels))
            logits = network.head(mean).double()
            if not begin:
                features, posteriors = (
                    on_disk((cells, found.shape[1]), np.float64, folder, "the cells' features")
                    for found in (mean, logits)
                )
            features[place], posteriors[place] = mean.double().numpy(), torch.softmax(logits, dim=1).numpy()
    return features, posteriors
