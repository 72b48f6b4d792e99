// SPDX-License-Identifier: Apache-2.0
//
// vvau: one small kernel for each channel, PE channels and SIMD taps at a time (FINN: VVAU without activation).
//
//   With SF = KERNEL / SIMD and NF = CHANNELS / PE, KERNEL = height * width of the kernel:
//   Input       WHOLE_WINDOW = 0: windows of KERNEL * CHANNELS activations in NF*SF beats, SF beats for PE channels,
//               then the next PE channels; inside, element (tap, channel) with the channel fastest, the first at
//               the LSB: what a depthwise sliding_window_folded sends.
//               WHOLE_WINDOW = 1: one beat a window, element (tap, channel) with the channel fastest: what
//               sliding_window sends. The beat is held outside until its last part is used.
//   Output      CHANNELS accumulators, PE a beat, NF beats; the first channel at the LSB.
//   Weights     WEIGHTS_FILE, read by $readmemh, NF*SF words. Word nf*SF + sf holds W[nf*PE + pe][tap sf*SIMD + simd] at
//               bit (pe*SIMD + simd) * WEIGHT_BITS, two's complement; WEIGHT_BITS = 1 is bipolar: 1 is +1, 0 is -1.
//   Memory      RAM_STYLE says where tools put the weights: "auto", "distributed", "block" or "ultra".
//   Bipolar     ACT_BIPOLAR = 1: activations of one bit, 1 is +1, 0 is -1. If the weights are bipolar as well, the result
//               is the number of equal pairs, as FINN defines it, and not the sum of the products.
//   Handshake   AXI4-Stream. m_axis_tvalid and m_axis_tdata come from registers. The whole pipeline moves when
//               m_axis_tready || !m_axis_tvalid; s_axis_tready is that, in the same cycle, and with WHOLE_WINDOW low
//               until the last part.
//   Latency     2 + ceil(log2(SIMD)) + (SF > 1) cycles from the last input beat of PE channels to their output beat:
//               operands, products, one register a level of the adder tree, accumulator. With WHOLE_WINDOW the parts of
//               a window are used in consecutive cycles from the one in which it is offered.
//   Interval    SF*NF cycles a window, without a bubble.
//   Reset       forgets the window and empties the pipeline.
//   Overflow    arithmetic is modulo 2^ACC_BITS: partial sums may wrap, the result is right if it fits in ACC_BITS.
//
// Arrays and loops are written as in mvau, for the same reason.
`default_nettype none

module vvau #(
    parameter int unsigned CHANNELS     = 2,
    parameter int unsigned KERNEL       = 9,
    parameter int unsigned SIMD         = 1,
    parameter int unsigned PE           = 1,
    parameter int unsigned ACT_BITS     = 8,
    parameter int unsigned ACT_SIGNED   = 0,
    parameter int unsigned ACT_BIPOLAR  = 0,
    parameter int unsigned WEIGHT_BITS  = 4,
    parameter int unsigned ACC_BITS     = 16,
    parameter int unsigned WHOLE_WINDOW = 0,
    parameter              WEIGHTS_FILE = "weights.hex",
    parameter              RAM_STYLE    = "auto",
    localparam int unsigned InElements  = WHOLE_WINDOW != 0 ? KERNEL * CHANNELS : SIMD * PE
) (
    input  wire logic                            clk,
    input  wire logic                            rst,

    input  wire logic [InElements*ACT_BITS-1:0]  s_axis_tdata,
    input  wire logic                            s_axis_tvalid,
    output logic                                 s_axis_tready,

    output logic [PE*ACC_BITS-1:0]               m_axis_tdata,
    output logic                                 m_axis_tvalid,
    input  wire logic                            m_axis_tready
);
  if (SIMD < 1 || KERNEL < 1 || KERNEL % SIMD != 0) begin : gen_simd_error
    $error("vvau: KERNEL must be a multiple of SIMD, and both at least 1");
  end
  if (PE < 1 || CHANNELS < 1 || CHANNELS % PE != 0) begin : gen_pe_error
    $error("vvau: CHANNELS must be a multiple of PE, and both at least 1");
  end
  if (ACT_BITS < 1 || ACC_BITS < 1 || WEIGHT_BITS < 1) begin : gen_bits_error
    $error("vvau: ACT_BITS, WEIGHT_BITS and ACC_BITS must be at least 1");
  end
  if (ACT_SIGNED > 1 || ACT_BIPOLAR > 1 || WHOLE_WINDOW > 1) begin : gen_flag_error
    $error("vvau: ACT_SIGNED, ACT_BIPOLAR and WHOLE_WINDOW must be 0 or 1");
  end
  if (ACT_BIPOLAR == 1 && (ACT_BITS != 1 || ACT_SIGNED != 0)) begin : gen_bipolar_error
    $error("vvau: ACT_BIPOLAR needs ACT_BITS = 1 and ACT_SIGNED = 0");
  end

  if (string'(RAM_STYLE) != "auto" && string'(RAM_STYLE) != "distributed" && string'(RAM_STYLE) != "block"
      && string'(RAM_STYLE) != "ultra") begin : gen_style_error
    $error("vvau: RAM_STYLE must be auto, distributed, block or ultra");
  end

  localparam int unsigned Sf          = KERNEL / SIMD;
  localparam int unsigned Nf          = CHANNELS / PE;
  localparam int unsigned Words       = Nf * Sf;
  localparam int unsigned SfBits      = Sf > 1 ? $clog2(Sf) : 1;
  localparam int unsigned WordBits    = Words > 1 ? $clog2(Words) : 1;
  localparam int unsigned Levels      = $clog2(SIMD);
  localparam int unsigned ProductBits = WEIGHT_BITS + ACT_BITS;
  // Stages with a valid bit: operands, products, tree; then the accumulator's is m_axis_tvalid.
  localparam int unsigned Stages      = 2 + Levels;

  wire enable = m_axis_tready || !m_axis_tvalid;
  wire take   = enable && s_axis_tvalid;

  // ---- Operands: activations and the weights that go with them.

  logic [SfBits-1:0]   sf_q;
  logic [WordBits-1:0] word_q;
  wire  first_beat = sf_q == '0;
  wire  last_beat  = sf_q == SfBits'(Sf - 1);
  wire  last_word  = word_q == WordBits'(Words - 1);

  logic [SIMD*PE*ACT_BITS-1:0]    beat;
  logic signed [ACT_BITS:0]       act_q [PE][SIMD];
  logic signed [WEIGHT_BITS-1:0]  weight [PE][SIMD];

  always_ff @(posedge clk) begin
    if (take) begin
      sf_q   <= last_beat ? '0 : sf_q + 1'b1;
      word_q <= last_word ? '0 : word_q + 1'b1;
    end
    if (rst) begin
      sf_q   <= '0;
      word_q <= '0;
    end
  end

  if (WHOLE_WINDOW != 0) begin : gen_select
    localparam int unsigned PartBits = PE * ACT_BITS;
    localparam int unsigned NfBits   = Nf > 1 ? $clog2(Nf) : 1;
    logic [NfBits-1:0] nf_q;
    wire [KERNEL-1:0][Nf-1:0][PartBits-1:0] window = s_axis_tdata;

    assign s_axis_tready = enable && last_word;

    always_ff @(posedge clk) begin
      if (take && last_beat) nf_q <= last_word ? '0 : nf_q + 1'b1;
      if (rst) nf_q <= '0;
    end

    for (genvar i = 0; i < SIMD; i++) begin : gen_tap
      // The taps that lane i sees in its turns.
      logic [Sf-1:0][PartBits-1:0] turns;
      for (genvar sf = 0; sf < Sf; sf++) begin : gen_turn
        assign turns[sf] = window[sf*SIMD + i][nf_q];
      end
      assign beat[i*PartBits +: PartBits] = turns[sf_q];
    end
  end else begin : gen_folded
    assign s_axis_tready = enable;
    assign beat          = s_axis_tdata;
  end

  // Vivado reads rom_style; Yosys reads ram_style first, and knows a ROM in LUTs only as logic. One word is no memory.
  (* rom_style = RAM_STYLE,
     ram_style = Words == 1 || string'(RAM_STYLE) == "distributed" ? "logic" : RAM_STYLE *)
  logic [PE*SIMD*WEIGHT_BITS-1:0] weights [Words];
  initial $readmemh(WEIGHTS_FILE, weights);
`ifndef SYNTHESIS
  // Where the file is missing, simulators warn and go on with zeros.
  initial begin
    automatic int file = $fopen(WEIGHTS_FILE, "r");
    if (file == 0) $fatal(1, "vvau: cannot read %s", WEIGHTS_FILE);
    $fclose(file);
  end
