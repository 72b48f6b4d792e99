// SPDX-License-Identifier: Apache-2.0
//
// small_design: a block RAM of each width that the cells have, one with a write enable for each half, a ROM, memory in LUTs, products,
// a sum, and registers with and without reset: what test_netlist maps to the cells of an FPGA.
//
//   Memories    read what was there before the edge that writes.
`default_nettype none

module small_design (
    input  wire logic         clk,
    input  wire logic         rst,
    input  wire logic         write,
    input  wire logic         read,
    input  wire logic [1:0]   halves,
    input  wire logic [13:0]  write_address,
    input  wire logic [13:0]  read_address,
    input  wire logic [71:0]  data,
    output logic      [207:0] out
);
  localparam int Shapes = 7;
  localparam int Widths [Shapes] = '{1, 2, 4, 9, 18, 36, 72};
  localparam int Bits [Shapes] = '{14, 13, 12, 11, 10, 9, 9};

  for (genvar shape = 0; shape < Shapes; shape++) begin : gen_block
    (* ram_style = "block" *)
    logic [Widths[shape]-1:0] mem [2**Bits[shape]];
    logic [Widths[shape]-1:0] q;
    always_ff @(posedge clk) begin
      if (write) mem[write_address[Bits[shape]-1:0]] <= data[Widths[shape]-1:0];
      if (read) q <= mem[read_address[Bits[shape]-1:0]];
    end
  end

  (* ram_style = "block" *)
  logic [17:0] halved [1024];
  (* ram_style = "block" *)
  logic [8:0]  rom [2048];
  (* ram_style = "distributed" *)
  logic [6:0]  in_luts [32];
  logic [17:0] halved_q;
  logic [8:0]  rom_q;
  initial for (int word = 0; word < 2048; word++) rom[word] = 9'(word * 37 ^ word >> 3);

  always_ff @(posedge clk) begin
    if (write && halves[0]) halved[write_address[9:0]][8:0] <= data[8:0];
    if (write && halves[1]) halved[write_address[9:0]][17:9] <= data[17:9];
    if (read) halved_q <= halved[read_address[9:0]];
    if (read) rom_q <= rom[read_address[10:0]];
    if (write) in_luts[write_address[4:0]] <= data[6:0];
  end

  // ---------------------------------------------------------------- logic
  logic [19:0] sum_q;
  logic [15:0] count_q = 16'hA5F0;
  logic [8:0]  late_q [6];
  wire signed [17:0] left = data[17:0], right = data[35:18];

  always_ff @(posedge clk) begin
    sum_q <= rst ? '0 : sum_q + data[19:0];
    if (write) count_q <= count_q + 16'd3;
    late_q[0] <= data[8:0];
    for (int stage = 1; stage < 6; stage++) late_q[stage] <= late_q[stage-1];
  end

  assign out = {
    late_q[5], count_q, sum_q, in_luts[read_address[4:0]], rom_q, halved_q,
    gen_block[0].q, gen_block[1].q, gen_block[2].q, gen_block[3].q, gen_block[4].q, gen_block[5].q,
    23'(left * $signed({1'b0, data[40:36]})), 36'(left * right)
  } ^ 208'(gen_block[6].q);
endmodule

`default_nettype wire
