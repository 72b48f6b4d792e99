# SPDX-License-Identifier: Apache-2.0
"""From a model package to a build folder: front end, folding, generator, and an id over all that decides the result.

A build folder is self-contained: graph.onnx (FINN's hardware graph), model.onnx and manifest.json (the package), rtl/
(generated and library), mem/ (weights and thresholds, which the RTL reads as mem/NAME.hex from the folder it runs
in), files.f, build.json.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import ValidationError

from icsort.errors import IcsortError
from icsort.formats import event_record
from icsort.formats import package as manifest
from icsort.formats.netlist import Netlist
from icsort.output import result_folder

if TYPE_CHECKING:
    from icsort.hw.frontend.convert import HardwareGraph

FORMAT = "icsort-build"
VERSION = 1
BUILD_FILE = "build.json"
GRAPH_FILE = "graph.onnx"
FILE_LIST = "files.f"
BOARD_FORMAT = "icsort-board"
RTL = Path(__file__).parent / "rtl"
BOARDS = Path(__file__).parent.parent / "boards"
TOOLS = ("finn-plus", "qonnx", "onnx", "numpy")
CHECK_SEED = 1
BAUD_ERROR = 0.015  # of both ends together the receiver tolerates more, but the bridge has an error of its own


@dataclass(frozen=True)
class Build:
    """A build folder, read back: `data` is build.json, `manifest` that of the model package inside."""

    folder: Path
    data: dict[str, Any]
    manifest: manifest.Manifest

    @property
    def build_id(self) -> str:
        """16 hex digits; also in the hardware's BUILD_ID registers."""
        return str(self.data["build_id"])

    @property
    def clock_mhz(self) -> float:
        """Clock of the board; build.json's `clock_is` says whether it is a target or was reached."""
        return float(self.data["clock_mhz"])

    @property
    def clks_per_bit(self) -> int:
        """Clock cycles in one bit of the UART."""
        return int(self.data["clks_per_bit"])

    @property
    def record_bytes(self) -> int:
        """Bytes of an event record: header and one 32-bit logit a class."""
        return event_record.size(len(self.manifest.classes))

    @property
    def graph(self) -> Path:
        """FINN's hardware graph."""
        return self.folder / GRAPH_FILE

    @property
    def model(self) -> Path:
        """The QONNX file of the model package."""
        return self.folder / manifest.MODEL_FILE

    @cached_property
    def netlist(self) -> Netlist:
        """The network's instances. Raises IcsortError where build.json has none."""
        try:
            return Netlist.model_validate(self.data.get("netlist"))
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(map(str, ("netlist", *first["loc"])))
            raise IcsortError(f"{self.folder / BUILD_FILE}: {where}: {first['msg']}; compile again") from None

    def sources(self) -> list[Path]:
        """RTL files in the order of files.f, packages first."""
        return [self.folder / line for line in (self.folder / FILE_LIST).read_text(encoding="utf-8").split()]


def load_build(folder: Path) -> Build:
    """Read a build folder. Raises IcsortError for one that is none, of another version, or incomplete."""
    path = folder / BUILD_FILE
    if not path.is_file():
        raise IcsortError(
            f"{folder}: not a build (no {BUILD_FILE}); make one with `icsort compile PACKAGE --out BUILD`"
        )
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise IcsortError(f"{path}: not readable JSON; compile again") from None
    if not isinstance(data, dict) or data.get("format") != FORMAT or data.get("version") != VERSION:
        raise IcsortError(f"{path}: not a build of version {VERSION}; compile again with this icsort")
    build = Build(folder, data, manifest.load(folder))
    if data.get("model_id") != build.manifest.model_id:
        raise IcsortError(
            f"{path}: is of model {data.get('model_id')}, the manifest beside it of {build.manifest.model_id}; "
            "compile again"
        )
    _ = build.netlist  # refused here rather than where it is used
    missing = [name for name in (GRAPH_FILE, FILE_LIST) if not (folder / name).is_file()]
    missing = missing or [str(source) for source in build.sources() if not source.is_file()]
    if missing:
        raise IcsortError(f"{folder}: {missing[0]} is missing; compile again")
    return build


