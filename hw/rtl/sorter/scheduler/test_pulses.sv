// SPDX-License-Identifier: Apache-2.0
//
// test_pulses: pulses of one output that no cell asks for, to find the drop delay with.
//
//   `one` asks for a single pulse; with `period` above 0 one is asked for each that many cycles. A pulse lasts `width` (cycles or drops; 0 acts
//   as 1) and begins at the next tick, where the outputs are low (`quiet`) and the last one is over; else nothing comes of it.
//   Latency     test_out rises 1 cycle behind `one` and a tick; `tested` pulses in the cycle before. Not `enabled`: no pulse begins, and
//               the period begins anew; one that has begun is completed.
//   Reset       low, nothing asked for.
`default_nettype none

module test_pulses
  import icsort_pkg::*;
(
    input  wire logic                   clk,
    input  wire logic                   rst,

    input  wire logic                   enabled,
    input  wire logic                   one,
    input  wire logic [31:0]            period,
    input  wire logic [2:0]             direction,
    input  wire logic [15:0]            width,
    input  wire logic                   tick,
    input  wire logic                   quiet,

    output logic [DIRECTIONS-1:0]       tested,
    output logic [DIRECTIONS-1:0]       test_out
);
  logic [31:0] since_q;
  logic        asked_q;
  logic [15:0] left_q;     // ticks, of the pulse that is high

  wire begins = tick && asked_q && enabled && quiet && test_out == '0;

  assign tested = begins ? DIRECTIONS'(1'b1) << direction : '0;

  wire elapsed = since_q >= period - 1'b1;

  always_ff @(posedge clk) begin
    since_q <= period == '0 || elapsed ? '0 : since_q + 1'b1;
    if (tick) begin
      asked_q <= 1'b0;
      left_q  <= left_q - 1'b1;
      if (left_q <= 16'd1) test_out <= '0;
    end
    if (one || (period != '0 && elapsed)) asked_q <= 1'b1;
    if (begins) begin
      test_out <= tested;
      left_q   <= width;
    end
    if (rst || !enabled) begin
      since_q <= '0;
      asked_q <= 1'b0;
    end
    if (rst) test_out <= '0;
  end

endmodule

`default_nettype wire
