# SPDX-License-Identifier: Apache-2.0
"""A build folder and its description, `build.json`: what was compiled for which board, and what is predicted of it.

A build folder is self-contained: graph.onnx (FINN's hardware graph), model.onnx and manifest.json (the package, and
known.npz and cells.npz where it has them), rtl/ (generated and library), mem/ (weights and thresholds, which the RTL
reads as mem/NAME.hex from the folder it runs in), files.f, build.json. Nothing in it names a file outside.
"""

import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, InstanceOf, NonNegativeInt, PositiveInt, StringConstraints

from icsort.errors import IcsortError
from icsort.formats.board import Budget, GateEngine
from icsort.formats.document import Document, Strict, refusals, write
from icsort.formats.netlist import Netlist
from icsort.formats.package import MODEL_FILE, Manifest, load
from icsort.formats.routed import Routed

BUILD_FILE = "build.json"
GRAPH_FILE = "graph.onnx"
FILE_LIST = "files.f"
AGAIN = "compile again with this icsort"

Identity = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$")]
Share = Annotated[float, Field(gt=0, le=1)]
Amounts = dict[str, NonNegativeInt]
Unit = dict[str, int | str]


class Layer(Strict):
    """One layer that FINN's graph has, and the kernel that does its work.

    name, op: of the graph's node; source: the layer of the user's file that it came from. instance, kernel, params,
    memory: in the RTL. cycles: in which it works, a frame; done_cycle: in which its last beat is in the FIFO behind it.
    fifo_depths: behind each output; join_fifo_depths: in front of each input of a join. near_ties: thresholds within
    float32 rounding of an integer. resources: predicted.
    """

    name: str
    op: str
    source: str
    kernel: str
    instance: str
    params: Unit
    memory: str | None
    cycles: NonNegativeInt
    done_cycle: int
    fifo_depths: list[PositiveInt]
    join_fifo_depths: list[PositiveInt]
    near_ties: NonNegativeInt
    resources: Amounts


class FoldingSearch(Strict):
    """How far the search went: see icsort.hw.folding.optimizer.Effort."""

    programs: NonNegativeInt
    cut_short: NonNegativeInt
    largest_gap: Annotated[float, Field(ge=0, le=1)]


