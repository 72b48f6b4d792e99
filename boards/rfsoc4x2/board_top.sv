// SPDX-License-Identifier: Apache-2.0
//
// board_top: the sorter on an RFSoC 4x2. README.md says where each pin is.
`default_nettype none

module board_top (
    input  wire logic       sys_clk_p,
    input  wire logic       sys_clk_n,

    input  wire logic       uart_rx,
    output logic            uart_tx,

    input  wire logic       button,     // high while pressed: opens the interlock
    input  wire logic       switch_0,   // on: closes the interlock where nothing is wired to it
    output logic      [3:0] led,

    input  wire logic       interlock,
    input  wire logic       drop_clock,
    output logic      [5:0] sort_out
);

  logic clk, locked, oscillator;

  IBUFDS u_oscillator (
      .I  (sys_clk_p),
      .IB (sys_clk_n),
      .O  (oscillator)
  );

  board_clock u_clock (
      .oscillator,
      .clk,
      .locked
  );

  /* verilator lint_off UNUSEDSIGNAL */  // six lights, four LEDs
  logic [5:0] lights;
  /* verilator lint_on UNUSEDSIGNAL */

  board_sorter u_sorter (
      .clk,
      .locked,
      .uart_rx,
      .uart_tx,
      .interlock ((interlock || switch_0) && !button),
      .drop_clock,
      .sort_out,
      .lights
  );

  assign led = {lights[5], lights[2:0]};  // a sort, a fault, armed, the clock

endmodule

`default_nettype wire
