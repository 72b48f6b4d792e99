# SPDX-License-Identifier: Apache-2.0
"""A run's configuration, `config.json`: what a training was given and what it set the hardware to."""

from typing import Annotated, Any, Final, Literal

from pydantic import Field

from icsort.formats.acquisition import Acquisition
from icsort.formats.document import Sha256, Strict
from icsort.formats.package import Classes

CONFIG_FILE = "config.json"
FORMAT: Final = "icsort-run"
VERSION = 3


class RunData(Strict):
    """The cells: where they came from, in short and as a sentence, sha256 of all, seed of the split, cells a class.

    parts: sha256 over the identities of the cells of each part, in `cells.npz`.
    """

    source: str
    origin: str
    hash: Sha256
    split_seed: int
    parts: Sha256
    cells: dict[str, int]


class RunSources(Strict):
    """Names of the run whose weights it began with, of the runs it followed, and of a file of published weights."""

    start: str | None = None
    teacher: tuple[str, ...] = ()
    weights: str | None = None


class RunConfig(Acquisition):
    """Made before the training begins, so that what no package could hold is refused then.

    architecture, recipe: the values of icsort.quant.networks.architectures.Architecture and training.recipe.Recipe.
    """

    format: Literal["icsort-run"] = FORMAT
    version: Annotated[int, Field(ge=VERSION, le=VERSION)] = VERSION
    model: str
    architecture: dict[str, Any]
    classes: Classes
    data: RunData
    recipe: dict[str, Any]
    sources: RunSources
    seed: int
    tools: dict[str, str]
