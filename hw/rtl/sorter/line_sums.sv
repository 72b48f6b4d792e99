// SPDX-License-Identifier: Apache-2.0
//
// line_sums: the weighted sum of each line, and its moment about column 0. Bit-true model: sim/bit_true/event.py.
//
//   line_sum    = the sum over columns first_column .. last_column and all channels of weight * sample,
//   line_moment = the same of column * weight * sample.
//   Handshake   beats as of line_input, one a cycle at most; line_* in one cycle for each line.
//   Latency     `Latency` cycles from beat_end to line_valid, and from line_stopped to stopped.
//   Interval    a beat a cycle; where a line is one beat, a line a cycle.
//   Weights, columns   taken with each beat: to be changed between lines.
//   Reset       lines in flight are forgotten.
//   Cost        a multiplier for each sample of a beat, and one for the column.
`default_nettype none

module line_sums #(
    parameter int unsigned LINE_W      = 40,
    parameter int unsigned C           = 3,
    parameter int unsigned SAMPLE_BITS = 16,
    parameter int unsigned P           = 1,
    localparam int unsigned SumBits    = SAMPLE_BITS + 8 + $clog2(C * LINE_W),
    localparam int unsigned ColumnBits = LINE_W > 1 ? $clog2(LINE_W) : 1,
    localparam int unsigned MomentBits = SumBits + ColumnBits
) (
    input  wire logic                       clk,
    input  wire logic                       rst,

    input  wire logic [C*8-1:0]             weights,        // channel 0 at the LSB
    input  wire logic [15:0]                first_column,
    input  wire logic [15:0]                last_column,

    input  wire logic                       beat_valid,
    input  wire logic [P*C*SAMPLE_BITS-1:0] beat_data,
    input  wire logic                       beat_end,
    input  wire logic                       beat_bad,
    input  wire logic [47:0]                beat_time,
    input  wire logic                       line_stopped,

    output logic                            line_valid,
    output logic [SumBits-1:0]              line_sum,
    output logic [MomentBits-1:0]           line_moment,
    output logic                            line_bad,
    output logic [47:0]                     line_time,
    output logic                            stopped
);
  localparam int unsigned ProductBits  = SAMPLE_BITS + 8;
  localparam int unsigned PixelSumBits = ProductBits + $clog2(C);
  localparam int unsigned BeatSumBits  = PixelSumBits + $clog2(P);
  localparam int unsigned LaneBits     = P > 1 ? $clog2(P) : 1;
  localparam int unsigned CounterBits  = ColumnBits + 1;  // the column behind the last beat of a line too long for P
  localparam int unsigned ChannelStages = ($clog2(C) + 1) / 2;
  localparam int unsigned LaneStages    = ($clog2(P) + 1) / 2;
  localparam int unsigned TreeLatency   = 1 + ChannelStages + LaneStages;  // products, and their sums
  localparam int unsigned Latency       = TreeLatency + 3;  // times the column, moment of the beat, of the line

  // ---------------------------------------------------------------- products
  logic [CounterBits-1:0]     column_q;  // of the beat's first pixel
  logic [P*C*ProductBits-1:0] product_q;

  always_ff @(posedge clk) begin
    if (beat_valid) column_q <= beat_end ? '0 : column_q + CounterBits'(P);
    if (rst) column_q <= '0;
  end

  for (genvar i = 0; i < P; i++) begin : gen_lane
    wire [16:0] column  = 17'(column_q) + 17'(i);
    wire        summed  = column >= {1'b0, first_column} && column <= {1'b0, last_column};
    for (genvar c = 0; c < C; c++) begin : gen_channel
      localparam int unsigned At = i * C + c;
      always_ff @(posedge clk) begin
        product_q[At*ProductBits+:ProductBits] <= beat_data[At*SAMPLE_BITS+:SAMPLE_BITS] * weights[c*8+:8];
        if (!summed) product_q[At*ProductBits+:ProductBits] <= '0;
      end
    end
  end

  // ---------------------------------------------------------------- sums over channels, over the pixels of a beat
  logic [P*PixelSumBits-1:0] pixel_sum;
  for (genvar i = 0; i < P; i++) begin : gen_pixel
    adder_tree #(
        .N    (C),
        .BITS (ProductBits)
    ) over_channels (
        .clk,
        .values (product_q[i*C*ProductBits+:C*ProductBits]),
        .total  (pixel_sum[i*PixelSumBits+:PixelSumBits])
    );
  end

  logic [BeatSumBits-1:0]               beat_sum;
  logic [LaneBits-1:0][BeatSumBits-1:0] odd_sum;  // of the pixels whose place in the beat has that bit set

  adder_tree #(
      .N    (P),
      .BITS (PixelSumBits)
  ) over_beat (
      .clk,
      .values (pixel_sum),
      .total  (beat_sum)
  );

  for (genvar b = 0; b < LaneBits; b++) begin : gen_bit
    logic [P*PixelSumBits-1:0] chosen;
    for (genvar i = 0; i < P; i++) begin : gen_chosen
      assign chosen[i*PixelSumBits+:PixelSumBits] = (i >> b) % 2 == 1 ? pixel_sum[i*PixelSumBits+:PixelSumBits] : '0;
    end
    adder_tree #(
        .N    (P),
        .BITS (PixelSumBits)
    ) over_chosen (
        .clk,
        .values (chosen),
        .total  (odd_sum[b])
    );
  end

  // ---------------------------------------------------------------- what goes beside them
  logic [CounterBits-1:0]   column;
  logic [Latency-1:0][47:0] time_in;
  logic [Latency-1:0]       valid_q, end_q, bad_q, stopped_q;
  logic [TreeLatency-1:0][CounterBits-1:0] column_in;

  always_ff @(posedge clk) begin
    column_in[0] <= column_q;
    for (int unsigned i = 1; i < TreeLatency; i++) column_in[i] <= column_in[i-1];
    time_in[0] <= beat_time;
    for (int unsigned i = 1; i < Latency; i++) time_in[i] <= time_in[i-1];
    valid_q   <= {valid_q[Latency-2:0], beat_valid};
    end_q     <= {end_q[Latency-2:0], beat_valid && beat_end};
    bad_q     <= {bad_q[Latency-2:0], beat_bad};
    stopped_q <= {stopped_q[Latency-2:0], line_stopped};
    if (rst) begin
      valid_q   <= '0;
      end_q     <= '0;
      stopped_q <= '0;
    end
  end

  assign column     = column_in[TreeLatency-1];
  assign line_valid = end_q[Latency-1];
  assign line_bad   = bad_q[Latency-1];
  assign line_time  = time_in[Latency-1];
  assign stopped    = stopped_q[Latency-1];

  // ---------------------------------------------------------------- over the beats of a line
  localparam int unsigned BeatMomentBits = BeatSumBits + CounterBits;
  logic [BeatSumBits-1:0]    sum_1_q, sum_2_q;
  logic [BeatMomentBits-1:0] column_sum_q, lane_sum_q, beat_moment_q;
  logic                      first_q;  // the next beat is the first of its line

  always_ff @(posedge clk) begin : over_line
    automatic logic [BeatMomentBits-1:0] lanes = '0;
    for (int unsigned b = 0; b < LaneBits; b++) lanes = lanes + (BeatMomentBits'(odd_sum[b]) << b);
    sum_1_q       <= beat_sum;
    column_sum_q  <= beat_sum * column;
    lane_sum_q    <= lanes;
    sum_2_q       <= sum_1_q;
    beat_moment_q <= column_sum_q + lane_sum_q;
    if (valid_q[Latency-2]) begin
      line_sum    <= (first_q ? '0 : line_sum) + SumBits'(sum_2_q);
      line_moment <= (first_q ? '0 : line_moment) + MomentBits'(beat_moment_q);
      first_q     <= end_q[Latency-2];
    end
    if (rst) first_q <= 1'b1;
  end

endmodule

`default_nettype wire
