// SPDX-License-Identifier: Apache-2.0
//
// flat_field: takes each column's dark count and sensitivity out of the samples. Bit-true model: sim/bit_true/event.py.
//
//   s' = clip(((s - dark) * flat) >> 14, 0, 2^SAMPLE_BITS - 1) in every column and channel, dark unsigned, flat unsigned 2.14; s' = s
//   where `enable` is low. A beat that was made up stays 0, as do pixels beyond the line.
//   Tables      a value at a time: table_index is {column, 8 bits of channel}, table_flat chooses between the two. What was not written is
//               unknown. table_read is the value there 2 cycles later.
//   Handshake   beats as of line_input, one a cycle; line_stopped goes with them.
//   Latency     4 cycles.
//   Reset       beats on their way are lost; the tables stay.
//   Cost        for each sample of a beat a multiplier of (SAMPLE_BITS + 1) x 17 bit and two memories of ceil(LINE_W / P) values.
`default_nettype none

module flat_field #(
    parameter int unsigned LINE_W      = 40,
    parameter int unsigned C           = 3,
    parameter int unsigned SAMPLE_BITS = 16,
    parameter int unsigned P           = 1
) (
    input  wire logic                       clk,
    input  wire logic                       rst,

    input  wire logic                       enable,
    input  wire logic                       table_write,
    input  wire logic                       table_flat,
    input  wire logic [23:0]                table_index,
    input  wire logic [15:0]                table_data,
    output logic [15:0]                     table_read,

    input  wire logic                       beat_valid,
    input  wire logic [P*C*SAMPLE_BITS-1:0] beat_data,
    input  wire logic                       beat_end,
    input  wire logic                       beat_made,
    input  wire logic                       beat_bad,
    input  wire logic [47:0]                beat_time,
    input  wire logic                       line_stopped,

    output logic                            m_beat_valid,
    output logic [P*C*SAMPLE_BITS-1:0]      m_beat_data,
    output logic                            m_beat_end,
    output logic                            m_beat_made,
    output logic                            m_beat_bad,
    output logic [47:0]                     m_beat_time,
    output logic                            m_line_stopped
);
  localparam int unsigned Beats       = (LINE_W + P - 1) / P;
  localparam int unsigned BeatBits    = Beats > 1 ? $clog2(Beats) : 1;
  localparam int unsigned ProductBits = SAMPLE_BITS + 1 + 17;
  localparam int unsigned Latency     = 4;
  localparam logic [15:0] One         = 16'd16384;

  logic [BeatBits-1:0]     beat_q;
  logic [BeatBits-1:0]     table_beat;
  logic [15:0]             table_lane;
  wire [15:0]              table_column = table_index[23:8];
  logic [P*C-1:0][15:0]    read_back;

  if (Beats == 1) begin : gen_whole_line
    assign table_beat = '0;
    assign table_lane = table_column;
  end else begin : gen_parts
    assign table_beat = BeatBits'(table_column / 16'(P));
    assign table_lane = table_column % 16'(P);
  end

  always_ff @(posedge clk) begin
    if (beat_valid) beat_q <= beat_end ? '0 : beat_q + 1'b1;
    if (rst) beat_q <= '0;
  end

  /* verilator lint_off WIDTHEXPAND */  // names of other lengths: the shorter one is extended
  /* verilator lint_off UNUSEDPARAM */  // for other tools alone
  localparam Style = Beats > 32 ? "block" : "distributed";
  /* verilator lint_on UNUSEDPARAM */
  /* verilator lint_on WIDTHEXPAND */

  for (genvar i = 0; i < P * C; i++) begin : gen_sample
    (* ram_style = Style *)
    logic [SAMPLE_BITS-1:0] darks [Beats];
    (* ram_style = Style *)
    logic [15:0]            flats [Beats];

    wire here = table_lane == 16'(i / C) && table_index[7:0] == 8'(i % C);

    logic [15:0]                      flat_1_q, flat_q, flat_back_q;
    logic [SAMPLE_BITS-1:0]           sample_q, dark_q, dark_back_q;
    logic signed [SAMPLE_BITS:0]      difference_q;
    /* verilator lint_off UNUSEDSIGNAL */  // the fraction
    logic signed [ProductBits-1:0]    product_q;
    /* verilator lint_on UNUSEDSIGNAL */
    wire signed  [ProductBits-15:0]   scaled = product_q[ProductBits-1:14];

    always_ff @(posedge clk) begin
      if (table_write && here && !table_flat) darks[table_beat] <= table_data[SAMPLE_BITS-1:0];
      if (table_write && here && table_flat) flats[table_beat] <= table_data;
      dark_back_q <= darks[table_beat];
      flat_back_q <= flats[table_beat];

      dark_q       <= darks[beat_q];
      flat_1_q     <= flats[beat_q];
      sample_q     <= beat_data[i*SAMPLE_BITS+:SAMPLE_BITS];
      difference_q <= $signed({1'b0, sample_q}) - $signed({1'b0, enable ? dark_q : SAMPLE_BITS'(0)});
      flat_q       <= enable ? flat_1_q : One;
      product_q    <= difference_q * $signed({1'b0, flat_q});
      if (scaled < 0) m_beat_data[i*SAMPLE_BITS+:SAMPLE_BITS] <= '0;
      else if (scaled[ProductBits-15:SAMPLE_BITS] != '0) m_beat_data[i*SAMPLE_BITS+:SAMPLE_BITS] <= '1;
      else m_beat_data[i*SAMPLE_BITS+:SAMPLE_BITS] <= scaled[SAMPLE_BITS-1:0];
    end
    assign read_back[i] = here ? (table_flat ? flat_back_q : 16'(dark_back_q)) : '0;
  end

  always_ff @(posedge clk) begin : back
    automatic logic [15:0] value = '0;
    for (int unsigned i = 0; i < P * C; i++) value = value | read_back[i];
    table_read <= value;
  end

  // ---------------------------------------------------------------- what goes beside
  logic [Latency-1:0]       valid_q, end_q, made_q, bad_q, stopped_q;
  logic [Latency-1:0][47:0] time_q;

  always_ff @(posedge clk) begin
    valid_q   <= {valid_q[Latency-2:0], beat_valid};
    end_q     <= {end_q[Latency-2:0], beat_end};
    made_q    <= {made_q[Latency-2:0], beat_made};
    bad_q     <= {bad_q[Latency-2:0], beat_bad};
    stopped_q <= {stopped_q[Latency-2:0], line_stopped};
    time_q    <= {time_q[Latency-2:0], beat_time};
    if (rst) begin
      valid_q   <= '0;
      stopped_q <= '0;
    end
  end

  assign m_beat_valid   = valid_q[Latency-1];
  assign m_beat_end     = end_q[Latency-1];
  assign m_beat_made    = made_q[Latency-1];
  assign m_beat_bad     = bad_q[Latency-1];
  assign m_beat_time    = time_q[Latency-1];
  assign m_line_stopped = stopped_q[Latency-1];

endmodule

`default_nettype wire
