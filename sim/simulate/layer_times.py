# SPDX-License-Identifier: Apache-2.0
"""Where the time goes in a simulated network: layer by layer, FIFO by FIFO, as figures and as a picture."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from icsort.formats.build import Build
from icsort.formats.netlist import Instance
from icsort.hw.kernels import KERNELS
from icsort.report.figures import BAR, MARK, save
from icsort.sim.verilator.net import NetOutcome

BINS = 400  # columns of the picture, at most


@dataclass(frozen=True)
class FifoFigures:
    """A FIFO's size, and the most beats that it held: in the steady run, and in all runs."""

    name: str
    width: int
    depth: int
    peak_steady: int
    peak: int


@dataclass(frozen=True)
class LayerFigures:
    """What one layer did. Cycles of the first image count from its first pixel, through an empty network.

    first_beat, last_beat: when its first and last result went into the FIFO behind it; negative where a border is sent
    before the image comes. after_last_pixel: the last one, from the image's last pixel. added: cycles by which it is
    behind all layers before it, which over all layers sum up to the latency. predicted: last_beat by the build's model.
    beats: an image. stalled, idle: share of the steady run's cycles in which a result could not leave, and in which
    there was none. fifos: those behind it, then those in front of a join.
    """

    instance: str
    source: str
    kernel: str
    beats: int
    first_beat: int
    last_beat: int
    after_last_pixel: int
    added: int
    predicted: int
    stalled: float
    idle: float
    fifos: tuple[FifoFigures, ...]


def fifo_figures(outcome: NetOutcome) -> dict[str, FifoFigures]:
    """Name -> figures of every FIFO."""
    peak = np.max([run.peak for run in outcome.runs], axis=0)
    return {
        fifo.name: FifoFigures(fifo.name, fifo.width, fifo.depth, int(steady), int(most))
        for fifo, steady, most in zip(outcome.fifos, outcome.steady.peak, peak, strict=True)
    }


def layer_figures(build: Build, outcome: NetOutcome) -> list[LayerFigures]:
    """Figures of every layer, in stream order."""
    run, images = outcome.steady, len(outcome.steady.first)
    figures = fifo_figures(outcome)
    start, latest, layers = int(run.first[0]), 0, []
    number = {fifo.name: i for i, fifo in enumerate(outcome.fifos)}
    for layer, instance in zip(build.layers, build.netlist.layers, strict=True):
        behind = [number[f"u_{fifo.name}"] for fifo in build.netlist.fifos_behind(instance)]
        waiting = [number[f"u_{fifo.name}"] for fifo in build.netlist.join_fifos(instance)]
        beats = frame_beats(instance, int(run.beats[behind[0]]), images)
        pushes = [outcome.pushes[outcome.fifos[i].name][:beats].astype(np.int64) - start for i in behind]
        last = max(int(cycles[-1]) for cycles in pushes)
        stalled = max(int(run.stalled[i]) for i in behind)
        layers.append(
            LayerFigures(
                instance=instance.name,
                source=instance.source,
                kernel=instance.module,
                beats=beats,
                first_beat=min(int(cycles[0]) for cycles in pushes),
                last_beat=last,
                after_last_pixel=last - int(run.last[0] - start),
                added=max(0, last - latest),
                predicted=layer.done_cycle - 1,  # a beat is in the FIFO a cycle after it went there
                stalled=stalled / run.cycles,
                idle=1 - (stalled + int(run.beats[behind[0]])) / run.cycles,
                fifos=tuple(figures[outcome.fifos[i].name] for i in (*behind, *waiting)),
            )
        )
        latest = max(latest, last)
    return layers


def frame_beats(instance: Instance, beats: int, images: int) -> int:
    """Beats of one image, of all that a layer sent. Layers that begin the next frame before it comes are computed."""
    ahead = KERNELS[instance.module].frame_beats(instance.parameters)
    return beats // images if ahead is None else ahead


def fifo_bits(outcome: NetOutcome) -> dict[str, int]:
    """Bits of all FIFOs: as built, and as many as were held at most, in the steady run and in all runs."""
    sizes = fifo_figures(outcome).values()
    return {
        "built": sum(fifo.width * fifo.depth for fifo in sizes),
        "peak_steady": sum(fifo.width * fifo.peak_steady for fifo in sizes),
        "peak": sum(fifo.width * fifo.peak for fifo in sizes),
    }


def picture(build: Build, outcome: NetOutcome, layers: list[LayerFigures], folder: Path) -> None:
    """layers.png and layers.svg: when each layer sent the results of the first image, and what each adds at the end."""
    run, clock = outcome.steady, build.clock_mhz
    begin = min(0, *(layer.first_beat for layer in layers))
    end = int(run.done[0] - run.first[0])
    edges = np.linspace(begin, end + 1, min(BINS, end + 1 - begin) + 1)
    activity = np.empty((len(layers), len(edges) - 1))
    for row, layer in enumerate(layers):
        cycles = outcome.pushes[layer.fifos[0].name][: layer.beats].astype(np.int64) - run.first[0]
        activity[row] = np.histogram(cycles, edges)[0] / np.diff(edges)
    last_pixel = int(run.last[0] - run.first[0])
    figure = Figure(figsize=(13, 1.2 + 0.16 * len(layers)), layout="constrained")
    axis, adds = figure.subplots(1, 2, sharey=True, width_ratios=(4, 1))
    axis.imshow(
        np.ma.masked_equal(activity, 0),
        aspect="auto",
        extent=(begin, end + 1, len(layers) - 0.5, -0.5),
        cmap="viridis_r",
        norm=LogNorm(min(0.1, activity[activity > 0].min()), 1),
        interpolation="nearest",
    )
    for cycle, name in ((0, "first pixel"), (last_pixel, "last pixel"), (end, "logits")):
        axis.axvline(cycle, color=MARK, linewidth=0.8)
        axis.annotate(
            name, (cycle, 1), xycoords=("data", "axes fraction"), ha="center", va="bottom", fontsize=8, color=MARK
        )
    axis.set_yticks(range(len(layers)), [f"{layer.source}  {layer.instance}" for layer in layers], fontsize=6)
    axis.set_xlabel(
        f"cycles after the first pixel (1000 cycles = {1000 / clock:g} µs at {clock:g} MHz); colour: beats a cycle"
    )
    last_beats = [layer.after_last_pixel for layer in layers]
    adds.barh(
        range(len(layers)),
        [layer.added for layer in layers],
        color=BAR,
        height=0.7,
        left=[layer.after_last_pixel - layer.added for layer in layers],
    )
    adds.plot(last_beats, range(len(layers)), ".", color=BAR, markersize=3)
    adds.axvline(0, color=MARK, linewidth=0.8)
    adds.set_xlim(min(0, *last_beats) - 1, max(1, *last_beats) * 1.02)
    adds.set_xlabel("after the last pixel; bar: added")
    for kind in ("png", "svg"):
        save(figure, folder / f"layers.{kind}")
