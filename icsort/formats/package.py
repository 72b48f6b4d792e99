# SPDX-License-Identifier: Apache-2.0
"""The model package: a folder with `model.onnx` (QONNX) and `manifest.json`, all that later stages know of a model.

Every load checks the types, that lengths agree, that constants fit the hardware, that model.onnx is the file that was
exported, and that the model id is that of the contents.
"""

import hashlib
import json
import os
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from icsort.errors import IcsortError
from icsort.formats.acquisition import Acquisition, with_trigger_rules
from icsort.formats.document import Name, Sha256, Strict, read, write
from icsort.sim.bit_true import gate

FORMAT: Final = "icsort-model-package"
VERSION = 2
MANIFEST_FILE = "manifest.json"
MODEL_FILE: Final = "model.onnx"
CELLS_FILE: Final = "cells.npz"
"""Of the packages that have it: which cells taught the network."""
EXPORT_AGAIN = "export the model again with this version of icsort"

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]


def _different(names: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(names)) != len(names):
        raise ValueError("names one class twice")
    return names


Classes = Annotated[tuple[Name, ...], Field(min_length=1, max_length=gate.MAX_CLASSES), AfterValidator(_different)]
"""Names of the network's outputs: classes, as many as the gate's set has bits, or values."""


class LogitsSpec(Strict):
    """logit = integer accumulator * scale; calibrated probability = softmax(logit / temperature), natural exponent."""

    scale: Positive
    temperature: Positive


class PosteriorSpec(Strict):
    """Gate constants: (d * multiplier) >> shift turns an accumulator difference into log2 odds with 8 fraction bits."""

    multiplier: Annotated[int, Field(ge=1, le=gate.MULTIPLIER_MAX)]
    shift: Annotated[int, Field(ge=0, le=gate.SHIFT_MAX)]

    @classmethod
    def of(cls, logits: LogitsSpec) -> Self:
        """The constants of this scale and temperature. Raises IcsortError where the gate cannot hold them."""
        multiplier, shift = gate.calibrate(logits.scale, logits.temperature)
        return cls(multiplier=multiplier, shift=shift)


class ValueSpec(Strict):
    """What an output is worth that is a value and no class: value = logit * scale, in `unit`."""

    scale: Positive
    unit: str


def check_outputs(classes: tuple[str, ...], values: tuple[ValueSpec, ...]) -> None:
    """Raise ValueError where outputs are neither two or more classes nor a value each."""
    if values and len(values) != len(classes):
        raise ValueError(f"values has {len(values)} entries but classes names {len(classes)} outputs")
    if not values and len(classes) < 2:
        raise ValueError("classes has 1 entries: it must have at least 2, or values")


Values = Annotated[tuple[ValueSpec, ...], Field(exclude_if=lambda values: not values)]
"""One for each output where they are values; of a classifier, none."""


class FitSpec(Strict):
    """How predicted values agree with measured ones on `cells` held-out cells: Pearson's r of the first output."""

    pearson: Annotated[float, Field(ge=-1, le=1)]
    cells: Annotated[int, Field(ge=0)]


class AccuracySpec(Strict):
    """Accuracy and balanced accuracy (0..1) on `cells` held-out cells."""

    accuracy: Share
    balanced_accuracy: Share
    cells: Annotated[int, Field(ge=0)]


class DigitizationSpec(Strict):
    """How floating-point pixels became counts: (value - offset) * counts_per_unit, rounded, within 16 bits."""

    offset: float
    counts_per_unit: Positive


class DataSpec(Strict):
    """Where the training cells came from, the sha256 of all of them, and the seed of the split.

    digitization: of cells whose pixels were stored as floating-point numbers; None where they were counts.
    cells: sha256 over the identities of those that taught the network, in `cells.npz`; None where they are not known.
    """

    source: str
    hash: Sha256
    split_seed: int
    digitization: Annotated[DigitizationSpec | None, Field(exclude_if=lambda digitization: digitization is None)] = None
    cells: Annotated[Sha256 | None, Field(exclude_if=lambda cells: cells is None)] = None


