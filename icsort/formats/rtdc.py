# SPDX-License-Identifier: Apache-2.0
"""Recorded images and events as an .rtdc file: HDF5 as dclab, DCscope and Shape-Out read it (docs/recording.md).

Needs h5py and hdf5plugin (icsort[convert]).
"""

import io
import re
import textwrap
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Final

import h5py
import hdf5plugin
import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, Field

from icsort import __version__
from icsort.formats.document import Name, Strict
from icsort.formats.image_list import ImagesHead
from icsort.formats.instrument import Positive
from icsort.formats.recorded_images import RecordedImages, account_lines
from icsort.formats.recording import CLASS, EVENT, TIME, posterior
from icsort.sim.bit_true.features import MAX_CHANNELS
from icsort.sim.bit_true.preprocess import PIXEL_MAX, SAMPLE_MAX

BATCH: Final = 256
"""Cells that are written together; the most of a chunk."""
CHUNK_BYTES: Final = 2**20
LOG: Final = "icsort"
TABLE: Final = "icsort"
LOG_WIDTH: Final = 100
SOFTWARE: Final = "setup:software version"


class _Section(Strict):
    """Keys as the format has them, with a space for each underscore."""

    model_config = ConfigDict(alias_generator=lambda name: name.replace("_", " "))


class Experiment(_Section):
    sample: Name | None = None
    run_index: Annotated[int, Field(ge=1)] | None = None


class Imaging(_Section):
    """flash_duration: us. frame_rate: Hz. pixel_size: um."""

    flash_device: Name | None = None
    flash_duration: Positive | None = None
    frame_rate: Positive | None = None
    pixel_size: Positive | None = None


class Setup(_Section):
    """channel_width: um. flow rates: uL/s. temperature: of the chip, degrees Celsius."""

    channel_width: Positive | None = None
    chip_identifier: Name | None = None
    chip_region: Name | None = None
    flow_rate: Positive | None = None
    flow_rate_sample: Positive | None = None
    flow_rate_sheath: Positive | None = None
    identifier: Name | None = None
    medium: Name | None = None
    module_composition: Name | None = None
    temperature: float | None = None


class Metadata(Strict):
    """What a recording does not know of the instrument, and dclab asks for."""

    experiment: Experiment = Experiment()
    imaging: Imaging = Imaging()
    setup: Setup = Setup()

    def attributes(self) -> dict[str, Any]:
        """Those that are stated, by the names of the file's attributes."""
        sections = self.model_dump(by_alias=True, exclude_none=True)
        return {f"{section}:{key}": value for section, keys in sections.items() for key, value in keys.items()}


def is_earlier(path: Path) -> bool:
    """Whether a file was written here, and by nobody else since. Raises OSError for no HDF5."""
    with h5py.File(path) as file:
        return re.fullmatch(r"icsort [^|]*", str(file.attrs.get(SOFTWARE))) is not None


class _Disk(io.FileIO):
    """A file for HDF5, which does not survive a disk that takes no more: it is told that all was written. error: what
    the disk said first."""

    error: OSError | None = None

    def write(self, data: Any) -> int:
        view = memoryview(data)
        try:
            while view and self.error is None:
                view = view[super().write(view) :]
        except OSError as error:
            self.error = error
        return len(data)

    def truncate(self, size: int | None = None) -> int:
        try:
            return super().truncate(size)
        except OSError as error:
            self.error = self.error or error
            return size or 0

    def check(self) -> None:
        if self.error is not None:
            raise self.error


def write_rtdc(path: Path, recorded: RecordedImages, channel: int, metadata: Metadata, progress: Any) -> dict[str, Any]:
    """Write a file over an empty one, a batch of cells in memory at a time. channel: that of `events/image`. Returns
    what became of every image and event (RecordedImages.account). Raises IcsortError; OSError where the disk does."""
    with _Disk(path, "r+") as disk:
        try:
            with h5py.File(disk, "w") as file:
                account = _write(file, recorded, channel, metadata, progress, disk.check)
        except (OSError, RuntimeError):
            disk.check()
            raise
        disk.check()
    return account


def _write(
    file: h5py.File,
    recorded: RecordedImages,
    channel: int,
    metadata: Metadata,
    progress: Any,
    check: Callable[[], None],
) -> dict[str, Any]:
    images, match = recorded.images, recorded.match
    head, names = images.head, match.files[0].names
    least = mask_level(head, channel)
    height, width, _ = images.shape
    events = file.create_group("events")
    channels = file.create_group("icsort/channels")
    for number, name in enumerate(head.channels):
        pixels = _images(channels, str(number), height, width)
        pixels.attrs["name"] = name
    events["image"] = channels[str(channel)]
    mask = None if least is None else _images(events, "mask", height, width)
    record = np.dtype([(name, "<f8") for name in names])
    table = _dataset(file.create_group("tables"), TABLE, (), record)
    columns = scalars(recorded)
    for feature, (kind, _) in columns.items():
        _dataset(events, feature, (), kind)
    done, total = 0, len(match.matched)
    for cells in recorded.cells(BATCH):
        for number in range(len(head.channels)):
            _append(channels[str(number)], cells.pixels[..., number])
        if mask is not None and least is not None:
            _append(mask, (cells.pixels[..., channel] >= least) * np.uint8(255))
        _append(table, np.ascontiguousarray(cells.values).view(record)[:, 0])
        for feature, (kind, values) in columns.items():
            _append(events[feature], values(cells.values).astype(kind))
        done += len(cells.pixels)
        check()
        progress("written", done, total)
    account = recorded.account()
    file.attrs.update(_attributes(recorded, channel, done) | metadata.attributes())
    text = [line for entry in account_lines(account) for line in textwrap.wrap(entry, LOG_WIDTH)]
    log = np.asarray([line.encode("ascii", "backslashreplace") for line in text], f"S{LOG_WIDTH}")
    file.create_group("logs").create_dataset(LOG, data=log, fletcher32=True, **hdf5plugin.Zstd(clevel=5))
    return account


