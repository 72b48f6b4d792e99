// SPDX-License-Identifier: Apache-2.0
//
// stream_add: sum of two streams, element by element (FINN: ElementwiseAdd of two inputs).
//
//   Input       two streams of PE elements a beat; each has its own width and sign.
//   Output      PE sums a beat, in the same order; two's complement if either input is signed.
//   Handshake   AXI4-Stream. m_axis_tvalid and m_axis_tdata come from registers. A beat is taken from both sides at
//               once: each tready is high when the other side is valid and m_axis_tready || !m_axis_tvalid, in
//               the same cycle.
//   Latency     1 cycle from the later one of the two beats.
//   Interval    one beat a cycle.
//   Reset       forgets the sum that waits.
//   Overflow    arithmetic is modulo 2^OUT_BITS: the result is right if it fits.
`default_nettype none

module stream_add #(
    parameter int unsigned PE         = 1,
    parameter int unsigned LHS_BITS   = 8,
    parameter int unsigned LHS_SIGNED = 0,
    parameter int unsigned RHS_BITS   = 8,
    parameter int unsigned RHS_SIGNED = 0,
    parameter int unsigned OUT_BITS   = 9
) (
    input  wire logic                    clk,
    input  wire logic                    rst,

    input  wire logic [PE*LHS_BITS-1:0]  s_axis_lhs_tdata,
    input  wire logic                    s_axis_lhs_tvalid,
    output logic                         s_axis_lhs_tready,

    input  wire logic [PE*RHS_BITS-1:0]  s_axis_rhs_tdata,
    input  wire logic                    s_axis_rhs_tvalid,
    output logic                         s_axis_rhs_tready,

    output logic [PE*OUT_BITS-1:0]       m_axis_tdata,
    output logic                         m_axis_tvalid,
    input  wire logic                    m_axis_tready
);
  if (PE < 1 || LHS_BITS < 1 || RHS_BITS < 1 || OUT_BITS < 1) begin : gen_size_error
    $error("stream_add: PE, LHS_BITS, RHS_BITS and OUT_BITS must be at least 1");
  end
  if (LHS_SIGNED > 1 || RHS_SIGNED > 1) begin : gen_signed_error
    $error("stream_add: LHS_SIGNED and RHS_SIGNED must be 0 or 1");
  end

  wire enable = m_axis_tready || !m_axis_tvalid;
  wire take   = enable && s_axis_lhs_tvalid && s_axis_rhs_tvalid;

  assign s_axis_lhs_tready = enable && s_axis_rhs_tvalid;
  assign s_axis_rhs_tready = enable && s_axis_lhs_tvalid;

  always_ff @(posedge clk) begin
    if (enable) m_axis_tvalid <= take;
    if (take) begin
      automatic logic [PE*OUT_BITS-1:0] next = '0;
      /*verilator unroll_disable*/ for (int unsigned pe = 0; pe < PE; pe++) begin
        // One bit in front of each element: its sign, or a zero.
        next[pe*OUT_BITS +: OUT_BITS] =
            OUT_BITS'($signed({LHS_SIGNED != 0 && s_axis_lhs_tdata[pe*LHS_BITS + LHS_BITS - 1],
                               s_axis_lhs_tdata[pe*LHS_BITS +: LHS_BITS]}))
          + OUT_BITS'($signed({RHS_SIGNED != 0 && s_axis_rhs_tdata[pe*RHS_BITS + RHS_BITS - 1],
                               s_axis_rhs_tdata[pe*RHS_BITS +: RHS_BITS]}));
      end
      m_axis_tdata <= next;
    end
    if (rst) m_axis_tvalid <= 1'b0;
  end

endmodule

`default_nettype wire
