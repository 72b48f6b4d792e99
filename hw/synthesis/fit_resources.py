# SPDX-License-Identifier: Apache-2.0
"""Fits the LUT costs of folding.resources to Yosys: `python -m icsort.hw.synthesis.fit_resources` writes
hw/folding/resources.json.

Every kernel is synthesized with random parameters and random memory contents, both from a fixed seed; what was
synthesized before comes from the cache. The costs are the non-negative ones with the smallest sum of squared relative
errors.
"""

import json
import random
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from scipy.optimize import nnls

from icsort.hw.compile import RTL
from icsort.hw.folding.resources import COEFFICIENTS, COST_GROUPS, FAMILIES, PRODUCT_BITS, Parameters, lut_terms
from icsort.hw.folding.search import SHALLOW
from icsort.hw.synthesis.synth import used_sources
from icsort.hw.synthesis.yosys import Module, synthesize, yosys_version

SEED = 1
SMALL = 20  # LUTs below which an error counts as if there were that many
SAMPLES = {
    "mvau": 18, "vvau": 14, "threshold": 14, "sliding_window": 8, "sliding_window_folded": 10, "fmpad": 6,
    "max_pool": 6, "max_pool_folded": 5, "global_acc_pool": 8, "label_select": 5, "stream_fork": 3, "stream_add": 6,
    "channel_add": 8,    "width_converter": 8, "fifo": 14,
}  # fmt: skip
TIMEOUT = 1800.0


def sample(kernel: str, seed: int) -> tuple[dict[str, int | str], tuple[str, int, int]]:
    """Random parameters of a kernel, and its memory: the parameter that names it (empty: none), words, bits a word."""
    r = random.Random(f"{kernel} {seed}")
    parameters, memory = _DRAW[kernel](r)
    return parameters, memory


def module(kernel: str, parameters: Parameters, memory: tuple[str, int, int], seed: int) -> Module:
    """A kernel of the library with a memory of random words."""
    texts = {path.stem: path.read_bytes() for path in RTL.rglob("*.sv")}
    files = {f"{name}.sv": texts[name] for name in used_sources(kernel, texts)}
    name, words, bits = memory
    if name:
        r = random.Random(seed)
        files["memory.hex"] = "".join(f"{r.getrandbits(bits):0{-(-bits // 4)}x}\n" for _ in range(words)).encode()
        parameters = {**parameters, name: "memory.hex"}
    return Module(kernel, parameters, files)


Drawn = tuple[dict[str, int | str], tuple[str, int, int]]
_NONE = ("", 0, 0)


def _matrix(r: random.Random, channels: str, vector: str) -> Drawn:
    sf, nf = r.choice([(1, 1), (1, 2), (2, 1), (1, 4), (3, 2), (2, 8), (4, 32), (9, 16)])
    simd = r.choice([1, 3, 9] if vector == "KERNEL" else [1, 2, 4, 8, 9, 16, 18])
    pe = r.choice([1, 2, 3, 4, 6, 8])
    while simd * pe > 40 and pe > 1:
        pe //= 2
    act, weight, style = r.choice([2, 3, 4, 4, 8]), r.choice([2, 3, 4, 4, 8]), r.choice(["lut", "dsp", "dsp"])
    style = style if nf * sf > 1 else "lut"  # of a product with a constant, tools may make shifts
    ram = r.choice(["distributed", "block"]) if nf * sf >= SHALLOW else "distributed"
    acc = act + weight + max(1, (simd * sf - 1).bit_length()) - r.choice([0, 0, 1])
    parameters: dict[str, int | str] = {
        channels: nf * pe, vector: sf * simd, "SIMD": simd, "PE": pe, "ACT_BITS": act,
        "ACT_SIGNED": r.choice([0, 0, 1]), "WEIGHT_BITS": weight, "ACC_BITS": acc,
        "RAM_STYLE": ram, "MULT_STYLE": style,
    }  # fmt: skip
    return parameters, ("WEIGHTS_FILE", nf * sf, pe * simd * weight)


