// SPDX-License-Identifier: Apache-2.0
//
// arming: whether sort pulses may fire. Only `arm` arms; `disarm` and a silent host disarm, and win over it.
//
//   `arm` and `disarm` are pulses; `arm` does nothing before a gate was committed, nor while the host is silent.
//   Heartbeat   `alive` is a pulse for each sign of life. The host is silent once `timeout` cycles have passed without one;
//               with a timeout of 0 it always is. Reset counts as a sign of life.
//   Latency     armed rises or falls 1 cycle after arm or disarm. After the last sign of life it falls at timeout + 3 cycles.
//   disarmed_by what made armed fall last: 0 nothing since reset, 1 disarm, 2 silence. silenced: a pulse with each fall by silence.
//   Reset       disarmed.
`default_nettype none

module arming (
    input  wire logic         clk,
    input  wire logic         rst,

    input  wire logic         arm,
    input  wire logic         disarm,
    input  wire logic         gate_valid,
    input  wire logic         alive,
    input  wire logic [31:0]  timeout,

    output logic              armed,
    output logic [1:0]        disarmed_by,
    output logic              silenced
);
  localparam logic [1:0] Nothing = 2'd0, Host = 2'd1, Silence = 2'd2;

  logic [31:0] silence_q;  // cycles since the last sign of life, saturating
  logic        silent_q;

  always_ff @(posedge clk) begin
    if (silence_q != '1) silence_q <= silence_q + 1'b1;
    silent_q <= silence_q >= timeout;
    if (alive) begin
      silence_q <= '0;
      silent_q  <= timeout == '0;
    end

    silenced <= 1'b0;
    if (disarm) begin
      armed <= 1'b0;
      if (armed) disarmed_by <= Host;
    end else if (silent_q) begin
      armed    <= 1'b0;
      silenced <= armed;
      if (armed) disarmed_by <= Silence;
    end else if (arm && gate_valid && timeout != '0) begin
      armed <= 1'b1;
    end

    if (rst) begin
      silence_q   <= '0;
      silent_q    <= 1'b0;
      armed       <= 1'b0;
      disarmed_by <= Nothing;
      silenced    <= 1'b0;
    end
  end

  // Nothing but arm arms, and neither disarm nor silence is ever overridden.
  assert property (@(posedge clk) disable iff (rst) !$rose(armed) || ($past(arm) && $past(gate_valid)));
  assert property (@(posedge clk) disable iff (rst) !($past(disarm) || $past(silent_q)) || $past(rst) || !armed);

endmodule

`default_nettype wire
