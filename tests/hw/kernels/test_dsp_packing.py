# SPDX-License-Identifier: Apache-2.0
import json
from pathlib import Path

import numpy as np
import pytest

from icsort.hw.kernels.dsp_packing import dsp_slices, products_per_dsp
from icsort.hw.synthesis.yosys import run_script
from icsort.sim.verilator.bench import RTL

Unit = tuple[int, int, int, int, str, int, int]  # PE, SIMD, WEIGHT_BITS, ACT_BITS, MULT_STYLE, SHARED_ACT, ACT_SIGNED
SOME: list[Unit] = [
    (7, 2, 4, 4, "dsp", 1, 0),
    (4, 2, 8, 8, "dsp", 1, 1),
    (5, 1, 8, 8, "auto", 1, 0),
    (7, 1, 2, 2, "dsp", 1, 0),
    (5, 1, 5, 6, "dsp", 1, 0),
    (8, 2, 4, 4, "auto", 1, 0),
    (4, 2, 8, 8, "lut", 1, 0),
    (1, 3, 4, 4, "dsp", 1, 0),
    (3, 2, 4, 4, "dsp", 0, 0),
    (3, 2, 8, 4, "dsp", 0, 1),
    (4, 2, 1, 4, "dsp", 1, 0),
    (4, 2, 4, 1, "dsp", 1, 0),
]
ALL_WIDTHS: list[Unit] = [
    (products_per_dsp(weight_bits, act_bits, 27), 1, weight_bits, act_bits, "dsp", 1, signed)
    for weight_bits in range(2, 9)
    for act_bits in range(1, 9)
    for signed in (0, 1)
]


@pytest.mark.parametrize("units", [SOME, pytest.param(ALL_WIDTHS, marks=pytest.mark.full)], ids=["some", "all-widths"])
@pytest.mark.parametrize(("family", "slice_type", "port"), [("xc7", "DSP48E1", 25), ("xcup", "DSP48E2", 27)])
def test_yosys_uses_as_many(family: str, slice_type: str, port: int, units: list[Unit], tmp_path: Path) -> None:
    (tmp_path / "weights.hex").write_text(
        "".join(f"{0x9E3779B97F4A7C15 * (word + 1) % 2**64:x}\n" for word in range(8))
    )
    ports, instances = [], []
    for index, (pe, simd, weight_bits, act_bits, style, shared, signed) in enumerate(units):
        beat, result = (1 if shared else pe) * simd * act_bits, pe * 20
        ports.append(f"input wire [{beat - 1}:0] a{index}, output wire [{result - 1}:0] y{index}")
        instances.append(
            f"dot_product #(.NF(4), .SF(2), .SIMD({simd}), .PE({pe}), .ACT_BITS({act_bits}), .ACT_SIGNED({signed}), "
            f'.SHARED_ACT({shared}), .WEIGHT_BITS({weight_bits}), .ACC_BITS(20), .MULT_STYLE("{style}"), '
            f'.DSP_A_BITS({port}), .RAM_STYLE("block")) u{index} (.clk, .rst, .s_axis_tdata(a{index}), '
            f".s_axis_tvalid(1'b1), .m_axis_tdata(y{index}), .m_axis_tready(1'b1));\n"
        )
    top = f"module top (input wire clk, rst, {', '.join(ports)});\n{''.join(instances)}endmodule\n"
    (tmp_path / "top.sv").write_text(top)
    kernels = RTL / "kernels"
    script = f"""
    read_slang --keep-hierarchy --top top top.sv {kernels / "dot_product.sv"} {kernels / "rom.sv"}
    synth_xilinx -family {family} -top top -noiopad -noclkbuf -run :coarse
    tee -q -o stat.json stat -json
    """
    run_script(script, tmp_path, timeout=500)
    modules = json.loads((tmp_path / "stat.json").read_text())["modules"]
    slices = {
        name.rpartition(".u")[2]: module["num_cells_by_type"].get(slice_type, 0) for name, module in modules.items()
    }
    ruled = {
        f"{index}": dsp_slices(pe, simd, weight_bits, act_bits, style, shared_act=bool(shared), port_bits=port)
        for index, (pe, simd, weight_bits, act_bits, style, shared, _) in enumerate(units)
    }
    assert {index: slices[index] for index in ruled} == ruled


@pytest.mark.parametrize("port_bits", [25, 27])
def test_extremes_fit(port_bits: int) -> None:
    """The joined weights fit the port at both ends of their range, and one more weight would not."""
    for weight_bits in range(2, 9):
        for act_bits in range(1, 9):
            count, step = products_per_dsp(weight_bits, act_bits, port_bits), weight_bits + act_bits
            joined = [
                sum(weight << n * step for n in range(number))
                for number in (count, count + 1)
                for weight in (-(2 ** (weight_bits - 1)), 2 ** (weight_bits - 1) - 1)
            ]
            fits = [-(2 ** (port_bits - 1)) <= value < 2 ** (port_bits - 1) for value in joined]
            assert np.array_equal(fits, [True, True, False, fits[3]])
