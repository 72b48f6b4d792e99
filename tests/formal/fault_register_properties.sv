// SPDX-License-Identifier: Apache-2.0
//
// fault_register: a cause is remembered until it is cleared, one that lasts is not cleared, and nothing else is ever set.
`default_nettype none

module fault_register_properties (
    input wire logic        clk,
    input wire logic        rst,
    input wire logic [3:0]  cause,
    input wire logic [3:0]  clear
);
  logic [3:0]  faults;
  logic        any;

  fault_register dut (.*);

  logic        begun_q = 1'b0;
  logic        rst_q;
  logic [3:0]  cause_q, clear_q, faults_q;

  always_ff @(posedge clk) begin
    begun_q  <= 1'b1;
    if (!begun_q) assume (rst);
    rst_q    <= rst;
    cause_q  <= cause;
    clear_q  <= clear;
    faults_q <= faults;
  end

  always_comb begin
    if (begun_q) begin
      if (rst_q) assert (faults == 0);
      else begin
        for (int i = 0; i < 4; i++) begin
          if (cause_q[i]) assert (faults[i]);
          else if (clear_q[i]) assert (!faults[i]);
          else assert (faults[i] == faults_q[i]);
        end
      end
      assert (any == (faults != 0));
    end
  end

endmodule

`default_nettype wire
