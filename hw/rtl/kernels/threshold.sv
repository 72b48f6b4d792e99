// SPDX-License-Identifier: Apache-2.0
//
// threshold: y = OUT_BIAS + number of thresholds T[c][i] <= x, for each channel c (FINN: Thresholding).
//
//   Input       CHANNELS values, PE a beat, CHANNELS / PE beats; channel 0 first, at the LSB. Signed if IN_SIGNED.
//   Output      the same order. OUT_BITS are two's complement where OUT_BIAS is negative.
//   Thresholds  THRESHOLDS_FILE, read by $readmemh, CHANNELS / PE words. Word f holds T[f*PE + pe][i] at bit
//               (pe*STEPS + i) * IN_BITS, coded as the input is. They need not be sorted.
//               PER_TENSOR = 1: one word for all channels, T[i] at bit i * IN_BITS.
//   Memory      RAM_STYLE says where tools put the thresholds, see rom: "auto", "distributed" or "block".
//               A bipolar output is STEPS = 1, OUT_BITS = 1, OUT_BIAS = 0: 1 is +1, 0 is -1.
//   Handshake   AXI4-Stream. m_axis_tvalid and m_axis_tdata come from registers; s_axis_tready is
//               m_axis_tready || !m_axis_tvalid in the same cycle and moves the whole pipeline.
//   Latency     2 cycles (compare, count), 3 if STEPS > 16 (compare, count by sixteens, add).
//   Interval    one beat a cycle.
//   Reset       empties the pipeline; the next beat is the first of CHANNELS / PE.
//   Overflow    cannot happen: OUT_BIAS .. OUT_BIAS + STEPS fits in OUT_BITS, or elaboration stops.
`default_nettype none

module threshold #(
    parameter int unsigned CHANNELS   = 2,
    parameter int unsigned PE         = 1,
    parameter int unsigned IN_BITS    = 8,
    parameter int unsigned IN_SIGNED  = 1,
    parameter int unsigned STEPS      = 3,
    parameter int unsigned OUT_BITS   = 2,
    parameter int          OUT_BIAS   = 0,
    parameter int unsigned PER_TENSOR = 0,
    parameter              THRESHOLDS_FILE = "thresholds.hex",
    parameter              RAM_STYLE       = "auto"
) (
    input  wire logic                    clk,
    input  wire logic                    rst,

    input  wire logic [PE*IN_BITS-1:0]   s_axis_tdata,
    input  wire logic                    s_axis_tvalid,
    output logic                         s_axis_tready,

    output logic [PE*OUT_BITS-1:0]       m_axis_tdata,
    output logic                         m_axis_tvalid,
    input  wire logic                    m_axis_tready
);
  if (PE < 1 || CHANNELS < 1 || CHANNELS % PE != 0) begin : gen_pe_error
    $error("threshold: CHANNELS must be a multiple of PE, and both at least 1");
  end
  if (IN_BITS < 1) begin : gen_in_error
    $error("threshold: IN_BITS must be at least 1");
  end
  if (IN_SIGNED > 1 || PER_TENSOR > 1) begin : gen_flag_error
    $error("threshold: IN_SIGNED and PER_TENSOR must be 0 or 1");
  end
  if (STEPS < 1 || STEPS > 255) begin : gen_steps_error
    $error("threshold: STEPS must be 1 to 255");
  end
  if (OUT_BITS < 1 || OUT_BITS > 31) begin : gen_out_error
    $error("threshold: OUT_BITS must be 1 to 31");
  end else if (OUT_BIAS < 0 ? OUT_BIAS < -(1 << (OUT_BITS - 1)) || OUT_BIAS + int'(STEPS) >= (1 << (OUT_BITS - 1))
                            : longint'(OUT_BIAS) + longint'(STEPS) >= (64'd1 << OUT_BITS)) begin : gen_range_error
    $error("threshold: OUT_BIAS .. OUT_BIAS + STEPS does not fit in OUT_BITS");
  end

  localparam int unsigned Rows      = PER_TENSOR != 0 ? 1 : PE;              // thresholds in a word, in rows of STEPS
  localparam int unsigned Folds     = PER_TENSOR != 0 ? 1 : CHANNELS / PE;   // words
  localparam int unsigned FoldBits  = Folds > 1 ? $clog2(Folds) : 1;
  localparam int unsigned Group     = 16;  // comparisons that one cycle counts
  localparam int unsigned Groups    = (STEPS + Group - 1) / Group;
  localparam int unsigned Stages    = Groups > 1 ? 3 : 2;

  logic [Stages-1:0] valid_q;

  assign s_axis_tready = m_axis_tready || !m_axis_tvalid;
  assign m_axis_tvalid = valid_q[Stages-1];

  wire accept = s_axis_tvalid && s_axis_tready;

  always_ff @(posedge clk) begin
    if (s_axis_tready) valid_q <= Stages'({valid_q, s_axis_tvalid});
    if (rst) valid_q <= '0;
  end

  // ---- Thresholds of the beat that comes next.

  logic [FoldBits-1:0]           fold_q;
  wire  [FoldBits-1:0]           next_fold = rst || fold_q == FoldBits'(Folds - 1) ? '0 : fold_q + 1'b1;
  logic [Rows*STEPS*IN_BITS-1:0] word;

  always_ff @(posedge clk) if (accept || rst) fold_q <= next_fold;

  (* keep_hierarchy = Folds > 1 *)
  rom #(
      .WORDS(Folds), .BITS(Rows*STEPS*IN_BITS), .FILE(THRESHOLDS_FILE), .RAM_STYLE(RAM_STYLE)
  ) u_rom (
      .clk, .enable(accept || rst), .address(next_fold), .word
  );

  // ---- Compare, then count. Unpacked arrays and loops that stay loops: see mvau.

  function automatic logic reached(input logic [IN_BITS-1:0] x, input logic [IN_BITS-1:0] t);
    if (IN_SIGNED != 0) return $signed(x) >= $signed(t);
    return x >= t;
  endfunction

  logic reached_q [PE][STEPS];

  always_ff @(posedge clk) begin
    if (accept) begin
      automatic logic next [PE][STEPS];
      /*verilator unroll_disable*/ for (int unsigned pe = 0; pe < PE; pe++) begin
        /*verilator unroll_disable*/ for (int unsigned i = 0; i < STEPS; i++) begin
          next[pe][i] = reached(s_axis_tdata[pe*IN_BITS +: IN_BITS], word[(pe % Rows * STEPS + i)*IN_BITS +: IN_BITS]);
        end
      end
      reached_q <= next;
    end
  end

  if (Groups == 1) begin : gen_count
    always_ff @(posedge clk) begin
      if (s_axis_tready && valid_q[0]) begin
        automatic logic [PE*OUT_BITS-1:0] next = '0;
        /*verilator unroll_disable*/ for (int unsigned pe = 0; pe < PE; pe++) begin
          automatic logic [OUT_BITS-1:0] y = OUT_BITS'(OUT_BIAS);
          /*verilator unroll_disable*/ for (int unsigned i = 0; i < STEPS; i++) y += OUT_BITS'(reached_q[pe][i]);
          next[pe*OUT_BITS +: OUT_BITS] = y;
        end
        m_axis_tdata <= next;
      end
    end
  end else begin : gen_count_groups
    localparam int unsigned CountBits = $clog2(Group + 1);
    logic [CountBits-1:0] count_q [PE][Groups];

    always_ff @(posedge clk) begin
      if (s_axis_tready && valid_q[0]) begin
        automatic logic [CountBits-1:0] next [PE][Groups];
        /*verilator unroll_disable*/ for (int unsigned pe = 0; pe < PE; pe++) begin
          for (int unsigned g = 0; g < Groups; g++) begin
            next[pe][g] = '0;
            /*verilator unroll_disable*/ for (int unsigned i = g * Group; i < STEPS && i < (g + 1) * Group; i++) begin
              next[pe][g] += CountBits'(reached_q[pe][i]);
            end
          end
        end
        count_q <= next;
      end
      if (s_axis_tready && valid_q[1]) begin
        automatic logic [PE*OUT_BITS-1:0] next = '0;
        /*verilator unroll_disable*/ for (int unsigned pe = 0; pe < PE; pe++) begin
          automatic logic [OUT_BITS-1:0] y = OUT_BITS'(OUT_BIAS);
          for (int unsigned g = 0; g < Groups; g++) y += OUT_BITS'(count_q[pe][g]);
          next[pe*OUT_BITS +: OUT_BITS] = y;
        end
        m_axis_tdata <= next;
      end
    end
  end

endmodule

`default_nettype wire
