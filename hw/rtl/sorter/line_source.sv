// SPDX-License-Identifier: Apache-2.0
//
// line_source: lines that the host stored, played at full pace in place of the instrument's.
//
//   Store       a sample at a time: index is {line, 16 bits of column, 8 bits of channel}; a value that is written moves it to the next
//               channel, column, line. index_written, data_written: one cycle; index and data are taken in the next one.
//   Choice      `selected`: lines are those stored, while `select` is high and the sorter is not armed, or `while_armed` is high too. Where
//               it changes, a line at hand is cut. The instrument's lines are dropped meanwhile.
//   Play        `start` plays lines 0 .. count - 1, `repeats` times (0 acts as 1), a line every `gap` cycles or as fast as they are;
//               `stop`, or that the choice is another, ends it behind the line at hand. playing until then. Lines are numbered on and on,
//               and their time is the cycle in which their first beat leaves.
//   Handshake   a beat a cycle; nothing waits: s_axis_line_tready is 1.
//   Latency     none for the instrument's lines; from `start` to the first beat 3 cycles.
//   Reset       nothing plays; what is stored stays.
//   Memory      P * C of LINES * 2^$clog2(Beats) samples.
`default_nettype none

module line_source #(
    parameter int unsigned LINE_W      = 40,
    parameter int unsigned C           = 3,
    parameter int unsigned SAMPLE_BITS = 16,
    parameter int unsigned P           = 1,
    parameter int unsigned LINES       = 64
) (
    input  wire logic                       clk,
    input  wire logic                       rst,

    input  wire logic [47:0]                timestamp,
    input  wire logic                       armed,

    input  wire logic                       select,
    input  wire logic                       while_armed,
    input  wire logic [15:0]                count,
    input  wire logic [31:0]                gap,
    input  wire logic [15:0]                repeats,
    input  wire logic                       start,
    input  wire logic                       stop,
    input  wire logic                       index_written,
    /* verilator lint_off UNUSEDSIGNAL */  // fewer lines than it can say
    input  wire logic [31:0]                index,
    /* verilator lint_on UNUSEDSIGNAL */
    input  wire logic                       data_written,
    input  wire logic [SAMPLE_BITS-1:0]     data,
    output logic                            selected,
    output logic                            playing,

    input  wire logic [P*C*SAMPLE_BITS-1:0] s_axis_line_tdata,
    input  wire logic                       s_axis_line_tvalid,
    output logic                            s_axis_line_tready,
    input  wire logic                       s_axis_line_tlast,
    input  wire logic [63:0]                s_axis_line_tuser,

    output logic [P*C*SAMPLE_BITS-1:0]      m_axis_line_tdata,
    output logic                            m_axis_line_tvalid,
    output logic                            m_axis_line_tlast,
    output logic [63:0]                     m_axis_line_tuser
);
  if (LINES < 2 || LINES > 256 || (LINES & (LINES - 1)) != 0) begin : gen_lines_error
    $error("line_source: LINES must be a power of two within 2..256");
  end

  localparam int unsigned Beats    = (LINE_W + P - 1) / P;
  localparam int unsigned BeatBits = Beats > 1 ? $clog2(Beats) : 1;
  localparam int unsigned SlotBits = $clog2(LINES);

  assign s_axis_line_tready = 1'b1;

  // ---------------------------------------------------------------- store
  logic                index_written_q, data_written_q;
  logic [SlotBits-1:0] line_q;
  logic [BeatBits-1:0] write_beat_q;
  logic [15:0]         lane_q;      // of the beat
  logic [15:0]         left_q;      // columns of the line behind this one
  logic [7:0]          channel_q;

  wire last_channel = channel_q == 8'(C - 1);
  wire last_lane    = lane_q == 16'(P - 1);
  wire last_column  = left_q == '0;

  always_ff @(posedge clk) begin
    index_written_q <= index_written;
    data_written_q  <= data_written;
    if (index_written_q) begin
      line_q       <= index[24+:SlotBits];
      write_beat_q <= Beats == 1 ? '0 : BeatBits'(index[23:8] / 16'(P));
      lane_q       <= Beats == 1 ? index[23:8] : index[23:8] % 16'(P);
      left_q       <= 16'(LINE_W - 1) - index[23:8];
      channel_q    <= index[7:0];
    end else if (data_written_q) begin
      channel_q <= last_channel ? '0 : channel_q + 1'b1;
      if (last_channel) begin
        lane_q       <= last_lane || last_column ? '0 : lane_q + 1'b1;
        left_q       <= last_column ? 16'(LINE_W - 1) : left_q - 1'b1;
        write_beat_q <= last_column ? '0 : write_beat_q + BeatBits'(last_lane);
        line_q       <= line_q + SlotBits'(last_column);
      end
    end
    if (rst) begin
      index_written_q <= 1'b0;
      data_written_q  <= 1'b0;
    end
  end

  // ---------------------------------------------------------------- play
  logic [SlotBits-1:0] slot_q;
  logic [BeatBits-1:0] beat_q;
  logic [15:0]         lines_left_q, repeats_left_q, number_q;
  logic [31:0]         wait_q;      // cycles until a line may begin
  logic                run_q, ending_q;
  logic                valid_q, first_q, last_q;
  logic [P*C*SAMPLE_BITS-1:0] sample_q;

  wire last_beat = beat_q == BeatBits'(Beats - 1);
  wire last_line = lines_left_q == 16'd1;
  wire offer     = run_q && (beat_q != '0 || wait_q == '0);
  wire cease     = ending_q || stop || !selected;

  assign playing = run_q || valid_q;

  always_ff @(posedge clk) begin
    selected <= select && (!armed || while_armed);
    valid_q  <= offer;
    first_q  <= beat_q == '0;
    last_q   <= last_beat;
    if (wait_q != '0) wait_q <= wait_q - 1'b1;
    if (valid_q && first_q) number_q <= number_q + 1'b1;

    if (start && selected && !playing) begin
      run_q          <= 1'b1;
      ending_q       <= 1'b0;
      slot_q         <= '0;
      beat_q         <= '0;
      lines_left_q   <= count;
      repeats_left_q <= repeats;
      wait_q         <= '0;
      if (count == '0) run_q <= 1'b0;
    end else if (run_q) begin
      if (cease) ending_q <= 1'b1;
      if (offer && beat_q == '0) wait_q <= gap == '0 ? '0 : gap - 1'b1;
      if (offer) beat_q <= last_beat ? '0 : beat_q + 1'b1;
      if (offer && last_beat) begin
        slot_q       <= last_line ? '0 : slot_q + 1'b1;
        lines_left_q <= last_line ? count : lines_left_q - 1'b1;
        if (last_line) begin
          repeats_left_q <= repeats_left_q - 1'b1;
          if (repeats_left_q <= 16'd1) run_q <= 1'b0;
        end
        if (cease) run_q <= 1'b0;
      end else if (cease && beat_q == '0 && !offer) begin
        run_q <= 1'b0;
      end
    end
    if (rst) begin
      run_q    <= 1'b0;
      valid_q  <= 1'b0;
      selected <= 1'b0;
      number_q <= '0;
    end
  end

  for (genvar i = 0; i < P * C; i++) begin : gen_sample
    (* ram_style = "block" *)
    logic [SAMPLE_BITS-1:0] samples [LINES * 2 ** BeatBits];

    always_ff @(posedge clk) begin
      if (data_written_q && lane_q == 16'(i / C) && channel_q == 8'(i % C)) samples[{line_q, write_beat_q}] <= data;
      sample_q[i*SAMPLE_BITS+:SAMPLE_BITS] <= samples[{slot_q, beat_q}];
    end
  end

  always_comb begin
    m_axis_line_tdata  = selected ? sample_q : s_axis_line_tdata;
    m_axis_line_tvalid = selected ? valid_q : s_axis_line_tvalid;
    m_axis_line_tlast  = selected ? last_q : s_axis_line_tlast;
    m_axis_line_tuser  = selected ? {number_q, timestamp} : s_axis_line_tuser;
  end

endmodule

`default_nettype wire
