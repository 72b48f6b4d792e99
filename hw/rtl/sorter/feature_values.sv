// SPDX-License-Identifier: Apache-2.0
//
// feature_values: from the sums of an event to its features, in a table. Bit-true model: values of sim/bit_true/features.py.
//
//   a b - c d is exact, in two halves, the upper one a cycle behind the lower: C = T Sxy - Sx Sy, A, B, then E = A - B and H = A + B of each
//   channel, then the variance of each channel and the covariance of each pair. Quotients and roots are differences
//   and halves of logarithms. One lane does moments and correlations, the other centres and distances.
//   Handshake   s_event {tag, kept}, then what feature_events says of the event's sums. m_features is valid while the table of an
//               event can be read; ready takes it away. Not kept, or not sound: `invalid`, the table means nothing.
//   value       of value_index, in the cycle behind it; 0 where there is no such feature. Signed 32 bits.
//   Order       as of names() of the model: nine kinds over the channels, two over the pairs.
//   Latency     `Last` + 1 cycles from s_event_tvalid to m_features_tvalid, if no other event is at it and a table is free.
//   Interval    `Last` + 1 cycles; there are two tables.
//   Reset       events under way are forgotten.
//   Overflow    values saturate: total_intensity where compensation leaves 32 bits, correlation at 1; nothing else can.
`default_nettype none

module feature_values
  import feature_tables_pkg::*;
#(
    parameter int unsigned LINE_W      = 40,
    parameter int unsigned C           = 3,
    parameter int unsigned SAMPLE_BITS = 16,
    parameter int unsigned BANKS       = 4,
    localparam int unsigned ColumnBits  = LINE_W > 1 ? $clog2(LINE_W) : 1,
    localparam int unsigned CountBits   = $clog2(LINE_W + 1) + 8,
    localparam int unsigned TotalBits   = SAMPLE_BITS + ColumnBits + 8,
    localparam int unsigned XBits       = TotalBits + ColumnBits,
    localparam int unsigned YBits       = TotalBits + 8,
    localparam int unsigned XxBits      = TotalBits + 2 * ColumnBits,
    localparam int unsigned YyBits      = TotalBits + 16,
    localparam int unsigned XyBits      = XBits + 8,
    localparam int unsigned SquareBits  = TotalBits + SAMPLE_BITS,
    localparam int unsigned Partners    = C > 1 ? C / 2 : 1,
    localparam int unsigned ChannelBits = C > 1 ? $clog2(C) : 1,
    localparam int unsigned BankBits    = $clog2(BANKS)
) (
    input  wire logic                              clk,
    input  wire logic                              rst,

    input  wire logic [8:0]                        s_event_tdata,   // {tag, kept}
    input  wire logic                              s_event_tvalid,
    output logic                                   s_event_tready,

    input  wire logic                              sums_valid,
    input  wire logic [BankBits-1:0]               sums_bank,
    input  wire logic [ChannelBits-1:0]            sums_channel,
    input  wire logic [CountBits-1:0]              sums_size,
    input  wire logic [SAMPLE_BITS-1:0]            sums_largest,
    input  wire logic [TotalBits-1:0]              sums_total,
    input  wire logic [XBits-1:0]                  sums_x,
    input  wire logic [YBits-1:0]                  sums_y,
    input  wire logic [XxBits-1:0]                 sums_xx,
    input  wire logic [YyBits-1:0]                 sums_yy,
    input  wire logic [XyBits-1:0]                 sums_xy,
    input  wire logic [SquareBits-1:0]             sums_square,
    input  wire logic [CountBits-1:0]              sums_union,
    input  wire logic [Partners-1:0][SquareBits-1:0] sums_product,
    input  wire logic                              sums_done,
    input  wire logic                              sound,
    input  wire logic [1:0]                        sums_generation,
    output logic                                   release_bank,

    input  wire logic [1:0]                        generation,
    output logic [2:0]                             matrix_row,
    output logic [2:0]                             matrix_column,
    input  wire logic signed [17:0]                coefficient,     // of that row and column, in the same cycle

    output logic [8:0]                             m_features_tdata,  // {tag, invalid}
    output logic                                   m_features_tvalid,
    input  wire logic                              m_features_tready,
    input  wire logic [7:0]                        value_index,
    output logic [31:0]                            value
);
  localparam int unsigned Pairs      = C * (C - 1) / 2;
  localparam int unsigned PairBits   = 5;
  localparam int unsigned DistanceAt = 3 * C + 12 > 4 * C + 6 + Pairs ? 3 * C + 12 : 4 * C + 6 + Pairs;
  localparam int unsigned LastAlone  = 3 * C + 24 > C * C + 2 ? 3 * C + 24 : C * C + 2;
  localparam int unsigned LastPairs  = DistanceAt + Pairs + 13;
  localparam int unsigned Last       = Pairs > 0 && LastPairs > LastAlone ? LastPairs : LastAlone;
  localparam int unsigned StepBits   = $clog2(Last + 1);
  localparam int unsigned LogBits    = LOG_BITS + 7;

  localparam logic [LogBits-1:0] One = LogBits'(1) << LOG_BITS;

  // ---------------------------------------------------------------- pairs (a, b), a < b: in which word of sums the product is
  function automatic logic [ChannelBits-1:0] pair_a(input logic [PairBits-1:0] pair);
    logic [PairBits-1:0] k;
    pair_a = '0;
    k = '0;
    for (int unsigned a = 0; a < C; a++) begin
      for (int unsigned b = a + 1; b < C; b++) begin
        if (k == pair) pair_a = ChannelBits'(a);
        k = k + 1'b1;
      end
    end
  endfunction

  function automatic logic [ChannelBits-1:0] pair_b(input logic [PairBits-1:0] pair);
    logic [PairBits-1:0] k;
    pair_b = '0;
    k = '0;
    for (int unsigned a = 0; a < C; a++) begin
      for (int unsigned b = a + 1; b < C; b++) begin
        if (k == pair) pair_b = ChannelBits'(b);
        k = k + 1'b1;
      end
    end
  endfunction

  // ---------------------------------------------------------------- which event, which step of it
  typedef enum logic [2:0] {
    Channels,  // C, A, B of each; total, x, y
    Gap,
    Variances,
    Covariances,
    Rest
  } section_e;

  logic                run_q;
  logic [StepBits-1:0] step_q;
  section_e            section_q;
  logic [PairBits-1:0] item_q;
  logic [1:0]          phase_q;
  logic [BankBits-1:0] bank_q;
  logic [BANKS-1:0]    sound_q;
  logic [BANKS-1:0][1:0] generation_q;

  logic [1:0]      tables_q;     // that can be read
  logic            write_table_q, read_table_q;
  logic [1:0][8:0] event_q;

  wire        start    = s_event_tvalid && !run_q && tables_q != 2'd2;
  wire        active   = run_q || (start && s_event_tdata[0]);
  wire        finish   = run_q && step_q == StepBits'(Last);
  wire        publish  = finish || (start && !s_event_tdata[0]);
  wire        take     = m_features_tvalid && m_features_tready;
  wire        invalid  = !finish || !sound_q[bank_q] || generation_q[bank_q] != generation;

  assign s_event_tready    = publish;
  assign release_bank      = finish;
  assign m_features_tvalid = tables_q != '0;
  assign m_features_tdata  = event_q[read_table_q];

  always_ff @(posedge clk) begin
    if (active) begin
      run_q  <= 1'b1;
      step_q <= step_q + 1'b1;
      unique case (section_q)
        Channels: begin
          phase_q <= phase_q == 2'd2 ? 2'd0 : phase_q + 1'b1;
          if (phase_q == 2'd2) begin
            item_q <= item_q == PairBits'(C - 1) ? '0 : item_q + 1'b1;
            if (item_q == PairBits'(C - 1)) section_q <= Gap;
          end
        end
        Gap: section_q <= Variances;
        Variances: begin
          item_q <= item_q == PairBits'(C - 1) ? '0 : item_q + 1'b1;
          if (item_q == PairBits'(C - 1)) section_q <= Pairs > 0 ? Covariances : Rest;
        end
        Covariances: begin
          item_q <= item_q + 1'b1;
          if (item_q == PairBits'(Pairs - 1)) section_q <= Rest;
        end
        default: ;
      endcase
    end
    if (finish) begin
      run_q     <= 1'b0;
      step_q    <= '0;
      section_q <= Channels;
      item_q    <= '0;
      bank_q    <= bank_q + 1'b1;
    end
    if (publish) begin
      event_q[write_table_q] <= {s_event_tdata[8:1], invalid};
      write_table_q          <= !write_table_q;
    end
    if (take) read_table_q <= !read_table_q;
    tables_q <= tables_q + 2'(publish) - 2'(take);
    if (sums_done) begin
      sound_q[sums_bank]      <= sound;
      generation_q[sums_bank] <= sums_generation;
    end
    if (rst) begin
      run_q         <= 1'b0;
      step_q        <= '0;
      section_q     <= Channels;
      item_q        <= '0;
      phase_q       <= '0;
      bank_q        <= '0;
      tables_q      <= '0;
      write_table_q <= 1'b0;
      read_table_q  <= 1'b0;
    end
  end

  // ---------------------------------------------------------------- sums
  typedef struct packed {
    logic [CountBits-1:0]                size;
    logic [TotalBits-1:0]                total;
    logic [XBits-1:0]                    x;
    logic [YBits-1:0]                    y;
    logic [XxBits-1:0]                   xx;
    logic [YyBits-1:0]                   yy;
    logic [XyBits-1:0]                   xy;
    logic [SquareBits-1:0]               square;
    logic [CountBits-1:0]                both;
    logic [Partners-1:0][SquareBits-1:0] products;
  } sums_t;

  sums_t                            sums   [BANKS * 2**ChannelBits];
  logic [TotalBits-1:0]             totals [BANKS * 2**ChannelBits];
  logic [TotalBits+SAMPLE_BITS-1:0] plain  [BANKS * 2**ChannelBits];  // {total, largest}

  always_ff @(posedge clk) begin
    if (sums_valid) begin
      sums[{sums_bank, sums_channel}] <= '{
        size: sums_size, total: sums_total, x: sums_x, y: sums_y, xx: sums_xx, yy: sums_yy, xy: sums_xy,
        square: sums_square, both: sums_union, products: sums_product
      };
      totals[{sums_bank, sums_channel}] <= sums_total;
      plain[{sums_bank, sums_channel}]  <= {sums_total, sums_largest};
    end
  end

  // The word of channel a has the pairs (a, a + 1) .. (a, a + C / 2), modulo C: that of b where the pair is further apart.
  wire [ChannelBits-1:0] slot_a = pair_a(item_q);
  wire [ChannelBits-1:0] slot_b = pair_b(item_q);
  wire [2:0] ahead    = 3'(slot_b - slot_a);
  wire       from_a   = ahead <= 3'(C / 2);
  wire [2:0] partner  = (from_a ? ahead : 3'(C) - ahead) - 3'd1;
  wire       is_pair  = section_q == Covariances;
  wire [ChannelBits-1:0] word_at  = is_pair ? (from_a ? slot_a : slot_b) : ChannelBits'(item_q);
  wire [ChannelBits-1:0] other_at = from_a ? slot_b : slot_a;

  wire sums_t                at    = sums[{bank_q, word_at}];
  wire [TotalBits-1:0]       other = totals[{bank_q, other_at}];
  logic [SquareBits-1:0]     product;

  always_comb begin
    product = at.products[0];
    for (int unsigned d = 1; d < Partners; d++) begin
      if (partner == 3'(d)) product = at.products[d];
    end
  end

  // ---------------------------------------------------------------- a b - c d
  typedef enum logic [2:0] {
    None,
    OpC,
    OpA,
    OpB,
    OpGap,
    OpPlain  // variance, covariance
  } op_e;

  typedef struct packed {
    op_e                 op;
    logic                pair;
    logic [PairBits-1:0] item;
  } slot_t;

  localparam int unsigned Wide = 2 * TotalBits + 16;
  localparam int unsigned Low  = Wide / 2;
  localparam int unsigned High = Wide - Low;

  logic [33:0]   a_q;
  logic [47:0]   b_q, c_q;
  logic [50:0]   d_q;
  slot_t [6:0]   slot_q;
  slot_t         slot;

  always_comb begin
    slot = '{op: None, pair: is_pair, item: item_q};
    if (active) begin
      unique case (section_q)
        Channels:               slot.op = phase_q == 2'd0 ? OpC : phase_q == 2'd1 ? OpA : OpB;
        Gap:                    slot.op = OpGap;
        Variances, Covariances: slot.op = OpPlain;
        default:                slot.op = None;
      endcase
    end
  end

  always_ff @(posedge clk) begin
    slot_q <= {slot_q[5:0], slot};
    if (section_q == Channels) begin
      a_q <= 34'(at.total);
      b_q <= phase_q == 2'd0 ? 48'(at.xy) : phase_q == 2'd1 ? 48'(at.xx) : 48'(at.yy);
      c_q <= phase_q == 2'd2 ? 48'(at.y) : 48'(at.x);
      d_q <= phase_q == 2'd1 ? 51'(at.x) : 51'(at.y);
    end else begin
      a_q <= 34'(at.both);
      b_q <= is_pair ? 48'(product) : 48'(at.square);
      c_q <= 48'(at.total);
      d_q <= is_pair ? 51'(other) : 51'(at.total);
    end
    if (rst) begin
      for (int unsigned i = 0; i < 7; i++) slot_q[i].op <= None;
    end
  end

  // Products of 24 by 17 bits, as multipliers are; first by first, then all.
  logic [1:0][1:0][40:0] ab_q;
  logic [2:0][1:0][40:0] cd_q;
  logic [1:0][64:0]      ab_row_q;
  logic [2:0][64:0]      cd_row_q;

  always_ff @(posedge clk) begin
    for (int unsigned i = 0; i < 2; i++) begin
      for (int unsigned k = 0; k < 2; k++) ab_q[i][k] <= a_q[17*i+:17] * b_q[24*k+:24];
      ab_row_q[i] <= {41'(ab_q[i][0] >> 24) + ab_q[i][1], ab_q[i][0][23:0]};
    end
    for (int unsigned i = 0; i < 3; i++) begin
      for (int unsigned k = 0; k < 2; k++) cd_q[i][k] <= d_q[17*i+:17] * c_q[24*k+:24];
      cd_row_q[i] <= {41'(cd_q[i][0] >> 24) + cd_q[i][1], cd_q[i][0][23:0]};
    end
  end

  wire [Wide-1:0] ab_0  = Wide'(ab_row_q[0]);
  wire [Wide-1:0] ab_1  = Wide'({ab_row_q[1], 17'd0});
  wire [Wide-1:0] cd_0  = Wide'(cd_row_q[0]);
  wire [Wide-1:0] cd_1  = Wide'({cd_row_q[1], 17'd0});
  wire [Wide-1:0] cd_2  = Wide'({cd_row_q[2], 34'd0});
  wire [Wide-1:0] cd_s  = cd_0 ^ cd_1 ^ cd_2;
  wire [Wide-1:0] cd_c  = Wide'({(cd_0 & cd_1) | (cd_1 & cd_2) | (cd_0 & cd_2), 1'b0});

  // Lower halves, with the carry or borrow above them; upper halves, a cycle later.
  logic [Low:0]          ab_low_q, cd_low_q, low_q, out_low_q;
  logic [1:0][High-1:0]  ab_high_q, cd_high_q;
  logic [High-1:0]       ab_sum_q, cd_sum_q, high_q, out_high_q;
  logic [Low-1:0]        c_low_q, a_low_q, b_low_q, out_low_2_q;
  logic [High-1:0]       c_high_q, a_high_q, b_high_q;

  // One carry chain: its lowest bit is the carry.
  function automatic logic [High-1:0] plus(input logic [High-1:0] a, input logic [High-1:0] b, input logic carry);
    return High'(({a, 1'b1} + {b, carry}) >> 1);
  endfunction

  wire op_e op_low  = slot_q[4].op;  // of low_q
  wire op_e op_high = slot_q[5].op;  // of high_q

  always_ff @(posedge clk) begin
    ab_low_q  <= (Low + 1)'(ab_0[Low-1:0]) + (Low + 1)'(ab_1[Low-1:0]);
    cd_low_q  <= (Low + 1)'(cd_s[Low-1:0]) + (Low + 1)'(cd_c[Low-1:0]);
    ab_high_q <= {ab_1[Wide-1:Low], ab_0[Wide-1:Low]};
    cd_high_q <= {cd_c[Wide-1:Low], cd_s[Wide-1:Low]};

    low_q    <= (Low + 1)'(ab_low_q[Low-1:0]) - (Low + 1)'(cd_low_q[Low-1:0]);
    ab_sum_q <= plus(ab_high_q[0], ab_high_q[1], ab_low_q[Low]);
    cd_sum_q <= plus(cd_high_q[0], cd_high_q[1], cd_low_q[Low]);

    high_q <= plus(ab_sum_q, ~cd_sum_q, !low_q[Low]);

    // C when A is there, A - B when B is, A + B one later.
    unique case (op_low)
      OpA:     out_low_q <= (Low + 1)'(c_low_q);
      OpB:     out_low_q <= (Low + 1)'(a_low_q) - (Low + 1)'(low_q[Low-1:0]);
      OpPlain: out_low_q <= (Low + 1)'(low_q[Low-1:0]);
      default: out_low_q <= (Low + 1)'(a_low_q) + (Low + 1)'(b_low_q);
    endcase
    unique case (op_high)
      OpA:     out_high_q <= c_high_q;
      OpB:     out_high_q <= plus(a_high_q, ~high_q, !out_low_q[Low]);
      OpPlain: out_high_q <= high_q;
      default: out_high_q <= plus(a_high_q, b_high_q, out_low_q[Low]);
    endcase
    out_low_2_q <= out_low_q[Low-1:0];
    if (op_low == OpC) c_low_q <= low_q[Low-1:0];
    if (op_low == OpA) a_low_q <= low_q[Low-1:0];
    if (op_low == OpB) b_low_q <= low_q[Low-1:0];
    if (op_high == OpC) c_high_q <= high_q;
    if (op_high == OpA) a_high_q <= high_q;
    if (op_high == OpB) b_high_q <= high_q;
  end

  // ---------------------------------------------------------------- logarithms of the moments' lane
  typedef enum logic [2:0] {
    Nothing,
    Mixed,       // C
    Difference,  // A - B
    Sum,         // A + B
    Variance,
    Covariance
  } result_e;

  typedef struct packed {
    result_e             what;
    logic [PairBits-1:0] item;
  } moment_t;

  moment_t            moment, log_moment;
  logic [LogBits-1:0] log;
  logic               log_negative, log_none;

  always_comb begin
    moment = '{what: Nothing, item: slot_q[6].item};
    unique case (slot_q[6].op)
      OpA:     moment.what = Mixed;
      OpB:     moment.what = Difference;
      OpC:     moment = '{what: slot_q[6].item == '0 ? Nothing : Sum, item: slot_q[6].item - 1'b1};
      OpGap:   moment = '{what: Sum, item: PairBits'(C - 1)};
      OpPlain: moment.what = slot_q[6].pair ? Covariance : Variance;
      default: ;
    endcase
  end

  feature_log2 #(
      .BITS   (Wide),
      .SIGNED (1'b1),
      .SIDE   ($bits(moment_t))
  ) moment_log (
      .clk,
      .number   ({out_high_q, out_low_2_q}),
      .side     (moment),
      .log,
      .negative (log_negative),
      .none     (log_none),
      .log_side (log_moment)
  );

  // ---------------------------------------------------------------- centres and distances: logarithms
  typedef enum logic [2:0] {
    Idle,
    Total,
    CenterX,
    CenterY,
    Distance
  } center_e;

  typedef struct packed {
    center_e             what;
    logic [PairBits-1:0] item;
  } center_t;

  localparam int unsigned CenterBits = XBits > YBits ? XBits : YBits;

  logic [CenterBits-1:0] center_number_q;
  center_t               center_q, log_center;
  logic [LogBits-1:0]    center_log;
  logic                  center_none;

  logic [15:0] center_x [2**ChannelBits];
  logic [15:0] center_y [2**ChannelBits];
  logic        measure_q;                    // pairs of centres are read, one a cycle
  logic [PairBits-1:0] measured_q;
  logic [1:0]  measure_valid_q;
  logic [1:0][PairBits-1:0] measure_item_q;
  logic signed [16:0] apart_x_q, apart_y_q;
  logic [31:0] square_x_q, square_y_q;

  wire [ChannelBits-1:0] end_a = pair_a(measured_q);
  wire [ChannelBits-1:0] end_b = pair_b(measured_q);
  wire [15:0] x_a = center_x[end_a];
  wire [15:0] x_b = center_x[end_b];
  wire [15:0] y_a = center_y[end_a];
  wire [15:0] y_b = center_y[end_b];
  wire        at_distance = Pairs > 0 && step_q == StepBits'(DistanceAt);
  wire        measure = at_distance || measure_q;

  always_ff @(posedge clk) begin
    if (measure) begin
      measure_q  <= measured_q != PairBits'(Pairs - 1);
      measured_q <= measured_q == PairBits'(Pairs - 1) ? '0 : measured_q + 1'b1;
    end
    measure_valid_q <= {measure_valid_q[0], measure};
    measure_item_q  <= {measure_item_q[0], measured_q};
    apart_x_q  <= $signed({1'b0, x_a} - {1'b0, x_b});
    apart_y_q  <= $signed({1'b0, y_a} - {1'b0, y_b});
    square_x_q <= 32'(apart_x_q * apart_x_q);
    square_y_q <= 32'(apart_y_q * apart_y_q);

    center_q.item <= measure_valid_q[1] ? measure_item_q[1] : item_q;
    if (measure_valid_q[1]) begin
      center_q.what   <= Distance;
      center_number_q <= CenterBits'(square_x_q) + CenterBits'(square_y_q);
    end else begin
      center_q.what   <= !active || section_q != Channels ? Idle : phase_q == 2'd0 ? Total : phase_q == 2'd1 ? CenterX : CenterY;
      center_number_q <= phase_q == 2'd0 ? CenterBits'(at.total) : phase_q == 2'd1 ? CenterBits'(at.x) : CenterBits'(at.y);
    end
    if (rst) begin
      measure_q       <= 1'b0;
      measured_q      <= '0;
      measure_valid_q <= '0;
      center_q.what   <= Idle;
    end
  end

  feature_log2 #(
      .BITS   (CenterBits),
      .SIGNED (1'b0),
      .SIDE   ($bits(center_t))
  ) center_logarithm (
      .clk,
      .number   (center_number_q),
      .side     (center_q),
      .log      (center_log),
      /* verilator lint_off PINCONNECTEMPTY */
      .negative (),
      /* verilator lint_on PINCONNECTEMPTY */
      .none     (center_none),
      .log_side (log_center)
  );

  // ---------------------------------------------------------------- centres, distances, correlations: powers
  logic [LogBits-1:0]      total_log [2**ChannelBits];
  logic [2**ChannelBits-1:0] dark_q, flat_q;
  logic [LogBits-1:0]      total_log_q;
  logic [LogBits-1:0]      variance_log [2**ChannelBits];
  logic                    total_dark_q;

  wire [ChannelBits-1:0] dark_a = pair_a(log_center.item);
  wire [ChannelBits-1:0] dark_b = pair_b(log_center.item);
  wire [ChannelBits-1:0] flat_a = pair_a(log_moment.item);
  wire [ChannelBits-1:0] flat_b = pair_b(log_moment.item);

  typedef enum logic [1:0] {
    GivesX,
    GivesY,
    GivesDistance,
    GivesCorrelation
  } gives_e;

  typedef struct packed {
    logic                valid;
    gives_e              what;
    logic                negative;
    logic [PairBits-1:0] item;
  } power_t;

  power_t                     power_q, correlation_q, correlation_2_q, power, powered;
  logic signed [LogBits+1:0]  exponent_q, correlation_exponent_q, exponent;
  logic [LogBits:0]           deviations_q;
  logic [LogBits-1:0]         covariance_q;
  logic                       zero_q, level_q, level_2_q;
  logic [23:0]                power_result;

  always_ff @(posedge clk) begin
    power_q.valid    <= log_center.what == CenterX || log_center.what == CenterY || log_center.what == Distance;
    power_q.what     <= log_center.what == CenterX ? GivesX : log_center.what == CenterY ? GivesY : GivesDistance;
    power_q.negative <= 1'b0;
    power_q.item     <= log_center.item;
    if (log_center.what == Total) begin
      total_log[log_center.item[ChannelBits-1:0]] <= center_log;
      dark_q[log_center.item[ChannelBits-1:0]]    <= center_none;
      total_log_q  <= center_log;
      total_dark_q <= center_none;
    end
    if (log_center.what == Distance) begin
      exponent_q <= $signed((LogBits + 2)'(center_log >> 1));
      zero_q     <= center_none || dark_q[dark_a] || dark_q[dark_b];
    end else begin
      exponent_q <= $signed((LogBits + 2)'(center_log)) - $signed((LogBits + 2)'(total_log_q));
      zero_q     <= center_none || total_dark_q;
    end

    if (log_moment.what == Variance) begin
      variance_log[log_moment.item[ChannelBits-1:0]] <= log;
      flat_q[log_moment.item[ChannelBits-1:0]]       <= log_none;
    end
    correlation_q   <= '{log_moment.what == Covariance, GivesCorrelation, log_negative, log_moment.item};
    deviations_q    <= (LogBits + 1)'(variance_log[flat_a]) + (LogBits + 1)'(variance_log[flat_b]);
    covariance_q    <= log;
    level_q         <= log_none || flat_q[flat_a] || flat_q[flat_b];
    correlation_2_q <= correlation_q;
    correlation_exponent_q <= $signed((LogBits + 2)'(covariance_q)) - $signed((LogBits + 2)'(deviations_q >> 1));
    level_2_q       <= level_q;
    if (rst) begin
      power_q.valid         <= 1'b0;
      correlation_q.valid   <= 1'b0;
      correlation_2_q.valid <= 1'b0;
    end
  end

  assign power    = correlation_2_q.valid ? correlation_2_q : power_q;
  assign exponent = correlation_2_q.valid ? correlation_exponent_q : exponent_q;

  feature_exp2 #(
      .SIDE ($bits(power_t))
  ) center_power (
      .clk,
      .exponent,
      .fraction_bits (power.what == GivesCorrelation ? 5'd16 : power.what == GivesDistance ? 5'd0 : 5'd8),
      .zero          (correlation_2_q.valid ? level_2_q : zero_q),
      .side          (power),
      .result        (power_result),
      .result_side   (powered)
  );

  // ---------------------------------------------------------------- moments and eccentricity
  localparam int unsigned SumRestBits = LOG_BITS - SUM_BITS + 4;

  logic [LogBits-1:0]           mixed_log_q;
  logic                         mixed_none_q;
  wire  [LogBits:0]             fore  = (LogBits + 1)'(log) - (LogBits + 1)'(mixed_log_q);
  wire  [LogBits-1:0]           apart = fore[LogBits] ? mixed_log_q - log : fore[LogBits-1:0];

  logic [6:0]                   shape_valid_q;
  logic [6:0][PairBits-1:0]     shape_item_q;
  logic [6:0]                   round_q;        // D = 0
  logic [6:1]                   point_q;        // H = 0
  logic [LogBits-1:0]           larger_q;
  logic [LOG_BITS+2:0]          apart_q;        // below 8 octaves; twice that is looked up
  logic                         far_q, far_2_q, far_3_q, beyond_q, beyond_2_q;
  (* rom_style = "block", ram_style = "block" *)
  logic [LOG_BITS+SUM_SLOPE_BITS:0] entries [2**SUM_BITS];
  logic [LOG_BITS+SUM_SLOPE_BITS:0] entry_q, entry_2_q;
  logic [SumRestBits-1:0]       rest_q, rest_2_q;
  /* verilator lint_off UNUSEDSIGNAL */  // rounded down
  logic [SUM_SLOPE_BITS+SumRestBits-1:0] fall_q, fall_2_q;
  /* verilator lint_on UNUSEDSIGNAL */
  logic signed [LogBits:0]      over_q;          // log2 H - log2 D, roughly
  logic signed [LogBits+1:0]    twice_q, twice_2_q;
  logic [LogBits-1:0]           sum_log_2_q, sum_log_3_q, sum_log_4_q;
  logic [LogBits-1:0]           odds_q;
  logic signed [LogBits+1:0]    radial_q, radial_2_q, long_base_q, long_q, unbent_q, bend_q, bend_2_q;

  wire [LogBits-1:0] odds = twice_2_q[LogBits+1] ? '0 : LogBits'(twice_2_q >>> 1);
  wire [LOG_BITS:0]  lift = beyond_q ? '0 : entry_2_q[SUM_SLOPE_BITS+:LOG_BITS+1];
  wire signed [LogBits+1:0] drop = $signed((LogBits + 2)'($signed({!lift[LOG_BITS], lift[LOG_BITS-1:0]})));  // lift, at most One, less One
  wire signed [LogBits+1:0] fall = $signed((LogBits + 2)'(beyond_2_q ? '0 : fall_2_q[SumRestBits+:SUM_SLOPE_BITS]));

  initial entries = LOG2_SUM;

  always_ff @(posedge clk) begin
    if (log_moment.what == Mixed) begin
      mixed_log_q  <= log + One;
      mixed_none_q <= log_none;
    end

    // The larger of |E|, 2 |C|, and how many octaves they are apart.
    shape_valid_q <= {shape_valid_q[5:0], log_moment.what == Difference};
    shape_item_q  <= {shape_item_q[5:0], log_moment.item};
    round_q       <= {round_q[5:0], mixed_none_q && log_none};
    larger_q      <= mixed_none_q || (!log_none && !fore[LogBits]) ? log : mixed_log_q;
    far_q         <= mixed_none_q || log_none || apart >= (LogBits'(8) << LOG_BITS);
    apart_q       <= apart[LOG_BITS+2:0];

    // Looked up; log2 H is here now.
    entry_q     <= entries[apart_q[LOG_BITS+2-:SUM_BITS]];
    rest_q      <= {apart_q[SumRestBits-2:0], 1'b0};
    far_2_q     <= far_q;
    over_q      <= $signed((LogBits + 1)'(log)) - $signed((LogBits + 1)'(larger_q));
    sum_log_2_q <= log - One;  // of H itself
    point_q     <= {point_q[5:1], log_none};

    fall_q      <= entry_q[SUM_SLOPE_BITS-1:0] * rest_q;
    far_3_q     <= far_2_q;
    twice_q     <= $signed((LogBits + 2)'({over_q, 1'b0})) - $signed((LogBits + 2)'(far_2_q ? '0 : entry_q[SUM_SLOPE_BITS+:LOG_BITS+1]));
    sum_log_3_q <= sum_log_2_q;

    twice_2_q   <= twice_q + $signed((LogBits + 2)'(far_3_q ? '0 : fall_q[SumRestBits+:SUM_SLOPE_BITS]));
    sum_log_4_q <= sum_log_3_q;

    // log2(1 + D / H)
    odds_q     <= odds;
    beyond_q   <= round_q[3] || odds >= (LogBits'(16) << LOG_BITS);
    entry_2_q  <= entries[odds[LOG_BITS+3-:SUM_BITS]];
    rest_2_q   <= odds[SumRestBits-1:0];
    radial_q   <= $signed((LogBits + 2)'(sum_log_4_q)) - $signed((LogBits + 2)'({total_log[shape_item_q[3][ChannelBits-1:0]], 1'b0}));

    fall_2_q    <= entry_2_q[SUM_SLOPE_BITS-1:0] * rest_2_q;
    beyond_2_q  <= beyond_q;
    radial_2_q  <= radial_q;
    long_base_q <= radial_q + drop;
    unbent_q    <= $signed((LogBits + 2)'(odds_q)) + drop;

    long_q   <= long_base_q - fall;
    bend_q   <= (fall - unbent_q) >>> 1;
    bend_2_q <= bend_q;
    if (rst) shape_valid_q <= '0;
  end

  typedef enum logic [1:0] {
    GivesRadial,
    GivesLong,
    GivesEccentricity
  } shape_e;

  typedef struct packed {
    logic                valid;
    shape_e              what;
    logic [PairBits-1:0] item;
  } shape_t;

  shape_t                    shape, shaped;
  logic                      bend_valid_q, bend_zero_q, shape_zero;
  logic [PairBits-1:0]       bend_item_q;
  logic signed [LogBits+1:0] shape_exponent;
  logic [23:0]               shape_result;

  always_ff @(posedge clk) begin
    bend_valid_q <= shape_valid_q[6];
    bend_item_q  <= shape_item_q[6];
    bend_zero_q  <= round_q[6] || point_q[6];
    if (rst) bend_valid_q <= 1'b0;
  end

  always_comb begin
    shape          = '{shape_valid_q[5], GivesRadial, shape_item_q[5]};
    shape_exponent = radial_2_q;
    shape_zero     = point_q[5];
    if (shape_valid_q[6]) begin
      shape          = '{1'b1, GivesLong, shape_item_q[6]};
      shape_exponent = long_q;
      shape_zero     = point_q[6];
    end
    if (bend_valid_q) begin
      shape          = '{1'b1, GivesEccentricity, bend_item_q};
      shape_exponent = bend_2_q;
      shape_zero     = bend_zero_q;
    end
  end

  feature_exp2 #(
      .SIDE ($bits(shape_t))
  ) moment_power (
      .clk,
      .exponent      (shape_exponent),
      .fraction_bits (shape.what == GivesEccentricity ? 5'd16 : 5'd8),
      .zero          (shape_zero),
      .side          (shape),
      .result        (shape_result),
      .result_side   (shaped)
  );

  // ---------------------------------------------------------------- compensation
  localparam int unsigned MixedBits = TotalBits + 1 + 18 + 3;
  localparam int unsigned PeakBits  = SAMPLE_BITS + 1 + 18 + 3;
  logic                              mix_q;          // more products to come
  logic [2:0]                        row_q, column_q;
  logic                              first_1_q, first_2_q, last_1_q, last_2_q, last_3_q, mix_1_q, mix_2_q;
  logic [ChannelBits-1:0]            row_1_q, row_2_q, row_3_q;
  logic signed [17:0]                coefficient_q;
  logic [TotalBits-1:0]              total_q;
  logic [SAMPLE_BITS-1:0]            largest_q;
  logic signed [MixedBits-1:0]       total_product_q, mixed_q;
  logic signed [PeakBits-1:0]        largest_product_q, peak_q;

  wire                         mix       = (active && !run_q) || mix_q;
  wire [TotalBits+SAMPLE_BITS-1:0] source = plain[{bank_q, column_q[ChannelBits-1:0]}];
  wire signed [63:0]           mixed     = 64'(mixed_q >>> 14);
  wire                         fits      = mixed[63:31] == '0 || mixed[63:31] == '1;
  wire [31:0]                  saturated = fits ? mixed[31:0] : {mixed[63], {31{!mixed[63]}}};
  wire [31:0]                  peak      = 32'(peak_q >>> 14);

  assign matrix_row    = row_q;
  assign matrix_column = column_q;

  always_ff @(posedge clk) begin
    if (mix) begin
      column_q <= column_q == 3'(C - 1) ? '0 : column_q + 1'b1;
      if (column_q == 3'(C - 1)) row_q <= row_q == 3'(C - 1) ? '0 : row_q + 1'b1;
      mix_q <= !(column_q == 3'(C - 1) && row_q == 3'(C - 1));
    end
    mix_1_q       <= mix;
    first_1_q     <= column_q == '0;
    last_1_q      <= mix && column_q == 3'(C - 1);
    row_1_q       <= row_q[ChannelBits-1:0];
    coefficient_q <= coefficient;
    total_q       <= source[TotalBits+SAMPLE_BITS-1:SAMPLE_BITS];
    largest_q     <= source[SAMPLE_BITS-1:0];

    mix_2_q           <= mix_1_q;
    first_2_q         <= first_1_q;
    last_2_q          <= last_1_q;
    row_2_q           <= row_1_q;
    total_product_q   <= MixedBits'(coefficient_q * $signed({1'b0, total_q}));
    largest_product_q <= PeakBits'(coefficient_q * $signed({1'b0, largest_q}));

    last_3_q <= last_2_q;
    row_3_q  <= row_2_q;
    if (mix_2_q) begin
      mixed_q <= total_product_q + (first_2_q ? MixedBits'(64'sd8192) : mixed_q);
      peak_q  <= largest_product_q + (first_2_q ? PeakBits'(64'sd8192) : peak_q);
    end
    if (rst) begin
      mix_q    <= 1'b0;
      row_q    <= '0;
      column_q <= '0;
      last_1_q <= 1'b0;
      last_2_q <= 1'b0;
      last_3_q <= 1'b0;
    end
  end

  // ---------------------------------------------------------------- tables
  localparam int unsigned ShapeBits = $clog2(3 * C);
  localparam int unsigned PowerBits = $clog2(2 * C + 2 * Pairs) > 2 ? $clog2(2 * C + 2 * Pairs) : 2;
  logic [CountBits-1:0] sizes     [2 * 2**ChannelBits];
  logic [31:0]          totals_out [2 * 2**ChannelBits];
  logic [31:0]          peaks     [2 * 2**ChannelBits];
  logic [23:0]          shorts    [2 * 2**ChannelBits];
  logic [23:0]          shapes    [2 * 2**ShapeBits];   // long, radial, eccentricity
  logic [24:0]          powers    [2 * 2**PowerBits];   // centres x, y, distances, correlations
  logic [23:0]          radial_value_q, long_value_q;
  logic                 short_q;
  logic [ChannelBits-1:0] short_item_q;

  wire [23:0] limited = powered.what == GivesCorrelation && power_result > 24'h01_0000 ? 24'h01_0000 : power_result;
  wire [24:0] signed_power = powered.negative ? -25'(limited) : 25'(limited);

  logic [PowerBits-1:0] power_at;
  logic [ShapeBits-1:0] shape_at;

  always_comb begin
    unique case (powered.what)
      GivesX:        power_at = PowerBits'(powered.item);
      GivesY:        power_at = PowerBits'(C) + PowerBits'(powered.item);
      GivesDistance: power_at = PowerBits'(2 * C) + PowerBits'(powered.item);
      default:       power_at = PowerBits'(2 * C + Pairs) + PowerBits'(powered.item);
    endcase
    unique case (shaped.what)
      GivesLong:   shape_at = ShapeBits'(shaped.item);
      GivesRadial: shape_at = ShapeBits'(C) + ShapeBits'(shaped.item);
      default:     shape_at = ShapeBits'(2 * C) + ShapeBits'(shaped.item);
    endcase
  end

  always_ff @(posedge clk) begin
    if (active && section_q == Channels) sizes[{write_table_q, item_q[ChannelBits-1:0]}] <= at.size;
    if (last_3_q) totals_out[{write_table_q, row_3_q}] <= saturated;
    if (last_3_q) peaks[{write_table_q, row_3_q}] <= peak;
    if (shaped.valid) shapes[{write_table_q, shape_at}] <= shape_result;
    if (shaped.valid && shaped.what == GivesRadial) radial_value_q <= shape_result;
    long_value_q <= shape_result;
    short_q      <= shaped.valid && shaped.what == GivesLong;
    short_item_q <= shaped.item[ChannelBits-1:0];
    if (short_q) shorts[{write_table_q, short_item_q}] <= long_value_q > radial_value_q ? '0 : radial_value_q - long_value_q;
    if (powered.valid) powers[{write_table_q, power_at}] <= signed_power;
    if (powered.valid && powered.what == GivesX) center_x[powered.item[ChannelBits-1:0]] <= power_result[15:0];
    if (powered.valid && powered.what == GivesY) center_y[powered.item[ChannelBits-1:0]] <= power_result[15:0];
    if (rst) short_q <= 1'b0;
  end

  // Where a feature lies: its kind, and its place among those of that kind.
  localparam int unsigned Features = 9 * C + 2 * Pairs;
  logic [3:0] kind;
  logic [PowerBits-1:0] place;

  always_comb begin
    kind  = 4'd15;
    place = '0;
    for (int unsigned k = 0; k < 9; k++) begin
      for (int unsigned c = 0; c < C; c++) begin
        if (value_index == 8'(k * C + c)) begin
          kind  = 4'(k);
          place = PowerBits'(c);
        end
      end
    end
    for (int unsigned k = 0; k < 2; k++) begin
      for (int unsigned pair = 0; pair < Pairs; pair++) begin
        if (value_index == 8'(9 * C + k * Pairs + pair)) begin
          kind  = 4'(9 + k);
          place = PowerBits'(pair);
        end
      end
    end
  end

  logic [PowerBits-1:0] power_read;
  logic [ShapeBits-1:0] shape_read;
  always_comb begin
    unique case (kind)
      4'd4:    power_read = PowerBits'(C) + place;
      4'd9:    power_read = PowerBits'(2 * C) + place;
      4'd10:   power_read = PowerBits'(2 * C + Pairs) + place;
      default: power_read = place;
    endcase
    unique case (kind)
      4'd7:    shape_read = ShapeBits'(C) + ShapeBits'(place);
      4'd8:    shape_read = ShapeBits'(2 * C) + ShapeBits'(place);
      default: shape_read = ShapeBits'(place);
    endcase
  end

  wire [ChannelBits-1:0] channel_read = place[ChannelBits-1:0];
  wire signed [24:0]     power_value  = $signed(powers[{read_table_q, power_read}]);

  always_ff @(posedge clk) begin
    unique case (kind)
      4'd0:                      value <= 32'(sizes[{read_table_q, channel_read}]);
      4'd1:                      value <= peaks[{read_table_q, channel_read}];
      4'd2:                      value <= totals_out[{read_table_q, channel_read}];
      4'd3, 4'd4, 4'd9, 4'd10:   value <= 32'(power_value);
      4'd5, 4'd7, 4'd8:          value <= 32'(shapes[{read_table_q, shape_read}]);
      4'd6:                      value <= 32'(shorts[{read_table_q, channel_read}]);
      default:                   value <= '0;
    endcase
  end

  // Two results never want the same place at once, and none is under way when an event begins.
  assert property (@(posedge clk) disable iff (rst) !correlation_2_q.valid || !power_q.valid);
  assert property (@(posedge clk) disable iff (rst) !finish || (!powered.valid || step_q == StepBits'(Last)));
  assert property (@(posedge clk) disable iff (rst) !sums_valid || 9'(Features) <= 9'd128);

endmodule

`default_nettype wire
