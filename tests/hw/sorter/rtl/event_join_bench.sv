// SPDX-License-Identifier: Apache-2.0
//
// event_join_bench: event_join with a clock, for a bench.
`default_nettype none

module event_join_bench
  import icsort_pkg::*;
(
    input  wire logic                 clk,
    input  wire logic                 rst,
    input  wire logic                 event_valid,
    input  wire logic [TAG_BITS-1:0]  event_tag,
    output logic                      take_event,
    input  wire logic                 ended_valid,
    input  wire logic [TAG_BITS-1:0]  ended_tag,
    output logic                      take_ended,
    input  wire logic                 result_valid,
    input  wire logic [TAG_BITS-1:0]  result_tag,
    input  wire logic                 result_failed,
    output logic                      take_result,
    output logic                      joined,
    input  wire logic                 take,
    output logic                      fault,
    output logic                      mismatch
);
  event_join joiner (.*);

  // What was offered is decided once, and an event only by itself.
  assert property (@(posedge clk) disable iff (rst) !take_event || event_valid);
  assert property (@(posedge clk) disable iff (rst) !(take_event && !fault) || (take_ended && take_result));

endmodule

`default_nettype wire
