# SPDX-License-Identifier: Apache-2.0
"""What a build costs on an FPGA: every instance of its network through Yosys, beside the resource model and FINN.

Instances are those of the netlist, so that FIFOs and width converters count too. Equal ones (kernel, parameters, memory
contents, sources) are synthesized once, and what was synthesized before comes from the cache. The rest of the sorter,
with the network left out, is one part more.
"""

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from typing import Any

from icsort.errors import IcsortError
from icsort.formats.build import Build
from icsort.hw.folding.resources import RESOURCES, Resources, family_of, layer_resources
from icsort.hw.kernels import KERNELS
from icsort.hw.kernels.fabric import FAMILIES
from icsort.hw.netlist.verilog import BUILD, NET, empty_network
from icsort.hw.synthesis.yosys import Module, NotSynthesizedError, synthesize, yosys_version

SORTER = "sorter"
SORTER_KERNELS = ("fifo", "width_converter")  # around the network


@dataclass(frozen=True)
class Part:
    """One instance of the network, or the rest of the sorter. model, finn: None where they say nothing about it.

    synthesized: None if Yosys took too long.
    """

    name: str
    kernel: str
    model: Resources | None
    finn: Resources | None
    synthesized: Resources | None


@dataclass(frozen=True)
class Synthesis:
    """parts: of a build, in stream order. budget: of the board, empty where the family is another than the board's."""

    family: str
    tool: str
    parts: tuple[Part, ...]
    budget: Mapping[str, int]

    @property
    def complete(self) -> bool:
        """Whether every part was synthesized."""
        return all(part.synthesized for part in self.parts)

    def total(self) -> Resources:
        """Of all parts that were synthesized."""
        return add(part.synthesized for part in self.parts if part.synthesized)

    def compared(self) -> tuple[Resources, Resources]:
        """Totals by the model and by Yosys, of the parts that both know."""
        both = [(part.model, part.synthesized) for part in self.parts if part.model and part.synthesized]
        return add(model for model, _ in both), add(synthesized for _, synthesized in both)

    def data(self) -> dict[str, Any]:
        """As JSON: parts, totals, budget."""
        model, yosys = self.compared()
        return {
            "tool": self.tool,
            "family": self.family,
            "parts": [asdict(part) for part in self.parts],
            "complete": self.complete,
            "total": self.total(),
            "compared": {"model": model, "synthesized": yosys},
            "budget": dict(self.budget),
            "exceeded": self.exceeded(),
        }

    def exceeded(self) -> list[str]:
        """Resources of which the parts need more than the board has."""
        total = self.total()
        return [resource for resource, available in self.budget.items() if total[resource] > available]


def synthesize_build(
    build: Build,
    *,
    family: str = "",
    jobs: int = 1,
    timeout: float,
    progress: Callable[[int, int, str], None] = lambda *_: None,
) -> Synthesis:
    """Synthesize every part of a build with Yosys.

    family: one of FAMILIES; by default that of the board's part. jobs: processes at a time. timeout: seconds for one
    part. progress: called with the number of parts done, of how many, and the name of the last one.

    Raises IcsortError for an unknown family, where Yosys is missing or refuses a part.
    """
    part = str(build.part)
    family = family or family_of(part)
    if family not in FAMILIES:
        raise IcsortError(f"there is no family {family!r}; use {' or '.join(FAMILIES)}")
    tool = f"Yosys {yosys_version()}"
    finn = _finn(build, part)
    instances = modules(build)
    unique: dict[str, list[str]] = {}
    for name, module in instances.items():
        unique.setdefault(repr(module), []).append(name)
    results: dict[str, Resources | None] = {}

    def run(names: list[str]) -> tuple[list[str], Resources | None]:
        try:
            return names, synthesize(instances[names[0]], family, timeout)
        except NotSynthesizedError:
            return names, None

    with ThreadPoolExecutor(jobs) as pool:
        futures = [pool.submit(run, names) for names in unique.values()]
        try:
            for future in as_completed(futures):
                names, result = future.result()
                results |= dict.fromkeys(names, result)
                progress(len(results), len(instances), names[0])
        finally:
            pool.shutdown(cancel_futures=True)
    kernels = {instance.name: instance for instance in build.netlist.instances}
    parts = []
    for name, module in instances.items():
        instance = kernels.get(name)
        model = layer_resources(instance.module, instance.parameters, family) if instance else None
        parts.append(Part(name, instance.module if instance else module.name, model, finn.get(name), results[name]))
    budget = build.budget if family == family_of(part) else {}
    return Synthesis(family, tool, tuple(parts), budget)


def modules(build: Build) -> dict[str, Module]:
    """The instances of a build's network by name, in stream order, and the rest of the sorter."""
    sources = {path.stem: path.read_bytes() for path in build.sources()}
    parts = {}
    for instance in build.netlist.instances:
        parameters = dict(instance.parameters)
        files = {f"{name}.sv": sources[name] for name in (instance.module, *KERNELS[instance.module].parts)}
        if instance.memory:  # one name for all, so that equal contents are equal modules
            files["memory.hex"] = (build.folder / "mem" / instance.memory.file).read_bytes()
            parameters[instance.memory.parameter] = "memory.hex"
        if instance.generated:  # by one name, so that equal contents are equal modules
            text = sources[instance.name].replace(instance.name.encode(), b"generated")
            parts[instance.name] = Module("generated", {}, {**files, "generated.sv": text})
        else:
            parts[instance.name] = Module(instance.module, parameters, files)
    sources[NET] = empty_network(build.netlist).encode()
    library = {path.stem for path in build.sources() if path.parent.name == "kernels"}
    rest = {f"{name}.sv": text for name, text in sources.items() if name not in library or name in SORTER_KERNELS}
    return parts | {SORTER: Module(BUILD, {}, rest, blackbox=NET)}


def add(resources: Iterable[Resources]) -> Resources:
    """The sum."""
    total = dict.fromkeys(RESOURCES, 0)
    for each in resources:
        for key in RESOURCES:
            total[key] += each.get(key, 0)
    return total


def _finn(build: Build, part: str) -> dict[str, Resources]:
    """FINN's own estimate of its own kernels, by the names of our instances."""
    from qonnx.core.modelwrapper import ModelWrapper  # takes seconds

    from icsort.hw.folding import folding

    estimate = folding.estimate(ModelWrapper(str(build.graph)), part)
    return {layer.instance: estimate[layer.name] for layer in build.layers if layer.name in estimate}