`endif

  // One bit more than the element: its sign, or a zero. Of a bipolar bit, 1 or -1.
  function automatic logic signed [ACT_BITS:0] extended(input logic [ACT_BITS-1:0] element);
    if (ACT_BIPOLAR != 0) return {!element[0], ACT_BITS'(1)};
    return {ACT_SIGNED != 0 && element[ACT_BITS-1], element};
  endfunction

  always_ff @(posedge clk) begin
    if (take) begin
      automatic logic signed [ACT_BITS:0] next [PE][SIMD];
      /*verilator unroll_disable*/ for (int unsigned pe = 0; pe < PE; pe++) begin
        /*verilator unroll_disable*/ for (int unsigned i = 0; i < SIMD; i++) begin
          next[pe][i] = extended(beat[(i*PE + pe)*ACT_BITS +: ACT_BITS]);
        end
      end
      act_q <= next;
    end
  end

  if (Words == 1) begin : gen_constant_weights
    always_comb begin
      /*verilator unroll_disable*/ for (int unsigned pe = 0; pe < PE; pe++) begin
        /*verilator unroll_disable*/ for (int unsigned i = 0; i < SIMD; i++) begin
          weight[pe][i] = weights[0][(pe*SIMD + i)*WEIGHT_BITS +: WEIGHT_BITS];
        end
      end
    end
  end else begin : gen_weights
    always_ff @(posedge clk) begin
      if (take) begin
        automatic logic [PE*SIMD*WEIGHT_BITS-1:0] word = weights[word_q];
        automatic logic signed [WEIGHT_BITS-1:0] next [PE][SIMD];
        /*verilator unroll_disable*/ for (int unsigned pe = 0; pe < PE; pe++) begin
          /*verilator unroll_disable*/ for (int unsigned i = 0; i < SIMD; i++) begin
            next[pe][i] = word[(pe*SIMD + i)*WEIGHT_BITS +: WEIGHT_BITS];
          end
        end
        weight <= next;
      end
    end
  end

  // ---- Pipeline control. valid_q[0] belongs to the operands; first and last mark the beats of PE channels.

  logic [Stages-1:0] valid_q, first_q, last_q;

  always_ff @(posedge clk) begin
    if (enable) begin
      valid_q <= Stages'({valid_q, take});
      first_q <= Stages'({first_q, first_beat});
      last_q  <= Stages'({last_q, last_beat});
    end
    if (rst) valid_q <= '0;
  end

  // ---- Products and adder tree, all channels at once.

  function automatic logic signed [ProductBits-1:0] product(input logic signed [WEIGHT_BITS-1:0] w,
                                                            input logic signed [ACT_BITS:0] a);
    if (WEIGHT_BITS > 1) return ProductBits'(w) * ProductBits'(a);
    // a > 0 is the bipolar bit; the product of two bipolar bits counts as 1 if they are equal.
    if (ACT_BIPOLAR != 0) return ProductBits'($signed({1'b0, w[0] != a[ACT_BITS]}));
    return w[0] ? ProductBits'(a) : -ProductBits'(a);
  endfunction

  for (genvar level = 0; level <= Levels; level++) begin : gen_level
    // ceil(SIMD / 2^level) sums are left at this level; an odd one is handed on.
    localparam int unsigned Count = (SIMD + (1 << level) - 1) >> level;
    localparam int unsigned Bits  = ACC_BITS < ProductBits + level ? ACC_BITS : ProductBits + level;
    logic signed [Bits-1:0] node_q [PE][Count];

    if (level == 0) begin : gen_products
      always_ff @(posedge clk) begin
        if (enable && valid_q[0]) begin
          automatic logic signed [Bits-1:0] next [PE][Count];
          /*verilator unroll_disable*/ for (int unsigned pe = 0; pe < PE; pe++) begin
            /*verilator unroll_disable*/ for (int unsigned i = 0; i < Count; i++) begin
              next[pe][i] = Bits'(product(weight[pe][i], act_q[pe][i]));
            end
          end
          node_q <= next;
        end
      end
    end else begin : gen_sums
      localparam int unsigned Below = (SIMD + (1 << (level - 1)) - 1) >> (level - 1);
      always_ff @(posedge clk) begin
        if (enable && valid_q[level]) begin
          automatic logic signed [Bits-1:0] next [PE][Count];
          /*verilator unroll_disable*/ for (int unsigned pe = 0; pe < PE; pe++) begin
            /*verilator unroll_disable*/ for (int unsigned i = 0; i < Below / 2; i++) begin
              next[pe][i] = Bits'(gen_level[level-1].node_q[pe][2*i]) + Bits'(gen_level[level-1].node_q[pe][2*i+1]);
            end
            if (Below % 2 == 1) next[pe][Count-1] = Bits'(gen_level[level-1].node_q[pe][Below-1]);
          end
          node_q <= next;
        end
      end
    end
  end

  for (genvar pe = 0; pe < PE; pe++) begin : gen_channel
    wire signed [ACC_BITS-1:0] sum = ACC_BITS'(gen_level[Levels].node_q[pe][0]);

    if (Sf > 1) begin : gen_accumulator
      logic signed [ACC_BITS-1:0] acc_q;
      assign m_axis_tdata[pe*ACC_BITS +: ACC_BITS] = acc_q;
      always_ff @(posedge clk) begin
        if (enable && valid_q[Stages-1]) acc_q <= first_q[Stages-1] ? sum : acc_q + sum;
      end
    end else begin : gen_no_accumulator
      assign m_axis_tdata[pe*ACC_BITS +: ACC_BITS] = sum;
    end
  end

  if (Sf > 1) begin : gen_accumulated
    always_ff @(posedge clk) begin
      if (enable) m_axis_tvalid <= valid_q[Stages-1] && last_q[Stages-1];
      if (rst) m_axis_tvalid <= 1'b0;
    end
  end else begin : gen_direct
    assign m_axis_tvalid = valid_q[Stages-1];
  end

endmodule

`default_nettype wire
