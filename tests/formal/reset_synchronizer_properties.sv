// SPDX-License-Identifier: Apache-2.0
//
// reset_synchronizer: in reset whenever it is not ready, and for exactly CYCLES edges of the clock behind that.
`default_nettype none

module reset_synchronizer_properties (
    input wire logic clk,
    input wire logic ready
);
  localparam int unsigned Cycles = 3;

  logic       rst;
  logic [2:0] edges_q;  // behind it, at most Cycles
  logic       begun_q = 1'b0;  // it was not ready once

  reset_synchronizer #(.CYCLES(Cycles)) dut (.clk, .ready, .rst);

  always_ff @(posedge clk or negedge ready) begin
    if (!ready) begin
      begun_q <= 1'b1;
      edges_q <= '0;
    end else begin
      begun_q <= begun_q;
      if (edges_q != 3'(Cycles)) edges_q <= edges_q + 1'b1;
    end
  end

  always_comb begin
    if (begun_q) begin
      assert (dut.ready_q == 3'((1 << edges_q) - 1));
      assert (edges_q <= 3'(Cycles));
      assert (rst == (!ready || edges_q != 3'(Cycles)));
    end
  end

endmodule

`default_nettype wire
