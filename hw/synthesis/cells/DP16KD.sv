// SPDX-License-Identifier: Apache-2.0
//
// DP16KD: the block RAM of an ECP5, for simulation, in the modes that Yosys maps our RTL to: what stands in Lattice's FPGA-TN-02204,
// ECP5 Memory Usage Guide. Pins and parameters are the cell's.
//
//   Contents    1,024 rows of 18 bits; row r starts as 18 of the 20 bits INITVAL[r / 16][20 * (r % 16) +: 20].
//   Width       18: address[13:4] is the row, and address[1:0] says which of its two 9 bits are written. 9: address[3] is the half. 4, 2
//               and 1: address[2:0] is the place in the lower 8 bits of the half, whose ninth bit they do not reach. 36: two rows,
//               written by port A from DIA and DIB under address[3:0], read by port B at DOA and DOB.
//   Port A      writes, and reads where it is not 36 wide: WRITEMODE_A says what it reads of what it writes.
//   Port B      reads alone.
//   Collision   what port B reads of bits that port A writes with the same edge is undefined: here it is the complement of the old bits,
//               so that who relies on the one or the other is seen.
//   Reset       none. The outputs start as 0.
//
// Another mode stops the simulation ($fatal), at its start where a parameter chooses it.
`default_nettype none

module DP16KD #(
    parameter int DATA_WIDTH_A = 18, DATA_WIDTH_B = 18,
    parameter REGMODE_A = "NOREG", REGMODE_B = "NOREG",
    parameter WRITEMODE_A = "NORMAL", WRITEMODE_B = "NORMAL",
    parameter CLKAMUX = "CLKA", CLKBMUX = "CLKB",
    parameter CSDECODE_A = "0b000", CSDECODE_B = "0b000",
    parameter RESETMODE = "SYNC", ASYNC_RESET_RELEASE = "SYNC", GSR = "ENABLED",  // of resets that are never active
    parameter logic [319:0] INITVAL_00 = '0, INITVAL_01 = '0, INITVAL_02 = '0, INITVAL_03 = '0, INITVAL_04 = '0, INITVAL_05 = '0,
    parameter logic [319:0] INITVAL_06 = '0, INITVAL_07 = '0, INITVAL_08 = '0, INITVAL_09 = '0, INITVAL_0A = '0, INITVAL_0B = '0,
    parameter logic [319:0] INITVAL_0C = '0, INITVAL_0D = '0, INITVAL_0E = '0, INITVAL_0F = '0, INITVAL_10 = '0, INITVAL_11 = '0,
    parameter logic [319:0] INITVAL_12 = '0, INITVAL_13 = '0, INITVAL_14 = '0, INITVAL_15 = '0, INITVAL_16 = '0, INITVAL_17 = '0,
    parameter logic [319:0] INITVAL_18 = '0, INITVAL_19 = '0, INITVAL_1A = '0, INITVAL_1B = '0, INITVAL_1C = '0, INITVAL_1D = '0,
    parameter logic [319:0] INITVAL_1E = '0, INITVAL_1F = '0, INITVAL_20 = '0, INITVAL_21 = '0, INITVAL_22 = '0, INITVAL_23 = '0,
    parameter logic [319:0] INITVAL_24 = '0, INITVAL_25 = '0, INITVAL_26 = '0, INITVAL_27 = '0, INITVAL_28 = '0, INITVAL_29 = '0,
    parameter logic [319:0] INITVAL_2A = '0, INITVAL_2B = '0, INITVAL_2C = '0, INITVAL_2D = '0, INITVAL_2E = '0, INITVAL_2F = '0,
    parameter logic [319:0] INITVAL_30 = '0, INITVAL_31 = '0, INITVAL_32 = '0, INITVAL_33 = '0, INITVAL_34 = '0, INITVAL_35 = '0,
    parameter logic [319:0] INITVAL_36 = '0, INITVAL_37 = '0, INITVAL_38 = '0, INITVAL_39 = '0, INITVAL_3A = '0, INITVAL_3B = '0,
    parameter logic [319:0] INITVAL_3C = '0, INITVAL_3D = '0, INITVAL_3E = '0, INITVAL_3F = '0
) (
    input  wire logic DIA17, DIA16, DIA15, DIA14, DIA13, DIA12, DIA11, DIA10, DIA9, DIA8, DIA7, DIA6, DIA5, DIA4, DIA3, DIA2, DIA1, DIA0,
    input  wire logic ADA13, ADA12, ADA11, ADA10, ADA9, ADA8, ADA7, ADA6, ADA5, ADA4, ADA3, ADA2, ADA1, ADA0,
    input  wire logic CLKA, CEA, OCEA, WEA, RSTA, CSA2, CSA1, CSA0,
    output wire logic DOA17, DOA16, DOA15, DOA14, DOA13, DOA12, DOA11, DOA10, DOA9, DOA8, DOA7, DOA6, DOA5, DOA4, DOA3, DOA2, DOA1, DOA0,
    input  wire logic DIB17, DIB16, DIB15, DIB14, DIB13, DIB12, DIB11, DIB10, DIB9, DIB8, DIB7, DIB6, DIB5, DIB4, DIB3, DIB2, DIB1, DIB0,
    input  wire logic ADB13, ADB12, ADB11, ADB10, ADB9, ADB8, ADB7, ADB6, ADB5, ADB4, ADB3, ADB2, ADB1, ADB0,
    input  wire logic CLKB, CEB, OCEB, WEB, RSTB, CSB2, CSB1, CSB0,
    output wire logic DOB17, DOB16, DOB15, DOB14, DOB13, DOB12, DOB11, DOB10, DOB9, DOB8, DOB7, DOB6, DOB5, DOB4, DOB3, DOB2, DOB1, DOB0
);
  localparam bit WideA = DATA_WIDTH_A == 36, WideB = DATA_WIDTH_B == 36;

  /* verilator lint_off WIDTHEXPAND */  // names of other lengths: the shorter one is extended
  initial begin
    if (!(DATA_WIDTH_A inside {1, 2, 4, 9, 18, 36}) || !(DATA_WIDTH_B inside {1, 2, 4, 9, 18, 36}))
      $fatal(1, "%m: DATA_WIDTH_A = %0d, DATA_WIDTH_B = %0d", DATA_WIDTH_A, DATA_WIDTH_B);
    if (REGMODE_A != "NOREG" || REGMODE_B != "NOREG") $fatal(1, "%m: an output register");
    if (CLKAMUX != "CLKA" || CLKBMUX != "CLKB") $fatal(1, "%m: an inverted clock");
    if (CSDECODE_A != "0b000" || CSDECODE_B != "0b000") $fatal(1, "%m: a chip select");
    if (WRITEMODE_A != "NORMAL" && WRITEMODE_A != "WRITETHROUGH" && WRITEMODE_A != "READBEFOREWRITE")
      $fatal(1, "%m: WRITEMODE_A = %s", WRITEMODE_A);
  end
  /* verilator lint_on WIDTHEXPAND */

  always_comb begin
    if (WEB) $fatal(1, "%m: port B writes");
    if (RSTA || RSTB) $fatal(1, "%m: a reset");
    if ({CSA2, CSA1, CSA0, CSB2, CSB1, CSB0} != '0) $fatal(1, "%m: not selected");
  end

  wire [17:0] dia = {DIA17, DIA16, DIA15, DIA14, DIA13, DIA12, DIA11, DIA10, DIA9, DIA8, DIA7, DIA6, DIA5, DIA4, DIA3, DIA2, DIA1, DIA0};
  wire [17:0] dib = {DIB17, DIB16, DIB15, DIB14, DIB13, DIB12, DIB11, DIB10, DIB9, DIB8, DIB7, DIB6, DIB5, DIB4, DIB3, DIB2, DIB1, DIB0};
  wire [13:0] ada = {ADA13, ADA12, ADA11, ADA10, ADA9, ADA8, ADA7, ADA6, ADA5, ADA4, ADA3, ADA2, ADA1, ADA0};
  wire [13:0] adb = {ADB13, ADB12, ADB11, ADB10, ADB9, ADB8, ADB7, ADB6, ADB5, ADB4, ADB3, ADB2, ADB1, ADB0};
  logic [17:0] doa_q = '0, dob_q = '0, wide_q = '0;

  localparam logic [64*320-1:0] Init = {
      INITVAL_3F, INITVAL_3E, INITVAL_3D, INITVAL_3C, INITVAL_3B, INITVAL_3A, INITVAL_39, INITVAL_38,
      INITVAL_37, INITVAL_36, INITVAL_35, INITVAL_34, INITVAL_33, INITVAL_32, INITVAL_31, INITVAL_30,
      INITVAL_2F, INITVAL_2E, INITVAL_2D, INITVAL_2C, INITVAL_2B, INITVAL_2A, INITVAL_29, INITVAL_28,
      INITVAL_27, INITVAL_26, INITVAL_25, INITVAL_24, INITVAL_23, INITVAL_22, INITVAL_21, INITVAL_20,
      INITVAL_1F, INITVAL_1E, INITVAL_1D, INITVAL_1C, INITVAL_1B, INITVAL_1A, INITVAL_19, INITVAL_18,
      INITVAL_17, INITVAL_16, INITVAL_15, INITVAL_14, INITVAL_13, INITVAL_12, INITVAL_11, INITVAL_10,
      INITVAL_0F, INITVAL_0E, INITVAL_0D, INITVAL_0C, INITVAL_0B, INITVAL_0A, INITVAL_09, INITVAL_08,
      INITVAL_07, INITVAL_06, INITVAL_05, INITVAL_04, INITVAL_03, INITVAL_02, INITVAL_01, INITVAL_00
  };
  logic [17:0] mem [1024];
  initial begin
    /*verilator unroll_disable*/ for (int row = 0; row < 1024; row++) mem[row] = Init[20*row +: 18];
  end

  // The place in its row of what an address of a port of this width names, and the bits there.
  function automatic logic [4:0] place(input logic [13:0] address, input int width);
    case (width)
      1:       return 5'(address[3] ? 9 : 0) + 5'(address[2:0]);
      2:       return 5'(address[3] ? 9 : 0) + 5'({address[2:1], 1'b0});
      4:       return 5'(address[3] ? 9 : 0) + 5'({address[2], 2'b00});
      9:       return 5'(address[3] ? 9 : 0);
      default: return 5'd0;
    endcase
  endfunction

  localparam logic [17:0] BitsA = 18'((37'd1 << DATA_WIDTH_A) - 1), BitsB = 18'((37'd1 << DATA_WIDTH_B) - 1);

  // The bits of a row that port A writes with an edge of its clock.
  function automatic logic [17:0] written(input logic [9:0] row);
    if (!CEA || !WEA || row[9:1] != ada[13:5]) return '0;
    if (WideA) return row[0] ? {{9{ada[3]}}, {9{ada[2]}}} : {{9{ada[1]}}, {9{ada[0]}}};
    if (row[0] != ada[4]) return '0;
    if (DATA_WIDTH_A == 18) return {{9{ada[1]}}, {9{ada[0]}}};
    return BitsA << place(ada, DATA_WIDTH_A);
  endfunction

  function automatic logic [17:0] after(input logic [9:0] row, input logic [17:0] data);
    return mem[row] & ~written(row) | data << place(ada, DATA_WIDTH_A) & written(row);
  endfunction

  wire [9:0] row_a = ada[13:4], row_b = adb[13:4];

  always_ff @(posedge CLKA) begin
    if (CEA && WEA) begin
      if (WideA) begin
        mem[{ada[13:5], 1'b0}] <= after({ada[13:5], 1'b0}, dia);
        mem[{ada[13:5], 1'b1}] <= after({ada[13:5], 1'b1}, dib);
      end else begin
        mem[row_a] <= after(row_a, dia);
      end
    end
    /* verilator lint_off WIDTHEXPAND */
    if (CEA && !(WEA && WRITEMODE_A == "NORMAL"))
      doa_q <= (WRITEMODE_A == "WRITETHROUGH" ? after(row_a, dia) : mem[row_a]) >> place(ada, DATA_WIDTH_A) & BitsA;
    /* verilator lint_on WIDTHEXPAND */
  end

  // What an edge of both clocks lets port B see of a row.
  function automatic logic [17:0] seen(input logic [9:0] row);
    return CLKA ? mem[row] ^ written(row) : mem[row];
  endfunction

  always_ff @(posedge CLKB) begin
    if (CEB && WideB) {dob_q, wide_q} <= {seen({adb[13:5], 1'b1}), seen({adb[13:5], 1'b0})};
    else if (CEB) dob_q <= seen(row_b) >> place(adb, DATA_WIDTH_B) & BitsB;
  end

  assign {DOA17, DOA16, DOA15, DOA14, DOA13, DOA12, DOA11, DOA10, DOA9, DOA8, DOA7, DOA6, DOA5, DOA4, DOA3, DOA2, DOA1, DOA0} = WideB ? wide_q : doa_q;
  assign {DOB17, DOB16, DOB15, DOB14, DOB13, DOB12, DOB11, DOB10, DOB9, DOB8, DOB7, DOB6, DOB5, DOB4, DOB3, DOB2, DOB1, DOB0} = dob_q;

  wire unused = &{1'b0, OCEA, OCEB};  // of the output registers
endmodule

`default_nettype wire
