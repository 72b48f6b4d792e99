# SPDX-License-Identifier: Apache-2.0
"""The network alone (icsort_net): images through its RTL, with what every layer and every FIFO did in which cycle.

`sim/verilator/net.cpp` moves every beat; Python only starts it and reads what it wrote. The RTL is not touched:
Verilator makes a few variables of each FIFO visible (`sim/verilator/net.vlt`), and as there is a FIFO behind every
layer, they tell of all layers.
"""

import json
import signal
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icsort.errors import IcsortError
from icsort.formats.build import Build
from icsort.formats.netlist import Netlist
from icsort.sim.verilator import verilate

SOURCE = Path(__file__).parent / "net.cpp"
VISIBLE = Path(__file__).parent / "net.vlt"
TOP = "icsort_net"
PATIENCE = 10_000  # cycles without movement beyond what the slowest layer works on a frame: a deadlock

Cycles = NDArray[np.int64]
FrameProgress = Callable[[int, int, int], None]


@dataclass(frozen=True)
class Fifo:
    """A FIFO of the network: name of its instance, bits in a beat, beats it can hold."""

    name: str
    width: int
    depth: int


@dataclass(frozen=True)
class Run:
    """One run over all images, N of them, the model reset before it.

    seed: of the random stalls; None in the steady run. logits: (N, classes). first, last, done: (N,) cycles in which an
    image's first and last pixel were taken and its logits left, from the first cycle after reset. FIFO by FIFO: peak
    beats held; beats taken; cycles in which a beat stood before the full FIFO (stalled); cycles in which a beat inside
    was not taken (waiting).
    """

    seed: int | None
    cycles: int
    logits: NDArray[np.int64]
    first: Cycles
    last: Cycles
    done: Cycles
    peak: Cycles
    beats: Cycles
    stalled: Cycles
    waiting: Cycles


@dataclass(frozen=True)
class NetOutcome:
    """steady: the run without stalls; stalled: those with; pushes: FIFO -> cycles in which it took a beat in the steady
    run, up to the first image's logits. cycles, seconds: of all runs, simulated cycles and processor time."""

    fifos: tuple[Fifo, ...]
    steady: Run
    stalled: tuple[Run, ...]
    pushes: Mapping[str, NDArray[np.uint32]] = field(repr=False)
    cycles: int
    seconds: float

    @property
    def runs(self) -> tuple[Run, ...]:
        return (self.steady, *self.stalled)


def compile_net(build: Build) -> Path:
    """Executable of a build's network, compiled once and kept by the content of its sources. Raises IcsortError.

    Memory files are read when the executable starts: networks of one shape share it.
    """
    sources = [path for path in build.sources() if path.parent.name == "kernels" or path.stem == TOP]
    return verilate.compile_program("net", TOP, [VISIBLE, *sources], SOURCE)


def run_net(
    build: Build,
    images: NDArray[np.uint8],
    *,
    pace: int = 1,
    line_gap: int | None = None,
    image_gap: int = 0,
    stall_runs: int = 0,
    seed: int = 0,
    memories: Path | None = None,
    progress: FrameProgress = lambda *_: None,
) -> NetOutcome:
    """Run images (N, H, W, C) uint8 through the RTL: once steadily, then `stall_runs` times with random stalls.

    Of the steady run: pace, cycles from one beat of the input to the next; line_gap, idle cycles behind each line (None
    for lines as the build expects them); image_gap, idle cycles behind each image. The other runs have random pauses
    instead. seed: of the first run with stalls, the next has seed + 1. memories: folder with another mem/ than the
    build's.
    progress: called with (run, images done in it, cycles so far). Raises IcsortError for images that do not fit, a
    network that stands still (the FIFOs are named), a simulation that fails.
    """
    shape = build.manifest.input
    expected = (shape.height, shape.width, shape.channels)
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1:] != expected or not len(images):
        raise IcsortError(
            f"images are {images.dtype} {images.shape}; the network takes uint8 (N, {', '.join(map(str, expected))})"
        )
    group = build.pixels_per_beat
    line_beats = shape.width // group
    slowest = max(layer.cycles for layer in build.layers)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        try:
            np.ascontiguousarray(images).tofile(folder / "images.bin")
        except OSError as error:
            raise IcsortError(f"{folder}: {error}; let TMPDIR name a folder with room") from None
        options = {
            "images": folder / "images.bin",
            "beat-bytes": shape.channels * group,
            "line-beats": line_beats,
            "image-lines": shape.height,
            "logit-bytes": _logit_bytes(build),
            "pace": pace,
            "line-gap": max(0, build.line_cycles - line_beats) if line_gap is None else line_gap,
            "image-gap": image_gap,
            "stall-runs": stall_runs,
            "seed": seed,
            "patience": slowest + PATIENCE,
            "logits": folder / "logits.bin",
            "beats": folder / "beats.bin",
            "summary": folder / "summary.json",
        }
        command = [compile_net(build), *(word for key, value in options.items() for word in (f"--{key}", value))]
        _run([str(word) for word in command], memories or build.folder, progress)
        summary = json.loads((folder / "summary.json").read_text())
        fifos = tuple(Fifo(entry["name"], entry["width"], entry["depth"]) for entry in summary["fifos"])
        _refuse_deadlock(build.netlist, fifos, summary["runs"][-1])
        logits = _decode(build, (folder / "logits.bin").read_bytes()).reshape(len(summary["runs"]), len(images), -1)
        ends = np.cumsum([entry["logged"] for entry in summary["fifos"]])
        pushes = np.split(np.fromfile(folder / "beats.bin", "<u4"), ends[:-1])
    steady, *stalled = (_read_run(entry, values) for entry, values in zip(summary["runs"], logits, strict=True))
    return NetOutcome(
        fifos,
        steady,
        tuple(stalled),
        {fifo.name: cycles for fifo, cycles in zip(fifos, pushes, strict=True)},
        summary["cycles"],
        summary["seconds"],
    )


