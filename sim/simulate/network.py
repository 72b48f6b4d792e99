# SPDX-License-Identifier: Apache-2.0
"""The network alone against references: every logit, the predicted cycles, and the depths of its FIFOs."""

from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from icsort.formats.build import Build
from icsort.hw.reference import finn_logits, qonnx_logits
from icsort.sim.simulate.layer_times import LayerFigures, fifo_bits, layer_figures
from icsort.sim.simulate.sorter import SHOWN_MISMATCHES, Mismatch
from icsort.sim.verilator.net import NetOutcome, compile_net, run_net
from icsort.sim.verilator.verilate import compile_seconds

# Step, done, of how many (0: unknown), cycles simulated so far.
RunProgress = Callable[[str, int, int, int], None]


@dataclass(frozen=True)
class Cycles:
    """A count of cycles: predicted by the build, and simulated."""

    predicted: int
    simulated: int

    @property
    def error_percent(self) -> float:
        """Prediction against simulation."""
        return 100.0 * (self.predicted - self.simulated) / max(1, abs(self.simulated))


@dataclass(frozen=True)
class NetSimulation:
    """What `icsort simulate` found of the network alone.

    first_pixel, last_pixel: from that pixel of the first image, which meets an empty network, to its logits. interval:
    from image to image, without pause between them; None for one image. seeds: of the runs with random stalls; equal
    logits are counted over all runs. fifo_bits: see simulate.layer_times. compile_seconds: processor time that
    Verilator and the C++ compiler took when they made the simulation; seconds: that of all its runs.
    """

    build_id: str
    clock_target_mhz: float
    clock_is: str
    images: int
    logits_compared: int
    logits_equal: int
    seeds: list[int]
    first_pixel: Cycles
    last_pixel: Cycles
    interval: Cycles | None
    fifo_bits: dict[str, int]
    compile_seconds: float
    simulated_cycles: int
    simulated_images: int
    seconds: float
    layers: list[LayerFigures]
    mismatches: list[Mismatch]

    @property
    def equal(self) -> bool:
        """Whether every logit of every run is what both references say."""
        return self.logits_compared == self.logits_equal

    @property
    def cycles_per_second(self) -> float:
        """Speed of the simulation."""
        return self.simulated_cycles / self.seconds

    def to_json(self) -> dict[str, object]:
        data = asdict(self)
        for name in ("first_pixel", "last_pixel", "interval"):
            if cycles := getattr(self, name):
                data[name]["error_percent"] = cycles.error_percent
        return {
            **data,
            "cycles_per_second": self.cycles_per_second,
            "images_per_second": self.simulated_images / self.seconds,
        }


def simulate_net(
    build: Build,
    images: NDArray[np.uint8],
    *,
    line_gap: int | None = None,
    stall_runs: int = 0,
    seed: int = 0,
    progress: RunProgress = lambda *_: None,
) -> tuple[NetSimulation, NetOutcome]:
    """Run images (N, H, W, C) uint8 through icsort_net and compare each logit with QONNX's and FINN's execution.

    line_gap: idle cycles behind each line; None: as the build expects lines. stall_runs: repeat with random stalls, by
    seeds from `seed` on. Raises IcsortError for images that do not fit, a deadlock, a simulation that fails.
    """
    total = (1 + stall_runs) * len(images)
    progress("compile the RTL", 0, 0, 0)
    compile_net(build)

    def moved(run: int, done: int, cycles: int) -> None:
        progress("RTL", run * len(images) + done, total, cycles)

    moved(0, 0, 0)
    outcome = run_net(build, images, line_gap=line_gap, stall_runs=stall_runs, seed=seed, progress=moved)
    qonnx, _ = qonnx_logits(build, images, lambda done: progress("QONNX model", done, len(images), outcome.cycles))
    finn = finn_logits(build, images, lambda done: progress("FINN's graph", done, len(images), outcome.cycles))
    return compare(build, outcome, qonnx, finn), outcome


def compare(build: Build, outcome: NetOutcome, qonnx: NDArray[np.int64], finn: NDArray[np.int64]) -> NetSimulation:
    """Figures of a finished run. qonnx, finn: logits (N, classes) of the same images."""
    steady = outcome.steady
    rtl = np.stack([run.logits for run in outcome.runs])
    equal = (rtl == qonnx) & (rtl == finn)
    mismatches = [
        Mismatch(int(i), build.manifest.classes[c], int(rtl[run, i, c]), int(qonnx[i, c]), int(finn[i, c]))
        for run, i, c in np.argwhere(~equal)[:SHOWN_MISMATCHES]
    ]
    images = len(steady.first)
    intervals = np.diff(steady.done)
    return NetSimulation(
        build_id=build.build_id,
        clock_target_mhz=build.clock_mhz,
        clock_is=build.clock_is,
        images=images,
        logits_compared=equal.size,
        logits_equal=int(equal.sum()),
        seeds=_seeds(outcome),
        first_pixel=Cycles(build.net_latency_cycles, int(steady.done[0] - steady.first[0])),
        last_pixel=Cycles(build.last_pixel_latency_cycles, int(steady.done[0] - steady.last[0])),
        interval=Cycles(build.interval_cycles, round(intervals.mean())) if images > 1 else None,
        fifo_bits=fifo_bits(outcome),
        compile_seconds=compile_seconds(compile_net(build)),
        simulated_cycles=outcome.cycles,
        simulated_images=images * len(outcome.runs),
        seconds=outcome.seconds,
        layers=layer_figures(build, outcome),
        mismatches=mismatches,
    )


def _seeds(outcome: NetOutcome) -> list[int]:
    return [run.seed for run in outcome.stalled if run.seed is not None]


def measure_fifos(build: Build, images: NDArray[np.uint8], *, stall_runs: int = 0, seed: int = 0) -> dict[str, int]:
    """Most beats that each FIFO held, by the name of its instance: with lines as the build expects them, and then over
    `stall_runs` runs with random stalls. Raises IcsortError for a deadlock."""
    outcome = run_net(build, images, stall_runs=stall_runs, seed=seed)
    peaks = np.max([run.peak for run in outcome.runs], axis=0)
    return {fifo.name: int(peak) for fifo, peak in zip(outcome.fifos, peaks, strict=True)}
