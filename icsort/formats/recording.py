# SPDX-License-Identifier: Apache-2.0
"""What a recording of events holds: its parameters by name, and the way to them and back to the gate engine's integers.

A parameter that gates can test has the name that it has in a gate set, and its unit: a gate that was drawn on a plot of
the file is the gate that the board is given. docs/recording.md lists them all.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from icsort.errors import IcsortError
from icsort.formats.event_record import Group
from icsort.formats.fcs import Parameter, parameter_name

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from icsort.formats.package import Manifest

TIME: Final = "Time"
"""Cycles of the board's clock since its reset; times the keyword $TIMESTEP seconds. The name is known everywhere."""
EVENT: Final = "event"
TAG: Final = "tag"
OUTCOME: Final = "outcome"
CLASS: Final = "class"
POSTERIOR: Final = "posterior"
FLAGS: Final = "flags"
LENGTH: Final = "event length"
INTERVAL: Final = "time since the event before"
UNKNOWN_INTERVAL: Final = -1.0
"""Where the record of the event before was lost."""
GATES: Final = "gates"
DIRECTION: Final = "direction"
NOWHERE: Final = -1.0
"""Direction of an event that was wished for none."""
RECORDING_ID: Final = "ICSORT RECORDING"
"""Keyword by which the images that were kept together with a recording know it."""
BASE: Final = (
    Parameter(TIME, 2.0**48, "cycles"),
    Parameter(EVENT, 2.0**32),
    Parameter(TAG, 256),
    Parameter(OUTCOME, 16),
    Parameter(DIRECTION, 8),
    Parameter(FLAGS, 64),
    Parameter(LENGTH, 256, "lines"),
    Parameter(INTERVAL, 2.0**20, "us"),
    Parameter(CLASS, 64),
    Parameter(POSTERIOR, 1),
    Parameter(GATES, 2.0**32),
)
"""Of every recording. posterior: of the gate set's first class set. gates: bit g, gate g holds."""
TIMING: Final = (
    Parameter("gate serial", 2.0**32),
    Parameter("first pixel to decision", 2.0**20, "cycles"),
    Parameter("last pixel to decision", 2.0**20, "cycles"),
)
_TOPS: Final = {
    **dict.fromkeys(("size", "max_intensity"), 2.0**16),
    "total_intensity": 2.0**24,
    **dict.fromkeys(("center_of_mass_x", "center_of_mass_y", "delta_com"), 256.0),
    **dict.fromkeys(("long_axis_moment", "short_axis_moment", "radial_moment"), 2.0**12),
}
"""Ends of axes of features, by kind; of ratios 1."""
VALUES: Final = "ICSORT VALUES"
"""Keyword that names the outputs of a network that predicts values, in place of its classes."""
_TOP_VALUE: Final = 16.0
"""End of the axis of a value that the network predicts, in standard deviations of what it was trained on."""


def logit(name: str) -> str:
    """Name of a class's logit, as gates have it."""
    return f"logit {name}"


def output_names(manifest: "Manifest") -> tuple[str, ...]:
    """Names of the network's outputs, as gates and recordings have them: values by their own, logits by their class."""
    return manifest.classes if manifest.values else tuple(logit(name) for name in manifest.classes)


def posterior(name: str) -> str:
    """Name of the posterior of a class alone."""
    return f"posterior {name}"


