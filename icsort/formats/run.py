# SPDX-License-Identifier: Apache-2.0
"""A run's configuration, `config.json`: what a training was given and what it set the hardware to."""

from typing import Annotated, Any, Final, Literal, Self

from pydantic import Field, model_validator

from icsort.formats.acquisition import Acquisition, with_trigger_rules
from icsort.formats.document import Sha256, Strict
from icsort.formats.package import Classes, DigitizationSpec, Values, check_outputs

CONFIG_FILE = "config.json"
FORMAT: Final = "icsort-run"
VERSION = 4


class RunData(Strict):
    """The cells: where they came from, in short and as a sentence, sha256 of all, seed of the split, cells a class.

    parts: sha256 over the identities of the cells of each part, in `cells.npz`. digitization: of cells whose pixels
    were stored as floating-point numbers; None where they were counts.
    """

    source: str
    origin: str
    hash: Sha256
    split_seed: int
    parts: Sha256
    cells: dict[str, int]
    digitization: Annotated[DigitizationSpec | None, Field(exclude_if=lambda digitization: digitization is None)] = None


class RunSources(Strict):
    """Names of the run whose weights it began with, of the runs it followed, and of a file of published weights."""

    start: str | None = None
    teacher: tuple[str, ...] = ()
    weights: str | None = None


class RunConfig(Acquisition):
    """Made before the training begins, so that what no package could hold is refused then.

    architecture, recipe: the values of icsort.quant.networks.architectures.Architecture and training.recipe.Recipe.
    classes, values: the network's outputs, as a package has them.
    """

    format: Literal["icsort-run"] = FORMAT
    version: Annotated[int, Field(ge=VERSION, le=VERSION)] = VERSION
    model: str
    architecture: dict[str, Any]
    classes: Classes
    values: Values = ()
    data: RunData
    recipe: dict[str, Any]
    sources: RunSources
    seed: int
    tools: dict[str, str]

    @model_validator(mode="after")
    def _outputs(self) -> Self:
        check_outputs(self.classes, self.values)
        return self

    @classmethod
    def upgraded(cls, contents: dict[str, Any]) -> dict[str, Any]:
        """Version 3 had a trigger of one channel and one threshold."""
        if contents.get("format") != FORMAT or contents.get("version") != VERSION - 1:
            return contents
        return with_trigger_rules(contents | {"version": VERSION})
