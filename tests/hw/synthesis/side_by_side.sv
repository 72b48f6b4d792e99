// SPDX-License-Identifier: Apache-2.0
//
// side_by_side: small_design as RTL and as the netlist that Yosys maps it to, on the same inputs.
`default_nettype none

module side_by_side (
    input  wire logic         clk,
    input  wire logic         rst,
    input  wire logic         write,
    input  wire logic         read,
    input  wire logic [1:0]   halves,
    input  wire logic [13:0]  write_address,
    input  wire logic [13:0]  read_address,
    input  wire logic [71:0]  data,
    output logic      [207:0] rtl,
    output logic      [207:0] netlist
);
  small_design u_rtl (.clk, .rst, .write, .read, .halves, .write_address, .read_address, .data, .out(rtl));
  mapped u_netlist (.clk, .rst, .write, .read, .halves, .write_address, .read_address, .data, .out(netlist));
endmodule

`default_nettype wire