@dataclass(frozen=True)
class Layout:
    """Columns of a recording: those of the groups that the board's records have. gates: names of those that get a
    column of their own, 1 where they hold."""

    manifest: "Manifest"
    clock_hz: int
    groups: Group
    gates: tuple[str, ...] = ()

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """In the order of the columns."""
        from icsort.sim.bit_true import features

        classes, channels = self.manifest.classes, self.manifest.channels
        columns = list(BASE)
        columns += [Parameter(f"gate {name}", 2) for name in self.gates]
        if Group.TIMING in self.groups:
            columns += TIMING
        if Group.LOGITS in self.groups:
            values = self.manifest.values
            if values:
                named_values = zip(classes, values, strict=True)
                columns += [Parameter(name, _TOP_VALUE * value.scale, value.unit) for name, value in named_values]
            else:
                columns += [Parameter(posterior(name), 1) for name in classes]
                columns += [Parameter(logit(name), 64) for name in classes]
        if Group.FEATURES in self.groups:
            kinds = [kind for kind in features.CHANNEL_KINDS for _ in channels]
            kinds += [kind for kind in features.PAIR_KINDS for _ in features.pairs(len(channels))]
            named = zip(features.names(channels), kinds, features.units(len(channels)), strict=True)
            columns += [Parameter(name, _TOPS.get(kind, 1.0), unit) for name, kind, unit in named]
        return tuple(columns)

    def keywords(self) -> dict[str, str]:
        """What turns the values back into the board's integers, and what the numbers stand for."""
        from icsort.sim.bit_true.event_flag import EventFlag
        from icsort.sim.bit_true.scheduler import Outcome

        manifest = self.manifest
        return {
            "$CYT": "icsort",
            "$TIMESTEP": f"{1 / self.clock_hz:.24f}".rstrip("0"),
            "ICSORT MODEL": manifest.name,
            "ICSORT MODEL ID": manifest.model_id,
            "ICSORT CLOCK HZ": str(self.clock_hz),
            VALUES if manifest.values else "ICSORT CLASSES": ", ".join(
                f"{number} {name}" for number, name in enumerate(manifest.classes)
            ),
            "ICSORT OUTCOMES": ", ".join(f"{outcome.value} {outcome.name}" for outcome in Outcome),
            "ICSORT FLAGS": ", ".join(f"{flag.value} {flag.name}" for flag in EventFlag),
        }


class Source(Protocol):
    """Where a recording's events are: a file (`icsort.formats.fcs.FcsFile`), or a part of one in memory."""

    path: Path
    """As messages name it."""
    names: list[str]
    keywords: dict[str, str]
    events: int

    def integer(self, name: str, least: int = 0) -> int:
        """A keyword that is a number. Raises IcsortError where it is none."""

    def rows(self, first: int, count: int) -> "NDArray[Any]":
        """At most so many events from that one on, (E, P)."""


class Recording:
    """Recorded events as the gate engine sees them. Raises IcsortError for those of another model.

    clock_hz: of the board it is of. events: how many.
    """

    def __init__(self, file: Source, manifest: "Manifest") -> None:
        self._file = file
        self._manifest = manifest
        stated = file.keywords.get("ICSORT MODEL ID")
        if stated != manifest.model_id:
            raise IcsortError(
                f"{file.path}: is a recording of model {stated or '(none)'}, the folder is model {manifest.model_id}; "
                "give the model that the events were recorded with"
            )
        self.events = file.events
        self.clock_hz = file.integer("ICSORT CLOCK HZ", 1)
        self._columns = {name: column for column, name in enumerate(file.names)}

    def has(self, name: str) -> bool:
        """Whether there is a parameter of this name."""
        return parameter_name(name) in self._columns

    def rows(self, first: int, count: int) -> "NDArray[Any]":
        """At most so many events from that one on, (E, P)."""
        return self._file.rows(first, count)

    def column(self, rows: "NDArray[Any]", name: str) -> "NDArray[Any]":
        """A parameter, (E,). Raises IcsortError where the recording lacks it."""
        try:
            return rows[:, self._columns[parameter_name(name)]]
        except KeyError:
            raise IcsortError(
                f"{self._file.path}: the recording has no {name!r}; record with it (features: `icsort record "
                "--features`), or leave it out of the gates"
            ) from None

    def integers(self, rows: "NDArray[Any]", names: Sequence[str], unit_values: Sequence[float]) -> "NDArray[Any]":
        """Parameters as the board had them, (E, N) int64: what times its unit value is the recorded value."""
        import numpy as np

        columns = [self.column(rows, name) / unit for name, unit in zip(names, unit_values, strict=True)]
        return np.rint(np.stack(columns, axis=1)).astype(np.int64)


def segment(path: Path, number: int) -> Path:
    """The file of a recording with this number; 1 is the first."""
    return path if number == 1 else path.with_name(f"{path.stem}-{number:03d}{path.suffix}")


def segments(path: Path) -> list[Path]:
    """Files of a recording, the first one given; of any other file that one alone."""
    found = [path]
    while (following := segment(path, len(found) + 1)).exists():
        found.append(following)
    return found
