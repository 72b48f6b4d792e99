// SPDX-License-Identifier: Apache-2.0
//
// Yosys techmap: a product for LUTs as rows of an ECP5's carry chains. A bit of one operand chooses whether the other one is
// added, in the LUT that adds it: 4 x 4 bits are 4 LUTs and 9 CCU2C, where Yosys's own way (alumacc, maccmap) takes 70 LUTs.
// Products by a constant stay as they are: those are a sum or two.

(* techmap_celltype = "$mul" *)
module ecp5_product (A, B, Y);
  parameter A_SIGNED = 0;
  parameter B_SIGNED = 0;
  parameter A_WIDTH = 1;
  parameter B_WIDTH = 1;
  parameter Y_WIDTH = 1;

  (* force_downto *)
  input [A_WIDTH-1:0] A;
  (* force_downto *)
  input [B_WIDTH-1:0] B;
  (* force_downto *)
  output [Y_WIDTH-1:0] Y;

  parameter _TECHMAP_CONSTMSK_A_ = 0;
  parameter _TECHMAP_CONSTVAL_A_ = 0;
  parameter _TECHMAP_CONSTMSK_B_ = 0;
  parameter _TECHMAP_CONSTVAL_B_ = 0;

  // A signed operand whose sign is always 0 is an unsigned one.
  localparam APlain = A_SIGNED != 0 && A_WIDTH > 1 && (_TECHMAP_CONSTMSK_A_ >> (A_WIDTH - 1)) % 2 != 0
                      && (_TECHMAP_CONSTVAL_A_ >> (A_WIDTH - 1)) % 2 == 0;
  localparam BPlain = B_SIGNED != 0 && B_WIDTH > 1 && (_TECHMAP_CONSTMSK_B_ >> (B_WIDTH - 1)) % 2 != 0
                      && (_TECHMAP_CONSTVAL_B_ >> (B_WIDTH - 1)) % 2 == 0;
  localparam ABits = APlain ? A_WIDTH - 1 : A_WIDTH;
  localparam BBits = BPlain ? B_WIDTH - 1 : B_WIDTH;
  localparam ASigned = A_SIGNED != 0 && !APlain;
  localparam BSigned = B_SIGNED != 0 && !BPlain;

  // Rows are of the narrower operand, of equal ones the unsigned one.
  localparam RowsOfA = ABits < BBits || (ABits == BBits && !ASigned);
  localparam Rows = RowsOfA ? ABits : BBits;
  localparam RowSigned = RowsOfA ? ASigned : BSigned;
  localparam Bits = RowsOfA ? BBits + (BSigned ? 0 : 1) : ABits + (ASigned ? 0 : 1);  // of the other one, signed
  localparam Sum = Bits + 1;
  localparam Pairs = (Sum + 1) / 2;

  wire _TECHMAP_FAIL_ = &_TECHMAP_CONSTMSK_A_ || &_TECHMAP_CONSTMSK_B_ || Rows < 2;

  wire [Rows-1:0] row = RowsOfA ? A[ABits-1:0] : B[BBits-1:0];
  wire [Bits-1:0] other = RowsOfA ? {BSigned && B[BBits-1], B} : {ASigned && A[ABits-1], A};
  wire [2*Pairs-1:0] addend = {{2 * Pairs - Bits{other[Bits-1]}}, other};

  genvar i, pair;
  generate
    for (i = 0; i < Rows; i = i + 1) begin : gen_row
      wire [2*Pairs-1:0] sum;  // of the rows so far, from bit i on
      if (i == 0) begin
        assign sum = row[0] ? addend : {2 * Pairs{1'b0}};
      end else begin
        localparam Minus = RowSigned && i == Rows - 1;
        localparam [15:0] Init = Minus ? 16'h95AA : 16'h6AAA;  // A +- (B and C) where D is 1; a carry begins where A is 1
        wire [2*Pairs-1:0] before = {gen_row[i-1].sum[2*Pairs-1], gen_row[i-1].sum[2*Pairs-1:1]};
        wire [Pairs:0] carry;
        assign carry[0] = Minus;
        for (pair = 0; pair < Pairs; pair = pair + 1) begin : gen_pair
          CCU2C #(
              .INIT0(Init), .INIT1(Init), .INJECT1_0("NO"), .INJECT1_1("NO")
          ) ccu2c (
              .CIN(carry[pair]),
              .A0(before[2*pair]), .B0(addend[2*pair]), .C0(row[i]), .D0(1'b1),
              .A1(before[2*pair+1]), .B1(addend[2*pair+1]), .C1(row[i]), .D1(1'b1),
              .S0(sum[2*pair]), .S1(sum[2*pair+1]), .COUT(carry[pair+1])
          );
        end
      end
    end
  endgenerate

  wire [Rows+2*Pairs-1:0] product;
  generate
    for (i = 0; i < Rows - 1; i = i + 1) begin : gen_low
      assign product[i] = gen_row[i].sum[0];
    end
  endgenerate
  assign product[Rows+2*Pairs-2:Rows-1] = gen_row[Rows-1].sum;
  assign product[Rows+2*Pairs-1] = gen_row[Rows-1].sum[2*Pairs-1];

  generate
    if (Y_WIDTH > Rows + 2 * Pairs) begin : gen_wider
      assign Y = {{Y_WIDTH - Rows - 2 * Pairs{product[Rows+2*Pairs-1]}}, product};
    end else begin : gen_narrower
      assign Y = product[Y_WIDTH-1:0];
    end
  endgenerate
endmodule
