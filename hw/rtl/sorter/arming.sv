// SPDX-License-Identifier: Apache-2.0
//
// arming: whether sort pulses may fire. Only `arm` arms, only `arm_test` begins test mode; `disarm`, a fault and a silent host end both, and
// win over them.
//
//   `arm`, `arm_test` and `disarm` are pulses. `arm` does nothing before a gate and a schedule are in force, `arm_test` nothing before a
//   schedule is; neither while the host is silent, a fault is set, or the other mode is on.
//   Heartbeat   `alive` is a pulse for each sign of life. The host is silent once `timeout` cycles have passed without one;
//               with a timeout of 0 it always is. Reset counts as a sign of life.
//   Latency     armed and testing rise or fall 1 cycle after arm, disarm or a fault. After the last sign of life they fall at timeout + 3 cycles.
//   disarmed_by what made armed or testing fall last: 0 nothing since reset, 1 disarm, 2 silence, 3 a fault. silenced: a pulse with each
//               fall by silence.
//   Reset       disarmed.
`default_nettype none

module arming (
    input  wire logic         clk,
    input  wire logic         rst,

    input  wire logic         arm,
    input  wire logic         arm_test,
    input  wire logic         disarm,
    input  wire logic         gate_valid,
    input  wire logic         schedule_valid,
    input  wire logic         faulty,
    input  wire logic         alive,
    input  wire logic [31:0]  timeout,

    output logic              armed,
    output logic              testing,
    output logic [1:0]        disarmed_by,
    output logic              silenced
);
  localparam logic [1:0] Nothing = 2'd0, Host = 2'd1, Silence = 2'd2, Fault = 2'd3;

  logic [31:0] silence_q;  // cycles since the last sign of life, saturating
  logic        silent_q;

  wire on = armed || testing;

  always_ff @(posedge clk) begin
    if (silence_q != '1) silence_q <= silence_q + 1'b1;
    silent_q <= silence_q >= timeout;
    if (alive) begin
      silence_q <= '0;
      silent_q  <= timeout == '0;
    end

    silenced <= 1'b0;
    if (disarm || faulty || silent_q) begin
      armed    <= 1'b0;
      testing  <= 1'b0;
      silenced <= on && !disarm && !faulty;
      if (on) disarmed_by <= disarm ? Host : faulty ? Fault : Silence;
    end else if (schedule_valid && timeout != '0) begin
      if (arm && gate_valid && !testing) armed <= 1'b1;
      else if (arm_test && !armed) testing <= 1'b1;
    end

    if (rst) begin
      silence_q   <= '0;
      silent_q    <= 1'b0;
      armed       <= 1'b0;
      testing     <= 1'b0;
      disarmed_by <= Nothing;
      silenced    <= 1'b0;
    end
  end

  // Nothing but arm arms, and neither disarm nor a fault nor silence is ever overridden.
  assert property (@(posedge clk) disable iff (rst) !$rose(armed) || ($past(arm) && $past(gate_valid) && $past(schedule_valid)));
  assert property (@(posedge clk) disable iff (rst) !$rose(testing) || ($past(arm_test) && $past(schedule_valid)));
  assert property (@(posedge clk) disable iff (rst)
                   !($past(disarm) || $past(silent_q) || $past(faulty)) || $past(rst) || (!armed && !testing));
  assert property (@(posedge clk) disable iff (rst) !(armed && testing));

  armed_by_host: cover property (@(posedge clk) disable iff (rst) $rose(armed));
  testing_by_host: cover property (@(posedge clk) disable iff (rst) $rose(testing));
  refused_without_gate: cover property (@(posedge clk) disable iff (rst) arm && !gate_valid);
  refused_without_schedule: cover property (@(posedge clk) disable iff (rst) arm && !schedule_valid);
  disarmed_by_host: cover property (@(posedge clk) disable iff (rst) disarm && armed);
  disarmed_by_silence: cover property (@(posedge clk) disable iff (rst) silenced);
  disarmed_by_fault: cover property (@(posedge clk) disable iff (rst) faulty && armed);
  arm_and_disarm_at_once: cover property (@(posedge clk) disable iff (rst) arm && disarm);

endmodule

`default_nettype wire
