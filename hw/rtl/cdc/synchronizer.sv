// SPDX-License-Identifier: Apache-2.0
//
// synchronizer: a level from outside, taken into the clock: 2 flip-flops.
//
//   Latency     2 to 3 cycles. A pulse shorter than a cycle may be missed.
//   Reset       none: what the pin says comes out 2 cycles later, also in reset.
`default_nettype none

module synchronizer (
    input  wire logic  clk,
    input  wire logic  pin,
    output logic       level
);
  (* async_reg = "true" *)
  logic [1:0] sync_q;

  always_ff @(posedge clk) sync_q <= {sync_q[0], pin};

  assign level = sync_q[1];

endmodule

`default_nettype wire
