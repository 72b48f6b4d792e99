# SPDX-License-Identifier: Apache-2.0
"""The model package's manifest: all that later stages know of a model. Reads, checks and writes `manifest.json`.

A model package is a folder with `model.onnx` (QONNX) and `manifest.json`. Every load checks the types, that lengths
agree, that constants fit the hardware, that model.onnx is the file that was exported, and that the model id is that of
the contents.
"""

import dataclasses
import hashlib
import json
import math
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from icsort.errors import IcsortError
from icsort.sim.bit_true.event import Trigger
from icsort.sim.bit_true.preprocess import check_constants

FORMAT = "icsort-model-package"
VERSION = 1
MANIFEST_FILE = "manifest.json"
MODEL_FILE = "model.onnx"
PIXEL_BITS = 8
SAMPLE_BITS = 16
MAX_CLASSES = 64  # the gate's class set is one 64-bit register pair
MAX_GEOMETRY = 255  # eight bits each in the GEOMETRY register
MAX_TRIGGER_THRESHOLD = 2**32 - 1
MAX_POSTERIOR_MULTIPLIER = 2**18 - 1
MAX_POSTERIOR_SHIFT = 47


@dataclass(frozen=True)
class InputSpec:
    """Network input: height x width pixels of `channels` channels, unsigned `bits` bit, NHWC in hardware."""

    height: int
    width: int
    channels: int
    bits: int = PIXEL_BITS


@dataclass(frozen=True)
class LineSpec:
    """Line stream: `width` pixels a line, the window begins at column x_offset, samples of `sample_bits` bit."""

    width: int
    x_offset: int = 0
    sample_bits: int = SAMPLE_BITS


@dataclass(frozen=True)
class TriggerSpec:
    """Event trigger: line sum of `channel` over the window columns >= `threshold` counts."""

    channel: int
    threshold: int


@dataclass(frozen=True)
class PreprocessSpec:
    """Constants of icsort.sim.bit_true.preprocess, one background and gain a channel."""

    background: tuple[int, ...]
    gain: tuple[int, ...]
    shift: int


@dataclass(frozen=True)
class LogitsSpec:
    """logit = integer accumulator * scale; calibrated probability = softmax(logit / temperature), natural exponent."""

    scale: float
    temperature: float


@dataclass(frozen=True)
class PosteriorSpec:
    """Gate constants: (d * multiplier) >> shift turns an accumulator difference into log2 odds with 8 fraction bits."""

    multiplier: int
    shift: int


@dataclass(frozen=True)
class AccuracySpec:
    """Accuracy and balanced accuracy (0..1) on `cells` held-out cells."""

    accuracy: float
    balanced_accuracy: float
    cells: int


@dataclass(frozen=True)
class DataSpec:
    """Where the training cells came from, the sha256 of all of them, and the seed of the split."""

    source: str
    hash: str
    split_seed: int


