# SPDX-License-Identifier: Apache-2.0
"""One run of a streaming kernel: what goes in, what must come out, and in which cycle.

Written by pytest and read by the bench: computed outside of cocotb, because FINN takes seconds to import.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from icsort.cache import cache_folder
from icsort.hw.kernels import KERNELS
from icsort.sim.verilator.bench import RTL, run_bench


@dataclass(frozen=True)
class StreamCase:
    """Beats, and the cycle of each: the source never idles, the sink never stalls, the first input is cycle 0.

    The cycle of an output that waits for no input, and so may come before the first one, is None.
    """

    inputs: list[int]
    outputs: list[int]
    input_cycles: list[int]
    output_cycles: list[int | None]

    def __post_init__(self) -> None:
        assert len(self.inputs) == len(self.input_cycles)
        assert len(self.outputs) == len(self.output_cycles)


PARTS = {"depthwise_layer": ("sliding_window_folded", "vvau", "dot_product", "rom", "max_pool_folded")}


def sources(module: str) -> list[Path]:
    """The file of a kernel, or of a module of these tests, and those of the kernels inside it."""
    here = Path(__file__).with_name(f"{module}.sv")
    top = here if here.exists() else RTL / "kernels" / f"{module}.sv"
    parts = PARTS[module] if module in PARTS else KERNELS[module].parts
    return [top, *(RTL / "kernels" / f"{part}.sv" for part in parts)]


def check(module: str, parameters: Mapping[str, int | str], case: StreamCase, folder: Path, seed: int) -> None:
    """Run the stream bench on `module`; raises AssertionError where it differs from `case`."""
    path = folder / "case.json"
    path.write_text(json.dumps(asdict(case)))
    run_bench(
        module,
        "tests.hw.kernels.bench_stream",
        sources(module),
        parameters=parameters,
        environment={"ICSORT_STREAM_CASE": str(path)},
        seed=seed,
    )


def check_generated(kernel: str, text: str, case: StreamCase, folder: Path, seed: int) -> None:
    """Run the stream bench on the module `generated` of this text, around a kernel."""
    path = folder / "case.json"
    path.write_text(json.dumps(asdict(case)))
    run_bench(
        "generated",
        "tests.hw.kernels.bench_stream",
        [Path(memory_file(text, "generated.sv")), *sources(kernel)],
        environment={"ICSORT_STREAM_CASE": str(path)},
        seed=seed,
    )


def memory_file(text: str, name: str = "memory.hex") -> str:
    """Path of a file with this text, the same for the same text, so that compiled models stay valid between runs."""
    path = cache_folder("bench-memory", [text.encode()]) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return str(path)
