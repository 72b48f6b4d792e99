# SPDX-License-Identifier: Apache-2.0
"""From a model package to a build folder: front end, folding, generator, and an id over all that decides the result."""

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from icsort import __version__
from icsort.errors import IcsortError
from icsort.formats import package as manifest
from icsort.formats.background import LINES_PER_SECOND
from icsort.formats.board import load_board
from icsort.formats.build import BUILD_FILE, FILE_LIST, GRAPH_FILE, Build, FoldingSearch, Layer, load_build
from icsort.formats.fill import Fill
from icsort.formats.known import KNOWN_FILE
from icsort.output import result_folder
from icsort.sim.bit_true import features as event_features

if TYPE_CHECKING:
    from icsort.hw.frontend.convert import HardwareGraph

RTL = Path(__file__).parent / "rtl"
TOOLS = ("finn-plus", "qonnx", "onnx", "numpy", "scipy", "da4ml")
NO_ID = "0" * 16
CHECK_SEED = 1
SORTER_LUTS, SORTER_DSPS = 10_400, 50  # of the sorter without network and features
RING_LINES = 256  # that are kept for windows, at least; four windows where they are taller


def compile_package(
    package: Path,
    out: Path,
    *,
    board: str = "virtual",
    folding: Path | None = None,
    rate: float | None = None,
    line_rate: float | None = None,
    pixels_per_beat: int = 1,
    line_pixels: int | None = None,
    features: bool | None = None,
    fill: Fill = 1.0,
    all_in: bool = False,
    force: bool = False,
    checkpoints: Path | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> Build:
    """Compile a model package into a build folder, whole or not at all.

    out: must not exist; with `force` a build that is there is replaced, and nothing else is. folding: a folding file
    (see folding.folding) for what it names; the rest is chosen. rate, line_rate: cells and lines a second that must be
    kept up with; fill: shares of the board for the network; all_in: the last cycle of latency is worth all of that (see
    folding.optimizer). pixels_per_beat: at the network's
    input (see frontend.pixel_groups); line_pixels: at the sorter's, None: as few, a power of two, as keep up with
    line_rate, or with LINES_PER_SECOND. features: whether events have any, None: where they fit. checkpoints: folder,
    made where there is none, for the graph after each pass of the front end; it stays if a pass fails. progress: called
    with the name of each step before it runs.

    Raises IcsortError for a bad package, board or folding, a network that is not covered, an output that cannot be
    written.
    """
    if checkpoints is not None:
        try:
            checkpoints.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise IcsortError(f"{checkpoints}: cannot be made ({error.strerror}); give another folder") from None
    with result_folder(out, BUILD_FILE, force) as folder:
        at_once, share = (pixels_per_beat, line_pixels), (fill, all_in)
        _compile_into(folder, package, board, folding, rate, line_rate, at_once, features, share, checkpoints, progress)
    return load_build(out)


def front_end(
    package: Path,
    model: manifest.Manifest,
    pixels_per_beat: int,
    checkpoints: Path | None,
    progress: Callable[[str], None],
) -> "HardwareGraph":
    """FINN's hardware graph of a model package, `model` its manifest. The rest is as in `compile_package`."""
    if model.preparation.quantiles:
        raise IcsortError(
            f"{package}: normalizes each image by its quantiles, which are known when its last line has come; the "
            "hardware decides while lines flow: train without --normalize"
        )
    from icsort.hw.frontend import convert as frontend  # takes seconds

    shape = (model.input.height, model.input.width, model.input.channels)
    progress("front end")
    return frontend.convert(
        package / manifest.MODEL_FILE,
        shape=shape,
        classes=len(model.classes),
        scale=model.logits.scale,
        images=_check_images(shape),
        group=pixels_per_beat,
        checkpoints=checkpoints,
        progress=progress,
    )


def _compile_into(
    folder: Path,
    package: Path,
    board: str,
    folding: Path | None,
    rate: float | None,
    line_rate: float | None,
    at_once: tuple[int, int | None],
    features: bool | None,
    share: tuple[Fill, bool],
    checkpoints: Path | None,
    progress: Callable[[str], None],
) -> None:
    # FINN takes seconds to import, and whoever only reads a build should not wait for it.
    from icsort.hw.folding import cycles, optimizer
    from icsort.hw.folding import folding as fold
    from icsort.hw.netlist import generator, verilog

    model = manifest.load(package)
    description = load_board(board)
    pixels_per_beat = at_once[0]
    clock_hz = round(description.clock_mhz * 1e6)
    line_pixels = _line_pixels(model.line.width, clock_hz, line_rate, at_once[1])
    ring_lines = max(RING_LINES, 1 << (4 * model.input.height - 1).bit_length())
    graph = front_end(package, model, pixels_per_beat, checkpoints, progress)
    progress("folding")
    layers = cycles.read(graph.model, graph.sources)
    target = optimizer.target(description, layers, rate, line_rate, *share)
    chosen, effort = optimizer.fold(layers, target, lambda reached: progress(f"folding: {reached}"))
    if folding:
        chosen = fold.load(folding, layers, chosen, target.line_cycles)
    fold.apply(graph.model, chosen)
    prediction = cycles.predict(layers, chosen, target.line_cycles)
    progress("generator")
    network = generator.generate(graph, chosen, target.family, target.ultra)
    netlist = network.netlist
    net = verilog.network(netlist, model.name)
    resources, glue = optimizer.resources(netlist, target.family)
    optimizer.check_budget(target, resources, glue)
    left = {
        key: limit - glue[key] - sum(part[key] for part in resources.values()) for key, limit in target.left.items()
    }
    features = _features(model, line_pixels, left if target.limited else {}, features)

    library = {str(path.relative_to(RTL)): path.read_bytes() for path in sorted(RTL.rglob("*.sv"))}
    tools = {"icsort": __version__, **{name: version(name) for name in TOOLS}}
    sizes = {"LOGIT_BITS": network.logit_bits, "NET_PIXELS": pixels_per_beat, "P": line_pixels, "LINES": ring_lines}
    sizes |= {"NET_LATENCY": max(0, prediction.after_last_pixel), "NET_WAITS": int(cycles.waits(layers, chosen))}
    sizes["FEATURES"] = int(features)
    sizes |= {name.upper(): size for name, size in description.gate_engine.model_dump().items()}

    def wrapper(build_id: str) -> str:
        return verilog.wrapper(model, sizes, build_id, clock_hz, description.clks_per_bit)

    generated = {"net": net, "wrapper": wrapper(NO_ID), **network.memories, **network.sources}
    build_id = _digest(
        {
            "model_id": model.model_id,
            "model": _sha256((package / manifest.MODEL_FILE).read_bytes()),
            "manifest": _sha256((package / manifest.MANIFEST_FILE).read_bytes()),
            "board": description.model_dump(mode="json"),
            "folding": chosen,
            "rtl": {name: _sha256(data) for name, data in library.items()},
            "generated": {name: _sha256(text.encode()) for name, text in generated.items()},
            "tools": tools,
        }
    )
    operations = {node.name: node.op_type for node in graph.model.graph.node}
    build = Build(
        folder=folder,
        manifest=model,
        build_id=build_id,
        model_id=model.model_id,
        name=model.name,
        board=description.name,
        part=description.part,
        budget=description.budget,
        budget_is=description.budget_is,
        fill=dict(share[0]) if isinstance(share[0], Mapping) else share[0],
        all_in=share[1],
        clock_mhz=description.clock_mhz,
        clock_is=description.clock_is,
        baud=description.baud,
        clks_per_bit=description.clks_per_bit,
        pixels_per_beat=pixels_per_beat,
        line_pixels=line_pixels,
        features=event_features.count(model.input.channels) if features else 0,
        ring_lines=ring_lines,
        gate_engine=description.gate_engine,
        logit_bits=network.logit_bits,
        logit_scale=graph.scale,
        net_latency_cycles=prediction.latency,
        last_pixel_latency_cycles=prediction.after_last_pixel,
        line_rate_latency_cycles=cycles.at_line_rate(layers, chosen, description.clock_mhz),
        interval_cycles=prediction.interval,
        cycles_are="predicted",
        line_cycles=prediction.line_cycles,
        resources_are="predicted by icsort's model of its kernels, fitted to Yosys",
        glue_resources=glue,
        layers=[
            Layer(
                name=instance.layer,
                op=operations[instance.layer],
                source=instance.source,
                kernel=instance.module,
                instance=instance.name,
                params=instance.parameters,
                memory=f"mem/{instance.memory.file}" if instance.memory and not instance.generated else None,
                cycles=prediction.layers[instance.layer][0],
                done_cycle=prediction.layers[instance.layer][1],
                fifo_depths=[int(fifo.parameters["DEPTH"]) for fifo in netlist.fifos_behind(instance)],
                join_fifo_depths=[int(fifo.parameters["DEPTH"]) for fifo in netlist.join_fifos(instance)],
                near_ties=graph.near_ties.get(instance.layer, 0),
                resources=resources[instance.layer],
            )
            for instance in netlist.layers
        ],
        folding=chosen,
        folding_search=FoldingSearch(**asdict(effort)),
        netlist=netlist,
        tools=tools,
    )
    progress("write")
    further = [name for name in (KNOWN_FILE, manifest.CELLS_FILE) if (package / name).is_file()]
    for name in (manifest.MODEL_FILE, manifest.MANIFEST_FILE, *further):
        shutil.copyfile(package / name, folder / name)
    graph.model.save(str(folder / GRAPH_FILE))
    files: dict[str, bytes] = {f"rtl/{name}": contents for name, contents in library.items()}
    files |= {f"rtl/kernels/{name}.sv": text.encode() for name, text in network.sources.items()}
    files["rtl/icsort_net.sv"] = net.encode()
    files["rtl/icsort_build.sv"] = wrapper(build_id).encode()
    ordered = sorted(files, key=lambda name: (not name.endswith("_pkg.sv"), name))
    files |= {f"mem/{name}": text.encode() for name, text in network.memories.items()}
    files[FILE_LIST] = "".join(f"{name}\n" for name in ordered).encode()
    files[BUILD_FILE] = (json.dumps(build.to_json(), indent=2) + "\n").encode()
    for name, contents in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(contents)


def _line_pixels(width: int, clock_hz: int, line_rate: float | None, asked: int | None) -> int:
    """Pixels a beat at the sorter's line input. Raises IcsortError where lines come faster than their beats."""
    cycles = clock_hz / (line_rate or LINES_PER_SECOND)
    least = next((1 << n for n in range(width.bit_length() + 1) if -(-width // (1 << n)) <= cycles), 0)
    chosen = asked or min(least, width)
    if chosen == 0 or (line_rate is not None and -(-width // chosen) > cycles):
        raise IcsortError(
            f"{cycles:.1f} cycles a line are too few for {width} pixels{f', {chosen} a beat' if chosen else ''}; give "
            + (f"--line-pixels {least} or more" if least else "a lower --line-rate")
        )
    if chosen > width:
        raise IcsortError(f"--line-pixels {chosen}: a line has {width} pixels")
    return chosen


def _features(model: manifest.Manifest, line_pixels: int, left: dict[str, float], asked: bool | None) -> bool:
    """Whether events have features: as asked, or where the lines allow it and `left` of the board is enough. left: what
    the network leaves of each resource that is limited. Raises IcsortError where they are asked for and cannot be."""
    width, channels = model.line.width, model.input.channels
    possible = event_features.possible(width, channels)
    if asked and not possible:
        raise IcsortError(
            f"--features: lines of {width} pixels, {channels} channels; at most {event_features.MAX_COLUMNS} and "
            f"{event_features.MAX_CHANNELS} have features, so compile with --no-features"
        )
    lanes = channels * line_pixels
    # As Yosys has it for 3 channels and two pixels a beat (docs/features.md), and what the sorter's other blocks take.
    needs = {
        "LUT": SORTER_LUTS + 2300 + 500 * lanes,
        "DSP": SORTER_DSPS + 28 + lanes * (3 + (channels - 1) // 2),
    }
    return asked if asked is not None else possible and all(left.get(key, need) >= need for key, need in needs.items())


def _check_images(shape: tuple[int, int, int]) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Images for the equality checks, (2, H, W, C): noise over the full range, and dim noise as background has it."""
    random = np.random.default_rng(CHECK_SEED)
    return np.stack([random.integers(0, 256, shape), random.integers(0, 48, shape)]).astype(np.uint8)


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _digest(contents: dict[str, Any]) -> str:
    """First 64 bits, 16 hex digits, of sha256 over canonical JSON."""
    return _sha256(json.dumps(contents, sort_keys=True, separators=(",", ":")).encode())[:16]