def products() -> Iterator[Drawn]:
    """An mvau for each pair of widths whose products have a cost of their own, weights as constants and from memory."""
    for weight in PRODUCT_BITS:
        for act in PRODUCT_BITS:
            for words, simd in ((1, 8), (4, 4)):
                parameters: dict[str, int | str] = {
                    "MH": 4 * words, "MW": simd, "SIMD": simd, "PE": 4, "ACT_BITS": act, "WEIGHT_BITS": weight,
                    "ACC_BITS": act + weight + 3, "RAM_STYLE": "block", "MULT_STYLE": "lut",
                }  # fmt: skip
                yield parameters, ("WEIGHTS_FILE", words, 4 * simd * weight)


def _vvau(r: random.Random) -> Drawn:
    parameters, memory = _matrix(r, "CHANNELS", "KERNEL")
    return parameters | {"WHOLE_WINDOW": r.choice([0, 1])}, memory


def _threshold(r: random.Random) -> Drawn:
    pe, folds, steps, bits = (
        r.choice([1, 2, 3, 6]),
        r.choice([1, 1, 4, 32, 96, 200]),
        r.choice([1, 3, 7, 15, 15, 40]),
        r.randint(6, 18),
    )
    styles = ["distributed", "distributed", "block"] if folds >= SHALLOW else ["distributed"]
    parameters: dict[str, int | str] = {
        "CHANNELS": pe * folds, "PE": pe, "IN_BITS": bits, "IN_SIGNED": 1, "STEPS": steps,
        "OUT_BITS": steps.bit_length(), "RAM_STYLE": r.choice(styles),
    }  # fmt: skip
    return parameters, ("THRESHOLDS_FILE", folds, pe * steps * bits)


def _sliding_window(r: random.Random) -> Drawn:
    k, stride = r.choice([2, 3, 3, 3, 5]), r.choice([1, 1, 2])
    parameters: dict[str, int | str] = {
        "IFM_H": r.choice([8, 12, 34, 66]), "IFM_W": r.choice([8, 12, 24, 34, 66]), "CHANNELS": r.choice([1, 3, 8, 16]),
        "BITS": r.choice([2, 4, 8]), "K_H": k, "K_W": k, "STRIDE_H": stride, "STRIDE_W": stride,
    }  # fmt: skip
    return parameters, _NONE


def _sliding_window_folded(r: random.Random) -> Drawn:
    parameters, _ = _sliding_window(r)
    fold = r.choice([1, 2, 4, 8])
    simd = r.choice([1, 2, 4, 8])
    style = r.choice(["distributed", "block"])
    parameters |= {"CHANNELS": fold * simd, "SIMD": simd, "DEPTHWISE": r.choice([0, 1]), "RAM_STYLE": style}
    return parameters, _NONE


def _fmpad(r: random.Random) -> Drawn:
    simd, pad = r.choice([1, 3, 8, 32]), r.choice([1, 1, 2])
    parameters: dict[str, int | str] = {
        "IFM_H": r.choice([8, 32, 64]), "IFM_W": r.choice([8, 32, 64]), "CHANNELS": simd * r.choice([1, 1, 2, 8]),
        "SIMD": simd, "BITS": r.choice([2, 4, 8]), "PAD_TOP": pad, "PAD_LEFT": pad, "PAD_BOTTOM": pad, "PAD_RIGHT": pad,
    }  # fmt: skip
    return parameters, _NONE


def _max_pool(r: random.Random) -> Drawn:
    return {
        "CHANNELS": r.choice([1, 4, 16]), "BITS": r.choice([1, 2, 4, 8]), "SIGNED": r.choice([0, 1]),
        "WINDOW": r.choice([4, 9]),
    }, _NONE  # fmt: skip


def _max_pool_folded(r: random.Random) -> Drawn:
    return {"PE": r.choice([1, 4, 16, 64]), "BITS": r.choice([1, 2, 4, 8]), "WINDOW": r.choice([4, 9])}, _NONE


def _global_acc_pool(r: random.Random) -> Drawn:
    pe, pixels, bits = r.choice([1, 2, 4, 16]), r.choice([4, 16, 64]), r.choice([4, 8])
    return {
        "CHANNELS": pe * r.choice([1, 4, 16, 64]), "PE": pe, "PIXELS": pixels, "BITS": bits,
        "OUT_BITS": bits + pixels.bit_length(),
    }, _NONE  # fmt: skip


def _label_select(r: random.Random) -> Drawn:
    labels = r.choice([7, 10, 16, 36])
    pe = r.choice([1, labels])
    return {"LABELS": labels, "PE": pe, "BITS": r.choice([12, 16, 20]), "OUT_BITS": (labels - 1).bit_length()}, _NONE


