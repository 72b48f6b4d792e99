// SPDX-License-Identifier: Apache-2.0
//
// board_lights: what a board's lights say of the sorter.
//
//   lights      0: beats, once in 2^(LIGHT_BITS+5) cycles. 1: armed. 2: a fault is set. 3: the interlock is closed. 4: an event. 5: a sort
//               pulse; these two stay on for 2^LIGHT_BITS cycles behind each. 21 is right for 50 to 200 MHz.
//   Reset       0, 4 and 5 are off.
`default_nettype none

module board_lights #(
    parameter int unsigned LIGHT_BITS = 21
) (
    input  wire logic       clk,
    input  wire logic       rst,

    input  wire logic       armed,
    input  wire logic       fault,
    input  wire logic       closed,
    input  wire logic       one_event,
    input  wire logic [5:0] sort,

    output logic      [5:0] lights
);
  logic [LIGHT_BITS+4:0] beat_q;
  logic [LIGHT_BITS:0]   event_q, pulse_q;  // the top bit is on until the others have counted through

  always_ff @(posedge clk) begin
    beat_q <= beat_q + 1'b1;
    if (event_q[LIGHT_BITS]) event_q <= event_q + 1'b1;
    if (pulse_q[LIGHT_BITS]) pulse_q <= pulse_q + 1'b1;
    if (one_event) event_q <= {1'b1, LIGHT_BITS'(0)};
    if (sort != '0) pulse_q <= {1'b1, LIGHT_BITS'(0)};
    if (rst) begin
      beat_q  <= '0;
      event_q <= '0;
      pulse_q <= '0;
    end
  end

  assign lights = {pulse_q[LIGHT_BITS], event_q[LIGHT_BITS], closed, fault, armed, beat_q[LIGHT_BITS+4]};

endmodule

`default_nettype wire
