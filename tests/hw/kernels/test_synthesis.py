# SPDX-License-Identifier: Apache-2.0
"""Every kernel through Yosys for the 7 series: it reads, it maps, without a latch, and what is memory is memory."""

import json
from pathlib import Path

import pytest
from pyosys import libyosys

from sim.bench import RTL

IMAGE_W, IMAGE_H, CHANNELS, BITS = 24, 24, 2, 4
PIXEL, WINDOW = CHANNELS * BITS, 3 * 3 * CHANNELS * BITS

TOP = f"""
module top (
    input wire clk, input wire rst,
    input wire [{PIXEL - 1}:0] tdata, input wire tvalid, output wire tready,
    output wire [3:0] y, output wire y_valid, input wire y_ready
);
  wire [{WINDOW - 1}:0] window;
  wire [{WINDOW // 3 - 1}:0] part;
  wire [13:0] acc, sum;
  wire [3:0] level;
  wire [7:0] pair;
  wire window_valid, part_valid, acc_valid, sum_valid, level_valid, pair_valid;
  wire window_ready, part_ready, acc_ready, sum_ready, level_ready, pair_ready;

  sliding_window #(.IFM_H({IMAGE_H}), .IFM_W({IMAGE_W}), .CHANNELS({CHANNELS}), .BITS({BITS})) u_window (
      clk, rst, tdata, tvalid, tready, window, window_valid, window_ready);
  width_converter #(.IN_WIDTH({WINDOW}), .OUT_WIDTH({WINDOW // 3})) u_split (
      clk, rst, window, window_valid, window_ready, part, part_valid, part_ready);
  mvau #(.MW(18), .MH(4), .SIMD(6), .PE(1), .ACT_BITS({BITS}), .ACC_BITS(14), .WEIGHTS_FILE("weights.hex")) u_mvau (
      clk, rst, part, part_valid, part_ready, acc, acc_valid, acc_ready);
  fifo #(.WIDTH(14), .DEPTH(8)) u_fifo (
      clk, rst, acc, acc_valid, acc_ready, sum, sum_valid, sum_ready, );
  threshold #(.CHANNELS(4), .PE(1), .IN_BITS(14), .STEPS(15), .OUT_BITS(4),
              .THRESHOLDS_FILE("thresholds.hex")) u_level (
      clk, rst, sum, sum_valid, sum_ready, level, level_valid, level_ready);
  width_converter #(.IN_WIDTH(4), .OUT_WIDTH(8)) u_join (
      clk, rst, level, level_valid, level_ready, pair, pair_valid, pair_ready);
  max_pool #(.CHANNELS(1), .BITS(4), .WINDOW(2)) u_pool (
      clk, rst, pair, pair_valid, pair_ready, y, y_valid, y_ready);
endmodule
"""


def test_synthesis(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "top.sv").write_text(TOP)
    (tmp_path / "weights.hex").write_text("".join(f"{0x5A3C71 * (word + 1) % 2**24:06x}\n" for word in range(12)))
    (tmp_path / "thresholds.hex").write_text("".join(f"{fold * 0x1111:053x}\n" for fold in range(4)))
    monkeypatch.chdir(tmp_path)  # the memory files are named relative to where the tool runs
    kernels = sorted((RTL / "kernels").glob("*.sv"))
    design = libyosys.Design()
    for command in (
        f"tee -q read_slang --keep-hierarchy --top top top.sv {' '.join(map(str, kernels))}",
        "tee -q synth_xilinx -family xc7 -top top -noiopad -noclkbuf",
        "tee -q check -assert",
        "tee -q -o stat.json stat -json",
    ):
        design.run_pass(command)
    modules = json.loads((tmp_path / "stat.json").read_text())["modules"]
    cells = {
        kernel.stem: counts
        for kernel in kernels
        for name, module in modules.items()
        if name.lstrip("\\").startswith(kernel.stem)
        for counts in [module["num_cells_by_type"]]
    }
    assert set(cells) == {kernel.stem for kernel in kernels}
    for counts in cells.values():
        assert not any(cell.startswith(("LD", "$")) for cell in counts), counts

    def registers(kernel: str) -> int:
        return sum(number for cell, number in cells[kernel].items() if cell.startswith("FD"))

    # The window, one column read ahead, two counters and two countdowns; the lines are in memory.
    assert registers("sliding_window") <= WINDOW + 2 * PIXEL + 20
    assert any(cell.startswith("RAM") for cell in cells["sliding_window"])