def _stream_fork(r: random.Random) -> Drawn:
    return {"WIDTH": r.choice([4, 32, 128]), "OUTPUTS": r.choice([2, 2, 3])}, _NONE


def _stream_add(r: random.Random) -> Drawn:
    bits = r.choice([4, 8, 14])
    return {"PE": r.choice([1, 4, 16]), "LHS_BITS": bits, "RHS_BITS": r.choice([4, bits]), "OUT_BITS": bits + 1}, _NONE


def _channel_add(r: random.Random) -> Drawn:
    pe, folds, bits, addend_bits = r.choice([1, 2, 5, 10]), r.choice([1, 1, 4, 10]), r.randint(8, 18), r.randint(4, 12)
    parameters: dict[str, int | str] = {
        "CHANNELS": pe * folds, "PE": pe, "IN_BITS": bits, "ADDEND_BITS": addend_bits,
        "OUT_BITS": max(bits, addend_bits) + 1, "RAM_STYLE": "distributed",
    }  # fmt: skip
    return parameters, ("ADDENDS_FILE", folds, pe * addend_bits)


def _width_converter(r: random.Random) -> Drawn:
    narrow = r.choice([1, 4, 18, 32])
    widths = [narrow, narrow * r.choice([2, 3, 9, 16])]
    r.shuffle(widths)
    return {"IN_WIDTH": widths[0], "OUT_WIDTH": widths[1]}, _NONE


def _fifo(r: random.Random) -> Drawn:
    return {"WIDTH": r.choice([4, 14, 32, 112, 288]), "DEPTH": r.choice([2, 2, 2, 4, 9, 34, 100, 300])}, _NONE


_DRAW: dict[str, Callable[[random.Random], Drawn]] = {
    "mvau": lambda r: _matrix(r, "MH", "MW"),
    "vvau": _vvau,
    "threshold": _threshold,
    "sliding_window": _sliding_window,
    "sliding_window_folded": _sliding_window_folded,
    "fmpad": _fmpad,
    "max_pool": _max_pool,
    "max_pool_folded": _max_pool_folded,
    "global_acc_pool": _global_acc_pool,
    "label_select": _label_select,
    "stream_fork": _stream_fork,
    "stream_add": _stream_add,
    "channel_add": _channel_add,
    "width_converter": _width_converter,
    "fifo": _fifo,
}


def samples(kernel: str) -> list[tuple[Parameters, Module]]:
    """What a kernel's costs are fitted to."""
    drawn = [sample(kernel, seed) for seed in range(SAMPLES[kernel])]
    if kernel == "mvau":
        drawn += products()
    return [(parameters, module(kernel, parameters, memory, SEED)) for parameters, memory in drawn]


def fit(kernels: Sequence[str]) -> dict[str, float]:
    """Cost of one unit of each term of these kernels in LUTs; both families share it."""
    rows, counts = [], []
    for kernel in kernels:
        for number, (parameters, made) in enumerate(samples(kernel)):
            family = FAMILIES[number % 3 == 2]  # logic is the same in both, memories differ
            mapped = synthesize(made, family, TIMEOUT)
            rows.append(lut_terms(kernel, parameters, family))
            counts.append(mapped["LUT"])
            print(kernel, family, dict(parameters), rows[-1], mapped, flush=True)
    names = sorted({name for row in rows for name in row})
    weights = 1 / np.maximum(counts, SMALL)
    matrix = np.array([[row.get(name, 0.0) for name in names] for row in rows])
    costs, _ = nnls(matrix * weights[:, None], counts * weights)
    print(*kernels, dict(zip(names, costs.round(3), strict=True)), ((matrix @ costs) / np.maximum(counts, 1)).round(2))
    return {name: round(float(cost), 3) for name, cost in zip(names, costs, strict=True)}


def main() -> None:
    groups: dict[str, list[str]] = {}
    for kernel in SAMPLES:
        groups.setdefault(COST_GROUPS.get(kernel, kernel), []).append(kernel)
    costs = {group: fit(kernels) for group, kernels in groups.items()}
    COEFFICIENTS.write_text(json.dumps({"yosys": yosys_version(), "lut": costs}, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
