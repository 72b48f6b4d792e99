// SPDX-License-Identifier: Apache-2.0
//
// gate_memory: a block RAM with one write and one read port, and an output register.
//
//   Write       wdata is in the memory one cycle after we; a read of the same address in that cycle gives the old word.
//   Read        q holds the word of the raddr of two enabled cycles before; it stays while re is low.
//   Reset       none: contents are unknown until written.
`default_nettype none

module gate_memory #(
    parameter int unsigned WIDTH = 32,
    parameter int unsigned DEPTH = 64,
    localparam int unsigned AddressBits = $clog2(DEPTH)
) (
    input  wire logic                   clk,
    input  wire logic                   we,
    input  wire logic [AddressBits-1:0] waddr,
    input  wire logic [WIDTH-1:0]       wdata,
    input  wire logic                   re,
    input  wire logic [AddressBits-1:0] raddr,
    output logic [WIDTH-1:0]            q
);
  (* ram_style = "block" *) logic [WIDTH-1:0] memory [DEPTH];
  logic [WIDTH-1:0] word_q;

  always_ff @(posedge clk) begin
    if (we) memory[waddr] <= wdata;
    if (re) begin
      word_q <= memory[raddr];
      q      <= word_q;
    end
  end
endmodule

`default_nettype wire
