// SPDX-License-Identifier: Apache-2.0
//
// reset_synchronizer: a reset for a clock, from a level of any clock that says when all is ready.
//
//   Reset       rst is high while `ready` is low, without waiting for the clock, and for CYCLES edges of the clock behind it. It ends with
//               the clock.
//   CYCLES      at least 2: the first flip-flop may be metastable as `ready` rises.
`default_nettype none

module reset_synchronizer #(
    parameter int unsigned CYCLES = 8
) (
    input  wire logic clk,
    input  wire logic ready,
    output logic      rst
);
  if (CYCLES < 2) begin : gen_cycles_error
    $error("reset_synchronizer: CYCLES must be at least 2");
  end

  (* async_reg = "true" *)
  logic [CYCLES-1:0] ready_q;

  always_ff @(posedge clk or negedge ready) begin
    if (!ready) ready_q <= '0;
    else ready_q <= {ready_q[CYCLES-2:0], 1'b1};
  end

  assign rst = !ready_q[CYCLES-1];

endmodule

`default_nettype wire
