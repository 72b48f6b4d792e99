// SPDX-License-Identifier: Apache-2.0
//
// label_select: number of the largest of LABELS values, the lowest one if several are equal (FINN: LabelSelect, K = 1).
//
//   Input       LABELS values, PE a beat, LABELS / PE beats; value 0 first, at the LSB.
//   Output      one beat for LABELS values, unsigned.
//   Handshake   AXI4-Stream. m_axis_tvalid and m_axis_tdata come from registers; s_axis_tready is
//               m_axis_tready || !m_axis_tvalid in the same cycle and moves the whole pipeline.
//   Latency     1 + ceil(log2(PE)) cycles from the last input beat: a register behind each level of a binary tree of
//               comparisons, and the best so far.
//   Interval    one beat a cycle, without a bubble.
//   Reset       forgets what came; the next beat is the first of LABELS / PE.
//   Overflow    cannot happen: LABELS - 1 fits in OUT_BITS, or elaboration stops.
`default_nettype none

module label_select #(
    parameter int unsigned LABELS   = 4,
    parameter int unsigned PE       = 1,
    parameter int unsigned BITS     = 8,
    parameter int unsigned SIGNED   = 1,
    parameter int unsigned OUT_BITS = 2
) (
    input  wire logic                 clk,
    input  wire logic                 rst,

    input  wire logic [PE*BITS-1:0]   s_axis_tdata,
    input  wire logic                 s_axis_tvalid,
    output logic                      s_axis_tready,

    output logic [OUT_BITS-1:0]       m_axis_tdata,
    output logic                      m_axis_tvalid,
    input  wire logic                 m_axis_tready
);
  if (PE < 1 || LABELS < 1 || LABELS % PE != 0) begin : gen_pe_error
    $error("label_select: LABELS must be a multiple of PE, and both at least 1");
  end
  if (BITS < 1) begin : gen_bits_error
    $error("label_select: BITS must be at least 1");
  end
  if (SIGNED > 1) begin : gen_signed_error
    $error("label_select: SIGNED must be 0 or 1");
  end
  if (OUT_BITS < 1 || OUT_BITS < $clog2(LABELS)) begin : gen_out_error
    $error("label_select: LABELS - 1 does not fit in OUT_BITS");
  end

  localparam int unsigned Folds    = LABELS / PE;
  localparam int unsigned FoldBits = Folds > 1 ? $clog2(Folds) : 1;
  localparam int unsigned Levels   = $clog2(PE);
  localparam int unsigned Stages   = 1 + Levels;

  function automatic logic larger(input logic [BITS-1:0] a, input logic [BITS-1:0] b);
    if (SIGNED != 0) return $signed(a) > $signed(b);
    return a > b;
  endfunction

  logic [FoldBits-1:0] fold_q;
  wire last_fold = fold_q == FoldBits'(Folds - 1);
  wire accept    = s_axis_tvalid && s_axis_tready;

  // Bit i belongs to the tree's level i, the last one to the best so far.
  logic [Stages-1:0] valid, first, last;
  assign valid[0] = s_axis_tvalid;
  assign first[0] = fold_q == '0;
  assign last[0]  = last_fold;

  assign s_axis_tready = m_axis_tready || !m_axis_tvalid;

  always_ff @(posedge clk) begin
    if (accept) fold_q <= last_fold ? '0 : fold_q + 1'b1;
    if (rst) fold_q <= '0;
  end

  for (genvar level = 0; level <= Levels; level++) begin : gen_level
    // ceil(PE / 2^level) candidates are left at this level; an odd one is handed on.
    localparam int unsigned Count = (PE + (1 << level) - 1) >> level;
    logic [BITS-1:0]     value [Count];
    logic [OUT_BITS-1:0] label [Count];

    if (level == 0) begin : gen_input
      for (genvar i = 0; i < PE; i++) begin : gen_lane
        assign value[i] = s_axis_tdata[i*BITS +: BITS];
        assign label[i] = OUT_BITS'(i) + OUT_BITS'(fold_q) * OUT_BITS'(PE);
      end
    end else begin : gen_compare
      localparam int unsigned Below = (PE + (1 << (level - 1)) - 1) >> (level - 1);

      always_ff @(posedge clk) begin
        if (s_axis_tready) begin
          valid[level] <= valid[level-1];
          first[level] <= first[level-1];
          last[level]  <= last[level-1];
        end
        if (rst) valid[level] <= 1'b0;
      end

      for (genvar i = 0; i < Count; i++) begin : gen_lane
        always_ff @(posedge clk) begin
          if (s_axis_tready && valid[level-1]) begin
            // The right one has the higher number: it must be larger.
            if (2 * i + 1 < Below && larger(gen_level[level-1].value[2 * i + 1 < Below ? 2 * i + 1 : 2 * i],
                                            gen_level[level-1].value[2*i])) begin
              value[i] <= gen_level[level-1].value[2 * i + 1 < Below ? 2 * i + 1 : 2 * i];
              label[i] <= gen_level[level-1].label[2 * i + 1 < Below ? 2 * i + 1 : 2 * i];
            end else begin
              value[i] <= gen_level[level-1].value[2*i];
              label[i] <= gen_level[level-1].label[2*i];
            end
          end
        end
      end
    end
  end

  logic [BITS-1:0] best_q;

  always_ff @(posedge clk) begin
    if (s_axis_tready) begin
      m_axis_tvalid <= valid[Levels] && last[Levels];
      if (valid[Levels] && (first[Levels] || larger(gen_level[Levels].value[0], best_q))) begin
        best_q       <= gen_level[Levels].value[0];
        m_axis_tdata <= gen_level[Levels].label[0];
      end
    end
    if (rst) m_axis_tvalid <= 1'b0;
  end

endmodule

`default_nettype wire
