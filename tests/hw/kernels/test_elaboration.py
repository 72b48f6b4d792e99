# SPDX-License-Identifier: Apache-2.0
"""Every kernel: clean under Verilator's lint with all warnings on, and illegal parameters stop at elaboration."""

import subprocess

import pytest

from icsort.sim.verilator import verilate
from icsort.sim.verilator.bench import RTL

Parameters = dict[str, int | str]


def lint(kernel: str, parameters: Parameters) -> subprocess.CompletedProcess[str]:
    source = RTL / "kernels" / f"{kernel}.sv"
    flags = [f"-G{name}={value}" for name, value in parameters.items()]
    return subprocess.run(
        ["verilator", "--lint-only", "-Wall", "-y", str(source.parent), "--top-module", kernel, *flags, str(source)],
        env=verilate.environment(),
        capture_output=True,
        text=True,
        check=False,
    )


LEGAL: list[tuple[str, Parameters]] = [
    ("fifo", {}),
    ("fifo", {"DEPTH": 300}),
    ("fifo", {"DEPTH": 5, "RAM_STYLE": '"ultra"'}),
    ("width_converter", {"IN_WIDTH": 8, "OUT_WIDTH": 32}),
    ("width_converter", {"IN_WIDTH": 33, "OUT_WIDTH": 11}),
    ("width_converter", {"IN_WIDTH": 5, "OUT_WIDTH": 5}),
    ("sliding_window", {}),
    ("sliding_window", {"K_H": 1, "K_W": 1, "STRIDE_H": 3}),
    ("sliding_window", {"IFM_W": 1, "K_W": 1}),
    ("sliding_window", {"RAM_STYLE": '"distributed"'}),
    ("mvau", {}),
    ("mvau", {"MH": 1, "SIMD": 4}),
    ("mvau", {"MW": 15, "SIMD": 5, "PE": 2, "ACC_BITS": 7}),
    ("mvau", {"SIMD": 1, "ACT_SIGNED": 1}),
    ("mvau", {"WEIGHT_BITS": 1, "ACC_BITS": 11}),
    ("mvau", {"RAM_STYLE": '"distributed"'}),
    ("mvau", {"MULT_STYLE": '"dsp"', "MH": 7, "PE": 7}),
    ("mvau", {"MULT_STYLE": '"dsp"', "MH": 7, "PE": 7, "DSP_A_BITS": 27, "ACT_SIGNED": 1, "ACC_BITS": 7}),
    ("mvau", {"MULT_STYLE": '"lut"', "WEIGHT_BITS": 8}),
    ("constant_mvau", {}),
    ("constant_mvau", {"DIGITS": 4, "DELAY": 0}),
    ("constant_mvau", {"MW": 1, "MH": 1, "ACT_BITS": 6, "DIGITS": 2, "DELAY": 5, "ACC_BITS": 6}),
    ("vvau", {"RAM_STYLE": '"block"', "MULT_STYLE": '"dsp"'}),
    ("mvau", {"WEIGHT_BITS": 1, "ACT_BITS": 1, "ACT_BIPOLAR": 1, "ACC_BITS": 3}),
    ("mvau", {"ACT_BITS": 1, "ACT_BIPOLAR": 1, "ACC_BITS": 6}),
    ("rom", {}),
    ("rom", {"WORDS": 1, "BITS": 9}),
    ("threshold", {}),
    ("threshold", {"PE": 2, "IN_SIGNED": 0}),
    ("threshold", {"CHANNELS": 6, "PE": 3, "PER_TENSOR": 1}),
    ("threshold", {"STEPS": 255, "OUT_BITS": 8, "OUT_BIAS": -128}),
    ("threshold", {"RAM_STYLE": '"block"'}),
    ("max_pool", {}),
    ("max_pool", {"WINDOW": 1, "SIGNED": 1}),
    ("max_pool", {"WINDOW": 9, "CHANNELS": 3}),
    ("max_pool_folded", {}),
    ("max_pool_folded", {"PE": 3, "SIGNED": 1, "WINDOW": 9}),
    ("max_pool_folded", {"WINDOW": 1}),
    ("fmpad", {}),
    ("fmpad", {"BITS": 4, "PAD_VALUE": -8}),
    ("fmpad", {"BITS": 4, "PAD_VALUE": 15}),
    ("fmpad", {"CHANNELS": 6, "SIMD": 2, "PAD_TOP": 0, "PAD_LEFT": 0, "PAD_BOTTOM": 2}),
    ("fmpad", {"IFM_H": 1, "IFM_W": 1, "PAD_TOP": 0, "PAD_LEFT": 0, "PAD_BOTTOM": 0, "PAD_RIGHT": 0}),
    ("stream_fork", {}),
    ("stream_fork", {"WIDTH": 1, "OUTPUTS": 1}),
    ("stream_add", {}),
    ("stream_add", {"PE": 3, "LHS_BITS": 4, "RHS_SIGNED": 1}),
    ("stream_add", {"LHS_SIGNED": 1, "OUT_BITS": 5}),
    ("stream_concat", {}),
    ("stream_concat", {"LHS_WIDTH": 1, "RHS_WIDTH": 24}),
    ("channel_add", {}),
    ("channel_add", {"CHANNELS": 6, "PE": 3, "IN_SIGNED": 0}),
    ("channel_add", {"PE": 2, "ADDEND_SIGNED": 0, "OUT_BITS": 5}),
    ("global_acc_pool", {}),
    ("global_acc_pool", {"CHANNELS": 6, "PE": 2, "SIGNED": 1}),
    ("global_acc_pool", {"PIXELS": 1, "OUT_BITS": 8}),
    ("global_acc_pool", {"RAM_STYLE": '"block"'}),
    ("vvau", {}),
    ("vvau", {"SIMD": 9, "PE": 2}),
    ("vvau", {"SIMD": 3, "WEIGHT_BITS": 1, "ACT_SIGNED": 1, "ACC_BITS": 12}),
    ("vvau", {"WEIGHT_BITS": 1, "ACT_BITS": 1, "ACT_BIPOLAR": 1, "ACC_BITS": 4}),
    ("vvau", {"ACT_BITS": 1, "ACT_BIPOLAR": 1, "ACC_BITS": 6}),
    ("vvau", {"CHANNELS": 6, "SIMD": 3, "PE": 2, "WHOLE_WINDOW": 1}),
    ("vvau", {"SIMD": 9, "PE": 2, "WHOLE_WINDOW": 1}),
    ("label_select", {}),
    ("label_select", {"LABELS": 7, "PE": 7, "OUT_BITS": 8, "SIGNED": 0}),
    ("label_select", {"LABELS": 6, "PE": 3, "OUT_BITS": 3}),
    ("label_select", {"LABELS": 1, "OUT_BITS": 1}),
    ("sliding_window_folded", {}),
    ("sliding_window_folded", {"DEPTHWISE": 1, "STRIDE_H": 2}),
    ("sliding_window_folded", {"K_H": 1, "K_W": 1, "STRIDE_H": 3, "STRIDE_W": 2, "CHANNELS": 1}),
    ("sliding_window_folded", {"IFM_H": 1, "IFM_W": 1, "K_H": 1, "K_W": 1}),
    ("sliding_window_folded", {"RAM_STYLE": '"block"'}),
]


