// SPDX-License-Identifier: Apache-2.0
//
// icsort_top: the cell sorter around a compiled network: line stream in, sort pulse out.
//
//   line_input -> event_trigger/line_buffer -> preprocess -> icsort_net -> gate -> sort_scheduler -> sort_pulse
//                       |                                                               |
//                       +-- side FIFO of events in flight ------------------------------+-> event_record -> record_fifo -> link
//
//   s_axis_line   a beat is one pixel of C samples, channel 0 at the LSB; tlast ends a line of LINE_W pixels. A shorter line
//                 is padded with zeros, a longer one truncated, and the event that it belongs to is aborted. tready
//                 falls only while the line buffer is full or a stopped event is completed; each such cycle with tvalid high is
//                 counted. tuser, with the first beat of a line: {line number, timestamp}, noted by the source in the cycle in
//                 which it was offered the light of that beat, whenever the sorter takes it. See line_input.
//   timestamp     the cycle counter that lines are stamped with, in this cycle.
//   Event         H lines, the first of which is the one whose line sum reaches the threshold (sim/bit_true/event.py).
//   sort_pulse    high in the PULSE_CYCLES cycles that begin at timestamp = event time + DROP_DELAY; the event time is the stamp of
//                 its line 0.
//   Latency       docs/sorter.md lists the cycles of each stage.
//   Reset         everything in flight is lost, counters and timestamp start again at 0, registers take their reset values.
//   Overflow      more than EVENTS events between trigger and decision: the new one is not accepted and counts as MISSED.
//                 A record that does not fit its FIFO is dropped whole and counts as RECORDS_LOST.
//   mon_*         for benches and the virtual board; nothing in the FPGA needs them:
//     mon_armed, mon_idle  idle: no event, no pending sort, no pulse, no record, nothing in the link's transmitter
//     mon_event            one cycle for each accepted event
//     mon_decision_valid   one cycle for each decided event, when its posterior is known; then mon_record is the event record, byte 0 at the LSB
//     mon_stream_line/net_in/net_out   one cycle for each beat accepted at the line input, the net's input and its output
`default_nettype none

module icsort_top #(
    parameter int unsigned LINE_W       = 40,
    parameter int unsigned H            = 40,
    parameter int unsigned W            = 40,
    parameter int unsigned X_OFFSET     = 0,
    parameter int unsigned C            = 3,
    parameter int unsigned SAMPLE_BITS  = 16,
    parameter int unsigned NET_PIXELS   = 1,      // a beat at the network's input; divides W
    parameter int unsigned N_CLASSES    = 7,
    parameter int unsigned LOGIT_BITS   = 20,
    parameter logic [C*SAMPLE_BITS-1:0] BACKGROUND = '0,   // unsigned, channel 0 at the LSB
    parameter logic [C*18-1:0]          GAIN       = '0,   // signed 18 bit, channel 0 at the LSB
    parameter int unsigned SHIFT        = 1,
    parameter int unsigned POST_MULT    = 1,
    parameter int unsigned POST_SHIFT   = 0,
    parameter logic [63:0] BUILD_ID     = '0,
    parameter logic [63:0] MODEL_ID     = '0,
    parameter int unsigned CLOCK_HZ     = 100_000_000,
    parameter int unsigned CLKS_PER_BIT = 100,
    parameter int unsigned EVENTS       = 16,     // events between trigger and decision
    parameter int unsigned SORTS        = 64,     // sorts waiting for their time, a power of two
    parameter int unsigned RECORD_WORDS = 1024,   // record FIFO, words of 32 bits, a power of two
    localparam int unsigned RecordBytes = 24 + 4 * N_CLASSES
) (
    input  wire logic                           clk,
    input  wire logic                           rst,

    input  wire logic [C*SAMPLE_BITS-1:0]       s_axis_line_tdata,
    input  wire logic                           s_axis_line_tvalid,
    output logic                                s_axis_line_tready,
    input  wire logic                           s_axis_line_tlast,
    input  wire logic [63:0]                    s_axis_line_tuser,

    output logic [47:0]                         timestamp,

    input  wire logic                           uart_rx,
    output logic                                uart_tx,
    output logic                                sort_pulse,

    output logic                                mon_armed,
    output logic                                mon_idle,
    output logic                                mon_event,
    output logic                                mon_decision_valid,
    output logic [RecordBytes*8-1:0]            mon_record,
    output logic                                mon_stream_line,
    output logic                                mon_stream_net_in,
    output logic                                mon_stream_net_out
);
  if (SAMPLE_BITS != 16) begin : gen_sample_error
    $error("icsort_top: SAMPLE_BITS other than 16 is not supported");
  end
  if (N_CLASSES > 64 || C > 255 || H > 255 || W > 255) begin : gen_geometry_error
    $error("icsort_top: at most 64 classes, and 255 channels, lines and columns (the GEOMETRY register)");
  end

  localparam int unsigned PixelBits   = C * SAMPLE_BITS;
  localparam int unsigned SumBits     = SAMPLE_BITS + $clog2(W + 1);
  localparam int unsigned BufferDepth = 2 ** $clog2(2 * W > 4 ? 2 * W : 4);
  localparam int unsigned RecordWords = RecordBytes / 4;
  localparam int unsigned SortsBits   = $clog2(SORTS + 1);

  // ---------------------------------------------------------------- time
  always_ff @(posedge clk) begin
    timestamp <= timestamp + 1'b1;
    if (rst) timestamp <= '0;
  end

  // ---------------------------------------------------------------- registers and link
  icsort_registers_pkg::icsort_registers__in_t  hwif_in;
  icsort_registers_pkg::icsort_registers__out_t hwif_out;

  logic        reg_req, reg_we, read_ack, read_err, write_ack, write_err, stall_read, stall_write;
  logic [15:0] reg_addr;
  logic [31:0] reg_wdata, reg_rdata;
  logic [7:0]  record_tdata;
  logic        record_tvalid, record_tready, record_tlast;
  logic        tx_idle, bad_frame, good_frame;

  icsort_link #(
      .CLKS_PER_BIT(CLKS_PER_BIT)
  ) link (
      .clk,
      .rst,
      .uart_rx,
      .uart_tx,
      .reg_req,
      .reg_we,
      .reg_addr,
      .reg_wdata,
      .reg_ack              (read_ack || write_ack),
      .reg_err              ((read_ack && read_err) || (write_ack && write_err)),
      .reg_rdata,
      .s_axis_record_tdata  (record_tdata),
      .s_axis_record_tvalid (record_tvalid),
      .s_axis_record_tready (record_tready),
      .s_axis_record_tlast  (record_tlast),
      .tx_idle,
      .bad_frame,
      .good_frame
  );

  icsort_registers registers (
      .clk,
      .rst,
      .s_cpuif_req          (reg_req),
      .s_cpuif_req_is_wr    (reg_we),
      .s_cpuif_addr         (reg_addr),
      .s_cpuif_wr_data      (reg_wdata),
      .s_cpuif_wr_biten     ('1),
      .s_cpuif_req_stall_wr (stall_write),
      .s_cpuif_req_stall_rd (stall_read),
      .s_cpuif_rd_ack       (read_ack),
      .s_cpuif_rd_err       (read_err),
      .s_cpuif_rd_data      (reg_rdata),
      .s_cpuif_wr_ack       (write_ack),
      .s_cpuif_wr_err       (write_err),
      .hwif_in,
      .hwif_out
  );

  wire        gate_valid   = hwif_out.STATUS.gate_valid.value;
  /* verilator lint_off UNUSEDSIGNAL */  // the registers hold 64 classes, the network may have fewer
  wire [63:0] gate_classes = {hwif_out.GATE_ACTIVE_CLASSES_HI.value.value, hwif_out.GATE_ACTIVE_CLASSES_LO.value.value};
  /* verilator lint_on UNUSEDSIGNAL */

  logic       armed, silenced;
  logic [1:0] disarmed_by;

  arming arm_and_heartbeat (
      .clk,
      .rst,
      .arm         (hwif_out.ARM.strobe.value),
      .disarm      (hwif_out.DISARM.strobe.value),
      .gate_valid,
      .alive       (good_frame),
      .timeout     (hwif_out.HEARTBEAT.value.value),
      .armed,
      .disarmed_by,
      .silenced
  );

  assign mon_armed = armed;

  // ---------------------------------------------------------------- line stream to window pixels
  logic                  space, beat_valid, beat_store, beat_short, beat_summed, beat_end, beat_bad, window_open;
  logic                  line_error, line_gap, line_stopped;
  logic [PixelBits-1:0]  beat_data;
  logic [SumBits-1:0]    beat_sum;
  logic [47:0]           beat_time, line_time;

  line_input #(
      .LINE_W      (LINE_W),
      .W           (W),
      .X_OFFSET    (X_OFFSET),
      .C           (C),
      .SAMPLE_BITS (SAMPLE_BITS)
  ) lines (
      .clk,
      .rst,
      .timestamp,
      .trigger_channel (hwif_out.TRIGGER_CHANNEL.value.value),
      .line_timeout    (hwif_out.LINE_TIMEOUT.value.value),
      .window_open,
      .s_axis_line_tdata,
      .s_axis_line_tvalid,
      .s_axis_line_tready,
      .s_axis_line_tlast,
      .s_axis_line_tuser,
      .space,
      .beat_valid,
      .beat_data,
      .beat_store,
      .beat_short,
      .beat_summed,
      .beat_sum,
      .beat_end,
      .beat_bad,
      .beat_time,
      .line_time,
      .line_error,
      .line_gap,
      .line_stopped
  );

  logic        store, commit, rollback, accepted, missed, dead_time;
  logic [47:0] trigger_tdata, event_tdata;
  logic        trigger_tvalid, trigger_tready, event_tvalid, event_tready;
  logic [48:0] last_tdata, done_tdata;
  logic        last_tvalid, last_tready, done_tvalid, done_tready;

  event_trigger #(
      .H        (H),
      .SUM_BITS (SumBits)
  ) trigger (
      .clk,
      .rst,
      .threshold      (hwif_out.TRIGGER_THRESHOLD.value.value),
      .beat_valid,
      .beat_store,
      .beat_summed,
      .beat_sum,
      .beat_end,
      .beat_bad,
      .beat_time,
      .line_time,
      .store,
      .commit,
      .rollback,
      .m_event_tdata  (trigger_tdata),
      .m_event_tvalid (trigger_tvalid),
      .m_event_tready (trigger_tready),
      .m_done_tdata   (last_tdata),
      .m_done_tvalid  (last_tvalid),
      .window_open,
      .accepted,
      .missed,
      .dead_time
  );

  assign mon_event = accepted;

  logic [PixelBits-1:0] window_tdata;
  logic                 window_tvalid, window_tready;

  line_buffer #(
      .WIDTH (PixelBits),
      .W     (W),
      .DEPTH (BufferDepth)
  ) buffer (
      .clk,
      .rst,
      .store,
      .data          (beat_data),
      .short_line    (beat_short),
      .commit,
      .rollback,
      .space,
      .m_axis_tdata  (window_tdata),
      .m_axis_tvalid (window_tvalid),
      .m_axis_tready (window_tready)
  );

  logic [C*8-1:0]                  pixel_tdata;
  logic                            pixel_tvalid, pixel_tready;
  logic [N_CLASSES*LOGIT_BITS-1:0] logits_tdata;
  logic                            logits_tvalid, logits_tready;

  preprocess #(
      .C           (C),
      .SAMPLE_BITS (SAMPLE_BITS),
      .BACKGROUND  (BACKGROUND),
      .GAIN        (GAIN),
      .SHIFT       (SHIFT)
  ) pixels (
      .clk,
      .rst,
      .s_axis_tdata  (window_tdata),
      .s_axis_tvalid (window_tvalid),
      .s_axis_tready (window_tready),
      .m_axis_tdata  (pixel_tdata),
      .m_axis_tvalid (pixel_tvalid),
      .m_axis_tready (pixel_tready)
  );

  logic [NET_PIXELS*C*8-1:0]       beat_tdata;
  logic                            beat_tvalid, beat_tready;

  width_converter #(
      .IN_WIDTH  (C * 8),
      .OUT_WIDTH (NET_PIXELS * C * 8)
  ) pixels_to_beats (
      .clk,
      .rst,
      .s_axis_tdata  (pixel_tdata),
      .s_axis_tvalid (pixel_tvalid),
      .s_axis_tready (pixel_tready),
      .m_axis_tdata  (beat_tdata),
      .m_axis_tvalid (beat_tvalid),
      .m_axis_tready (beat_tready)
  );

  icsort_net net (
      .clk,
      .rst,
      .s_axis_tdata  (beat_tdata),
      .s_axis_tvalid (beat_tvalid),
      .s_axis_tready (beat_tready),
      .m_axis_tdata  (logits_tdata),
      .m_axis_tvalid (logits_tvalid),
      .m_axis_tready (logits_tready)
  );

  // ---------------------------------------------------------------- decision
  // Side FIFOs beside the network: when each event began, and, once it has, how it ended.
  localparam int unsigned EventsBits = $clog2(EVENTS + 1);
  logic [EventsBits-1:0] events_begun, events_ended;

  fifo #(
      .WIDTH (48),
      .DEPTH (EVENTS)
  ) begun (
      .clk,
      .rst,
      .s_axis_tdata  (trigger_tdata),
      .s_axis_tvalid (trigger_tvalid),
      .s_axis_tready (trigger_tready),
      .m_axis_tdata  (event_tdata),
      .m_axis_tvalid (event_tvalid),
      .m_axis_tready (event_tready),
      .count         (events_begun)
  );

  fifo #(
      .WIDTH (49),
      .DEPTH (EVENTS)
  ) ended (
      .clk,
      .rst,
      .s_axis_tdata  (last_tdata),
      .s_axis_tvalid (last_tvalid),
      .s_axis_tready (last_tready),
      .m_axis_tdata  (done_tdata),
      .m_axis_tvalid (done_tvalid),
      .m_axis_tready (done_tready),
      .count         (events_ended)
  );

  logic                            result_valid, result_ready, result_pass, posterior_valid;
  logic [7:0]                      result_class;
  logic [N_CLASSES*LOGIT_BITS-1:0] result_logits;
  logic [15:0]                     posterior;

  gate #(
      .N_CLASSES  (N_CLASSES),
      .LOGIT_BITS (LOGIT_BITS),
      .POST_MULT  (POST_MULT),
      .POST_SHIFT (POST_SHIFT)
  ) gate_engine (
      .clk,
      .rst,
      .class_set     (gate_classes[N_CLASSES-1:0]),
      .threshold     (hwif_out.GATE_ACTIVE_POSTERIOR.value.value),
      .s_axis_tdata  (logits_tdata),
      .s_axis_tvalid (logits_tvalid),
      .s_axis_tready (logits_tready),
      .result_valid,
      .result_ready,
      .result_pass,
      .result_class,
      .result_logits,
      .posterior_valid,
      .posterior
  );

  logic                  decided, fired, sort_pending;
  logic [2:0]            outcome;
  logic [47:0]           event_time, last_time;
  logic [SortsBits-1:0]  cancelled;

  sort_scheduler #(
      .QUEUE_DEPTH (SORTS)
  ) scheduler (
      .clk,
      .rst,
      .timestamp,
      .armed,
      .drop_delay     (hwif_out.DROP_DELAY.value.value),
      .pulse_cycles   (hwif_out.PULSE_CYCLES.value.value),
      .s_event_tdata  (event_tdata),
      .s_event_tvalid (event_tvalid),
      .s_event_tready (event_tready),
      .s_done_tdata   (done_tdata),
      .s_done_tvalid  (done_tvalid),
      .s_done_tready  (done_tready),
      .result_valid,
      .result_ready,
      .result_pass,
      .decided,
      .outcome,
      .event_time,
      .last_time,
      .fired,
      .cancelled,
      .pending        (sort_pending),
      .sort_pulse
  );

  // ---------------------------------------------------------------- event records
  logic [31:0] word_tdata;
  logic        word_tvalid, word_tlast, record_busy, record_lost, records_empty;

  event_record #(
      .N_CLASSES  (N_CLASSES),
      .LOGIT_BITS (LOGIT_BITS)
  ) recorder (
      .clk,
      .rst,
      .timestamp,
      .decided,
      .outcome,
      .event_time,
      .last_time,
      .best_class    (result_class),
      .logits        (result_logits),
      .posterior_valid,
      .posterior,
      .record_valid  (mon_decision_valid),
      .record        (mon_record),
      .m_word_tdata  (word_tdata),
      .m_word_tvalid (word_tvalid),
      .m_word_tlast  (word_tlast),
      .busy          (record_busy)
  );

  record_fifo #(
      .WORDS (RecordWords),
      .DEPTH (RECORD_WORDS)
  ) records (
      .clk,
      .rst,
      .s_word_tdata  (word_tdata),
      .s_word_tvalid (word_tvalid),
      .s_word_tlast  (word_tlast),
      .m_axis_tdata  (record_tdata),
      .m_axis_tvalid (record_tvalid),
      .m_axis_tready (record_tready),
      .m_axis_tlast  (record_tlast),
      .lost          (record_lost),
      .empty         (records_empty)
  );

  // ---------------------------------------------------------------- counters and status
  localparam int unsigned Counters = 17;
  // In the order of the registers; each cell enters ACCEPTED, MISSED or DEAD_TIME once, and leaves ACCEPTED by exactly one of the
  // six outcomes.
  localparam int unsigned Accepted = 0, Missed = 1, Sorted = 2, Rejected = 3, Disarmed = 4, Late = 5, Aborted = 6,
      Conflict = 7, RecordsLost = 8, LineErrors = 9, LineStalls = 10, BadFrames = 11, GoodFrames = 12,
      HeartbeatsLost = 13, LineGaps = 14, LinesStopped = 15, DeadTime = 16;
  localparam logic [2:0] IsRejected = 3'd1, IsDisarmed = 3'd2, IsLate = 3'd3, IsAborted = 3'd4, IsConflict = 3'd5;

  // One more bit than a flush of the queue needs, for the event disarmed in the same cycle.
  localparam int unsigned StepBits = SortsBits + 1;
  logic [Counters-1:0][StepBits-1:0] step;
  logic [Counters-1:0][31:0]         count;

  always_comb begin
    step                 = '0;
    step[Accepted]       = StepBits'(accepted);
    step[Missed]         = StepBits'(missed);
    step[Sorted]         = StepBits'(fired);
    step[Rejected]       = StepBits'(decided && outcome == IsRejected);
    step[Disarmed]       = StepBits'(decided && outcome == IsDisarmed) + StepBits'(cancelled);
    step[Late]           = StepBits'(decided && outcome == IsLate);
    step[Aborted]        = StepBits'(decided && outcome == IsAborted);
    step[Conflict]       = StepBits'(decided && outcome == IsConflict);
    step[RecordsLost]    = StepBits'(record_lost);
    step[LineErrors]     = StepBits'(line_error);
    step[LineStalls]     = StepBits'(s_axis_line_tvalid && !s_axis_line_tready);
    step[BadFrames]      = StepBits'(bad_frame);
    step[GoodFrames]     = StepBits'(good_frame);
    step[HeartbeatsLost] = StepBits'(silenced);
    step[LineGaps]       = StepBits'(line_gap);
    step[LinesStopped]   = StepBits'(line_stopped);
    step[DeadTime]       = StepBits'(dead_time);
  end

  counters #(
      .COUNTERS  (Counters),
      .STEP_BITS (StepBits)
  ) counter_bank (
      .clk,
      .rst,
      .step,
      .value (count)
  );

  // An event is in `begun` from its acceptance to its decision.
  wire quiet = events_begun == '0 && !accepted && !record_busy && records_empty && tx_idle && !sort_pending;
  always_ff @(posedge clk) mon_idle <= quiet && !rst;

  assign mon_stream_line    = s_axis_line_tvalid && s_axis_line_tready;
  assign mon_stream_net_in  = pixel_tvalid && pixel_tready;
  assign mon_stream_net_out = logits_tvalid && logits_tready;

  assign hwif_in.BUILD_ID_LO.value.next       = BUILD_ID[31:0];
  assign hwif_in.BUILD_ID_HI.value.next       = BUILD_ID[63:32];
  assign hwif_in.MODEL_ID_LO.value.next       = MODEL_ID[31:0];
  assign hwif_in.MODEL_ID_HI.value.next       = MODEL_ID[63:32];
  assign hwif_in.GEOMETRY.classes.next        = 8'(N_CLASSES);
  assign hwif_in.GEOMETRY.channels.next       = 8'(C);
  assign hwif_in.GEOMETRY.height.next         = 8'(H);
  assign hwif_in.GEOMETRY.width.next          = 8'(W);
  assign hwif_in.CLOCK_HZ.value.next          = CLOCK_HZ;
  assign hwif_in.TIMESTAMP_LO.value.next      = timestamp[31:0];
  assign hwif_in.TIMESTAMP_HI.value.next      = 32'(timestamp[47:32]);
  assign hwif_in.STATUS.armed.next            = armed;
  assign hwif_in.STATUS.idle.next             = mon_idle;
  assign hwif_in.STATUS.disarmed_by.next      = disarmed_by;
  assign hwif_in.ACCEPTED.value.next          = count[Accepted];
  assign hwif_in.MISSED.value.next            = count[Missed];
  assign hwif_in.SORTED.value.next            = count[Sorted];
  assign hwif_in.REJECTED.value.next          = count[Rejected];
  assign hwif_in.DISARMED.value.next          = count[Disarmed];
  assign hwif_in.LATE.value.next              = count[Late];
  assign hwif_in.ABORTED.value.next           = count[Aborted];
  assign hwif_in.CONFLICT.value.next          = count[Conflict];
  assign hwif_in.RECORDS_LOST.value.next      = count[RecordsLost];
  assign hwif_in.LINE_ERRORS.value.next       = count[LineErrors];
  assign hwif_in.LINE_STALLS.value.next       = count[LineStalls];
  assign hwif_in.LINK_BAD_FRAMES.value.next   = count[BadFrames];
  assign hwif_in.LINK_GOOD_FRAMES.value.next  = count[GoodFrames];
  assign hwif_in.HEARTBEATS_LOST.value.next   = count[HeartbeatsLost];
  assign hwif_in.LINE_GAPS.value.next         = count[LineGaps];
  assign hwif_in.LINES_STOPPED.value.next     = count[LinesStopped];
  assign hwif_in.DEAD_TIME.value.next         = count[DeadTime];

  // Every accepted event has ended in exactly one counter once nothing is in flight.
  wire [31:0] ended_count = count[Sorted] + count[Rejected] + count[Disarmed] + count[Late] + count[Aborted] + count[Conflict];
  assert property (@(posedge clk) disable iff (rst) !(mon_idle && quiet) || count[Accepted] == ended_count);
  // Side FIFOs stay in step: an event that was accepted always finds room for its end.
  assert property (@(posedge clk) disable iff (rst) !last_tvalid || last_tready);
  assert property (@(posedge clk) disable iff (rst) events_ended <= events_begun);
  // Nothing is armed before a gate was committed.
  assert property (@(posedge clk) disable iff (rst) !armed || gate_valid);
  // The register file has no external part, so it never stalls; the link would not wait.
  assert property (@(posedge clk) disable iff (rst) !reg_req || (!stall_read && !stall_write));

endmodule

`default_nettype wire