def load_board(name: str) -> dict[str, Any]:
    """A board's description: `name` is one of the folders in boards/ or a path to such a folder. Raises IcsortError."""
    folder = Path(name) if os.sep in name else BOARDS / name
    path = folder / "board.json"
    if not path.is_file():
        known = sorted(found.parent.name for found in BOARDS.glob("*/board.json"))
        raise IcsortError(
            f"there is no board {name!r}; known are {', '.join(known)}, or give a folder with a board.json"
        )
    try:
        board = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise IcsortError(f"{path}: not readable JSON") from None
    if not isinstance(board, dict) or board.get("format") != BOARD_FORMAT or board.get("version") != VERSION:
        raise IcsortError(f"{path}: not a board description of version {VERSION}")
    kinds = {
        "name": str,
        "clock_mhz": float,
        "clock_is": str,
        "baud": int,
        "part": str,
        "budget": dict,
        "budget_is": str,
    }
    for key, kind in kinds.items():
        if not isinstance(board.get(key), kind):
            raise IcsortError(f"{path}: {key!r} must be a {kind.__name__}")
    if board["clock_mhz"] * 1e6 < 4 * board["baud"] or board["baud"] < 1:
        raise IcsortError(
            f"{path}: baud {board['baud']} needs a clock at least 4 times faster than {board['clock_mhz']} MHz allows"
        )
    cycles = clocks_per_bit(board)
    made = board["clock_mhz"] * 1e6 / cycles
    if abs(made / board["baud"] - 1) > BAUD_ERROR:
        raise IcsortError(
            f"{path}: {board['clock_mhz']:g} MHz makes no {board['baud']} baud, {cycles} cycles a bit are {made:.0f}; "
            "give a rate that the clock and your USB bridge make, such as 12000000, 8000000, 4000000 or 3000000"
        )
    return board


def clocks_per_bit(board: dict[str, Any]) -> int:
    """Cycles of the board's clock in one bit of the UART, the nearest to its baud rate."""
    return round(float(board["clock_mhz"]) * 1e6 / int(board["baud"]))


