// SPDX-License-Identifier: Apache-2.0
// The vendors' cells that boards use, with the ports and parameters that their manuals give them (UG953, UG974; Yosys's
// cells_bb_ecp5.v), and nothing inside: a name that is not theirs stops elaboration.
/* verilator lint_off DECLFILENAME */
/* verilator lint_off UNUSEDPARAM */
/* verilator lint_off UNUSEDSIGNAL */
/* verilator lint_off UNDRIVEN */

module BUFG (
    input  I,
    output O
);
endmodule

module IBUFDS #(
    parameter DIFF_TERM = "FALSE",
    parameter IOSTANDARD = "DEFAULT"
) (
    input  I,
    input  IB,
    output O
);
endmodule

module MMCME2_BASE #(
    parameter real CLKFBOUT_MULT_F  = 5.000,
    parameter real CLKIN1_PERIOD    = 0.000,
    parameter real CLKOUT0_DIVIDE_F = 1.000,
    parameter integer DIVCLK_DIVIDE = 1
) (
    input  CLKIN1,
    input  CLKFBIN,
    input  PWRDWN,
    input  RST,
    output CLKFBOUT,
    output CLKOUT0,
    output LOCKED
);
endmodule

module MMCME4_BASE #(
    parameter real CLKFBOUT_MULT_F  = 5.000,
    parameter real CLKIN1_PERIOD    = 0.000,
    parameter real CLKOUT0_DIVIDE_F = 1.000,
    parameter integer DIVCLK_DIVIDE = 1
) (
    input  CLKIN1,
    input  CLKFBIN,
    input  PWRDWN,
    input  RST,
    output CLKFBOUT,
    output CLKOUT0,
    output LOCKED
);
endmodule

module EHXPLLL #(
    parameter CLKI_DIV     = 1,
    parameter CLKFB_DIV    = 1,
    parameter CLKOP_DIV    = 8,
    parameter CLKOP_ENABLE = "ENABLED",
    parameter CLKOP_CPHASE = 0,
    parameter CLKOS_DIV    = 8,
    parameter CLKOS_ENABLE = "DISABLED",
    parameter FEEDBK_PATH  = "CLKOP"
) (
    input  CLKI,
    input  CLKFB,
    input  RST,
    input  STDBY,
    input  PHASESEL0,
    input  PHASESEL1,
    input  PHASEDIR,
    input  PHASESTEP,
    input  PHASELOADREG,
    input  PLLWAKESYNC,
    input  ENCLKOP,
    output CLKOP,
    output CLKOS,
    output LOCK
);
endmodule
