// SPDX-License-Identifier: Apache-2.0
//
// arming: only arm arms, under all its conditions; a disarm, a fault or a silent host ends it in the next cycle; what is said to have
// disarmed it did.
`default_nettype none

module arming_properties (
    input wire logic         clk,
    input wire logic         rst,
    input wire logic         arm,
    input wire logic         arm_test,
    input wire logic         disarm,
    input wire logic         gate_valid,
    input wire logic         schedule_valid,
    input wire logic         faulty,
    input wire logic         alive,
    input wire logic [31:0]  timeout
);
  logic        armed, testing, silenced;
  logic [1:0]  disarmed_by;

  arming dut (.*);

  logic         begun_q = 1'b0;
  logic         rst_q, arm_q, test_q, stop_q, fault_q, conditions_q, gate_q, armed_q, testing_q, silent_q;
  logic [31:0]  since_q;   // cycles since the last sign of life, as an observer counts them
  logic         long_q;    // as long as the timeout two cycles ago

  always_ff @(posedge clk) begin
    begun_q      <= 1'b1;
    if (!begun_q) assume (rst);
    rst_q        <= rst;
    arm_q        <= arm;
    test_q       <= arm_test;
    stop_q       <= disarm;
    fault_q      <= faulty;
    conditions_q <= schedule_valid && timeout != 0;
    gate_q       <= gate_valid;
    armed_q      <= armed;
    testing_q    <= testing;
    silent_q     <= dut.silent_q;
    since_q      <= rst || alive ? '0 : since_q == '1 ? since_q : since_q + 1'b1;
    long_q       <= alive ? timeout == 0 : since_q >= timeout;
    if (rst) long_q <= 1'b0;
  end

  always_comb begin
    if (begun_q && !rst_q) begin
      assert (!(armed && testing));
      if (armed && !armed_q) assert (arm_q && gate_q && conditions_q && !stop_q && !fault_q && !testing_q);
      if (testing && !testing_q) assert (test_q && conditions_q && !stop_q && !fault_q && !armed_q);
      if (stop_q || fault_q || silent_q) assert (!armed && !testing);
      if ((armed_q && !armed) || (testing_q && !testing)) begin
        assert (stop_q || fault_q || silent_q);
        assert (disarmed_by == (stop_q ? 2'd1 : fault_q ? 2'd3 : 2'd2));
      end
      if (silenced) assert ((armed_q && !armed) || (testing_q && !testing));
    end
    if (begun_q && !rst_q) begin
      assert (dut.silent_q == long_q);       // silence is what the observer counts
      assert (dut.silence_q == since_q);
    end
    if (begun_q && rst_q) assert (!armed && !testing);
  end

endmodule

`default_nettype wire