def compile_package(
    package: Path,
    out: Path,
    *,
    board: str = "virtual",
    folding: Path | None = None,
    rate: float | None = None,
    line_rate: float | None = None,
    pixels_per_beat: int = 1,
    fill: float = 1.0,
    force: bool = False,
    checkpoints: Path | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> Build:
    """Compile a model package into a build folder, whole or not at all.

    out: must not exist; with `force` a build that is there is replaced, and nothing else is. folding: a folding file
    (see folding.folding) for what it names; the rest is chosen. rate, line_rate: cells and lines a second that must be
    kept up with; fill: share of the board for the network (see folding.optimizer). pixels_per_beat: at the network's
    input (see frontend.pixel_groups). checkpoints: folder, made where there is none, for the graph after each pass of
    the front end; it stays if a pass fails. progress: called with the name of each step before it runs.

    Raises IcsortError for a bad package, board or folding, a network that is not covered, an output that cannot be
    written.
    """
    if checkpoints is not None:
        try:
            checkpoints.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise IcsortError(f"{checkpoints}: cannot be made ({error.strerror}); give another folder") from None
    with result_folder(out, BUILD_FILE, force) as folder:
        _compile_into(folder, package, board, folding, rate, line_rate, pixels_per_beat, fill, checkpoints, progress)
    return load_build(out)


def front_end(
    package: Path,
    model: manifest.Manifest,
    pixels_per_beat: int,
    checkpoints: Path | None,
    progress: Callable[[str], None],
) -> "HardwareGraph":
    """FINN's hardware graph of a model package, `model` its manifest. The rest is as in `compile_package`."""
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
    pixels_per_beat: int,
    fill: float,
    checkpoints: Path | None,
    progress: Callable[[str], None],
) -> None:
    # FINN takes seconds to import, and whoever only reads a build should not wait for it.
    from icsort.hw.folding import cycles, optimizer
    from icsort.hw.folding import folding as fold
    from icsort.hw.netlist import generator, verilog

    model = manifest.load(package)
    description = load_board(board)
    graph = front_end(package, model, pixels_per_beat, checkpoints, progress)
    progress("folding")
    layers = cycles.read(graph.model, graph.sources)
    target = optimizer.target(description, layers, rate, line_rate, fill)
    chosen, effort = optimizer.fold(graph.model, layers, target, lambda reached: progress(f"folding: {reached}"))
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

    library = {str(path.relative_to(RTL)): path.read_bytes() for path in sorted(RTL.rglob("*.sv"))}
    tools = {name: version(name) for name in TOOLS}
    build_id = _digest(
        {
            "model_id": model.model_id,
            "model": _sha256((package / manifest.MODEL_FILE).read_bytes()),
            "manifest": _sha256((package / manifest.MANIFEST_FILE).read_bytes()),
            "board": description,
            "folding": chosen,
            "rtl": {name: _sha256(data) for name, data in library.items()},
            "generated": {name: _sha256(text.encode()) for name, text in {"net": net, **network.memories}.items()},
            "tools": tools,
        }
    )
    operations = {node.name: node.op_type for node in graph.model.graph.node}
    clock_hz = round(description["clock_mhz"] * 1e6)
    clks_per_bit = clocks_per_bit(description)
    wrapper = verilog.wrapper(model, network.logit_bits, build_id, clock_hz, clks_per_bit, pixels_per_beat)
    data = {
        "format": FORMAT,
        "version": VERSION,
        "build_id": build_id,
        "model_id": model.model_id,
        "name": model.name,
        "board": description["name"],
        "part": description["part"],
        "budget": description["budget"],
        "budget_is": description["budget_is"],
        "fill": fill,
        "clock_mhz": description["clock_mhz"],
        "clock_is": description["clock_is"],
        "baud": description["baud"],
        "clks_per_bit": clks_per_bit,
        "pixels_per_beat": pixels_per_beat,
        "logit_bits": network.logit_bits,
        "logit_scale": graph.scale,
        "net_latency_cycles": prediction.latency,
        "last_pixel_latency_cycles": prediction.after_last_pixel,
        "interval_cycles": prediction.interval,
        "cycles_are": "predicted",
        "line_cycles": prediction.line_cycles,
        "resources_are": "predicted by icsort's model of its kernels, fitted to Yosys",
        "glue_resources": glue,
        "layers": [
            {
                "name": instance.layer,
                "op": operations[instance.layer],
                "source": instance.source,
                "kernel": instance.module,
                "instance": instance.name,
                "params": instance.parameters,
                "memory": f"mem/{instance.memory.file}" if instance.memory else None,
                "cycles": prediction.layers[instance.layer][0],
                "done_cycle": prediction.layers[instance.layer][1],
                "fifo_depths": [fifo.parameters["DEPTH"] for fifo in netlist.fifos_behind(instance)],
                "join_fifo_depths": [fifo.parameters["DEPTH"] for fifo in netlist.join_fifos(instance)],
                "near_ties": graph.near_ties.get(instance.layer, 0),
                "resources": resources[instance.layer],
            }
            for instance in netlist.layers
        ],
        "folding": chosen,
        "folding_search": asdict(effort),
        "netlist": netlist.to_json(),
        "tools": tools,
    }
    progress("write")
    for name in (manifest.MODEL_FILE, manifest.MANIFEST_FILE):
        shutil.copyfile(package / name, folder / name)
    graph.model.save(str(folder / GRAPH_FILE))
    files: dict[str, bytes] = {f"rtl/{name}": contents for name, contents in library.items()}
    files["rtl/icsort_net.sv"] = net.encode()
    files["rtl/icsort_build.sv"] = wrapper.encode()
    ordered = sorted(files, key=lambda name: (not name.endswith("_pkg.sv"), name))
    files |= {f"mem/{name}": text.encode() for name, text in network.memories.items()}
    files[FILE_LIST] = "".join(f"{name}\n" for name in ordered).encode()
    files[BUILD_FILE] = (json.dumps(data, indent=2) + "\n").encode()
    for name, contents in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(contents)


def _check_images(shape: tuple[int, int, int]) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Images for the equality checks, (2, H, W, C): noise over the full range, and dim noise as background has it."""
    random = np.random.default_rng(CHECK_SEED)
    return np.stack([random.integers(0, 256, shape), random.integers(0, 48, shape)]).astype(np.uint8)


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _digest(contents: dict[str, Any]) -> str:
    """First 64 bits, 16 hex digits, of sha256 over canonical JSON."""
    return _sha256(json.dumps(contents, sort_keys=True, separators=(",", ":")).encode())[:16]
