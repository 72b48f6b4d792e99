// SPDX-License-Identifier: Apache-2.0
//
// line_store: the last LINES lines, in a ring.
//
//   Write side  beats as of line_input, one a cycle, always taken; a line is numbered from 0 at reset, modulo 2^INDEX_BITS. write_line is the
//               line at hand, write_beat its beats so far. It overwrites line write_line - LINES.
//   Read side   each of the P memories (pixel i of all beats) by an address of its own, Beats a line: read_data two cycles of
//               read_enable later. Where a line ended early, length_beats says how many beats length_line has, one cycle of
//               read_enable later; of the line at hand that is not said.
//   Latency     a beat is to be read, and counted in write_beat, 1 cycle after beat_valid.
//   Reset       the next line is line 0; nothing is said of what is stored.
//   Memory      P of LINES * Beats words of C * SAMPLE_BITS bits, with a write and a read port, in parts of PartWords with a register
//               behind each: what chooses between block RAMs is not behind their slow outputs.
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
  (* ram_style = "distributed" *)
  logic [BeatBits-1:0] length [LINES];

  wire                stored  = beat_valid && !beat_made;
  wire [AddrBits-1:0] address = write_base_q + AddrBits'(write_beat);

  always_ff @(posedge clk) begin
    if (read_enable) length_beats <= length[length_line];
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

  localparam int unsigned Words     = LINES * Beats;
  localparam int unsigned WordBits  = AddrBits < 11 ? AddrBits : 11;
  localparam int unsigned PartWords = 1 << WordBits;
  localparam int unsigned Parts     = (Words + PartWords - 1) / PartWords;
  localparam int unsigned PartBits  = Parts > 1 ? $clog2(Parts) : 1;

  for (genvar i = 0; i < P; i++) begin : gen_bank
    wire [AddrBits-1:0]              wanted = read_address[i*AddrBits+:AddrBits];
    logic [1:0][PartBits-1:0]        part_q;
    logic [Parts-1:0][PixelBits-1:0] read_q;

    always_ff @(posedge clk) begin
      if (read_enable) part_q <= {part_q[0], PartBits'(wanted >> WordBits)};
    end

    for (genvar part = 0; part < Parts; part++) begin : gen_part
      localparam int unsigned Depth = part == Parts - 1 ? Words - part * PartWords : PartWords;
      (* ram_style = "block" *)
      logic [PixelBits-1:0] pixels [Depth];
      logic [PixelBits-1:0] read_1_q;

      always_ff @(posedge clk) begin
        if (stored && PartBits'(address >> WordBits) == PartBits'(part)) pixels[address[WordBits-1:0]] <= beat_data[i*PixelBits+:PixelBits];
        if (read_enable) begin
          read_1_q     <= pixels[wanted[WordBits-1:0]];
          read_q[part] <= read_1_q;
        end
      end
    end

    assign read_data[i*PixelBits+:PixelBits] = read_q[part_q[1]];
  end

endmodule

`default_nettype wire
