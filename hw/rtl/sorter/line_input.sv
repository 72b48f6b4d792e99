// SPDX-License-Identifier: Apache-2.0
//
// line_input: counts the pixels of each line, adds up the trigger channel, marks what belongs to the window. Bit-true model:
// sim/bit_true/event.py.
//
//   A line has LINE_W pixels. A line that ends early is marked so that its window is padded with zeros later (padding it
//   here would have to stop the stream); pixels past LINE_W are dropped up to tlast. Both count as a line error.
//   Time        s_axis_line_tuser, taken with the first beat of a line, is {line number, timestamp}, as the source noted them
//               when it was offered the light of that beat. How long the beat then waited does not matter. A line is
//               doubtful, and counts as a gap, where its number is not the one behind the line before, or its time
//               is not later than that line's, or still to come. The first line after reset has no line before.
//   Silence     is a cycle without an offered beat. `line_timeout` cycles of it within a line make that line bad. Where an
//               event is open (`window_open`), its line is ended there, and lines without a beat are made up until the
//               event is complete: one every 2 cycles, s_axis_line_tready low meanwhile. What still comes of the line that was
//               ended is dropped up to tlast.
//   Handshake   s_axis_line is taken whenever `space` is high and no lines are made up. The outputs are a register without
//               handshake: what is marked beat_valid must be taken in that cycle, which `space` promises one cycle ahead.
//   Latency     1 cycle from an accepted beat to beat_valid; 1 beat a cycle.
//   Reset       the next beat is column 0 of a new line, whatever part of a line went before.
//   Outputs, of the beat accepted in the cycle before:
//     beat_store      holds a window pixel (or a zero where a line ended before its window): write beat_data
//     beat_short      with beat_store: the line ended here, the rest of its window is zeros
//     beat_summed     the line's window is complete: beat_sum is its line sum
//     beat_end        the line is complete, beat_bad tells that it was malformed, doubtful, too slow or made up
//     line_time       the timestamp that the line brought; beat_time: when this beat was accepted
//     line_error      one cycle for each line of another length than LINE_W
//     line_gap        one cycle for each doubtful line
//     line_stopped    one cycle for each event that is completed with made up lines
`default_nettype none

module line_input #(
    parameter int unsigned LINE_W      = 40,
    parameter int unsigned W           = 40,
    parameter int unsigned X_OFFSET    = 0,
    parameter int unsigned C           = 3,
    parameter int unsigned SAMPLE_BITS = 16,
    localparam int unsigned SumBits = SAMPLE_BITS + $clog2(W + 1)
) (
    input  wire logic                      clk,
    input  wire logic                      rst,

    input  wire logic [47:0]               timestamp,
    input  wire logic [7:0]                trigger_channel,  // taken at column 0; one that does not exist sums to 0
    input  wire logic [31:0]               line_timeout,
    input  wire logic                      window_open,      // an event is not complete

    input  wire logic [C*SAMPLE_BITS-1:0]  s_axis_line_tdata,
    input  wire logic                      s_axis_line_tvalid,
    output logic                           s_axis_line_tready,
    input  wire logic                      s_axis_line_tlast,
    input  wire logic [63:0]               s_axis_line_tuser,

    input  wire logic                      space,
    output logic                           beat_valid,
    output logic [C*SAMPLE_BITS-1:0]       beat_data,
    output logic                           beat_store,
    output logic                           beat_short,
    output logic                           beat_summed,
    output logic [SumBits-1:0]             beat_sum,
    output logic                           beat_end,
    output logic                           beat_bad,
    output logic [47:0]                    beat_time,
    output logic [47:0]                    line_time,
    output logic                           line_error,
    output logic                           line_gap,
    output logic                           line_stopped
);
  if (W < 1 || C < 1 || SAMPLE_BITS < 1) begin : gen_size_error
    $error("line_input: W, C and SAMPLE_BITS must be at least 1");
  end
  if (X_OFFSET + W > LINE_W) begin : gen_window_error
    $error("line_input: the window, columns X_OFFSET to X_OFFSET + W - 1, must lie within LINE_W");
  end

  localparam int unsigned ColumnBits = $clog2(LINE_W + 1);
  localparam logic [ColumnBits-1:0] LastColumn  = ColumnBits'(LINE_W - 1);
  localparam logic [ColumnBits-1:0] WindowFirst = ColumnBits'(X_OFFSET);
  localparam logic [ColumnBits-1:0] WindowLast  = ColumnBits'(X_OFFSET + W - 1);

  logic [ColumnBits-1:0]  column_q;
  logic                   drop_q;     // past LINE_W, up to tlast
  logic [7:0]             channel_q;
  logic [15:0]            number_q;   // expected of the next line
  logic                   known_q;    // there was a line since reset
  logic                   doubt_q;    // the line at hand is doubtful, or was silent for too long
  logic [31:0]            silence_q;
  logic                   silent_q;
  logic                   flush_q;    // lines are made up

  assign s_axis_line_tready = space && !flush_q;

  /* verilator lint_off UNSIGNED */  // where X_OFFSET is 0, a column is never before the window
  wire behind_start = column_q >= WindowFirst;
  /* verilator lint_on UNSIGNED */

  wire take      = s_axis_line_tvalid && s_axis_line_tready;
  wire first     = column_q == '0;
  wire in_window = behind_start && column_q <= WindowLast;
  // One made up line at a time: window_open answers to it 1 cycle after beat_valid.
  wire flush     = flush_q && window_open && space && !beat_valid;
  wire early     = flush || (s_axis_line_tlast && column_q != LastColumn);
  wire at_end    = flush || s_axis_line_tlast || column_q == LastColumn;
  wire length_ok = !early && s_axis_line_tlast;

  wire [15:0] number = s_axis_line_tuser[63:48];
  wire [47:0] stamp  = s_axis_line_tuser[47:0];
  wire signed [47:0] age  = $signed(timestamp - stamp);
  wire signed [47:0] step = $signed(stamp - line_time);
  wire gap       = take && !drop_q && first && (age < 0 || (known_q && (number != number_q || step <= 0)));
  wire doubt     = first ? gap : doubt_q || (silent_q && !flush);
  // Within the window the pixel is stored; a line that ends before its window leaves one zero to be padded from.
  wire headless  = early && !behind_start;

  wire [7:0] channel = first ? trigger_channel : channel_q;
  logic [SAMPLE_BITS-1:0] sample;
  always_comb begin
    sample = '0;
    for (int unsigned c = 0; c < C; c++) begin
      if (channel == 8'(c)) sample = s_axis_line_tdata[c*SAMPLE_BITS+:SAMPLE_BITS];
    end
  end

  always_ff @(posedge clk) begin
    beat_valid   <= 1'b0;
    line_error   <= 1'b0;
    line_gap     <= gap;
    line_stopped <= 1'b0;

    if (s_axis_line_tvalid) silence_q <= '0;
    else if (silence_q != '1) silence_q <= silence_q + 1'b1;
    silent_q <= !s_axis_line_tvalid && silence_q >= line_timeout;
    if (silent_q && !first) doubt_q <= 1'b1;
    if (flush_q) begin
      flush_q <= window_open;
    end else if (silent_q && window_open && !s_axis_line_tvalid && !beat_valid) begin
      flush_q      <= 1'b1;
      line_stopped <= 1'b1;
    end

    if (take || flush) begin
      if (drop_q && !flush) begin
        if (s_axis_line_tlast) drop_q <= 1'b0;
      end else begin
        beat_valid  <= 1'b1;
        beat_data   <= headless || flush ? '0 : s_axis_line_tdata;
        beat_store  <= in_window || headless;
        beat_short  <= early && column_q < WindowLast;
        beat_summed <= column_q == WindowLast || (early && column_q < WindowLast);
        beat_sum    <= (first ? '0 : beat_sum) + (in_window && !flush ? SumBits'(sample) : '0);
        beat_end    <= at_end;
        beat_bad    <= at_end && (!length_ok || doubt);
        line_error  <= at_end && !length_ok && !flush;
        beat_time   <= timestamp;
        if (first && !flush) begin
          line_time <= stamp;
          channel_q <= trigger_channel;
          number_q  <= number + 1'b1;
          known_q   <= 1'b1;
        end
        column_q <= at_end ? '0 : column_q + 1'b1;
        doubt_q  <= !at_end && doubt;
        // A line ended for its silence still has a tail to come, if it had begun, or was being dropped already.
        drop_q   <= flush ? drop_q || !first : at_end && !s_axis_line_tlast;
      end
    end
    if (rst) begin
      column_q     <= '0;
      drop_q       <= 1'b0;
      known_q      <= 1'b0;
      doubt_q      <= 1'b0;
      silence_q    <= '0;
      silent_q     <= 1'b0;
      flush_q      <= 1'b0;
      beat_valid   <= 1'b0;
      line_error   <= 1'b0;
      line_gap     <= 1'b0;
      line_stopped <= 1'b0;
    end
  end

endmodule

`default_nettype wire
