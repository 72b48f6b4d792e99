// SPDX-License-Identifier: Apache-2.0
//
// crc32: CRC-32 of a byte sequence, the one of zlib and Ethernet (reflected, polynomial 0x04C11DB7, start and final
// inversion 0xFFFFFFFF).
//
//   Input       a byte in each cycle with enable; clear starts a new sequence and wins over enable.
//   crc         checksum of the bytes so far, 1 cycle after the last one; 0 after clear. Over a sequence followed by its
//               own CRC, low byte first, it is the residue 0x2144DF1C.
//   Interval    1 byte a cycle.
//   Reset       as clear.
`default_nettype none

module crc32 (
    input  wire logic       clk,
    input  wire logic       rst,

    input  wire logic       clear,
    input  wire logic       enable,
    input  wire logic [7:0] data,

    output logic [31:0]     crc
);
  logic [31:0] state_q;

  function automatic logic [31:0] step(input logic [31:0] state, input logic [7:0] value);
    logic [31:0] next;
    next = state ^ 32'(value);
    for (int unsigned i = 0; i < 8; i++) next = next[0] ? (next >> 1) ^ 32'hEDB88320 : next >> 1;
    return next;
  endfunction

  assign crc = ~state_q;

  always_ff @(posedge clk) begin
    if (enable) state_q <= step(state_q, data);
    if (clear || rst) state_q <= '1;
  end

endmodule

`default_nettype wire
