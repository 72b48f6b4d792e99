// SPDX-License-Identifier: Apache-2.0
//
// rom: WORDS constants of BITS bits with a registered read: the weights of dot_product, the thresholds of threshold.
//
//   Contents    FILE, read by $readmemh, one word a line.
//   Memory      RAM_STYLE says where tools put it: "auto", "distributed" or "block". Not "ultra": what is in the UltraRAM
//               of UltraScale+ when it starts cannot be chosen, so it cannot hold constants.
//               One word is no memory but constants.
//   Latency     word is that of the address in the last cycle in which enable was high. WORDS = 1: always the same word.
//   Reset       none.
//
// Whoever places it lets its borders stay (keep_hierarchy) if WORDS > 1, so that tools map it by itself. Among other
// logic Yosys takes up to four times as many LUTs: it shares parts of the decoders of many bits, where a LUT of its own
// for 64 words of each is cheaper.
`default_nettype none

module rom #(
    parameter int unsigned WORDS     = 2,
    parameter int unsigned BITS      = 1,
    parameter              FILE      = "rom.hex",
    parameter              RAM_STYLE = "auto",
    localparam int unsigned AddrBits = WORDS > 1 ? $clog2(WORDS) : 1
) (
    input  wire logic                clk,
    input  wire logic                enable,
    input  wire logic [AddrBits-1:0] address,
    output logic [BITS-1:0]          word
);
  if (WORDS < 1 || BITS < 1) begin : gen_size_error
    $error("rom: WORDS and BITS must be at least 1");
  end
  /* verilator lint_off WIDTHEXPAND */  // names of other lengths: the shorter one is extended
  if (RAM_STYLE != "auto" && RAM_STYLE != "distributed" && RAM_STYLE != "block") begin : gen_ram_error
  /* verilator lint_on WIDTHEXPAND */
    $error("rom: RAM_STYLE must be auto, distributed or block");
  end

  // Vivado reads rom_style; Yosys reads ram_style first, and knows a ROM in LUTs only as registers.
  /* verilator lint_off WIDTHEXPAND */  // names of other lengths: the shorter one is extended
  /* verilator lint_off UNUSEDPARAM */  // for other tools alone
  localparam YosysStyle = WORDS == 1 || RAM_STYLE == "distributed" ? "registers" : RAM_STYLE;
  /* verilator lint_on UNUSEDPARAM */
  /* verilator lint_on WIDTHEXPAND */

  (* rom_style = RAM_STYLE, ram_style = YosysStyle *)
  logic [BITS-1:0] words [WORDS];
  initial $readmemh(FILE, words);
`ifndef SYNTHESIS
  // Where the file is missing, simulators warn and go on with zeros.
  initial begin
    automatic int file = $fopen(FILE, "r");
    if (file == 0) $fatal(1, "%m: cannot read %s", FILE);
    $fclose(file);
  end
`endif

  if (WORDS == 1) begin : gen_constant
    assign word = words[0];
    wire unused = &{1'b0, clk, enable, address};
  end else begin : gen_read
    always_ff @(posedge clk) if (enable) word <= words[address];
  end

endmodule

`default_nettype wire