def scalars(recorded: RecordedImages) -> dict[str, tuple[str, Any]]:
    """Features of an .rtdc by name: type, and from recorded events (n, P) to their values (n,)."""
    file = recorded.match.files[0]
    clock_hz = file.integer("ICSORT CLOCK HZ", 1)

    def column(name: str, unit: int = 1) -> Any:
        place = file.column(name)
        return lambda values: values[:, place] / unit

    features = {
        "time": ("<f8", column(TIME, clock_hz)),
        "index_online": ("<f8", column(EVENT)),
        "ml_class": ("<u4", column(CLASS)),
    }
    for score, name in scores(recorded).items():
        features[score] = ("<f8", column(posterior(name)))
    return features


def scores(recorded: RecordedImages) -> dict[str, str]:
    """Names of the features of the classes' posteriors, in the order of the classes, which is that of these names: then
    dclab finds the same class; empty where they were not recorded."""
    file = recorded.match.files[0]
    classes = [
        name.removeprefix("posterior ") for name in file.names if name.startswith("posterior ") and name != "posterior"
    ]
    letters = [re.sub("[^a-z0-9]", "", name.lower())[:1] or "x" for name in classes]
    return {f"ml_score_{n:02d}{letter}": name for n, (letter, name) in enumerate(zip(letters, classes, strict=True))}


def mask_level(head: ImagesHead, channel: int) -> int | None:
    """The grey level of the least light that the features count in this channel; None where the images do not tell such
    pixels from all others: the level is that of the background or of the brightest ones, or nobody said how the images
    were made."""
    acquisition = head.acquisition
    if acquisition is None or acquisition.preprocess.gain[channel] <= 0 or len(head.channels) > MAX_CHANNELS:
        return None
    settings = acquisition.feature_settings
    counts = np.asarray(settings.background) + np.asarray(settings.threshold)
    level = int(acquisition.pixels(np.minimum(counts, SAMPLE_MAX).astype(np.uint16)[np.newaxis])[0, channel])
    return level if 0 < level < PIXEL_MAX else None


def _attributes(recorded: RecordedImages, channel: int, count: int) -> dict[str, Any]:
    """All that is known. The region of the chip has to be one of two, and a sorter looks at its channel."""
    images, file = recorded.images, recorded.match.files[0]
    head, keywords = images.head, file.keywords
    known: dict[str, Any] = {
        "experiment:event count": count,
        "experiment:sample": "not stated",
        "experiment:run index": 1,
        "imaging:roi position x": head.acquisition.line.x_offset if head.acquisition else 0,
        "imaging:roi position y": 0,
        "imaging:roi size x": head.width,
        "imaging:roi size y": head.height,
        "setup:chip region": "channel",
        SOFTWARE: f"icsort {__version__}",
        "user:channel of image": head.channels[channel],
        "user:recording": file.path.name,
    }
    if head.recording_id is not None:
        known["experiment:run identifier"] = head.recording_id
    for key in ("$DATE", "$BTIM"):
        try:
            word = keywords[key]
            if key == "$DATE":
                known["experiment:date"] = datetime.strptime(word, "%d-%b-%Y").date().isoformat()
            else:
                known["experiment:time"] = word
        except (KeyError, ValueError):
            continue
    known |= {f"user:{score}": name for score, name in scores(recorded).items()}
    stated = ("MODEL", "MODEL ID", "BUILD ID", "GATE SET", "CLASSES", "OUTCOMES", "FLAGS", "JOB", "CLOCK HZ")
    return known | {f"user:{key.lower()}": v for key in stated if (v := keywords.get(f"ICSORT {key}"))}


def _dataset(group: h5py.Group, name: str, shape: tuple[int, ...], kind: Any) -> h5py.Dataset:
    """An empty one that grows by what is appended."""
    size = np.dtype(kind).itemsize * int(np.prod(shape, dtype=int))
    rows = BATCH if not shape else max(16, min(BATCH, 2 ** (max(1, CHUNK_BYTES // size).bit_length() - 1)))
    return group.create_dataset(
        name, (0, *shape), kind, maxshape=(None, *shape), chunks=(rows, *shape), fletcher32=True,
        **hdf5plugin.Zstd(clevel=5),
    )  # fmt: skip


def _images(group: h5py.Group, name: str, height: int, width: int) -> h5py.Dataset:
    """One of grey images, marked as HDF5's viewers and dclab want them."""
    dataset = _dataset(group, name, (height, width), np.uint8)
    for key, value in (("CLASS", "IMAGE"), ("IMAGE_VERSION", "1.2"), ("IMAGE_SUBCLASS", "IMAGE_GRAYSCALE")):
        dataset.attrs.create(key, np.bytes_(value))
    return dataset


def _append(dataset: h5py.Dataset, values: NDArray[Any]) -> None:
    count = len(dataset)
    dataset.resize(count + len(values), axis=0)
    dataset[count:] = values
