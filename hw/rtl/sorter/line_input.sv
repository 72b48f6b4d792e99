// SPDX-License-Identifier: Apache-2.0
//
// line_input: makes lines of the beats that come: counts them, checks number, time and length, closes a line that stops.
//
//   A line has LINE_W pixels in ceil(LINE_W / P) beats of P pixels, the lowest column at the LSB; what a last beat holds beyond
//   LINE_W becomes 0. A line that ends early is as long as it is; one that does not end with its last beat is cut there, and what
//   follows up to tlast is dropped. Both count as a line error and are bad.
//   Time        s_axis_line_tuser, taken with the first beat of a line, is {line number, timestamp}, as the source noted them
//               when it was offered the light of that beat. A line is bad, and counts as a gap, where its number is not
//               the one behind the line before, or its time is not later than that line's, or still to come. The first
//               line after reset has no line before.
//   Silence     line_timeout + 2 cycles without a beat: a line at hand is closed, as bad, by a beat of zeros (beat_made); its tail up
//               to tlast is dropped. Then line_stopped, once a silence, in a cycle without a beat.
//   Handshake   s_axis_line is always taken: tready is 1. The outputs are a register without handshake, one beat a cycle.
//   Latency     1 cycle from a beat to beat_valid; line_stopped 1 cycle behind the silence, 2 where it closed a line.
//   doubt       makes a line at hand bad, and one that begins in this cycle.
//   Reset       the next beat is the first of a new line, whatever part of a line went before.
//   Outputs     beat_end: the line's last beat; with it beat_bad. beat_time: the line's, with each of its beats.
//               line_error, line_gap: one cycle for each such line.
`default_nettype none

module line_input #(
    parameter int unsigned LINE_W      = 40,
    parameter int unsigned C           = 3,
    parameter int unsigned SAMPLE_BITS = 16,
    parameter int unsigned P           = 1
) (
    input  wire logic                       clk,
    input  wire logic                       rst,

    input  wire logic [47:0]                timestamp,
    input  wire logic [31:0]                line_timeout,
    input  wire logic                       doubt,

    input  wire logic [P*C*SAMPLE_BITS-1:0] s_axis_line_tdata,
    input  wire logic                       s_axis_line_tvalid,
    output logic                            s_axis_line_tready,
    input  wire logic                       s_axis_line_tlast,
    input  wire logic [63:0]                s_axis_line_tuser,

    output logic                            beat_valid,
    output logic [P*C*SAMPLE_BITS-1:0]      beat_data,
    output logic                            beat_end,
    output logic                            beat_made,
    output logic                            beat_bad,
    output logic [47:0]                     beat_time,
    output logic                            line_stopped,
    output logic                            line_error,
    output logic                            line_gap
);
  if (C < 1 || P < 1 || LINE_W < 1 || P > LINE_W) begin : gen_size_error
    $error("line_input: C must be at least 1, P within 1..LINE_W");
  end
  if (SAMPLE_BITS < 8 || SAMPLE_BITS > 16) begin : gen_sample_error
    $error("line_input: SAMPLE_BITS must be within 8..16");
  end

  localparam int unsigned Beats     = (LINE_W + P - 1) / P;
  localparam int unsigned BeatBits  = Beats > 1 ? $clog2(Beats) : 1;
  localparam int unsigned PixelBits = C * SAMPLE_BITS;
  localparam int unsigned Surplus   = Beats * P - LINE_W;  // pixels of the last beat that are none

  logic [BeatBits-1:0] beat_q;
  logic                drop_q;      // past the end of a line, up to tlast
  logic [15:0]         number_q;    // expected of the next line
  logic                known_q;     // there was a line since reset
  logic                doubt_q;     // the line at hand is doubtful
  logic [31:0]         silence_q;
  logic                silent_q;
  logic                told_q;      // this silence was told
  logic                closed_q;    // a line was closed in the cycle before

  assign s_axis_line_tready = 1'b1;

  wire take      = s_axis_line_tvalid && !drop_q;
  wire first     = beat_q == '0;
  wire last_beat = beat_q == BeatBits'(Beats - 1);
  wire at_end    = s_axis_line_tlast || last_beat;
  wire length_ok = s_axis_line_tlast && last_beat;
  wire stop      = silent_q && !s_axis_line_tvalid && !told_q;
  wire close     = stop && !first;

  wire [15:0] number = s_axis_line_tuser[63:48];
  wire [47:0] stamp  = s_axis_line_tuser[47:0];
  wire signed [47:0] age  = $signed(timestamp - stamp);
  wire signed [47:0] step = $signed(stamp - beat_time);
  wire gap      = take && first && (age < 0 || (known_q && (number != number_q || step <= 0)));
  wire doubtful = doubt || (first ? gap : doubt_q);

  always_ff @(posedge clk) begin
    beat_valid   <= take || close;
    beat_end     <= take ? at_end : close;
    beat_made    <= close;
    beat_bad     <= close || !length_ok || doubtful;
    beat_data    <= take ? s_axis_line_tdata : '0;
    line_error   <= take && at_end && !length_ok;
    line_gap     <= gap;
    closed_q     <= close;
    line_stopped <= closed_q || (stop && !close);
    if (last_beat) begin
      for (int unsigned i = P - Surplus; i < P; i++) beat_data[i*PixelBits+:PixelBits] <= '0;
    end

    if (s_axis_line_tvalid) silence_q <= '0;
    else if (silence_q != '1) silence_q <= silence_q + 1'b1;
    silent_q <= !s_axis_line_tvalid && silence_q >= line_timeout;
    told_q   <= !s_axis_line_tvalid && (told_q || stop);

    if (take) begin
      beat_q  <= at_end ? '0 : beat_q + 1'b1;
      doubt_q <= doubtful;
      drop_q  <= at_end && !s_axis_line_tlast;
      if (first) begin
        beat_time <= stamp;
        number_q  <= number + 1'b1;
        known_q   <= 1'b1;
      end
    end else begin
      if (doubt) doubt_q <= 1'b1;
      if (close) begin
        beat_q <= '0;
        drop_q <= 1'b1;
      end
      if (s_axis_line_tvalid && s_axis_line_tlast) drop_q <= 1'b0;
    end
    if (rst) begin
      beat_q       <= '0;
      drop_q       <= 1'b0;
      known_q      <= 1'b0;
      silence_q    <= '0;
      silent_q     <= 1'b0;
      told_q       <= 1'b0;
      closed_q     <= 1'b0;
      beat_valid   <= 1'b0;
      line_stopped <= 1'b0;
      line_error   <= 1'b0;
      line_gap     <= 1'b0;
    end
  end

  // Between a closed line and the word that lines stopped no other line can end: the closed line's tail comes first.
  assert property (@(posedge clk) disable iff (rst) !line_stopped || !(beat_valid && beat_end));

  line_too_short: cover property (@(posedge clk) disable iff (rst) take && s_axis_line_tlast && !last_beat);
  line_too_long: cover property (@(posedge clk) disable iff (rst) take && last_beat && !s_axis_line_tlast);
  line_closed_by_silence: cover property (@(posedge clk) disable iff (rst) close);
  silence_between_lines: cover property (@(posedge clk) disable iff (rst) stop && !close);
  stamp_in_the_future: cover property (@(posedge clk) disable iff (rst) take && first && age < 0);
  stamp_not_later: cover property (@(posedge clk) disable iff (rst) take && first && known_q && step <= 0);
  number_skipped: cover property (@(posedge clk) disable iff (rst) take && first && known_q && number != number_q);
  lines_without_pause: cover property (@(posedge clk) disable iff (rst) beat_valid && beat_end && take && first);

endmodule

`default_nettype wire
