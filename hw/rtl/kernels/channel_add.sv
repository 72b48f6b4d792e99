// SPDX-License-Identifier: Apache-2.0
//
// channel_add: y = x + B[c], a constant for each channel c (FINN: ElementwiseAdd of a stream and a constant).
//
//   Input       CHANNELS values, PE a beat, CHANNELS / PE beats; channel 0 first, at the LSB. Signed if IN_SIGNED.
//   Output      the same order, two's complement if either operand is signed.
//   Addends     ADDENDS_FILE, read by $readmemh, CHANNELS / PE words. Word f holds B[f*PE + pe] at bit pe * ADDEND_BITS,
//               two's complement if ADDEND_SIGNED.
//   Memory      RAM_STYLE says where tools put the addends, see rom: "auto", "distributed" or "block".
//   Handshake   AXI4-Stream. m_axis_tvalid and m_axis_tdata come from registers; s_axis_tready is
//               m_axis_tready || !m_axis_tvalid in the same cycle.
//   Latency     1 cycle.
//   Interval    one beat a cycle.
//   Reset       forgets the sum that waits; the next beat is the first of CHANNELS / PE.
//   Overflow    arithmetic is modulo 2^OUT_BITS: the result is right if it fits.
`default_nettype none

module channel_add #(
    parameter int unsigned CHANNELS      = 2,
    parameter int unsigned PE            = 1,
    parameter int unsigned IN_BITS       = 8,
    parameter int unsigned IN_SIGNED     = 1,
    parameter int unsigned ADDEND_BITS   = 8,
    parameter int unsigned ADDEND_SIGNED = 1,
    parameter int unsigned OUT_BITS      = 9,
    parameter              ADDENDS_FILE  = "addends.hex",
    parameter              RAM_STYLE     = "auto"
) (
    input  wire logic                   clk,
    input  wire logic                   rst,

    input  wire logic [PE*IN_BITS-1:0]  s_axis_tdata,
    input  wire logic                   s_axis_tvalid,
    output logic                        s_axis_tready,

    output logic [PE*OUT_BITS-1:0]      m_axis_tdata,
    output logic                        m_axis_tvalid,
    input  wire logic                   m_axis_tready
);
  if (PE < 1 || CHANNELS < 1 || CHANNELS % PE != 0) begin : gen_pe_error
    $error("channel_add: CHANNELS must be a multiple of PE, and both at least 1");
  end
  if (IN_BITS < 1 || ADDEND_BITS < 1 || OUT_BITS < 1) begin : gen_bits_error
    $error("channel_add: IN_BITS, ADDEND_BITS and OUT_BITS must be at least 1");
  end
  if (IN_SIGNED > 1 || ADDEND_SIGNED > 1) begin : gen_signed_error
    $error("channel_add: IN_SIGNED and ADDEND_SIGNED must be 0 or 1");
  end

  localparam int unsigned Folds    = CHANNELS / PE;  // words
  localparam int unsigned FoldBits = Folds > 1 ? $clog2(Folds) : 1;

  logic accept;  // a beat, and the word beside it

  // ---- Addends of the beat that comes next.

  logic [FoldBits-1:0]       fold_q;
  wire  [FoldBits-1:0]       next_fold = rst || fold_q == FoldBits'(Folds - 1) ? '0 : fold_q + 1'b1;
  logic [PE*ADDEND_BITS-1:0] word;

  always_ff @(posedge clk) if (accept || rst) fold_q <= next_fold;

  (* keep_hierarchy = Folds > 1 *)
  rom #(
      .WORDS(Folds), .BITS(PE*ADDEND_BITS), .FILE(ADDENDS_FILE), .RAM_STYLE(RAM_STYLE)
  ) u_rom (
      .clk, .enable(accept || rst), .address(next_fold), .word
  );

  // ---- Add.

  stream_add #(
      .PE(PE), .LHS_BITS(IN_BITS), .LHS_SIGNED(IN_SIGNED),
      .RHS_BITS(ADDEND_BITS), .RHS_SIGNED(ADDEND_SIGNED), .OUT_BITS(OUT_BITS)
  ) u_add (
      .clk,
      .rst,
      .s_axis_lhs_tdata  (s_axis_tdata),
      .s_axis_lhs_tvalid (s_axis_tvalid),
      .s_axis_lhs_tready (s_axis_tready),
      .s_axis_rhs_tdata  (word),
      .s_axis_rhs_tvalid (1'b1),
      .s_axis_rhs_tready (accept),
      .m_axis_tdata,
      .m_axis_tvalid,
      .m_axis_tready
  );

endmodule

`default_nettype wire
