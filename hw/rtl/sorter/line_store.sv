// SPDX-License-Identifier: Apache-2.0
//
// line_store: the last LINES lines, in a ring.
//
//   Write side  beats as of line_input, one a cycle, always taken; a line is numbered from 0 at reset, modulo 2^INDEX_BITS. write_line is the
//               line at hand, write_beat its beats so far. It overwrites line write_line - LINES.
//   Read side   each of the P memories (pixel i of all beats) by an address of its own, Beats a line: read_data in the cycle
//               behind, where read_enable was high. Where a line ended early, length_line says by length_beats (in the same cycle)
//               how many beats it has; of the line at hand that is not said.
//   Latency     a beat is to be read, and counted in write_beat, 1 cycle after beat_valid.
//   Reset       the next line is line 0; nothing is said of what is stored.
//   Memory      P of LINES * Beats words of C * SAMPLE_BITS bits, with a write and a read port.
`default_nettype none

module line_store #(
    parameter int unsigned LINE_W      = 40,
    parameter int unsigned C           = 3,
    parameter int unsigned SAMPLE_BITS = 16,
    parameter int unsigned P           = 1,
    parameter int unsigned LINES       = 256,
    parameter int unsigned INDEX_BITS  = 10,
    localparam int unsigned Beats      = (LINE_W + P - 1) / P,
    localparam int unsigned BeatBits   = $clog2(Beats + 1),
    localparam int unsigned AddrBits   = $clog2(LINES * Beats),
    localparam int unsigned PixelBits  = C * SAMPLE_BITS,
    localparam int unsigned SlotBits   = $clog2(LINES)
) (
    input  wire logic                   clk,
    input  wire logic                   rst,

    input  wire logic                   beat_valid,
    input  wire logic [P*PixelBits-1:0] beat_data,
    input  wire logic                   beat_end,
    input  wire logic                   beat_made,

    output logic [INDEX_BITS-1:0]       write_line,
    output logic [BeatBits-1:0]         write_beat,

    input  wire logic [P*AddrBits-1:0]  read_address,
    input  wire logic                   read_enable,
    output logic [P*PixelBits-1:0]      read_data,

    input  wire logic [SlotBits-1:0]    length_line,
    output logic [BeatBits-1:0]         length_beats
);
  if (LINES < 4 || (LINES & (LINES - 1)) != 0 || INDEX_BITS < SlotBits + 2) begin : gen_lines_error
    $error("line_store: LINES must be a power of two, at least 4, and INDEX_BITS two more than its own bits");
  end

  logic [AddrBits-1:0] write_base_q;  // of the line at hand
  logic [BeatBits-1:0] length [LINES];

  wire                stored  = beat_valid && !beat_made;
  wire [AddrBits-1:0] address = write_base_q + AddrBits'(write_beat);

  assign length_beats = length[length_line];

  always_ff @(posedge clk) begin
    if (beat_valid && beat_end) begin
      length[write_line[SlotBits-1:0]] <= write_beat + BeatBits'(stored);
      write_line   <= write_line + 1'b1;
      write_base_q <= write_line[SlotBits-1:0] == '1 ? '0 : write_base_q + AddrBits'(Beats);
      write_beat   <= '0;
    end else if (beat_valid) begin
      write_beat   <= write_beat + 1'b1;
    end
    if (rst) begin
      write_line   <= '0;
      write_base_q <= '0;
      write_beat   <= '0;
    end
  end

  for (genvar i = 0; i < P; i++) begin : gen_bank
    (* ram_style = "block" *)
    logic [PixelBits-1:0] pixels [LINES * Beats];

    always_ff @(posedge clk) begin
      if (stored) pixels[address] <= beat_data[i*PixelBits+:PixelBits];
      if (read_enable) read_data[i*PixelBits+:PixelBits] <= pixels[read_address[i*AddrBits+:AddrBits]];
    end
  end

endmodule

`default_nettype wire
