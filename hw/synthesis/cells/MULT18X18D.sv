// SPDX-License-Identifier: Apache-2.0
//
// MULT18X18D: the multiplier of an ECP5, for simulation, without registers, as Yosys maps our RTL to it: what stands in Lattice's
// FPGA-TN-02205, ECP5 sysDSP Usage Guide. Pins and parameters are the cell's.
//
//   Result      P = A * B in the cycle of its operands, each signed where SIGNEDA, SIGNEDB is high.
//
// Shifted operands (SOURCEA, SOURCEB) stop the simulation ($fatal); a register cannot be asked for, as it has no parameter here.
`default_nettype none

module MULT18X18D (
    input  wire logic A17, A16, A15, A14, A13, A12, A11, A10, A9, A8, A7, A6, A5, A4, A3, A2, A1, A0,
    input  wire logic B17, B16, B15, B14, B13, B12, B11, B10, B9, B8, B7, B6, B5, B4, B3, B2, B1, B0,
    input  wire logic C17, C16, C15, C14, C13, C12, C11, C10, C9, C8, C7, C6, C5, C4, C3, C2, C1, C0,
    input  wire logic SIGNEDA, SIGNEDB, SOURCEA, SOURCEB,
    output wire logic P35, P34, P33, P32, P31, P30, P29, P28, P27, P26, P25, P24, P23, P22, P21, P20, P19, P18,
    output wire logic P17, P16, P15, P14, P13, P12, P11, P10, P9, P8, P7, P6, P5, P4, P3, P2, P1, P0
);
  always_comb if (SOURCEA || SOURCEB) $fatal(1, "%m: a shifted operand");

  wire signed [18:0] a = {SIGNEDA && A17, A17, A16, A15, A14, A13, A12, A11, A10, A9, A8, A7, A6, A5, A4, A3, A2, A1, A0};
  wire signed [18:0] b = {SIGNEDB && B17, B17, B16, B15, B14, B13, B12, B11, B10, B9, B8, B7, B6, B5, B4, B3, B2, B1, B0};
  wire signed [37:0] product = a * b;

  assign {P35, P34, P33, P32, P31, P30, P29, P28, P27, P26, P25, P24, P23, P22, P21, P20, P19, P18,
          P17, P16, P15, P14, P13, P12, P11, P10, P9, P8, P7, P6, P5, P4, P3, P2, P1, P0} = product[35:0];

  wire unused = &{1'b0, product[37:36], C17, C16, C15, C14, C13, C12, C11, C10, C9, C8, C7, C6, C5, C4, C3, C2, C1, C0};  // C is a way through
endmodule

`default_nettype wire