class Manifest(Acquisition):
    """One model package, checked when made: pydantic's ValidationError for values that disagree or do not fit.

    model_id: first 64 bits, 16 hex digits, of sha256 over the canonical JSON of all other keys; found where not given.
    classes: names of the outputs, which are values where `values` says what each is worth: then there is no class, no
    posterior means anything, and `fit` is in the place of `accuracy`.
    """

    BUILT_IN: ClassVar = ("channels", "classes", "files", "input")
    """What a build has of a package, besides what `network_id` names; all else is loaded when the board is armed."""
    STATED: ClassVar = ("format", "version", "model_id")

    format: Literal["icsort-model-package"] = FORMAT
    version: Annotated[int, Field(ge=VERSION, le=VERSION)] = VERSION
    name: Name
    created_by: str
    classes: Classes
    values: Values = ()
    logits: LogitsSpec
    posterior: PosteriorSpec
    accuracy: Annotated[AccuracySpec | None, Field(exclude_if=lambda accuracy: accuracy is None)] = None
    fit: Annotated[FitSpec | None, Field(exclude_if=lambda fit: fit is None)] = None
    data: DataSpec
    files: Annotated[dict[Literal["model.onnx"], Sha256], Field(min_length=1)]
    model_id: str = ""

    @classmethod
    def upgraded(cls, contents: dict[str, Any]) -> dict[str, Any]:
        """Version 1 had a trigger of one channel and one threshold. The identity is that of what is written now."""
        if contents.get("format") != FORMAT or contents.get("version") != 1 or isinstance(contents["version"], bool):
            return contents
        stated = contents.get("model_id")
        if stated != _identity(contents):
            raise IcsortError(f"model_id is {stated} but the contents give {_identity(contents)}: changed after export")
        rest = {key: value for key, value in contents.items() if key != "model_id"}
        written = with_trigger_rules(rest | {"version": VERSION})
        return written | {"model_id": _identity(cls.model_validate_json(json.dumps(written)).to_json())}

    @property
    def network_id(self) -> str:
        """16 hex digits over what a build of the package has in it: network, classes, channels, geometry, what a logit
        is worth. Packages of one network id, with other calibrations, triggers or compensations, run on one build.
        """
        line = {"width": self.line.width, "sample_bits": self.line.sample_bits}
        contents = self.to_json()
        built_in = {key: contents[key] for key in self.BUILT_IN}
        return _identity(built_in | {"line": line, "scale": self.logits.scale})

    @property
    def unit_values(self) -> tuple[float, ...]:
        """What one integer of each output is worth: of a value in its unit, of a class's logit in natural logarithms.

        A gate's axis, a recording and a page show the integer times this.
        """
        if self.values:
            return tuple(self.logits.scale * value.scale for value in self.values)
        return (self.logits.scale,) * len(self.classes)

    @model_validator(mode="after")
    def _identify(self) -> Self:
        check_outputs(self.classes, self.values)
        if (self.fit if self.values else self.accuracy) is None:
            raise ValueError(f"{'fit' if self.values else 'accuracy'} is missing")
        identity = _identity(self.to_json())
        if "model_id" not in self.model_fields_set:
            object.__setattr__(self, "model_id", identity)  # frozen for everybody else
        elif self.model_id != identity:
            raise ValueError(f"model_id is {self.model_id} but the contents give {identity}: changed after export")
        return self


def _identity(contents: dict[str, Any]) -> str:
    """Of a manifest's contents; of all but the model id."""
    rest = {key: value for key, value in contents.items() if key != "model_id"}
    canonical = json.dumps(rest, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode("ascii")).hexdigest()[:16]


def load(folder: str | os.PathLike[str]) -> Manifest:
    """Read and check a model package.

    folder: holds model.onnx and manifest.json. Raises IcsortError, one line, for anything missing, malformed, of
    another format or version, or changed since it was exported.
    """
    root = Path(folder)
    path = root / MANIFEST_FILE
    if not root.is_dir():
        raise IcsortError(
            f"{root}: there is no such folder; make a model package with `icsort export RUN --out PACKAGE`, or of your "
            "own QONNX file with `icsort package`"
        )
    if not path.is_file():
        raise IcsortError(
            f"{root}: no {MANIFEST_FILE}, so this is not a model package; give a folder made by `icsort export`"
        )
    manifest = read(Manifest, path, EXPORT_AGAIN)
    if sha256_of_model(root) != manifest.files[MODEL_FILE]:
        raise IcsortError(
            f"{root / MODEL_FILE}: its sha256 is not the one in {MANIFEST_FILE}, it was changed after export; "
            "export again"
        )
    return manifest


def save(manifest: Manifest, folder: str | os.PathLike[str]) -> Path:
    """Write manifest.json into a folder that holds the model.onnx it describes; whole or not at all.

    Returns the path. Raises IcsortError where model.onnx is not the one of the manifest or nothing can be written.
    """
    path = Path(folder) / MANIFEST_FILE
    if sha256_of_model(Path(folder)) != manifest.files[MODEL_FILE]:
        raise IcsortError(f"{path}: the model's sha256 is another; write {MODEL_FILE} first, then its manifest")
    try:
        write(manifest, path)
    except OSError as error:
        raise IcsortError(f"{path}: cannot be written ({error.strerror})") from None
    return path


def sha256_of_model(folder: Path) -> str:
    """Of the folder's model.onnx. Raises IcsortError where it cannot be read."""
    path = folder / MODEL_FILE
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise IcsortError(f"{path}: cannot be read ({error.strerror}); export the model again") from None
