// SPDX-License-Identifier: Apache-2.0
//
// dot_product: PE dot products at a time against weights in a memory: what mvau and vvau have in common.
//
//   Input       NF*SF beats in a round, one for each word of the weights. SHARED_ACT = 1: SIMD activations, used by all
//               rows. SHARED_ACT = 0: SIMD activations for each of PE rows, the row fastest. The first at the LSB.
//   Output      NF beats in a round, one for each SF beats in: PE accumulators, signed; row 0 at the LSB.
//   Place       sf is the number of the beat that comes next in its SF beats; last_beat marks the last one of these, and
//               last_word the last one of the round.
//   Weights     WEIGHTS_FILE, read by $readmemh, NF*SF words. Word nf*SF + sf holds the weight of row pe and activation
//               simd at bit (pe*SIMD + simd) * WEIGHT_BITS, two's complement; WEIGHT_BITS = 1 is bipolar: 1 is +1, 0 is -1.
//   Memory      RAM_STYLE says where tools put the weights, see rom: "auto", "distributed" or "block".
//   Multiplier  MULT_STYLE = "lut" keeps the products out of DSP slices. "dsp" puts them there, and with SHARED_ACT as
//               many weights of one activation into one multiplier as fit: its wide port has DSP_A_BITS bits (25 in
//               DSP48E1, 27 in DSP48E2, 18 in the MULT18X18D of an ECP5), the other one 18. A product of at most 8 bits that shares its multiplier with
//               no other stays in LUTs. "auto" is "dsp" for products of more than 8 bits, else "lut". A product has
//               WEIGHT_BITS + ACT_BITS bits; operands of one bit need no multiplier.
//   Bipolar     ACT_BIPOLAR = 1: activations of one bit, 1 is +1, 0 is -1. If the weights are bipolar as well, the result
//               is the number of equal pairs, as FINN defines it, and not the sum of the products.
//   Handshake   AXI4-Stream. m_axis_tvalid and m_axis_tdata come from registers. s_axis_tready is
//               m_axis_tready || !m_axis_tvalid in the same cycle and moves the whole pipeline.
//   Latency     2 + ceil(log2(SIMD)) + (SF > 1) cycles from the last one of SF input beats to the output beat: operands,
//               products, one register a level of the adder tree, accumulator.
//   Interval    one beat a cycle.
//   Reset       empties the pipeline; the next beat is the first of a round.
//   Overflow    arithmetic is modulo 2^ACC_BITS: partial sums may wrap, the result is right if it fits in ACC_BITS.
//
// How it is written: numbers are kept in unpacked arrays that are assigned as a whole, and the loops stay loops. This
// makes Verilator emit bytes, words and plain loops. As packed vectors the same hardware simulates 3 to 4 times slower;
// unrolled, it takes 5 to 20 times as long to compile and gains at most a third.
`default_nettype none

module dot_product #(
    parameter int unsigned NF          = 1,
    parameter int unsigned SF          = 2,
    parameter int unsigned SIMD        = 2,
    parameter int unsigned PE          = 1,
    parameter int unsigned ACT_BITS    = 8,
    parameter int unsigned ACT_SIGNED  = 0,
    parameter int unsigned ACT_BIPOLAR = 0,
    parameter int unsigned SHARED_ACT  = 1,
    parameter int unsigned WEIGHT_BITS = 4,
    parameter int unsigned ACC_BITS    = 16,
    parameter              WEIGHTS_FILE = "weights.hex",
    parameter              RAM_STYLE    = "auto",
    parameter              MULT_STYLE   = "auto",
    parameter int unsigned DSP_A_BITS  = 25,
    localparam int unsigned ActRows    = SHARED_ACT != 0 ? 1 : PE,
    localparam int unsigned SfBits     = SF > 1 ? $clog2(SF) : 1
) (
    input  wire logic                              clk,
    input  wire logic                              rst,

    input  wire logic [ActRows*SIMD*ACT_BITS-1:0]  s_axis_tdata,
    input  wire logic                              s_axis_tvalid,
    output logic                                   s_axis_tready,

    output logic [SfBits-1:0]                      sf,
    output logic                                   last_beat,
    output logic                                   last_word,

    output logic [PE*ACC_BITS-1:0]                 m_axis_tdata,
    output logic                                   m_axis_tvalid,
    input  wire logic                              m_axis_tready
);
  if (NF < 1 || SF < 1 || SIMD < 1 || PE < 1) begin : gen_size_error
    $error("dot_product: NF, SF, SIMD and PE must be at least 1");
  end
  if (ACT_BITS < 1 || ACC_BITS < 1 || WEIGHT_BITS < 1) begin : gen_bits_error
    $error("dot_product: ACT_BITS, WEIGHT_BITS and ACC_BITS must be at least 1");
  end
  if (ACT_SIGNED > 1 || ACT_BIPOLAR > 1 || SHARED_ACT > 1) begin : gen_flag_error
    $error("dot_product: ACT_SIGNED, ACT_BIPOLAR and SHARED_ACT must be 0 or 1");
  end
  if (ACT_BIPOLAR == 1 && (ACT_BITS != 1 || ACT_SIGNED != 0)) begin : gen_bipolar_error
    $error("dot_product: ACT_BIPOLAR needs ACT_BITS = 1 and ACT_SIGNED = 0");
  end
  /* verilator lint_off WIDTHEXPAND */  // names of other lengths: the shorter one is extended
  if (MULT_STYLE != "auto" && MULT_STYLE != "lut" && MULT_STYLE != "dsp") begin : gen_mult_error
  /* verilator lint_on WIDTHEXPAND */
    $error("dot_product: MULT_STYLE must be auto, lut or dsp");
  end
  if (DSP_A_BITS < 18) begin : gen_port_error
    $error("dot_product: DSP_A_BITS must be at least 18");
  end

  localparam int unsigned Words       = NF * SF;
  localparam int unsigned WordBits    = Words > 1 ? $clog2(Words) : 1;
  localparam int unsigned Levels      = $clog2(SIMD);
  localparam int unsigned ProductBits = WEIGHT_BITS + ACT_BITS;
  // Stages with a valid bit: operands, products, tree; then the accumulator's is m_axis_tvalid.
  localparam int unsigned Stages      = 2 + Levels;

  wire take = s_axis_tvalid && s_axis_tready;

  assign s_axis_tready = m_axis_tready || !m_axis_tvalid;

  // ---- Operands: the activations and the weights that go with them.

  logic [SfBits-1:0]             sf_q;
  logic [WordBits-1:0]           word_q;
  logic signed [ACT_BITS:0]      act_q [ActRows][SIMD];
  logic signed [WEIGHT_BITS-1:0] weight [PE][SIMD];

  assign sf        = sf_q;
  assign last_beat = sf_q == SfBits'(SF - 1);
  assign last_word = word_q == WordBits'(Words - 1);

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

  logic [PE*SIMD*WEIGHT_BITS-1:0] word;

  (* keep_hierarchy = Words > 1 *)
  rom #(
      .WORDS(Words), .BITS(PE*SIMD*WEIGHT_BITS), .FILE(WEIGHTS_FILE), .RAM_STYLE(RAM_STYLE)
  ) u_rom (
      .clk, .enable(take), .address(word_q), .word
  );

  // One bit more than the element: its sign, or a zero. Of a bipolar bit, 1 or -1.
  function automatic logic signed [ACT_BITS:0] extended(input logic [ACT_BITS-1:0] element);
    if (ACT_BIPOLAR != 0) return {!element[0], ACT_BITS'(1)};
    return {ACT_SIGNED != 0 && element[ACT_BITS-1], element};
  endfunction

  always_ff @(posedge clk) begin
    if (take) begin
      automatic logic signed [ACT_BITS:0] next [ActRows][SIMD];
      /*verilator unroll_disable*/ for (int unsigned row = 0; row < ActRows; row++) begin
        /*verilator unroll_disable*/ for (int unsigned i = 0; i < SIMD; i++) begin
          next[row][i] = extended(s_axis_tdata[(i*ActRows + row)*ACT_BITS +: ACT_BITS]);
        end
      end
      act_q <= next;
    end
  end

  always_comb begin
    /*verilator unroll_disable*/ for (int unsigned pe = 0; pe < PE; pe++) begin
      /*verilator unroll_disable*/ for (int unsigned i = 0; i < SIMD; i++) begin
        weight[pe][i] = word[(pe*SIMD + i)*WEIGHT_BITS +: WEIGHT_BITS];
      end
    end
  end

  // ---- Pipeline control. valid_q[0] belongs to the operands; first and last mark the beats of one result.

  logic [Stages-1:0] valid_q, first_q, last_q;

  always_ff @(posedge clk) begin
    if (s_axis_tready) begin
      valid_q <= Stages'({valid_q, take});
      first_q <= Stages'({first_q, sf_q == '0});
      last_q  <= Stages'({last_q, last_beat});
    end
    if (rst) valid_q <= '0;
  end

  // ---- Products and adder tree, all rows at once.

  // Weights that fit into a multiplier beside each other; rows in groups, as few and as equal as can be, one multiplier
  // for each group and activation; rows in the largest group. hw/kernels/dsp_packing.py has the same rule.
  localparam int unsigned Fits           = SHARED_ACT == 0 || DSP_A_BITS <= WEIGHT_BITS
                                           ? 1 : 1 + (DSP_A_BITS - WEIGHT_BITS - 1) / ProductBits;
  localparam int unsigned Groups         = (PE + Fits - 1) / Fits;
  localparam int unsigned ProductsPerDsp = (PE + Groups - 1) / Groups;
  // Neither Vivado nor Yosys thinks a DSP slice worth while for a single product of 8 bits or less.
  localparam bit          Wide           = ProductBits > 8;
  /* verilator lint_off WIDTHEXPAND */  // names of other lengths: the shorter one is extended
  localparam bit          InDsp          = WEIGHT_BITS > 1 && ACT_BITS > 1 && ((MULT_STYLE == "auto" && Wide)
                                           || (MULT_STYLE == "dsp" && (Wide || ProductsPerDsp > 1)));
  /* verilator lint_on WIDTHEXPAND */

  function automatic logic signed [ProductBits-1:0] product(input logic signed [WEIGHT_BITS-1:0] w,
                                                            input logic signed [ACT_BITS:0] a);
    automatic logic signed [ProductBits-1:0] sum;
    if (WEIGHT_BITS == 1) begin
      // a > 0 is the bipolar bit; the product of two bipolar bits counts as 1 if they are equal.
      if (ACT_BIPOLAR != 0) return ProductBits'($signed({1'b0, w[0] != a[ACT_BITS]}));
      return w[0] ? ProductBits'(a) : -ProductBits'(a);
    end
    // Yosys has no attribute that keeps a wider product out of DSP slices. Of an ECP5 hw/synthesis/ecp5_products.v does it.
    if (!Wide || DSP_A_BITS == 18) return ProductBits'(w) * ProductBits'(a);
    sum = ProductBits'(0) - ((ProductBits'(a) & {ProductBits{w[WEIGHT_BITS-1]}}) << (WEIGHT_BITS - 1));
    for (int unsigned b = 0; b + 1 < WEIGHT_BITS; b++) sum += (ProductBits'(a) & {ProductBits{w[b]}}) << b;
    return sum;
  endfunction

  for (genvar level = 0; level <= Levels; level++) begin : gen_level
    // ceil(SIMD / 2^level) sums are left at this level; an odd one is handed on.
    localparam int unsigned Count = (SIMD + (1 << level) - 1) >> level;
    localparam int unsigned Bits  = ACC_BITS < ProductBits + level ? ACC_BITS : ProductBits + level;
    (* use_dsp = "no" *)
    logic signed [Bits-1:0] node [PE][Count];

    if (level > 0) begin : gen_sums
      localparam int unsigned Below = (SIMD + (1 << (level - 1)) - 1) >> (level - 1);
      always_ff @(posedge clk) begin
        if (s_axis_tready && valid_q[level]) begin
          automatic logic signed [Bits-1:0] next [PE][Count];
          /*verilator unroll_disable*/ for (int unsigned pe = 0; pe < PE; pe++) begin
            /*verilator unroll_disable*/ for (int unsigned i = 0; i < Below / 2; i++) begin
              next[pe][i] = Bits'(gen_level[level-1].node[pe][2*i]) + Bits'(gen_level[level-1].node[pe][2*i+1]);
            end
            if (Below % 2 == 1) next[pe][Count-1] = Bits'(gen_level[level-1].node[pe][Below-1]);
          end
          node <= next;
        end
      end
    end else if (!InDsp) begin : gen_lut
      always_ff @(posedge clk) begin
        if (s_axis_tready && valid_q[0]) begin
          automatic logic signed [Bits-1:0] next [PE][Count];
          /*verilator unroll_disable*/ for (int unsigned pe = 0; pe < PE; pe++) begin
            /*verilator unroll_disable*/ for (int unsigned i = 0; i < Count; i++) begin
              next[pe][i] = Bits'(product(weight[pe][i], act_q[SHARED_ACT != 0 ? 0 : pe][i]));
            end
          end
          node <= next;
        end
      end
    end else begin : gen_dsp
      // One multiplication gives the products of several weights, which stand ProductBits apart, with one activation. So
      // that nothing is borrowed from the product above, half its range is added to each: none is negative then. The
      // weights join without carries as w + 2^(WEIGHT_BITS-1), which is taken from them again by the pre-adder.
      localparam bit          Several    = ProductsPerDsp > 1;
      localparam int unsigned JoinedBits = (ProductsPerDsp - 1) * ProductBits + WEIGHT_BITS + 32'(Several);
      localparam int unsigned PackedBits = ProductsPerDsp * ProductBits;
      localparam int unsigned FullBits   = JoinedBits + ACT_BITS + 1;  // with fewer, Yosys takes two slices at times
      localparam bit [WEIGHT_BITS-1:0] WeightOffset  = WEIGHT_BITS'(Several) << (WEIGHT_BITS - 1);
      localparam bit [ProductBits-1:0] ProductOffset = ProductBits'(Several) << (ProductBits - 1);
      localparam bit [PackedBits-1:0]  JoinedOffsets = {ProductsPerDsp{ProductBits'(WeightOffset)}};

      (* use_dsp = "yes" *)
      logic [PackedBits-1:0] packed_q [Groups][SIMD];

      always_ff @(posedge clk) begin
        if (s_axis_tready && valid_q[0]) begin
          automatic logic [PackedBits-1:0] next [Groups][SIMD];
          /*verilator unroll_disable*/ for (int unsigned g = 0; g < Groups; g++) begin
            /*verilator unroll_disable*/ for (int unsigned i = 0; i < SIMD; i++) begin
              automatic logic signed [JoinedBits-1:0] joined = '0;
              for (int unsigned n = 0; n < ProductsPerDsp; n++) begin
                if (g*PE/Groups + n < (g + 1)*PE/Groups) begin
                  joined[n*ProductBits +: WEIGHT_BITS] = weight[g*PE/Groups + n][i] ^ WeightOffset;
                end
              end
              joined -= JoinedBits'(JoinedOffsets);
              next[g][i] = PackedBits'(FullBits'(joined) * FullBits'(act_q[SHARED_ACT != 0 ? 0 : g][i]))
                         + {ProductsPerDsp{ProductOffset}};
            end
          end
          packed_q <= next;
        end
      end

      always_comb begin
        /*verilator unroll_disable*/ for (int unsigned pe = 0; pe < PE; pe++) begin
          automatic int unsigned g = ((pe + 1)*Groups - 1) / PE;
          automatic int unsigned n = pe - g*PE/Groups;
          /*verilator unroll_disable*/ for (int unsigned i = 0; i < Count; i++) begin
            node[pe][i] = Bits'($signed(packed_q[g][i][n*ProductBits +: ProductBits] ^ ProductOffset));
          end
        end
      end
    end
  end

  for (genvar pe = 0; pe < PE; pe++) begin : gen_row
    wire signed [ACC_BITS-1:0] sum = ACC_BITS'(gen_level[Levels].node[pe][0]);

    if (SF > 1) begin : gen_accumulator
      logic signed [ACC_BITS-1:0] acc_q;
      assign m_axis_tdata[pe*ACC_BITS +: ACC_BITS] = acc_q;
      always_ff @(posedge clk) begin
        if (s_axis_tready && valid_q[Stages-1]) acc_q <= first_q[Stages-1] ? sum : acc_q + sum;
      end
    end else begin : gen_no_accumulator
      assign m_axis_tdata[pe*ACC_BITS +: ACC_BITS] = sum;
    end
  end

  if (SF > 1) begin : gen_accumulated
    always_ff @(posedge clk) begin
      if (s_axis_tready) m_axis_tvalid <= valid_q[Stages-1] && last_q[Stages-1];
      if (rst) m_axis_tvalid <= 1'b0;
    end
  end else begin : gen_direct
    assign m_axis_tvalid = valid_q[Stages-1];
  end

endmodule

`default_nettype wire
