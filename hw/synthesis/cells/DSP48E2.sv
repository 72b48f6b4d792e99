// SPDX-License-Identifier: Apache-2.0
//
// DSP48E2: the multiplier of UltraScale+, for simulation, without registers, as Yosys maps our RTL to it: what stands in AMD's UG579,
// UltraScale Architecture DSP Slice. Pins and parameters are the cell's.
//
//   Result      P = A[26:0] * B, both signed, in the cycle of its operands: OPMODE 000000101, all else that could be added 0.
//
// A register, another operation or operand stops the simulation ($fatal).
`default_nettype none

module DSP48E2 #(
    parameter int ACASCREG = 1, ADREG = 1, ALUMODEREG = 1, AREG = 1, BCASCREG = 1, BREG = 1, CARRYINREG = 1,
    parameter int CARRYINSELREG = 1, CREG = 1, DREG = 1, INMODEREG = 1, MREG = 1, OPMODEREG = 1, PREG = 1,
    parameter A_INPUT = "DIRECT", B_INPUT = "DIRECT", AMULTSEL = "A", BMULTSEL = "B", USE_MULT = "MULTIPLY", USE_SIMD = "ONE48"
) (
    input  wire logic [29:0] A, ACIN,
    input  wire logic [17:0] B, BCIN,
    input  wire logic [47:0] C, PCIN,
    input  wire logic [26:0] D,
    input  wire logic        CARRYIN,
    input  wire logic [2:0]  CARRYINSEL,
    input  wire logic [3:0]  ALUMODE,
    input  wire logic [4:0]  INMODE,
    input  wire logic [8:0]  OPMODE,
    output logic      [47:0] P
);
  /* verilator lint_off WIDTHEXPAND */  // names of other lengths: the shorter one is extended
  initial begin
    if (ACASCREG + ADREG + ALUMODEREG + AREG + BCASCREG + BREG
        + CARRYINREG + CARRYINSELREG + CREG + DREG + INMODEREG + MREG + OPMODEREG + PREG != 0)
      $fatal(1, "%m: a register");
    if (A_INPUT != "DIRECT" || B_INPUT != "DIRECT" || AMULTSEL != "A" || BMULTSEL != "B" || USE_MULT != "MULTIPLY"
        || USE_SIMD != "ONE48")
      $fatal(1, "%m: %s, %s, %s, %s, %s, %s", A_INPUT, B_INPUT, AMULTSEL, BMULTSEL, USE_MULT, USE_SIMD);
  end
  /* verilator lint_on WIDTHEXPAND */
  always_comb begin
    if (OPMODE != 9'b000000101 || ALUMODE != '0 || INMODE != '0 || CARRYINSEL != '0 || CARRYIN)
      $fatal(1, "%m: OPMODE %b, ALUMODE %b, INMODE %b, CARRYINSEL %b, CARRYIN %b", OPMODE, ALUMODE, INMODE, CARRYINSEL, CARRYIN);
  end

  wire signed [26:0] a = A[26:0];
  wire signed [17:0] b = B;
  wire signed [44:0] product = a * b;

  assign P = 48'(product);

  wire unused = &{1'b0, A[29:27], ACIN, BCIN, C, PCIN, D};
endmodule

`default_nettype wire
