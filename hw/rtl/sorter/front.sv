// SPDX-License-Identifier: Apache-2.0
//
// front: from the line stream to the network's pixels, and what is to be said of the events on the way.
//
//   line_input -> flat_field -> channel_delay -+-> line_sums -> event_trigger -> event_members -> m_member
//                                              +-> line_store -> window_reader -> preprocess -> m_pixel
//
//   Settings    as they come from the registers; `commit` takes all of them at once, but the tables of flat_field. What is open then is aborted: the event and the lines
//               at hand are doubtful, windows that are not through are lost. Reset sets those that are parameters here, and nothing
//               triggers before the first commit.
//   Events      begin_*: one cycle for each accepted event, where begin_ready was high; end_*: one for each of them, later. Tags count up.
//               window_*: one cycle for each of them with the last pixels of its window on their way, in the same order.
//               neighbour: cells that are no event (event_trigger).
//   beat_*      the lines as they were stored, a beat a cycle at most; `m_member` which of them belong to an event (event_members).
//   m_pixel     NET_PIXELS pixels a beat, a window after the other.
//   Latency     from the last pixel of a line to its pixel: 1 + 4 + 2 + 4 + 4 cycles, and 1 where beats are joined, if its row is known to
//               be the event's.
`default_nettype none

module front #(
    parameter int unsigned LINE_W      = 40,
    parameter int unsigned H           = 40,
    parameter int unsigned W           = 40,
    parameter int unsigned X_OFFSET    = 0,
    parameter int unsigned C           = 3,
    parameter int unsigned SAMPLE_BITS = 16,
    parameter int unsigned P           = 1,
    parameter int unsigned NET_PIXELS  = 1,
    parameter logic [C*SAMPLE_BITS-1:0] BACKGROUND = '0,
    parameter logic [C*18-1:0]          GAIN       = '0,
    parameter int unsigned SHIFT       = 1,
    parameter int unsigned EVENTS      = 16,
    parameter int unsigned LINES       = 256,
    parameter int unsigned DELAY_LINES = 64      // a channel can be behind another by one less
) (
    input  wire logic                       clk,
    input  wire logic                       rst,

    input  wire logic [47:0]                timestamp,
    input  wire logic [31:0]                line_timeout,

    input  wire logic                       commit,
    input  wire logic [C*8-1:0]             weights,
    input  wire logic [31:0]                on,
    input  wire logic [31:0]                off,
    input  wire logic [15:0]                first_column,
    input  wire logic [15:0]                last_column,
    input  wire logic [5:0]                 pre_lines,
    input  wire logic [5:0]                 post_lines,
    input  wire logic [5:0]                 end_lines,
    input  wire logic [7:0]                 min_lines,
    input  wire logic [7:0]                 max_lines,
    input  wire logic [4:0]                 dip,
    input  wire logic [15:0]                x_offset,
    input  wire logic                       centred,
    input  wire logic                       flat_enable,
    input  wire logic [C*6-1:0]             delays,
    input  wire logic [C*SAMPLE_BITS-1:0]   background,
    input  wire logic [C*18-1:0]            gain,
    input  wire logic [4:0]                 shift,

    input  wire logic                       table_write,   // of flat_field
    input  wire logic                       table_flat,
    input  wire logic [23:0]                table_index,
    input  wire logic [15:0]                table_data,
    output logic [15:0]                     table_read,

    input  wire logic [P*C*SAMPLE_BITS-1:0] s_axis_line_tdata,
    input  wire logic                       s_axis_line_tvalid,
    output logic                            s_axis_line_tready,
    input  wire logic                       s_axis_line_tlast,
    input  wire logic [63:0]                s_axis_line_tuser,

    output logic                            begin_valid,
    input  wire logic                       begin_ready,
    output logic [7:0]                      begin_tag,
    output logic [47:0]                     begin_time,
    output logic                            end_valid,
    output logic [7:0]                      end_tag,
    output logic [47:0]                     end_time,
    output logic [7:0]                      end_length,
    output logic [4:0]                      end_flags,
    output logic                            window_valid,
    output logic [7:0]                      window_tag,
    output logic                            window_lost,
    output logic                            neighbour,
    output logic [47:0]                     neighbour_time,
    output logic                            neighbour_doubtful,

    output logic                            beat_valid,
    output logic [P*C*SAMPLE_BITS-1:0]      beat_data,
    output logic                            beat_end,
    output logic [7:0]                      m_member_tag,
    output logic [7:0]                      m_member_line,
    output logic                            m_member_first,
    output logic                            m_member_last,
    output logic                            m_member_valid,
    input  wire logic                       m_member_ready,

    output logic [NET_PIXELS*C*8-1:0]       m_pixel_tdata,
    output logic                            m_pixel_tvalid,
    input  wire logic                       m_pixel_tready,

    output logic                            line_error,
    output logic                            line_gap,
    output logic                            missed,
    output logic                            debris,
    output logic                            dead_time,
    output logic                            stalled
);
  if (DELAY_LINES > 64) begin : gen_delay_error
    $error("front: DELAY_LINES must be at most 64 (the registers)");
  end
  if (C > 8) begin : gen_channel_error
    $error("front: at most 8 channels (the registers)");
  end

  function automatic int unsigned pixels_at_once();  // the most that NET_PIXELS are whole beats of
    for (int unsigned m = P; m > 1; m--) if (NET_PIXELS % m == 0) return m;
    return 1;
  endfunction

  localparam int unsigned M          = pixels_at_once();
  localparam int unsigned Beats      = (LINE_W + P - 1) / P;
  localparam int unsigned BeatBits   = $clog2(Beats + 1);
  localparam int unsigned AddrBits   = $clog2(LINES * Beats);
  localparam int unsigned PixelBits  = C * SAMPLE_BITS;
  localparam int unsigned SlotBits   = $clog2(LINES);
  localparam int unsigned IndexBits  = (SlotBits > 8 ? SlotBits : 8) + 2;
  localparam int unsigned SumBits    = SAMPLE_BITS + 8 + $clog2(C * LINE_W);
  localparam int unsigned MomentBits = SumBits + (LINE_W > 1 ? $clog2(LINE_W) : 1);

  // ---------------------------------------------------------------- settings in force
  typedef struct packed {
    logic [C*8-1:0]           weights;
    logic [31:0]              on;
    logic [31:0]              off;
    logic [15:0]              first_column;
    logic [15:0]              last_column;
    logic [5:0]               pre_lines;
    logic [5:0]               post_lines;
    logic [5:0]               end_lines;
    logic [7:0]               min_lines;
    logic [7:0]               max_lines;
    logic [4:0]               dip;
    logic [15:0]              x_offset;
    logic                     centred;
    logic                     flat_enable;
    logic [C*6-1:0]           delays;
    logic [C*SAMPLE_BITS-1:0] background;
    logic [C*18-1:0]          gain;
    logic [4:0]               shift;
  } settings_t;

  settings_t set_q;

  always_ff @(posedge clk) begin
    if (commit) begin
      set_q <= '{
          weights: weights, on: on, off: off, first_column: first_column, last_column: last_column,
          pre_lines: pre_lines, post_lines: post_lines, end_lines: end_lines, min_lines: min_lines, max_lines: max_lines, dip: dip,
          x_offset: x_offset, centred: centred, flat_enable: flat_enable, delays: delays, background: background, gain: gain, shift: shift
      };
    end
    if (rst) begin
      set_q            <= '0;
      set_q.on         <= '1;
      set_q.off        <= '1;
      set_q.end_lines  <= 6'd1;
      set_q.min_lines  <= 8'd1;
      set_q.max_lines  <= '1;
      set_q.x_offset   <= 16'(X_OFFSET);
      set_q.background <= BACKGROUND;
      set_q.gain       <= GAIN;
      set_q.shift      <= 5'(SHIFT);
    end
  end

  // ---------------------------------------------------------------- lines
  // As they came, without dark count and sensitivity, and brought together.
  logic        came_valid, came_end, came_made, came_bad, came_stopped;
  logic        flat_valid, flat_end, flat_made, flat_bad, flat_stopped;
  logic        beat_made, beat_bad, line_stopped;
  logic [47:0] came_time, flat_time, beat_time;
  logic [P*C*SAMPLE_BITS-1:0] came_data, flat_data;

  line_input #(
      .LINE_W      (LINE_W),
      .C           (C),
      .SAMPLE_BITS (SAMPLE_BITS),
      .P           (P)
  ) lines (
      .clk,
      .rst,
      .timestamp,
      .line_timeout,
      .doubt (commit),
      .s_axis_line_tdata,
      .s_axis_line_tvalid,
      .s_axis_line_tready,
      .s_axis_line_tlast,
      .s_axis_line_tuser,
      .beat_valid   (came_valid),
      .beat_data    (came_data),
      .beat_end     (came_end),
      .beat_made    (came_made),
      .beat_bad     (came_bad),
      .beat_time    (came_time),
      .line_stopped (came_stopped),
      .line_error,
      .line_gap
  );

  flat_field #(
      .LINE_W      (LINE_W),
      .C           (C),
      .SAMPLE_BITS (SAMPLE_BITS),
      .P           (P)
  ) columns (
      .clk,
      .rst,
      .enable         (set_q.flat_enable),
      .table_write,
      .table_flat,
      .table_index,
      .table_data,
      .table_read,
      .beat_valid     (came_valid),
      .beat_data      (came_data),
      .beat_end       (came_end),
      .beat_made      (came_made),
      .beat_bad       (came_bad),
      .beat_time      (came_time),
      .line_stopped   (came_stopped),
      .m_beat_valid   (flat_valid),
      .m_beat_data    (flat_data),
      .m_beat_end     (flat_end),
      .m_beat_made    (flat_made),
      .m_beat_bad     (flat_bad),
      .m_beat_time    (flat_time),
      .m_line_stopped (flat_stopped)
  );

  localparam int unsigned DelayBits = $clog2(DELAY_LINES);
  logic [C*DelayBits-1:0] channel_delays;
  for (genvar c = 0; c < C; c++) begin : gen_delay
    assign channel_delays[c*DelayBits+:DelayBits] = set_q.delays[c*6+:DelayBits];
  end

  channel_delay #(
      .LINE_W      (LINE_W),
      .C           (C),
      .SAMPLE_BITS (SAMPLE_BITS),
      .P           (P),
      .DEPTH       (DELAY_LINES)
  ) together (
      .clk,
      .rst,
      .delays         (channel_delays),
      .doubt          (commit),
      .beat_valid     (flat_valid),
      .beat_data      (flat_data),
      .beat_end       (flat_end),
      .beat_made      (flat_made),
      .beat_bad       (flat_bad),
      .beat_time      (flat_time),
      .line_stopped   (flat_stopped),
      .m_beat_valid   (beat_valid),
      .m_beat_data    (beat_data),
      .m_beat_end     (beat_end),
      .m_beat_made    (beat_made),
      .m_beat_bad     (beat_bad),
      .m_beat_time    (beat_time),
      .m_line_stopped (line_stopped)
  );

  logic                  line_valid, line_bad, stopped;
  logic [SumBits-1:0]    line_sum;
  logic [MomentBits-1:0] line_moment;
  logic [47:0]           line_time;

  line_sums #(
      .LINE_W      (LINE_W),
      .C           (C),
      .SAMPLE_BITS (SAMPLE_BITS),
      .P           (P)
  ) sums (
      .clk,
      .rst,
      .weights      (set_q.weights),
      .first_column (set_q.first_column),
      .last_column  (set_q.last_column),
      .beat_valid,
      .beat_data,
      .beat_end,
      .beat_bad,
      .beat_time,
      .line_stopped,
      .line_valid,
      .line_sum,
      .line_moment,
      .line_bad,
      .line_time,
      .stopped
  );

  // ---------------------------------------------------------------- events
  logic                  windows_ready, members_ready;
  logic [IndexBits-1:0]  begin_line;
  logic [5:0]            begin_skip;
  logic [SumBits-1:0]    begin_sum;
  logic [MomentBits-1:0] begin_moment;
  logic [8:0]            rows, rows_here, end_rows;

  event_trigger #(
      .SUM_BITS    (SumBits),
      .MOMENT_BITS (MomentBits),
      .INDEX_BITS  (IndexBits)
  ) trigger (
      .clk,
      .rst,
      .on         (set_q.on),
      .off        (set_q.off),
      .dip        (set_q.dip),
      .pre_lines  (set_q.pre_lines),
      .post_lines (set_q.post_lines),
      .end_lines  (set_q.end_lines),
      .min_lines  (set_q.min_lines),
      .max_lines  (set_q.max_lines),
      .doubt      (commit),
      .line_valid,
      .line_sum,
      .line_moment,
      .line_bad,
      .line_time,
      .stopped,
      .begin_valid,
      .begin_ready (begin_ready && windows_ready && members_ready),
      .begin_tag,
      .begin_time,
      .begin_line,
      .begin_skip,
      .begin_sum,
      .begin_moment,
      .rows,
      .rows_here,
      .end_valid,
      .end_tag,
      .end_time,
      .end_length,
      .end_flags,
      .end_rows,
      .neighbour,
      .neighbour_time,
      .neighbour_doubtful,
      .missed,
      .debris,
      .dead_time,
      .stalled
  );

  event_members #(
      .EVENTS (EVENTS)
  ) members (
      .clk,
      .rst,
      .begin_valid,
      .begin_ready (members_ready),
      .begin_tag,
      .begin_line  (begin_line[7:0]),
      .begin_skip,
      .rows_here,
      .end_valid,
      .end_rows,
      .m_member_tag,
      .m_member_line,
      .m_member_first,
      .m_member_last,
      .m_member_valid,
      .m_member_ready
  );

  // ---------------------------------------------------------------- windows
  logic [IndexBits-1:0]   write_line;
  logic [BeatBits-1:0]    write_beat, length_beats;
  logic [P*AddrBits-1:0]  read_address;
  logic                   read_enable;
  logic [P*PixelBits-1:0] read_data;
  logic [SlotBits-1:0]    length_line;
  logic [M*PixelBits-1:0] raw_tdata;
  logic                   raw_tuser, raw_tvalid, raw_tready;
  logic [M*C*8-1:0]       pixel_tdata;
  logic                   pixel_tvalid, pixel_tready;

  line_store #(
      .LINE_W      (LINE_W),
      .C           (C),
      .SAMPLE_BITS (SAMPLE_BITS),
      .P           (P),
      .LINES       (LINES),
      .INDEX_BITS  (IndexBits)
  ) store (
      .clk,
      .rst,
      .beat_valid,
      .beat_data,
      .beat_end,
      .beat_made,
      .write_line,
      .write_beat,
      .read_address,
      .read_enable,
      .read_data,
      .length_line,
      .length_beats
  );

  window_reader #(
      .LINE_W      (LINE_W),
      .H           (H),
      .W           (W),
      .C           (C),
      .SAMPLE_BITS (SAMPLE_BITS),
      .P           (P),
      .M           (M),
      .LINES       (LINES),
      .EVENTS      (EVENTS),
      .INDEX_BITS  (IndexBits),
      .SUM_BITS    (SumBits),
      .MOMENT_BITS (MomentBits)
  ) reader (
      .clk,
      .rst,
      .x_offset      (set_q.x_offset),
      .centred       (set_q.centred),
      .flush         (commit),
      .line_stopped,
      .begin_valid,
      .begin_ready   (windows_ready),
      .begin_tag,
      .begin_line,
      .begin_skip,
      .begin_sum,
      .begin_moment,
      .rows,
      .end_valid,
      .end_rows,
      .write_line,
      .write_beat,
      .read_address,
      .read_enable,
      .read_data,
      .length_line,
      .length_beats,
      .window_valid,
      .window_tag,
      .window_lost,
      .m_axis_tdata  (raw_tdata),
      .m_axis_tuser  (raw_tuser),
      .m_axis_tvalid (raw_tvalid),
      .m_axis_tready (raw_tready)
  );

  preprocess #(
      .C           (C),
      .SAMPLE_BITS (SAMPLE_BITS),
      .M           (M)
  ) pixels (
      .clk,
      .rst,
      .background    (set_q.background),
      .gain          (set_q.gain),
      .shift         (set_q.shift),
      .s_axis_tdata  (raw_tdata),
      .s_axis_tuser  (raw_tuser),
      .s_axis_tvalid (raw_tvalid),
      .s_axis_tready (raw_tready),
      .m_axis_tdata  (pixel_tdata),
      .m_axis_tvalid (pixel_tvalid),
      .m_axis_tready (pixel_tready)
  );

  width_converter #(
      .IN_WIDTH  (M * C * 8),
      .OUT_WIDTH (NET_PIXELS * C * 8)
  ) pixels_to_beats (
      .clk,
      .rst,
      .s_axis_tdata  (pixel_tdata),
      .s_axis_tvalid (pixel_tvalid),
      .s_axis_tready (pixel_tready),
      .m_axis_tdata  (m_pixel_tdata),
      .m_axis_tvalid (m_pixel_tvalid),
      .m_axis_tready (m_pixel_tready)
  );

endmodule

`default_nettype wire
