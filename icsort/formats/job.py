# SPDX-License-Identifier: Apache-2.0
"""A sort as a file: which cells go where, by which instrument, until when, and what is kept. docs/sorting.md."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal, Self

from pydantic import Field, model_validator

from icsort.errors import IcsortError
from icsort.formats.document import Document, Name, Strict, read_toml
from icsort.formats.gate_set import GateSet, order
from icsort.formats.gate_set import load as load_gates
from icsort.formats.instrument import Instrument, Output, Positive, load_instrument
from icsort.formats.schedule import DirectionSchedule, Schedule

if TYPE_CHECKING:
    from collections.abc import Mapping

FORMAT: Final = "icsort-job"
VERSION: Final = 1
REMEDY: Final = "docs/sorting.md says what a job must hold"
Count = Annotated[int, Field(ge=1)]


class JobDirection(Strict):
    """Where cells go. output: of the gate set and the instrument. name: of what is collected there. target: sorts, then
    no more. every: sort each n-th wish."""

    output: Output
    name: Name
    target: Count | None = None
    every: Count = 1


class Stop(Strict):
    """When a job ends; the first that is reached. minutes: of sorting. events: that the board has accepted. targets:
    once each direction that has a target has reached it."""

    minutes: Positive | None = None
    events: Count | None = None
    targets: bool = True


class Images(Strict):
    """Of which events images are kept, while the link has time: each n-th, or those of which a gate of the gate set
    holds."""

    every: Annotated[int, Field(ge=1, lt=2**24)] | None = None
    gate: Name | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.every is None) == (self.gate is None):
            raise ValueError("give every or gate")
        return self


class Record(Strict):
    """What is kept. events: as FCS, in the job's folder. features: with them; without the key where the build has
    any. images: beside them, in a folder `images`."""

    events: bool
    features: bool | None = None
    images: Annotated[Images | None, Field(exclude_if=lambda images: images is None)] = None


class Job(Document):
    """Paths are relative to the file. folder: to make, for journal and recordings. mode: what a neighbour does to a
    sort: nothing (yield); aborts it unless it goes the same way (purity); aborts it (single). doublets, overlong: such
    events are not aborted. heartbeat_s: silence of the host after which the board disarms itself.
    """

    format: Literal["icsort-job"] = FORMAT
    version: Annotated[int, Field(ge=VERSION, le=VERSION)] = VERSION
    name: Name
    folder: Name
    model: Name
    instrument: Name
    gates: Name
    mode: Literal["yield", "purity", "single"]
    directions: Annotated[tuple[JobDirection, ...], Field(min_length=1)]
    stop: Stop
    record: Record
    doublets: bool = False
    overlong: bool = False
    heartbeat_s: Positive = 2.0

    @model_validator(mode="after")
    def _ends(self) -> Self:
        outputs = [direction.output for direction in self.directions]
        for output in outputs:
            if outputs.count(output) > 1:
                raise ValueError(f"output {output} has two directions")
        if not (self.stop.minutes or self.stop.events or (self.stop.targets and self.targets)):
            raise ValueError(
                "nothing ends this job: give stop.minutes or stop.events, or a direction's target with stop.targets"
            )
        return self

    @property
    def targets(self) -> dict[int, int]:
        """Of the outputs that have one."""
        return {direction.output: direction.target for direction in self.directions if direction.target is not None}


@dataclass(frozen=True)
class LoadedJob:
    """A job with the files that it names, which agree. path: of the job. model: folder."""

    path: Path
    job: Job
    instrument: Instrument
    gates: GateSet

    @property
    def folder(self) -> Path:
        return self.path.parent / self.job.folder

    @property
    def model(self) -> Path:
        return self.path.parent / self.job.model

    def schedule(self, sorted_before: "Mapping[int, int]") -> Schedule:
        """What the board is given. sorted_before: sorts of earlier runs by output; an output that has all of its target
        is not used any more."""
        job, instrument = self.job, self.instrument
        directions: dict[int, DirectionSchedule] = {}
        for direction in job.directions:
            left = 0 if direction.target is None else direction.target - sorted_before.get(direction.output, 0)
            if direction.target is not None and left <= 0:
                continue
            directions[direction.output] = instrument.direction(direction.output, every=direction.every, target=left)
        return Schedule(
            directions=directions,
            mode=job.mode,
            before_us=instrument.before_us,
            after_us=instrument.after_us,
            droplets=instrument.droplets(),
            doublets=job.doublets,
            overlong=job.overlong,
        )


def load_job(path: Path) -> LoadedJob:
    """A job and the files that it names but for its model. Raises IcsortError, one line with file, key and remedy, for
    what is none or does not go together."""
    job = read_toml(Job, path, REMEDY)
    instrument = load_instrument(path.parent / job.instrument)
    gates = load_gates(path.parent / job.gates)
    wished = {direction.output for direction in gates.directions}
    listed = {direction.output for direction in job.directions}
    for output in sorted(wished ^ listed):
        has, lacks = (job.gates, "the job") if output in wished else ("the job", job.gates)
        raise IcsortError(f"{path}: {has} has a direction for output {output} and {lacks} has none; {REMEDY}")
    for output in sorted(listed):
        try:
            instrument.output(output)
        except IcsortError as error:
            raise IcsortError(f"{path.parent / job.instrument}: {error}") from None
    if job.record.images is not None and (wanted_gate := job.record.images.gate) is not None:
        names = [gate.name for gate in order(gates.gates)]
        if wanted_gate not in names:
            raise IcsortError(
                f"{path}: record.images.gate: {job.gates} has no gate {wanted_gate!r}; its gates are: "
                f"{', '.join(names)}"
            )
    return LoadedJob(path, job, instrument, gates)