@dataclass(frozen=True)
class Manifest:
    """One model package, checked when made: IcsortError for values that disagree or that hardware cannot hold."""

    name: str
    created_by: str
    classes: tuple[str, ...]
    channels: tuple[str, ...]
    input: InputSpec
    line: LineSpec
    trigger: TriggerSpec
    preprocess: PreprocessSpec
    logits: LogitsSpec
    posterior: PosteriorSpec
    accuracy: AccuracySpec
    data: DataSpec
    model_sha256: str

    def __post_init__(self) -> None:
        _check_values(self)

    @property
    def model_id(self) -> str:
        """First 64 bits, 16 hex digits, of sha256 over the canonical JSON of all other keys."""
        canonical = json.dumps(self._contents(), sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return hashlib.sha256(canonical.encode("ascii")).hexdigest()[:16]

    @property
    def event_trigger(self) -> Trigger:
        """Trigger and window for icsort.sim.bit_true.event."""
        return Trigger(
            channel=self.trigger.channel,
            threshold=self.trigger.threshold,
            height=self.input.height,
            width=self.input.width,
            x_offset=self.line.x_offset,
        )

    def to_json(self) -> dict[str, object]:
        """The manifest as in manifest.json, model_id included."""
        return {**self._contents(), "model_id": self.model_id}

    def _contents(self) -> dict[str, object]:
        contents: dict[str, object] = {"format": FORMAT, "version": VERSION}
        contents.update(dataclasses.asdict(self))
        del contents["model_sha256"]
        contents["files"] = {MODEL_FILE: self.model_sha256}
        plain: dict[str, object] = json.loads(json.dumps(contents))  # tuples become lists, as they will be read back
        return plain


def load(folder: str | os.PathLike[str]) -> Manifest:
    """Read and check a model package.

    folder: holds model.onnx and manifest.json. Raises IcsortError, one line, for anything missing, malformed, of
    another format or version, or changed since it was exported.
    """
    root = Path(folder)
    path = root / MANIFEST_FILE
    if not root.is_dir():
        raise IcsortError(
            f"{root}: there is no such folder; make a model package with `icsort export RUN --out PACKAGE`"
        )
    if not path.is_file():
        raise IcsortError(
            f"{root}: no {MANIFEST_FILE}, so this is not a model package; give a folder made by `icsort export`"
        )
    try:
        parsed: object = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise IcsortError(f"{path}: not JSON ({_first_line(error)}); export the model again") from None
    except OSError as error:
        raise IcsortError(f"{path}: cannot be read ({error.strerror})") from None
    manifest, stated_id = _parse(path, parsed)
    model = root / MODEL_FILE
    try:
        model_sha256 = hashlib.sha256(model.read_bytes()).hexdigest()
    except OSError as error:
        raise IcsortError(f"{model}: cannot be read ({error.strerror}); export the model again") from None
    if model_sha256 != manifest.model_sha256:
        raise IcsortError(
            f"{model}: its sha256 is not the one in {MANIFEST_FILE}, it was changed after export; export again"
        )
    if stated_id != manifest.model_id:
        raise IcsortError(
            f"{path}: model_id is {stated_id} but the contents give {manifest.model_id}, it was changed after export; "
            "export the model again"
        )
    return manifest


def save(manifest: Manifest, folder: str | os.PathLike[str]) -> Path:
    """Write manifest.json into a folder that holds the model.onnx it describes; whole or not at all.

    Returns the path. Raises IcsortError where model.onnx is not the one of the manifest or nothing can be written.
    """
    path = Path(folder) / MANIFEST_FILE
    model = Path(folder) / MODEL_FILE
    try:
        if hashlib.sha256(model.read_bytes()).hexdigest() != manifest.model_sha256:
            raise IcsortError(f"{model}: its sha256 is not the manifest's; write the model first, then its manifest")
        descriptor, temporary_name = tempfile.mkstemp(dir=folder, prefix=".manifest-")
        temporary = Path(temporary_name)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
                json.dump(manifest.to_json(), stream, indent=2, ensure_ascii=False, allow_nan=False)
                stream.write("\n")
            temporary.chmod(0o644)
            temporary.replace(path)
        except BaseException:
            temporary.unlink()
            raise
    except OSError as error:
        raise IcsortError(f"{path}: cannot be written ({error.strerror})") from None
    return path


def _first_line(error: BaseException) -> str:
    lines = str(error).splitlines()
    return lines[0] if lines else type(error).__name__


def _check_values(manifest: Manifest) -> None:
    """What must agree inside a manifest, and what the hardware's widths allow."""

    def refuse(what: str) -> NoReturn:
        raise IcsortError(f"manifest: {what}")

    def within(name: str, value: int, low: int, high: int) -> None:
        if not low <= value <= high:
            refuse(f"{name} is {value}: it must be within {low}..{high}")

    if not manifest.name or not all(manifest.classes) or not all(manifest.channels):
        refuse("name, classes and channels must not be empty text")
    within("the number of classes", len(manifest.classes), 2, MAX_CLASSES)
    if len(set(manifest.classes)) != len(manifest.classes):
        refuse("classes names one class twice")
    shape = manifest.input
    within("input.height", shape.height, 1, MAX_GEOMETRY)
    within("input.width", shape.width, 1, MAX_GEOMETRY)
    within("input.channels", shape.channels, 1, MAX_GEOMETRY)
    within("input.bits", shape.bits, PIXEL_BITS, PIXEL_BITS)
    within("line.sample_bits", manifest.line.sample_bits, SAMPLE_BITS, SAMPLE_BITS)
    within("line.x_offset", manifest.line.x_offset, 0, max(0, manifest.line.width - shape.width))
    if manifest.line.width < shape.width:
        refuse(f"line.width {manifest.line.width} is less than input.width {shape.width}")
    counts = {
        "channels": len(manifest.channels),
        "preprocess.background": len(manifest.preprocess.background),
        "preprocess.gain": len(manifest.preprocess.gain),
    }
    for name, count in counts.items():
        if count != shape.channels:
            refuse(f"{name} has {count} entries but input.channels is {shape.channels}")
    within("trigger.channel", manifest.trigger.channel, 0, shape.channels - 1)
    within("trigger.threshold", manifest.trigger.threshold, 0, MAX_TRIGGER_THRESHOLD)
    check_constants(manifest.preprocess.background, manifest.preprocess.gain, manifest.preprocess.shift)
    for name, real in (("scale", manifest.logits.scale), ("temperature", manifest.logits.temperature)):
        if not (math.isfinite(real) and real > 0):
            refuse(f"logits.{name} is {real}: it must be a positive number")
    within("posterior.multiplier", manifest.posterior.multiplier, 1, MAX_POSTERIOR_MULTIPLIER)
    within("posterior.shift", manifest.posterior.shift, 0, MAX_POSTERIOR_SHIFT)
    for name, real in (
        ("accuracy", manifest.accuracy.accuracy),
        ("balanced_accuracy", manifest.accuracy.balanced_accuracy),
    ):
        if not 0.0 <= real <= 1.0:
            refuse(f"accuracy.{name} is {real}: it must be within 0..1")
    if manifest.accuracy.cells < 0:
        refuse(f"accuracy.cells is {manifest.accuracy.cells}: it must not be negative")
    for name, digest in (("data.hash", manifest.data.hash), (f"files[{MODEL_FILE}]", manifest.model_sha256)):
        if len(digest) != 64 or not set(digest) <= set("0123456789abcdef"):
            refuse(f"{name} is not a sha256 in lower-case hexadecimal")


class _Reader:
    """Typed access to one JSON object; every refusal names the file and the key."""

    def __init__(self, path: Path, value: object, where: str = "") -> None:
        self._path = path
        self._where = where
        if not isinstance(value, Mapping):
            self.refuse(f"{where or 'the document'} must be an object")
        self._value: Mapping[str, object] = value

    def refuse(self, what: str) -> NoReturn:
        raise IcsortError(f"{self._path}: {what}; export the model again with this version of icsort")

    def _key(self, key: str) -> str:
        return f"{self._where}.{key}" if self._where else key

    def only(self, *keys: str) -> None:
        unknown = sorted(set(self._value) - set(keys))
        if unknown:
            self.refuse(f"unknown key {self._key(unknown[0])!r}")

    def get(self, key: str) -> object:
        if key not in self._value:
            self.refuse(f"{self._key(key)!r} is missing")
        return self._value[key]

    def text(self, key: str) -> str:
        value = self.get(key)
        if not isinstance(value, str):
            self.refuse(f"{self._key(key)!r} must be text")
        return value

    def integer(self, key: str) -> int:
        return self._integer(self.get(key), self._key(key))

    def _integer(self, value: object, name: str) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            self.refuse(f"{name!r} must be a whole number")
        return value

    def real(self, key: str) -> float:
        value = self.get(key)
        if isinstance(value, bool) or not isinstance(value, int | float):
            self.refuse(f"{self._key(key)!r} must be a number")
        try:
            float(value)
        except OverflowError:
            self.refuse(f"{self._key(key)!r} is too large")
        return value  # not converted: the model id is taken over the number as it was written

    def _list(self, key: str) -> list[object]:
        value = self.get(key)
        if not isinstance(value, list):
            self.refuse(f"{self._key(key)!r} must be a list")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        values = self._list(key)
        if not all(isinstance(value, str) for value in values):
            self.refuse(f"{self._key(key)!r} must be a list of text")
        return tuple(str(value) for value in values)

    def integers(self, key: str) -> tuple[int, ...]:
        return tuple(self._integer(value, f"{self._key(key)}[{i}]") for i, value in enumerate(self._list(key)))

    def reader(self, key: str, *keys: str) -> "_Reader":
        inner = _Reader(self._path, self.get(key), self._key(key))
        inner.only(*keys)
        return inner


def _parse(path: Path, parsed: object) -> tuple[Manifest, str]:
    top = _Reader(path, parsed)
    if top.get("format") != FORMAT:
        raise IcsortError(f"{path}: format is {top.get('format')!r}, not {FORMAT!r}: this is not a model package")
    if top.get("version") != VERSION or isinstance(top.get("version"), bool):
        raise IcsortError(
            f"{path}: version {top.get('version')!r} is not {VERSION}, which this icsort reads; export the model again"
        )
    fields = [field.name for field in dataclasses.fields(Manifest) if field.name != "model_sha256"]
    top.only("format", "version", "files", "model_id", *fields)
    shape = top.reader("input", "height", "width", "channels", "bits")
    line = top.reader("line", "width", "x_offset", "sample_bits")
    trigger = top.reader("trigger", "channel", "threshold")
    constants = top.reader("preprocess", "background", "gain", "shift")
    logits = top.reader("logits", "scale", "temperature")
    posterior = top.reader("posterior", "multiplier", "shift")
    accuracy = top.reader("accuracy", "accuracy", "balanced_accuracy", "cells")
    data = top.reader("data", "source", "hash", "split_seed")
    try:
        manifest = Manifest(
            name=top.text("name"),
            created_by=top.text("created_by"),
            classes=top.texts("classes"),
            channels=top.texts("channels"),
            input=InputSpec(
                shape.integer("height"), shape.integer("width"), shape.integer("channels"), shape.integer("bits")
            ),
            line=LineSpec(line.integer("width"), line.integer("x_offset"), line.integer("sample_bits")),
            trigger=TriggerSpec(trigger.integer("channel"), trigger.integer("threshold")),
            preprocess=PreprocessSpec(
                constants.integers("background"), constants.integers("gain"), constants.integer("shift")
            ),
            logits=LogitsSpec(logits.real("scale"), logits.real("temperature")),
            posterior=PosteriorSpec(posterior.integer("multiplier"), posterior.integer("shift")),
            accuracy=AccuracySpec(
                accuracy.real("accuracy"), accuracy.real("balanced_accuracy"), accuracy.integer("cells")
            ),
            data=DataSpec(data.text("source"), data.text("hash"), data.integer("split_seed")),
            model_sha256=top.reader("files", MODEL_FILE).text(MODEL_FILE),
        )
    except IcsortError as error:
        message = str(error)
        raise IcsortError(message if message.startswith(str(path)) else f"{path}: {message}") from None
    return manifest, top.text("model_id")