class Build(Document):
    """build.json, with the folder it was read from and the manifest of the model package inside.

    clock_mhz: the board's; `clock_is`: a target until place and route, `routed`, has reached it. clks_per_bit: cycles
    in one bit of the UART. net_latency_cycles: first pixel to logits; last_pixel_latency_cycles: last pixel to logits,
    negative where the last rows are not needed; line_rate_latency_cycles: first pixel to logits where the lines come at
    the instrument's own rate (formats.background.LINES_PER_SECOND), which the drop delay must cover, None in a build
    that an earlier version made; interval_cycles: between images; line_cycles: between two lines, for
    which the network was folded. line_pixels: pixels that the sorter's line input takes a beat; features: how many an
    event has, 0: none; ring_lines: lines that it keeps for windows that wait; gate_engine: what a gate set may have.
    logit_scale: what one integer logit is worth.
    """

    model_config = ConfigDict(protected_namespaces=())

    folder: Path = Field(exclude=True, strict=False)
    manifest: InstanceOf[Manifest] = Field(exclude=True)

    format: Literal["icsort-build"] = "icsort-build"
    version: Literal[2] = 2
    build_id: Identity
    model_id: Identity
    name: str
    board: str
    part: str
    budget: Budget
    budget_is: Literal["limit", "for comparison"]
    fill: Share | dict[str, Share]
    all_in: bool
    clock_mhz: Annotated[float, Field(gt=0)]
    clock_is: Literal["target", "routed"]
    baud: PositiveInt
    clks_per_bit: PositiveInt
    pixels_per_beat: PositiveInt
    line_pixels: PositiveInt
    features: NonNegativeInt
    ring_lines: PositiveInt
    gate_engine: GateEngine = GateEngine()
    logit_bits: PositiveInt
    logit_scale: Annotated[float, Field(gt=0)]
    net_latency_cycles: PositiveInt
    last_pixel_latency_cycles: int
    line_rate_latency_cycles: PositiveInt | None = None
    interval_cycles: PositiveInt
    cycles_are: str
    line_cycles: PositiveInt
    resources_are: str
    glue_resources: Amounts
    layers: list[Layer]
    folding: dict[str, Unit]
    folding_search: FoldingSearch
    netlist: Annotated[Netlist, Field(strict=False)]
    tools: dict[str, str]
    routed: Routed | None = None

    @property
    def clock_text(self) -> str:
        """The clock, and what place and route says of it."""
        if self.routed is None:
            return f"{self.clock_mhz:g} MHz, a target: no place-and-route report exists"
        tools = ", ".join(f"{name} {version}" for name, version in self.routed.tools.items())
        reached = "routed" if self.clock_is == "routed" else "NOT reached"
        return f"{self.clock_mhz:g} MHz, {reached}: at most {self.routed.fmax_mhz:.1f} MHz by {tools}"

    @property
    def line_beats(self) -> int:
        """Beats of a line at the sorter's input, a cycle each: the least distance of two lines."""
        return -(-self.manifest.line.width // self.line_pixels)

    @property
    def graph(self) -> Path:
        """FINN's hardware graph."""
        return self.folder / GRAPH_FILE

    @property
    def model(self) -> Path:
        """The QONNX file of the model package."""
        return self.folder / MODEL_FILE

    @property
    def resources(self) -> dict[str, int]:
        """Predicted, of all layers and what is between them."""
        parts = [self.glue_resources, *(layer.resources for layer in self.layers)]
        return {kind: sum(part[kind] for part in parts) for kind in self.glue_resources}

    def sources(self) -> list[Path]:
        """RTL files in the order of files.f, packages first. Raises IcsortError for one outside of the folder."""
        return [self._inside(line) for line in (self.folder / FILE_LIST).read_text(encoding="utf-8").splitlines()]

    def memories(self) -> list[Path]:
        """Memory files of the netlist. Raises IcsortError for one outside of the folder."""
        files = [instance.memory.file for instance in self.netlist.instances if instance.memory]
        return [self._inside(f"mem/{file}") for file in files]

    def memories_of_rtl(self) -> list[Path]:
        """Those that the RTL reads: a generated instance has its contents in it."""
        generated = {instance.memory.file for instance in self.netlist.layers if instance.generated and instance.memory}
        return [path for path in self.memories() if path.name not in generated]

    def keep_route(self, routed: Routed) -> "Build":
        """What place and route made of this build, kept in its build.json. Raises IcsortError where that cannot be
        written."""
        reached: Literal["target", "routed"] = "routed" if routed.fmax_mhz >= self.clock_mhz else "target"
        build = self.model_copy(update={"routed": routed, "clock_is": reached})
        try:
            write(build, self.folder / BUILD_FILE)
        except OSError as error:
            raise IcsortError(f"{self.folder / BUILD_FILE}: cannot be written ({error.strerror})") from None
        return build

    def to_json(self) -> dict[str, Any]:
        """As in build.json."""
        return {**super().to_json(), "netlist": self.netlist.to_json()}

    def _inside(self, name: str) -> Path:
        path = self.folder / name
        if Path(name).is_absolute() or not path.resolve().is_relative_to(self.folder.resolve()):
            raise IcsortError(f"{self.folder}: {name} is outside of the build; {AGAIN}")
        return path


def load_build(folder: Path) -> Build:
    """Read a build folder. Raises IcsortError for one that is none, of another version, incomplete, or with a file
    outside."""
    path = folder / BUILD_FILE
    if not path.is_file():
        raise IcsortError(
            f"{folder}: not a build (no {BUILD_FILE}); make one with `icsort compile PACKAGE --out BUILD`"
        )
    try:
        contents = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        raise IcsortError(f"{path}: cannot be read as JSON; {AGAIN}") from None
    if not isinstance(contents, dict):
        raise IcsortError(f"{path}: not an object; {AGAIN}")
    with refusals(str(path), AGAIN):
        build = Build.model_validate({**contents, "folder": folder, "manifest": load(folder)})
    if build.model_id != build.manifest.model_id:
        raise IcsortError(
            f"{path}: is of model {build.model_id}, the manifest beside it of {build.manifest.model_id}; compile again"
        )
    missing = [name for name in (GRAPH_FILE, FILE_LIST) if not (folder / name).is_file()]
    missing = missing or [str(file) for file in (*build.sources(), *build.memories()) if not file.is_file()]
    if missing:
        raise IcsortError(f"{folder}: {missing[0]} is missing; compile again")
    return build
