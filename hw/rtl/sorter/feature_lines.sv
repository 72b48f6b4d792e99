// SPDX-License-Identifier: Apache-2.0
//
// feature_lines: the sums of each line that features are made of, kept for the last LINES lines. Bit-true model: line_sums of
// sim/bit_true/features.py.
//
//   For each channel of a line: pixels of its mask, largest, sum, sum of x, of x^2, of the square of the masked samples; for each pair the
//   sum of products; pixels of the union of all masks.
//   Handshake   beats, one a cycle at most; lane 0 is the lowest column, at the LSB, channel 0 at the LSB of a pixel. A line
//               ends with beat_end, whether it has all its beats or not; lanes past LINE_W are not looked at.
//   Lines       are counted from 0 after reset, modulo 256, by their beat_end. `done` is the first line that is not there yet.
//   Reading     read_line, read_channel: the word of that channel two cycles later. It says of which line it is and with which
//               generation of settings that line began: what lies LINES lines back is overwritten.
//               word_product: of the pairs (channel, channel + 1), (channel, channel + 2) .. modulo C, the first at the LSB.
//   Latency     C + 5 cycles, and ceil(log4 P), from beat_end to `done`. A beat a cycle.
//   Overflow    none of the sums. A line that ends less than C cycles behind the one before is `lost` (a pulse): it is counted,
//               but its words are those of an earlier line.
//   Reset       lines in flight are forgotten, `done` is 0.
`default_nettype none

module feature_lines #(
    parameter int unsigned LINE_W      = 40,
    parameter int unsigned C           = 3,
    parameter int unsigned SAMPLE_BITS = 16,
    parameter int unsigned P           = 1,
    parameter int unsigned LINES       = 128,  // a power of two
    localparam int unsigned ColumnBits  = LINE_W > 1 ? $clog2(LINE_W) : 1,
    localparam int unsigned CountBits   = $clog2(LINE_W + 1),
    localparam int unsigned TotalBits   = SAMPLE_BITS + ColumnBits,
    localparam int unsigned XBits       = TotalBits + ColumnBits,
    localparam int unsigned XxBits      = TotalBits + 2 * ColumnBits,
    localparam int unsigned SquareBits  = TotalBits + SAMPLE_BITS,
    localparam int unsigned Partners    = C > 1 ? C / 2 : 1,
    localparam int unsigned ChannelBits = C > 1 ? $clog2(C) : 1
) (
    input  wire logic                             clk,
    input  wire logic                             rst,

    input  wire logic [C*SAMPLE_BITS-1:0]         background,
    input  wire logic [C*SAMPLE_BITS-1:0]         threshold,
    input  wire logic [1:0]                       generation,

    input  wire logic                             beat_valid,
    input  wire logic [P*C*SAMPLE_BITS-1:0]       beat_data,
    input  wire logic                             beat_end,

    /* verilator lint_off UNUSEDSIGNAL */  // fewer lines are kept than can be told apart
    input  wire logic [7:0]                       read_line,
    /* verilator lint_on UNUSEDSIGNAL */
    input  wire logic [ChannelBits-1:0]           read_channel,
    output logic [7:0]                            word_line,
    output logic [1:0]                            word_generation,
    output logic [CountBits-1:0]                  word_size,
    output logic [SAMPLE_BITS-1:0]                word_largest,
    output logic [TotalBits-1:0]                  word_total,
    output logic [XBits-1:0]                      word_x,
    output logic [XxBits-1:0]                     word_xx,
    output logic [SquareBits-1:0]                 word_square,
    output logic [CountBits-1:0]                  word_union,
    output logic [Partners-1:0][SquareBits-1:0]   word_product,

    output logic [7:0]                            done,
    output logic                                  lost
);
  if (LINE_W < 1 || LINE_W > 256 || C < 1 || C > 8 || SAMPLE_BITS < 1 || SAMPLE_BITS > 16) begin : gen_size_error
    $error("feature_lines: lines of 1 to 256 pixels of 1 to 8 channels of 1 to 16 bits");
  end
  if (P < 1) begin : gen_lane_error
    $error("feature_lines: P must be at least 1");
  end
  if (LINES < 8 || LINES > 256 || (LINES & (LINES - 1)) != 0) begin : gen_depth_error
    $error("feature_lines: LINES must be a power of two from 8 to 256");
  end

  localparam int unsigned LaneStages = ($clog2(P) + 1) / 2;  // of adder_tree
  localparam int unsigned StepBits   = ColumnBits + 1;
  localparam int unsigned SlotBits   = $clog2(LINES);

  typedef struct packed {
    logic       valid, first, last;
    logic [1:0] generation;
  } beat_t;

  typedef struct packed {
    logic [7:0]                          line;
    logic [1:0]                          generation;
    logic [CountBits-1:0]                size;
    logic [SAMPLE_BITS-1:0]              largest;
    logic [TotalBits-1:0]                total;
    logic [XBits-1:0]                    x;
    logic [XxBits-1:0]                   xx;
    logic [SquareBits-1:0]               square;
    logic [CountBits-1:0]                both;
    logic [Partners-1:0][SquareBits-1:0] products;
  } word_t;

  // ---------------------------------------------------------------- what goes beside the beats
  beat_t [2:0]         beat_q;        // subtracted, masked, multiplied
  logic                first_q;       // the next beat is the first of its line
  logic [1:0]          generation_q;  // of the line at hand
  logic [StepBits-1:0] column_q;      // of the next beat's lane 0

  wire [1:0] line_generation = first_q ? generation : generation_q;

  always_ff @(posedge clk) begin
    beat_q <= {beat_q[1:0], beat_t'{beat_valid, first_q, beat_end, line_generation}};
    if (beat_valid) begin
      first_q      <= beat_end;
      generation_q <= line_generation;
      column_q     <= beat_end ? '0 : column_q + StepBits'(P);
    end
    if (rst) begin
      first_q  <= 1'b1;
      column_q <= '0;
      for (int unsigned i = 0; i < 3; i++) beat_q[i].valid <= 1'b0;
    end
  end

  wire beat_t beat = beat_q[2];

  // ---------------------------------------------------------------- background, mask
  logic [P-1:0][C-1:0][SAMPLE_BITS-1:0] value_q, image_q, image_2_q;
  logic [P-1:0][C-1:0]                  mask_q, mask_2_q;
  logic [P-1:0]                         inside_q;
  logic [P-1:0][ColumnBits-1:0]         column_1_q, column_2_q;
  logic [P-1:0][2*ColumnBits-1:0]       column_square_q;

  for (genvar i = 0; i < P; i++) begin : gen_lane
    wire [StepBits-1:0] column = column_q + StepBits'(i);
    always_ff @(posedge clk) begin
      inside_q[i]        <= column < StepBits'(LINE_W);
      column_1_q[i]      <= ColumnBits'(column);
      column_2_q[i]      <= column_1_q[i];
      column_square_q[i] <= column_1_q[i] * column_1_q[i];
    end
    for (genvar c = 0; c < C; c++) begin : gen_channel
      wire [SAMPLE_BITS-1:0] sample = beat_data[(i*C+c)*SAMPLE_BITS+:SAMPLE_BITS];
      wire [SAMPLE_BITS-1:0] dark   = background[c*SAMPLE_BITS+:SAMPLE_BITS];
      wire [SAMPLE_BITS:0]   over   = {1'b0, sample} - {1'b0, dark};  // its top bit: darker than dark
      wire                   masked = inside_q[i] && value_q[i][c] >= threshold[c*SAMPLE_BITS+:SAMPLE_BITS];
      always_ff @(posedge clk) begin
        value_q[i][c] <= over[SAMPLE_BITS] ? '0 : over[SAMPLE_BITS-1:0];
        mask_q[i][c]  <= masked;
        image_q[i][c] <= masked ? value_q[i][c] : '0;
      end
    end
  end

  always_ff @(posedge clk) begin
    mask_2_q  <= mask_q;
    image_2_q <= image_q;
  end

  // ---------------------------------------------------------------- sums of each lane
  // Those of products are signed, so that a multiplier's own accumulator does them.
  typedef struct packed {
    logic [CountBits-1:0]                size;
    logic [SAMPLE_BITS-1:0]              largest;
    logic [TotalBits-1:0]                total;
    logic [XBits-1:0]                    x;
    logic [XxBits-1:0]                   xx;
    logic [SquareBits-1:0]               square;
    logic [Partners-1:0][SquareBits-1:0] products;
  } lane_t;

  lane_t [C-1:0][P-1:0]       sum, line_q;       // of the line at hand, of the line that is written
  logic  [P-1:0][CountBits-1:0] both_q, line_both_q;
  logic  [7:0]                number_q, line_number_q;
  logic  [1:0]                line_generation_q;

  for (genvar i = 0; i < P; i++) begin : gen_sums
    always_ff @(posedge clk) begin
      if (beat.valid) both_q[i] <= CountBits'(|mask_2_q[i]) + (beat.first ? '0 : both_q[i]);
    end
    for (genvar c = 0; c < C; c++) begin : gen_channel
      logic        [CountBits-1:0]     size_q;
      logic        [SAMPLE_BITS-1:0]   largest_q;
      logic        [TotalBits-1:0]     total_q;
      logic signed [SAMPLE_BITS+ColumnBits+1:0]   by_x_q;
      logic signed [SAMPLE_BITS+2*ColumnBits+1:0] by_xx_q;
      logic signed [2*SAMPLE_BITS+1:0] squared_q;
      logic signed [47:0]              x_q, xx_q, square_q;

      wire signed [SAMPLE_BITS:0]   image   = $signed({1'b0, image_q[i][c]});

      always_ff @(posedge clk) begin
        by_x_q    <= image * $signed({1'b0, column_2_q[i]});
        by_xx_q   <= image * $signed({1'b0, column_square_q[i]});
        squared_q <= image * image;
        if (beat.valid) begin
          size_q    <= CountBits'(mask_2_q[i][c]) + (beat.first ? '0 : size_q);
          total_q   <= TotalBits'(image_2_q[i][c]) + (beat.first ? '0 : total_q);
          x_q       <= (beat.first ? 48'sd0 : x_q) + 48'(by_x_q);
          xx_q      <= (beat.first ? 48'sd0 : xx_q) + 48'(by_xx_q);
          square_q  <= (beat.first ? 48'sd0 : square_q) + 48'(squared_q);
        end
        if (beat.valid && (beat.first || image_2_q[i][c] > largest_q)) largest_q <= image_2_q[i][c];
      end
      assign sum[c][i].size    = size_q;
      assign sum[c][i].largest = largest_q;
      assign sum[c][i].total   = total_q;
      assign sum[c][i].x       = x_q[XBits-1:0];
      assign sum[c][i].xx      = xx_q[XxBits-1:0];
      assign sum[c][i].square  = square_q[SquareBits-1:0];

      for (genvar d = 0; d < Partners; d++) begin : gen_partner
        if (C == 1 || (2 * (d + 1) == C && 2 * c >= C)) begin : gen_none  // no pair, or one that the other channel's word has
          assign sum[c][i].products[d] = '0;
        end else begin : gen_product
          logic signed [2*SAMPLE_BITS+1:0] multiplied_q;
          logic signed [47:0]              product_q;
          wire signed [SAMPLE_BITS:0]      partner = $signed({1'b0, image_q[i][(c+d+1)%C]});
          always_ff @(posedge clk) begin
            multiplied_q <= image * partner;
            if (beat.valid) product_q <= (beat.first ? 48'sd0 : product_q) + 48'(multiplied_q);
          end
          assign sum[c][i].products[d] = product_q[SquareBits-1:0];
          wire unused = &{product_q[47:SquareBits], 1'b0};
        end
      end
      wire unused = &{x_q[47:XBits], xx_q[47:XxBits], square_q[47:SquareBits], 1'b0};
    end
  end

  // ---------------------------------------------------------------- a channel a cycle: over its lanes, into the ring
  typedef struct packed {
    logic                   valid, last;
    logic [ChannelBits-1:0] channel;
    logic [7:0]             line;
    logic [1:0]             generation;
  } step_t;

  logic                   ended_q;    // `sum` is that of a whole line
  logic [7:0]             ended_number_q;
  logic [1:0]             ended_generation_q;
  logic                   send_q;
  logic [ChannelBits-1:0] channel_q;
  logic [3:0]             skipped_q;  // lines lost while one is written
  logic [P-1:0][CountBits-1:0] both_1_q;
  lane_t [P-1:0]          lane_q;
  step_t [LaneStages:0]   step_q;
  logic [LaneStages:0][3:0] missing_q;
  word_t                  sent;

  wire at_last = channel_q == ChannelBits'(C - 1);
  wire take    = ended_q && (!send_q || at_last);

  assign lost = ended_q && !take;

  always_ff @(posedge clk) begin
    ended_q <= beat.valid && beat.last;
    if (beat.valid && beat.last) begin
      number_q           <= number_q + 1'b1;
      ended_number_q     <= number_q;
      ended_generation_q <= beat.generation;
    end
    if (take) begin
      line_q            <= sum;
      line_both_q       <= both_q;
      line_number_q     <= ended_number_q;
      line_generation_q <= ended_generation_q;
      send_q            <= 1'b1;
    end else if (at_last) begin
      send_q <= 1'b0;
    end
    if (send_q) begin
      channel_q <= at_last ? '0 : channel_q + 1'b1;
      skipped_q <= at_last ? '0 : skipped_q + 4'(lost);
    end
    lane_q   <= line_q[channel_q];
    both_1_q <= line_both_q;
    for (int unsigned i = 1; i <= LaneStages; i++) begin
      step_q[i]    <= step_q[i-1];
      missing_q[i] <= missing_q[i-1];
    end
    step_q[0]    <= '{send_q, at_last, channel_q, line_number_q, line_generation_q};
    missing_q[0] <= skipped_q;
    if (step_q[LaneStages].valid && step_q[LaneStages].last) done <= done + 8'd1 + 8'(missing_q[LaneStages]);
    if (rst) begin
      ended_q   <= 1'b0;
      send_q    <= 1'b0;
      channel_q <= '0;
      number_q  <= '0;
      skipped_q <= '0;
      done      <= '0;
      for (int unsigned i = 0; i <= LaneStages; i++) step_q[i].valid <= 1'b0;
    end
  end

  logic [P-1:0][SAMPLE_BITS-1:0]              lane_largest;
  logic [P-1:0][CountBits-1:0]                lane_size;
  logic [P-1:0][TotalBits-1:0]                lane_total;
  logic [P-1:0][XBits-1:0]                    lane_x;
  logic [P-1:0][XxBits-1:0]                   lane_xx;
  logic [P-1:0][SquareBits-1:0]               lane_square;
  logic [Partners-1:0][P-1:0][SquareBits-1:0] lane_product;
  /* verilator lint_off UNUSEDSIGNAL */  // a line's sums are not larger than a lane's could be
  logic [Partners-1:0][SquareBits+$clog2(P)-1:0] over_product;
  logic [CountBits+$clog2(P)-1:0]             over_size, over_both;
  logic [TotalBits+$clog2(P)-1:0]             over_total;
  logic [XBits+$clog2(P)-1:0]                 over_x;
  logic [XxBits+$clog2(P)-1:0]                over_xx;
  logic [SquareBits+$clog2(P)-1:0]            over_square;
  /* verilator lint_on UNUSEDSIGNAL */

  for (genvar i = 0; i < P; i++) begin : gen_over
    assign lane_largest[i] = lane_q[i].largest;
    assign lane_size[i]    = lane_q[i].size;
    assign lane_total[i]   = lane_q[i].total;
    assign lane_x[i]       = lane_q[i].x;
    assign lane_xx[i]      = lane_q[i].xx;
    assign lane_square[i]  = lane_q[i].square;
    for (genvar d = 0; d < Partners; d++) begin : gen_partner
      assign lane_product[d][i] = lane_q[i].products[d];
    end
  end

  adder_tree #(.N(P), .BITS(CountBits)) size_tree (.clk, .values(lane_size), .total(over_size));
  adder_tree #(.N(P), .BITS(CountBits)) both_tree (.clk, .values(both_1_q), .total(over_both));
  adder_tree #(.N(P), .BITS(TotalBits)) total_tree (.clk, .values(lane_total), .total(over_total));
  adder_tree #(.N(P), .BITS(XBits)) x_tree (.clk, .values(lane_x), .total(over_x));
  adder_tree #(.N(P), .BITS(XxBits)) xx_tree (.clk, .values(lane_xx), .total(over_xx));
  adder_tree #(.N(P), .BITS(SquareBits)) square_tree (.clk, .values(lane_square), .total(over_square));
  for (genvar d = 0; d < Partners; d++) begin : gen_product_tree
    adder_tree #(.N(P), .BITS(SquareBits)) product_tree (.clk, .values(lane_product[d]), .total(over_product[d]));
  end

  function automatic logic [SAMPLE_BITS-1:0] larger(input logic [SAMPLE_BITS-1:0] a, input logic [SAMPLE_BITS-1:0] b);
    return a > b ? a : b;
  endfunction

  logic [LaneStages:0][P-1:0][SAMPLE_BITS-1:0] most;  // four a stage, as the trees
  assign most[0] = lane_largest;
  for (genvar s = 1; s <= LaneStages; s++) begin : gen_most
    for (genvar i = 0; i < P; i++) begin : gen_most_lane
      if (4 * i < P) begin : gen_four
        always_ff @(posedge clk) begin
          most[s][i] <= larger(
              larger(most[s-1][4*i], most[s-1][(4*i+1)%P]), larger(most[s-1][(4*i+2)%P], most[s-1][(4*i+3)%P])
          );
        end
      end else begin : gen_none
        assign most[s][i] = '0;
      end
    end
  end

  word_t ring [LINES * 2**ChannelBits];
  word_t word_1_q, word_q;

  /* verilator lint_off UNUSEDSIGNAL */  // last
  wire step_t step = step_q[LaneStages];
  /* verilator lint_on UNUSEDSIGNAL */

  always_comb begin
    sent.line       = step.line;
    sent.generation = step.generation;
    sent.size       = CountBits'(over_size);
    sent.largest    = most[LaneStages][0];
    sent.total      = TotalBits'(over_total);
    sent.x          = XBits'(over_x);
    sent.xx         = XxBits'(over_xx);
    sent.square     = SquareBits'(over_square);
    sent.both       = CountBits'(over_both);
    for (int unsigned d = 0; d < Partners; d++) sent.products[d] = SquareBits'(over_product[d]);
  end

  wire [SlotBits+ChannelBits-1:0] write_address = {step.line[SlotBits-1:0], step.channel};
  wire [SlotBits+ChannelBits-1:0] read_address  = {read_line[SlotBits-1:0], read_channel};

  always_ff @(posedge clk) begin
    if (step.valid) ring[write_address] <= sent;
    word_1_q <= ring[read_address];
    word_q   <= word_1_q;
  end

  assign word_line       = word_q.line;
  assign word_generation = word_q.generation;
  assign word_size       = word_q.size;
  assign word_largest    = word_q.largest;
  assign word_total      = word_q.total;
  assign word_x          = word_q.x;
  assign word_xx         = word_q.xx;
  assign word_square     = word_q.square;
  assign word_union      = word_q.both;
  assign word_product    = word_q.products;

endmodule

`default_nettype wire
