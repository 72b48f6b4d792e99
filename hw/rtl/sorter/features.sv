// SPDX-License-Identifier: Apache-2.0
//
// features: numbers of each event beside the network's: size, intensity, centre, moments of each channel, distance and correlation of
// each pair. docs/features.md has their definitions; bit-true model: sim/bit_true/features.py.
//
//   feature_lines (sums of each line) -> feature_events (sums of each event) -> feature_values (features, in a table)
//
//   Beats       of corrected lines, one a cycle at most; lane 0 is the lowest column, at the LSB, channel 0 at the LSB of a pixel.
//               A line ends with beat_end, whether it has all its beats or not.
//   s_member    valid/ready, one line of an event, in order: {tag, line, first, last}; line counts the lines since reset, modulo 256.
//               A line may be offered from its beat_end on until it is LINES - 2 lines back.
//   m_features  valid/ready, one for each event in order, {tag, invalid}: while it is valid, `value` of the cycle behind value_index is a
//               feature of that event, signed 32 bits, in the order of names() of the model.
//   invalid     the event has no features: it was faster than tables are taken away, settings were committed while it was under way,
//               one of its lines was lost or too far back, or it has more than 255.
//   Settings    at store, data goes to the shadow entry of `index`: 0 .. 7 {background, threshold} of that channel, 64 + 8 r + c
//               the coefficient of row r, column c of the compensation matrix, signed, 14 fraction bits; entry is what lies there.
//               commit puts all entries in force at once: write all of the matrix before, or nothing of it, which keeps the one in
//               force; its shadow holds an older one.
//               At reset: background and threshold 0, no compensation.
//   Latency     for 3 channels m_features is valid 40 cycles after the last line was taken from s_member, if no event waits and
//               a table is free. In general feature_values.Last + 6 - C.
//   Interval    a beat a cycle, C cycles a member, feature_values.Last + 1 cycles an event.
//   Overflow    BANKS events may wait for their features; one more is `event_lost` (a pulse) and invalid. A line that ends less than C
//               cycles behind the one before is `line_lost` (a pulse), and every event that is under way then is invalid.
//   Reset       lines, events and tables are forgotten.
`default_nettype none

module features #(
    parameter int unsigned LINE_W      = 40,
    parameter int unsigned C           = 3,
    parameter int unsigned SAMPLE_BITS = 16,
    parameter int unsigned P           = 1,
    parameter int unsigned LINES       = 128,  // whose sums are kept, a power of two
    parameter int unsigned BANKS       = 4,    // events whose sums are kept, a power of two
    parameter int unsigned EVENTS      = 16    // events between trigger and decision
) (
    input  wire logic                           clk,
    input  wire logic                           rst,

    input  wire logic [7:0]                     index,
    input  wire logic                           store,
    input  wire logic [31:0]                    data,
    output logic [31:0]                         entry,
    input  wire logic                           commit,

    input  wire logic                           beat_valid,
    input  wire logic [P*C*SAMPLE_BITS-1:0]     beat_data,
    input  wire logic                           beat_end,

    input  wire logic [17:0]                    s_member_tdata,
    input  wire logic                           s_member_tvalid,
    output logic                                s_member_tready,

    output logic [8:0]                          m_features_tdata,
    output logic                                m_features_tvalid,
    input  wire logic                           m_features_tready,
    input  wire logic [7:0]                     value_index,
    output logic [31:0]                         value,

    output logic                                event_lost,
    output logic                                line_lost
);
  localparam int unsigned ColumnBits  = LINE_W > 1 ? $clog2(LINE_W) : 1;
  localparam int unsigned CountBits   = $clog2(LINE_W + 1);
  localparam int unsigned TotalBits   = SAMPLE_BITS + ColumnBits;
  localparam int unsigned XBits       = TotalBits + ColumnBits;
  localparam int unsigned XxBits      = TotalBits + 2 * ColumnBits;
  localparam int unsigned SquareBits  = TotalBits + SAMPLE_BITS;
  localparam int unsigned Partners    = C > 1 ? C / 2 : 1;
  localparam int unsigned ChannelBits = C > 1 ? $clog2(C) : 1;
  localparam int unsigned BankBits    = $clog2(BANKS);

  // ---------------------------------------------------------------- settings: shadow and in force
  logic [C-1:0][SAMPLE_BITS-1:0] background_q, threshold_q, shadow_background_q, shadow_threshold_q;
  logic [1:0]                    generation_q;   // of settings, or of lines that are all there
  logic                          compensate_q, bank_q, matrix_written_q;
  logic signed [17:0]            matrix [128];   // {bank, row, column}
  logic [2:0]                    matrix_row, matrix_column;

  wire [17:0] shadow_matrix = matrix[{!bank_q, index[5:0]}];
  wire [17:0] in_force      = matrix[{bank_q, matrix_row, matrix_column}];
  wire signed [17:0] coefficient =
      compensate_q ? in_force : matrix_row == matrix_column ? 18'sd16384 : 18'sd0;

  always_comb begin
    entry = '0;
    if (index[7:6] == 2'd1) entry = 32'($signed(shadow_matrix));
    for (int unsigned c = 0; c < C; c++) begin
      if (index == 8'(c)) entry = {16'(shadow_background_q[c]), 16'(shadow_threshold_q[c])};
    end
  end

  always_ff @(posedge clk) begin
    if (store) begin
      if (index[7:6] == 2'd1) begin
        matrix[{!bank_q, index[5:0]}] <= data[17:0];
        matrix_written_q <= 1'b1;
      end
      for (int unsigned c = 0; c < C; c++) begin
        if (index == 8'(c)) begin
          shadow_background_q[c] <= data[16+:SAMPLE_BITS];
          shadow_threshold_q[c]  <= data[SAMPLE_BITS-1:0];
        end
      end
    end
    if (commit) begin
      background_q <= shadow_background_q;
      threshold_q  <= shadow_threshold_q;
      if (matrix_written_q) begin
        bank_q       <= !bank_q;
        compensate_q <= 1'b1;
      end
      matrix_written_q <= 1'b0;
    end
    if (commit || line_lost) generation_q <= generation_q + 1'b1;
    if (rst) begin
      background_q        <= '0;
      threshold_q         <= '0;
      shadow_background_q <= '0;
      shadow_threshold_q  <= '0;
      generation_q        <= '0;
      compensate_q        <= 1'b0;
      bank_q              <= 1'b0;
      matrix_written_q    <= 1'b0;
    end
  end

  // ---------------------------------------------------------------- lines
  logic [7:0]                              done, read_line, word_line;
  logic [ChannelBits-1:0]                  read_channel;
  logic [1:0]                              word_generation;
  logic [CountBits-1:0]                    word_size, word_union;
  logic [SAMPLE_BITS-1:0]                  word_largest;
  logic [TotalBits-1:0]                    word_total;
  logic [XBits-1:0]                        word_x;
  logic [XxBits-1:0]                       word_xx;
  logic [SquareBits-1:0]                   word_square;
  logic [Partners-1:0][SquareBits-1:0]     word_product;

  feature_lines #(
      .LINE_W      (LINE_W),
      .C           (C),
      .SAMPLE_BITS (SAMPLE_BITS),
      .P           (P),
      .LINES       (LINES)
  ) lines (
      .clk,
      .rst,
      .background (background_q),
      .threshold  (threshold_q),
      .generation (generation_q),
      .beat_valid,
      .beat_data,
      .beat_end,
      .read_line,
      .read_channel,
      .word_line,
      .word_generation,
      .word_size,
      .word_largest,
      .word_total,
      .word_x,
      .word_xx,
      .word_square,
      .word_union,
      .word_product,
      .done,
      .lost       (line_lost)
  );

  // ---------------------------------------------------------------- events
  logic [8:0]                              event_tdata, next_tdata;
  logic                                    event_tvalid, event_tready, next_tvalid, next_tready;
  logic                                    sums_valid, sums_done, sound, release_bank;
  logic [BankBits-1:0]                     sums_bank;
  logic [1:0]                              sums_generation;
  logic [ChannelBits-1:0]                  sums_channel;
  logic [CountBits+7:0]                    sums_size, sums_union;
  logic [SAMPLE_BITS-1:0]                  sums_largest;
  logic [TotalBits+7:0]                    sums_total;
  logic [XBits+7:0]                        sums_x;
  logic [TotalBits+15:0]                   sums_y;
  logic [XxBits+7:0]                       sums_xx;
  logic [TotalBits+23:0]                   sums_yy;
  logic [XBits+15:0]                       sums_xy;
  logic [SquareBits+7:0]                   sums_square;
  logic [Partners-1:0][SquareBits+7:0]     sums_product;

  feature_events #(
      .LINE_W      (LINE_W),
      .C           (C),
      .SAMPLE_BITS (SAMPLE_BITS),
      .BANKS       (BANKS)
  ) events (
      .clk,
      .rst,
      .s_member_tdata,
      .s_member_tvalid,
      .s_member_tready,
      .generation     (generation_q),
      .done,
      .read_line,
      .read_channel,
      .word_line,
      .word_generation,
      .word_size,
      .word_largest,
      .word_total,
      .word_x,
      .word_xx,
      .word_square,
      .word_union,
      .word_product,
      .m_event_tdata  (event_tdata),
      .m_event_tvalid (event_tvalid),
      .sums_valid,
      .sums_bank,
      .sums_channel,
      .sums_size,
      .sums_largest,
      .sums_total,
      .sums_x,
      .sums_y,
      .sums_xx,
      .sums_yy,
      .sums_xy,
      .sums_square,
      .sums_union,
      .sums_product,
      .sums_done,
      .sound,
      .sums_generation,
      .release_bank
  );

  assign event_lost = event_tvalid && !event_tdata[0];

  localparam int unsigned WaitingBits = $clog2(EVENTS + 1);
  logic [WaitingBits-1:0] waiting;

  fifo #(
      .WIDTH (9),
      .DEPTH (EVENTS)
  ) waiting_events (
      .clk,
      .rst,
      .s_axis_tdata  (event_tdata),
      .s_axis_tvalid (event_tvalid),
      .s_axis_tready (event_tready),
      .m_axis_tdata  (next_tdata),
      .m_axis_tvalid (next_tvalid),
      .m_axis_tready (next_tready),
      .count         (waiting)
  );

  // ---------------------------------------------------------------- features
  feature_values #(
      .LINE_W      (LINE_W),
      .C           (C),
      .SAMPLE_BITS (SAMPLE_BITS),
      .BANKS       (BANKS)
  ) values (
      .clk,
      .rst,
      .s_event_tdata  (next_tdata),
      .s_event_tvalid (next_tvalid),
      .s_event_tready (next_tready),
      .sums_valid,
      .sums_bank,
      .sums_channel,
      .sums_size,
      .sums_largest,
      .sums_total,
      .sums_x,
      .sums_y,
      .sums_xx,
      .sums_yy,
      .sums_xy,
      .sums_square,
      .sums_union,
      .sums_product,
      .sums_done,
      .sound,
      .sums_generation,
      .release_bank,
      .generation     (generation_q),
      .matrix_row,
      .matrix_column,
      .coefficient,
      .m_features_tdata,
      .m_features_tvalid,
      .m_features_tready,
      .value_index,
      .value
  );

  // No more events are under way than the sorter admits.
  assert property (@(posedge clk) disable iff (rst) !event_tvalid || event_tready);
  assert property (@(posedge clk) disable iff (rst) waiting <= WaitingBits'(EVENTS));

endmodule

`default_nettype wire
