# SPDX-License-Identifier: Apache-2.0
"""Fits the LUT costs of folding.resources to Yosys: `python -m icsort.hw.synthesis.fit_resources` writes
hw/folding/resources.json.

Every kernel is synthesized with random parameters and random memory contents, both from a fixed seed; what was
synthesized before comes from the cache. The costs are the non-negative ones with the smallest sum of squared relative
errors.
"""

import json
import random
from collections.abc import Sequence

import numpy as np
from scipy.optimize import nnls

from icsort.hw.compile import RTL
from icsort.hw.folding.resources import COEFFICIENTS, cost_group, kernel_use
from icsort.hw.kernels import KERNELS
from icsort.hw.kernels.fabric import FAMILIES
from icsort.hw.kernels.kernel import Kernel, Sample
from icsort.hw.synthesis.yosys import Module, synthesize, yosys_version

SEED = 1
SMALL = 20  # LUTs below which an error counts as if there were that many
TIMEOUT = 1800.0


def draw(kernel: Kernel, seed: int) -> Sample:
    """Random parameters of a kernel."""
    return kernel.sample(random.Random(f"{kernel.name} {seed}"))


def module(kernel: Kernel, sample: Sample, seed: int) -> Module:
    """A kernel of the library with a memory of random words."""
    files = {f"{name}.sv": (RTL / "kernels" / f"{name}.sv").read_bytes() for name in (kernel.name, *kernel.parts)}
    parameters = sample.parameters
    if sample.memory:
        words, digits = random.Random(seed), -(-sample.word_bits // 4)
        lines = (f"{words.getrandbits(sample.word_bits):0{digits}x}\n" for _ in range(sample.words))
        files["memory.hex"] = "".join(lines).encode()
        parameters = {**parameters, sample.memory: "memory.hex"}
    if sample.source:
        return Module("sample", {}, {**files, "sample.sv": sample.source.encode()})
    return Module(kernel.name, parameters, files)


def samples(kernel: Kernel) -> list[Sample]:
    """What a kernel's costs are fitted to."""
    return [*(draw(kernel, seed) for seed in range(kernel.draws)), *kernel.samples()]


def fit(kernels: Sequence[Kernel]) -> dict[str, float]:
    """Cost of one unit of each term of these kernels in LUTs; both families share it."""
    rows, counts = [], []
    for kernel in kernels:
        for number, sample in enumerate(samples(kernel)):
            family = FAMILIES[number % 3 == 2]  # logic is the same in both, memories differ
            mapped = synthesize(module(kernel, sample, SEED), family, TIMEOUT)
            rows.append(kernel_use(kernel.name, sample.parameters, family).lut)
            counts.append(mapped["LUT"])
            print(kernel.name, family, sample.parameters, rows[-1], mapped, flush=True)
    names = sorted({name for row in rows for name in row})
    weights = 1 / np.maximum(counts, SMALL)
    matrix = np.array([[row.get(name, 0.0) for name in names] for row in rows])
    costs, _ = nnls(matrix * weights[:, None], counts * weights)
    ratios = (matrix @ costs) / np.maximum(counts, 1)
    print(*(kernel.name for kernel in kernels), dict(zip(names, costs.round(3), strict=True)), ratios.round(2))
    return {name: round(float(cost), 3) for name, cost in zip(names, costs, strict=True)}


def main() -> None:
    groups: dict[str, list[Kernel]] = {}
    for kernel in KERNELS.values():
        groups.setdefault(cost_group(kernel.name), []).append(kernel)
    costs = {group: fit(kernels) for group, kernels in groups.items()}
    COEFFICIENTS.write_text(json.dumps({"yosys": yosys_version(), "lut": costs}, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
