// SPDX-License-Identifier: Apache-2.0
//
// board_top: the sorter on a ULX3S. README.md says where each pin is.
`default_nettype none

module board_top (
    input  wire logic       clk_25mhz,

    input  wire logic       ftdi_txd,      // named by the bridge: it sends
    output logic            ftdi_rxd,      // and this receives
    output logic            wifi_gpio0,    // high: the ESP32 leaves the board alone

    input  wire logic       button_fire1,  // high while pressed: opens the interlock
    input  wire logic       switch_1,      // on: closes the interlock where nothing is wired to it
    output logic      [7:0] led,

    input  wire logic       interlock,
    input  wire logic       drop_clock,
    output logic      [5:0] sort_out
);

  logic clk, locked;

  board_clock u_clock (
      .oscillator (clk_25mhz),
      .clk,
      .locked
  );

  board_sorter u_sorter (
      .clk,
      .locked,
      .uart_rx   (ftdi_txd),
      .uart_tx   (ftdi_rxd),
      .interlock ((interlock || switch_1) && !button_fire1),
      .drop_clock,
      .sort_out,
      .lights    (led[5:0])
  );

  assign led[7:6]   = {!ftdi_txd, !ftdi_rxd};  // the link, both ways
  assign wifi_gpio0 = 1'b1;

endmodule

`default_nettype wire