@pytest.mark.parametrize(("kernel", "parameters"), LEGAL)
def test_lint_clean(kernel: str, parameters: Parameters) -> None:
    result = lint(kernel, parameters)
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""


ILLEGAL: list[tuple[str, Parameters, str]] = [
    ("fifo", {"WIDTH": 0}, "WIDTH must be at least 1"),
    ("fifo", {"DEPTH": 1}, "DEPTH must be at least 2"),
    ("fifo", {"RAM_STYLE": '"bram"'}, "RAM_STYLE must be auto"),
    ("width_converter", {"IN_WIDTH": 8, "OUT_WIDTH": 12}, "multiple"),
    ("width_converter", {"IN_WIDTH": 12, "OUT_WIDTH": 8}, "multiple"),
    ("width_converter", {"IN_WIDTH": 0}, "at least 1"),
    ("sliding_window", {"IFM_W": 4, "K_W": 5}, "does not fit"),
    ("sliding_window", {"IFM_H": 2, "K_H": 3}, "does not fit"),
    ("sliding_window", {"STRIDE_H": 0}, "at least 1"),
    ("sliding_window", {"CHANNELS": 0}, "at least 1"),
    ("sliding_window", {"RAM_STYLE": '"bram"'}, "RAM_STYLE must be auto"),
    ("mvau", {"MW": 10, "SIMD": 4}, "multiple of SIMD"),
    ("mvau", {"MH": 10, "PE": 4}, "multiple of PE"),
    ("constant_mvau", {"MH": 0}, "MW and MH must be at least 1"),
    ("constant_mvau", {"ACC_BITS": 0}, "ACT_BITS and ACC_BITS must be at least 1"),
    ("constant_mvau", {"DIGITS": 3}, "DIGITS must divide ACT_BITS"),
    ("dot_product", {"NF": 0}, "NF, SF, SIMD and PE must be at least 1"),
    ("dot_product", {"WEIGHT_BITS": 0}, "WEIGHT_BITS and ACC_BITS must be at least 1"),
    ("dot_product", {"ACC_BITS": 0}, "ACC_BITS must be at least 1"),
    ("dot_product", {"ACT_SIGNED": 2}, "ACT_SIGNED, ACT_BIPOLAR and SHARED_ACT must be 0 or 1"),
    ("dot_product", {"MULT_STYLE": '"fabric"'}, "MULT_STYLE must be auto, lut or dsp"),
    ("dot_product", {"DSP_A_BITS": 17}, "DSP_A_BITS must be at least 18"),
    ("dot_product", {"ACT_BIPOLAR": 1}, "ACT_BIPOLAR needs ACT_BITS = 1"),
    ("threshold", {"CHANNELS": 10, "PE": 4}, "multiple of PE"),
    ("threshold", {"PER_TENSOR": 2}, "PER_TENSOR must be 0 or 1"),
    ("threshold", {"STEPS": 0}, "STEPS must be 1 to 255"),
    ("threshold", {"STEPS": 256, "OUT_BITS": 9}, "STEPS must be 1 to 255"),
    ("threshold", {"STEPS": 4, "OUT_BITS": 2}, "does not fit in OUT_BITS"),
    ("threshold", {"STEPS": 3, "OUT_BITS": 2, "OUT_BIAS": -1}, "does not fit in OUT_BITS"),
    ("threshold", {"STEPS": 3, "OUT_BITS": 2, "OUT_BIAS": 1}, "does not fit in OUT_BITS"),
    ("rom", {"WORDS": 0}, "WORDS and BITS must be at least 1"),
    ("rom", {"RAM_STYLE": '"ultra"'}, "RAM_STYLE must be auto, distributed or block"),
    ("max_pool", {"WINDOW": 0}, "at least 1"),
    ("max_pool", {"SIGNED": 2}, "SIGNED must be 0 or 1"),
    ("fmpad", {"CHANNELS": 6, "SIMD": 4}, "multiple of SIMD"),
    ("max_pool_folded", {"PE": 0}, "at least 1"),
    ("max_pool_folded", {"SIGNED": 2}, "SIGNED must be 0 or 1"),
    ("fmpad", {"IFM_W": 0}, "at least 1"),
    ("fmpad", {"BITS": 4, "PAD_VALUE": 16}, "does not fit in BITS"),
    ("fmpad", {"BITS": 4, "PAD_VALUE": -9}, "does not fit in BITS"),
    ("stream_fork", {"OUTPUTS": 0}, "at least 1"),
    ("stream_add", {"PE": 0}, "at least 1"),
    ("stream_concat", {"LHS_WIDTH": 0}, "at least 1"),
    ("stream_concat", {"RHS_WIDTH": 0}, "at least 1"),
    ("channel_add", {"CHANNELS": 3, "PE": 2}, "multiple of PE"),
    ("channel_add", {"ADDEND_BITS": 0}, "at least 1"),
    ("channel_add", {"IN_SIGNED": 2}, "must be 0 or 1"),
    ("stream_add", {"RHS_SIGNED": 2}, "must be 0 or 1"),
    ("global_acc_pool", {"CHANNELS": 6, "PE": 4}, "multiple of PE"),
    ("global_acc_pool", {"OUT_BITS": 7}, "OUT_BITS at least BITS"),
    ("global_acc_pool", {"PIXELS": 0}, "at least 1"),
    ("global_acc_pool", {"SIGNED": 2}, "SIGNED must be 0 or 1"),
    ("global_acc_pool", {"RAM_STYLE": '"bram"'}, "RAM_STYLE must be auto"),
    ("label_select", {"PE": 3}, "multiple of PE"),
    ("label_select", {"BITS": 0}, "BITS must be at least 1"),
    ("label_select", {"SIGNED": 2}, "SIGNED must be 0 or 1"),
    ("label_select", {"LABELS": 5}, "does not fit in OUT_BITS"),
    ("sliding_window_folded", {"CHANNELS": 6, "SIMD": 4}, "multiple of SIMD"),
    ("sliding_window_folded", {"STRIDE_W": 0}, "at least 1"),
    ("sliding_window_folded", {"IFM_W": 2}, "does not fit"),
    ("sliding_window_folded", {"DEPTHWISE": 2}, "DEPTHWISE must be 0 or 1"),
    ("sliding_window_folded", {"RAM_STYLE": '"bram"'}, "RAM_STYLE must be auto"),
    ("vvau", {"SIMD": 2}, "multiple of SIMD"),
    ("vvau", {"PE": 3}, "multiple of PE"),
    ("vvau", {"WHOLE_WINDOW": 2}, "WHOLE_WINDOW must be 0 or 1"),
]


@pytest.mark.parametrize(("kernel", "parameters", "reason"), ILLEGAL)
def test_illegal_parameters_stop(kernel: str, parameters: Parameters, reason: str) -> None:
    result = lint(kernel, parameters)
    assert result.returncode != 0
    assert f"{kernel}: " in result.stderr
    assert reason in result.stderr