def _run(command: list[str], folder: Path, progress: FrameProgress) -> None:
    """Run the executable in `folder`. Raises IcsortError where it fails or is killed."""
    with (
        tempfile.TemporaryFile("w+") as errors,
        subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=errors, text=True) as process,
    ):
        try:
            assert process.stdout is not None
            for line in process.stdout:
                if len(words := line.split()) == 3 and all(word.isdigit() for word in words):
                    progress(*map(int, words))
            code = process.wait()
        except BaseException:
            process.kill()
            raise
        errors.seek(0)
        said = errors.read().strip()[-500:]
    if code < 0:
        raise IcsortError(
            f"the simulation was killed by {signal.Signals(-code).name}: free memory if the machine ran out of it, "
            "and run it again"
        )
    if code:
        raise IcsortError(f"the simulation stopped with code {code}: {said}")


def _logit_bytes(build: Build) -> int:
    """Bytes of the output beat, as many as the bits need."""
    return -(-int(build.logit_bits) * len(build.manifest.classes) // 8)


def _decode(build: Build, raw: bytes) -> NDArray[np.int64]:
    """Signed logits (beats, classes) from output beats, class 0 at the LSB."""
    bits, classes = int(build.logit_bits), len(build.manifest.classes)
    beats = np.frombuffer(raw, np.uint8).reshape(-1, _logit_bytes(build))
    ones = np.unpackbits(beats, axis=1, bitorder="little")[:, : bits * classes].reshape(-1, classes, bits)
    weights = 1 << np.arange(bits, dtype=np.int64)
    weights[-1] = -weights[-1]
    return ones.astype(np.int64) @ weights


def _read_run(entry: dict[str, Any], logits: NDArray[np.int64]) -> Run:
    arrays = ("first", "last", "done", "peak", "beats", "stalled", "waiting")
    return Run(
        seed=entry["seed"],
        cycles=entry["cycles"],
        logits=logits,
        **{name: np.array(entry[name], np.int64) for name in arrays},
    )


def _refuse_deadlock(netlist: Netlist, fifos: tuple[Fifo, ...], run: dict[str, Any]) -> None:
    """Raises IcsortError if the last run stood still: which FIFOs are full, which joins wait for their other side."""
    if not run["deadlock"]:
        return
    held = dict(zip((fifo.name for fifo in fifos), run["held"], strict=True))
    depth = {fifo.name: fifo.depth for fifo in fifos}
    joins = []
    for instance in netlist.layers:
        sides = [f"u_{fifo.name}" for fifo in netlist.join_fifos(instance)]
        for full, empty in permutations(sides, 2):
            if held[full] == depth[full] and held[empty] == 0:
                joins.append(f"{full} is full ({depth[full]} beats) while {empty} is empty")
    full = ", ".join(name for name in held if held[name] == depth[name])
    when = "at a steady pace" if run["seed"] is None else f"with random stalls, seed {run['seed']}"
    raise IcsortError(
        f"deadlock {when}, in cycle {run['cycles']}: {'; '.join(joins) or f'these FIFOs are full: {full or None}'}; "
        "give a folding file with deeper FIFOs there"
    )
