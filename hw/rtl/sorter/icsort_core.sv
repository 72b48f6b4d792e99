// SPDX-License-Identifier: Apache-2.0
//
// icsort_core: the cell sorter around a compiled network: line stream in, sort pulse out; registers and records on plain buses, so that
// any link can be around it (icsort_top: a UART).
//
//   line_source -> front (lines, events, windows, preprocessing) -> icsort_net in network_pairing -> gate_engine -> event_join -> scheduler -> sort_out
//                    +-> features -> feature_store (to gate_engine, event_record)                                        |              |
//                    |                                                                                                  |              |
//                    +-- side FIFOs: when each event began, how it ended -----------------------------------------------+              +-> event_record -> record_fifo -> frame_arbiter -> m_axis_record
//                                                                                                                            statistics, image_snapshot --+
//
//   s_axis_line   a beat is P pixels of C samples, the lowest column and channel 0 at the LSB; tlast ends a line of LINE_W pixels. It is
//                 always taken: tready is 1. tuser, with the first beat of a line: {line number, timestamp}, noted by the source in the
//                 cycle in which it was offered the light of that beat. See line_input for lines that are not as they should be.
//   timestamp     the cycle counter that lines are stamped with, in this cycle.
//   Event         see sim/bit_true/event.py; the network sees H lines of it.
//   sort_out      the outputs of the six directions: see scheduler. The time of an event is that of its trigger line.
//   interlock     a pin: high while the sorter may be armed. drop_clock: a pin: a drop begins with its rising edge.
//   Registers     reg_req is high for one cycle with reg_we, reg_addr (bytes) and reg_wdata, which stay until the answer: one cycle of
//                 reg_ack with reg_err (no such register, or not to be read or written so) and reg_rdata, at least two
//                 cycles behind reg_req.
//   m_axis_record AXI4-Stream, one record a packet, little endian words of 32 bits; tuser is the type of its frame (icsort_pkg).
//                 It may be stalled for ever: what then does not fit is counted, and nothing waits for it. Statistics, and the pieces of
//                 images behind them, begin where no record waits.
//   interrupt     a level: high while a fault is set, and from a disarming by silence until the next ARM, ARM_TEST or DISARM.
//   host_*        from what is around: a cycle for each intact request (sign of life for the heartbeat), for each that was
//                 dropped, and whether it has nothing more to send.
//   Latency       docs/sorter.md lists the cycles of each stage.
//   Reset         everything in flight is lost, counters and timestamp start again at 0, registers take their reset values.
//   Overflow      more than EVENTS events between trigger and decision: the new one is not accepted and counts as MISSED.
//                 A record that does not fit its FIFO is dropped whole and counts as RECORDS_LOST.
//   mon_*         for benches, the virtual board and the lights of a real one; nothing in the FPGA needs them:
//     mon_fault            a fault is set
//     mon_armed, mon_idle  idle: no event, no pending sort, no pulse, no record, no image, and host_idle
//     mon_event            one cycle for each accepted event
//     mon_decision         one cycle for each decided event
//     mon_record           the words of event records on their way to the record FIFO
//     mon_stream_line/net_in/net_out   one cycle for each beat accepted at the line input, the net's input and its output
`default_nettype none

module icsort_core
  import icsort_pkg::*;
#(
    parameter int unsigned LINE_W       = 40,
    parameter int unsigned H            = 40,
    parameter int unsigned W            = 40,
    parameter int unsigned X_OFFSET     = 0,
    parameter int unsigned C            = 3,
    parameter int unsigned SAMPLE_BITS  = 16,
    parameter int unsigned P            = 1,      // pixels a beat of the line stream: a power of two, or LINE_W
    parameter int unsigned LINES        = 256,    // that are kept, a power of two
    parameter int unsigned SOURCE_LINES = 64,     // that the line source holds, a power of two
    parameter int unsigned NET_PIXELS   = 1,      // a beat at the network's input; divides W
    parameter int unsigned N_CLASSES    = 7,
    parameter int unsigned LOGIT_BITS   = 20,
    parameter int unsigned NET_LATENCY  = 0,      // of the network, cycles from the last pixel of a window to its logits
    parameter int unsigned NET_WAITS    = 0,      // whether it gives none before that pixel, however late that is
    parameter int unsigned FEATURES     = 0,      // 1: events have features, for gates and records; lines of at most 256 pixels
    parameter logic [C*SAMPLE_BITS-1:0] BACKGROUND = '0,   // unsigned, channel 0 at the LSB
    parameter logic [C*18-1:0]          GAIN       = '0,   // signed 18 bit, channel 0 at the LSB
    parameter int unsigned SHIFT        = 1,
    parameter logic [63:0] BUILD_ID     = '0,
    parameter logic [63:0] MODEL_ID     = '0,
    parameter logic [63:0] NETWORK_ID   = '0,
    parameter int unsigned CLOCK_HZ     = 100_000_000,
    parameter int unsigned EVENTS       = 16,     // events between trigger and decision
    parameter int unsigned SORTS        = 64,     // sorts waiting for their time, a power of two
    parameter int unsigned RECORD_WORDS = 1024,   // record FIFO, words of 32 bits, a power of two
    parameter int unsigned TESTS        = 32,     // of the gate engine
    parameter int unsigned GATES        = 16,
    parameter int unsigned SCALES       = 16,
    parameter int unsigned CORNERS      = 16
) (
    input  wire logic                           clk,
    input  wire logic                           rst,

    input  wire logic [P*C*SAMPLE_BITS-1:0]     s_axis_line_tdata,
    input  wire logic                           s_axis_line_tvalid,
    output logic                                s_axis_line_tready,
    input  wire logic                           s_axis_line_tlast,
    input  wire logic [63:0]                    s_axis_line_tuser,

    output logic [TIME_BITS-1:0]                timestamp,

    input  wire logic                           reg_req,
    input  wire logic                           reg_we,
    input  wire logic [15:0]                    reg_addr,
    input  wire logic [31:0]                    reg_wdata,
    output logic                                reg_ack,
    output logic                                reg_err,
    output logic [31:0]                         reg_rdata,
    input  wire logic                           host_alive,
    input  wire logic                           host_bad,
    input  wire logic                           host_idle,

    output logic [31:0]                         m_axis_record_tdata,
    output logic                                m_axis_record_tvalid,
    input  wire logic                           m_axis_record_tready,
    output logic                                m_axis_record_tlast,
    output logic [7:0]                          m_axis_record_tuser,

    input  wire logic                           interlock,
    input  wire logic                           drop_clock,
    output logic [DIRECTIONS-1:0]               sort_out,
    output logic                                interrupt,

    output logic                                mon_armed,
    output logic                                mon_fault,
    output logic                                mon_idle,
    output logic                                mon_event,
    output logic                                mon_decision,
    output logic [31:0]                         mon_record_tdata,
    output logic                                mon_record_tvalid,
    output logic                                mon_record_tlast,
    output logic                                mon_stream_line,
    output logic                                mon_stream_net_in,
    output logic                                mon_stream_net_out
);
  if (N_CLASSES > 64 || H > 255 || W > 255) begin : gen_geometry_error
    $error("icsort_core: at most 64 classes, and 255 lines and columns (the GEOMETRY register)");
  end


  // ---------------------------------------------------------------- time
  always_ff @(posedge clk) begin
    timestamp <= timestamp + 1'b1;
    if (rst) timestamp <= '0;
  end

  // ---------------------------------------------------------------- registers
  icsort_registers_pkg::icsort_registers__in_t  hwif_in;
  icsort_registers_pkg::icsort_registers__out_t hwif_out;

  logic        request_q, read_ack, read_err, write_ack, write_err, stall_read, stall_write;
  logic [31:0] read_data;

  // A cycle between a master and the registers, which are all over the chip, and one on the way back.
  always_ff @(posedge clk) begin
    request_q <= reg_req && !rst;
    reg_ack   <= (read_ack || write_ack) && !rst;
    reg_err   <= (read_ack && read_err) || (write_ack && write_err);
    reg_rdata <= read_data;
  end

  icsort_registers registers (
      .clk,
      .rst,
      .s_cpuif_req          (request_q),
      .s_cpuif_req_is_wr    (reg_we),
      .s_cpuif_addr         (reg_addr),
      .s_cpuif_wr_data      (reg_wdata),
      .s_cpuif_wr_biten     ('1),
      .s_cpuif_req_stall_wr (stall_write),
      .s_cpuif_req_stall_rd (stall_read),
      .s_cpuif_rd_ack       (read_ack),
      .s_cpuif_rd_err       (read_err),
      .s_cpuif_rd_data      (read_data),
      .s_cpuif_wr_ack       (write_ack),
      .s_cpuif_wr_err       (write_err),
      .hwif_in,
      .hwif_out
  );

  wire        gate_valid = hwif_out.STATUS.gate_valid.value;

  localparam int unsigned Faults = 4;
  logic [Faults-1:0] fault_causes, faults, fault_clears;
  logic              armed, testing, silenced, faulty, interlock_closed, drop_level, schedule_valid, cells_lost, drop_failed,
                     mismatch, network_fault, any_fault;
  logic [1:0]        disarmed_by;

  synchronizer interlock_pin (
      .clk,
      .pin   (interlock),
      .level (interlock_closed)
  );

  synchronizer drop_pin (
      .clk,
      .pin   (drop_clock),
      .level (drop_level)
  );

  // In the order of the bits of FAULTS.
  assign fault_causes = {mismatch, drop_failed, cells_lost, !interlock_closed};
  assign fault_clears = {hwif_out.FAULTS_CLEAR.pairing.value, hwif_out.FAULTS_CLEAR.drop_clock.value,
                         hwif_out.FAULTS_CLEAR.cells_lost.value, hwif_out.FAULTS_CLEAR.interlock.value};

  fault_register #(
      .CAUSES (Faults)
  ) fault_bits (
      .clk,
      .rst,
      .cause  (fault_causes),
      .clear  (fault_clears),
      .faults,
      .any    (any_fault)
  );

  assign faulty = any_fault || network_fault;  // that one is kept where it is seen

  arming arm_and_heartbeat (
      .clk,
      .rst,
      .arm         (hwif_out.ARM.strobe.value),
      .arm_test    (hwif_out.ARM_TEST.strobe.value),
      .disarm      (hwif_out.DISARM.strobe.value),
      .gate_valid,
      .schedule_valid,
      .faulty,
      .alive       (host_alive),
      .timeout     (hwif_out.HEARTBEAT.value.value),
      .armed,
      .testing,
      .disarmed_by,
      .silenced
  );

  logic silent_q;  // disarmed by silence, and nobody has seen to it

  always_ff @(posedge clk) begin
    if (silenced) silent_q <= 1'b1;
    if (hwif_out.ARM.strobe.value || hwif_out.ARM_TEST.strobe.value || hwif_out.DISARM.strobe.value) silent_q <= 1'b0;
    interrupt <= faulty || silent_q;
    if (rst) begin
      silent_q  <= 1'b0;
      interrupt <= 1'b0;
    end
  end

  assign mon_armed = armed;
  assign mon_fault = faulty;

  // ---------------------------------------------------------------- line stream to window pixels
  logic [P*C*SAMPLE_BITS-1:0] line_tdata;
  logic                       line_tvalid, line_tlast, source_selected, source_playing;
  logic [63:0]                line_tuser;

  line_source #(
      .LINE_W      (LINE_W),
      .C           (C),
      .SAMPLE_BITS (SAMPLE_BITS),
      .P           (P),
      .LINES       (SOURCE_LINES)
  ) source (
      .clk,
      .rst,
      .timestamp,
      .armed,
      .select             (hwif_out.LINE_SOURCE.select.value),
      .while_armed        (hwif_out.LINE_SOURCE.while_armed.value),
      .count              (hwif_out.LINE_SOURCE_LINES.value.value),
      .gap                (hwif_out.LINE_SOURCE_GAP.value.value),
      .repeats            (hwif_out.LINE_SOURCE_REPEATS.value.value),
      .start              (hwif_out.LINE_SOURCE_START.strobe.value),
      .stop               (hwif_out.LINE_SOURCE_STOP.strobe.value),
      .index_written      (hwif_out.LINE_SOURCE_INDEX.channel.swmod),
      .index              ({hwif_out.LINE_SOURCE_INDEX.line.value, hwif_out.LINE_SOURCE_INDEX.column.value,
                            hwif_out.LINE_SOURCE_INDEX.channel.value}),
      .data_written       (hwif_out.LINE_SOURCE_DATA.value.swmod),
      .data               (hwif_out.LINE_SOURCE_DATA.value.value[SAMPLE_BITS-1:0]),
      .selected           (source_selected),
      .playing            (source_playing),
      .s_axis_line_tdata,
      .s_axis_line_tvalid,
      .s_axis_line_tready,
      .s_axis_line_tlast,
      .s_axis_line_tuser,
      .m_axis_line_tdata  (line_tdata),
      .m_axis_line_tvalid (line_tvalid),
      .m_axis_line_tlast  (line_tlast),
      .m_axis_line_tuser  (line_tuser)
  );

  assign hwif_in.LINE_SOURCE_STATUS.selected.next = source_selected;
  assign hwif_in.LINE_SOURCE_STATUS.playing.next  = source_playing;
  assign hwif_in.LINE_SOURCE_STATUS.lines.next    = 16'(SOURCE_LINES);

  logic                     field_write, field_flat;
  logic [23:0]              field_index;
  logic [15:0]              field_data, field_read;
  logic                     feature_write;
  logic [7:0]               feature_index;
  logic [31:0]              feature_data, feature_read;
  logic [C*SAMPLE_BITS-1:0] table_background;
  logic [C*18-1:0]          table_gain;
  /* verilator lint_off UNUSEDSIGNAL */  // the registers hold 8 channels, the lines may have fewer
  wire [63:0]               weights = {hwif_out.TRIGGER_WEIGHTS_HI.value.value, hwif_out.TRIGGER_WEIGHTS_LO.value.value};
  wire [63:0]               delay_bytes = {hwif_out.CHANNEL_DELAYS_HI.value.value, hwif_out.CHANNEL_DELAYS_LO.value.value};
  /* verilator lint_on UNUSEDSIGNAL */
  logic [C*6-1:0]           channel_delays;
  for (genvar c = 0; c < C; c++) begin : gen_delay
    assign channel_delays[c*6+:6] = delay_bytes[c*8+:6];
  end

  front_tables #(
      .C           (C),
      .SAMPLE_BITS (SAMPLE_BITS),
      .BACKGROUND  (BACKGROUND),
      .GAIN        (GAIN)
  ) tables (
      .clk,
      .rst,
      .index_written (hwif_out.FRONT_INDEX.index.swmod),
      .table_number  (hwif_out.FRONT_INDEX.table_number.value),
      .index         (hwif_out.FRONT_INDEX.index.value),
      .data_written  (hwif_out.FRONT_DATA.value.swmod),
      .data          (hwif_out.FRONT_DATA.value.value),
      .read_value    (hwif_in.FRONT_READ.value.next),
      .field_write,
      .field_flat,
      .field_index,
      .field_data,
      .field_read,
      .feature_write,
      .feature_index,
      .feature_data,
      .feature_read,
      .background    (table_background),
      .gain          (table_gain)
  );

  logic                            begin_valid, begin_ready, end_valid, end_ready, window_valid, window_lost;
  logic [TAG_BITS-1:0]             begin_tag, end_tag, window_tag;
  logic [TIME_BITS-1:0]            begin_time, end_time, neighbour_time;
  logic                            neighbour, neighbour_doubtful;
  logic [4:0]                      end_flags;
  logic [7:0]                      end_length;
  logic [P*C*SAMPLE_BITS-1:0]      beat_tdata;
  logic                            beat_valid, beat_end, member_first, member_last, member_valid, member_ready;
  logic [7:0]                      member_line;
  logic [TAG_BITS-1:0]             member_tag;
  logic                            line_error, line_gap, missed, debris, dead_time, stalled;
  logic [NET_PIXELS*C*8-1:0]       pixel_tdata;
  logic                            pixel_tvalid, pixel_tready;
  logic [N_CLASSES*LOGIT_BITS-1:0] logits_tdata;
  logic                            logits_tvalid, logits_tready;

  front #(
      .LINE_W      (LINE_W),
      .H           (H),
      .W           (W),
      .X_OFFSET    (X_OFFSET),
      .C           (C),
      .SAMPLE_BITS (SAMPLE_BITS),
      .P           (P),
      .NET_PIXELS  (NET_PIXELS),
      .BACKGROUND  (BACKGROUND),
      .GAIN        (GAIN),
      .SHIFT       (SHIFT),
      .EVENTS      (2 * EVENTS),  // so that only `begun` says how many there may be
      .LINES       (LINES)
  ) lines_to_pixels (
      .clk,
      .rst,
      .timestamp,
      .line_timeout   (hwif_out.LINE_TIMEOUT.value.value),
      .commit         (hwif_out.FRONT_COMMIT.strobe.value),
      .weights        (weights[C*8-1:0]),
      .on             (hwif_out.TRIGGER_ON.value.value),
      .off            (hwif_out.TRIGGER_OFF.value.value),
      .first_column   (hwif_out.TRIGGER_COLUMNS.first.value),
      .last_column    (hwif_out.TRIGGER_COLUMNS.last.value),
      .pre_lines      (hwif_out.TRIGGER_LINES.pre_lines.value),
      .post_lines     (hwif_out.TRIGGER_LINES.post_lines.value),
      .end_lines      (hwif_out.TRIGGER_LINES.end_lines.value),
      .min_lines      (hwif_out.TRIGGER_LINES.min_lines.value),
      .max_lines      (hwif_out.TRIGGER_LIMITS.max_lines.value),
      .dip            (hwif_out.TRIGGER_LIMITS.dip.value),
      .x_offset       (hwif_out.WINDOW.x_offset.value),
      .centred        (hwif_out.WINDOW.centred.value),
      .flat_enable    (hwif_out.WINDOW.flat_field.value),
      .delays         (channel_delays),
      .background     (table_background),
      .gain           (table_gain),
      .shift          (hwif_out.PREPROCESS_SHIFT.value.value),
      .table_write    (field_write),
      .table_flat     (field_flat),
      .table_index    (field_index),
      .table_data     (field_data),
      .table_read     (field_read),
      .s_axis_line_tdata  (line_tdata),
      .s_axis_line_tvalid (line_tvalid),
      .s_axis_line_tlast  (line_tlast),
      .s_axis_line_tuser  (line_tuser),
      .begin_valid,
      .begin_ready,
      .begin_tag,
      .begin_time,
      .end_valid,
      .end_tag,
      .end_time,
      .end_length,
      .end_flags,
      .neighbour,
      .neighbour_time,
      .neighbour_doubtful,
      .window_valid,
      .window_tag,
      .window_lost,
      /* verilator lint_off PINCONNECTEMPTY */
      .s_axis_line_tready (),
      /* verilator lint_on PINCONNECTEMPTY */
      .beat_valid,
      .beat_data      (beat_tdata),
      .beat_end,
      .m_member_tag   (member_tag),
      .m_member_line  (member_line),
      .m_member_first (member_first),
      .m_member_last  (member_last),
      .m_member_valid (member_valid),
      .m_member_ready (member_ready),
      .m_pixel_tdata  (pixel_tdata),
      .m_pixel_tvalid (pixel_tvalid),
      .m_pixel_tready (pixel_tready),
      .line_error,
      .line_gap,
      .missed,
      .debris,
      .dead_time,
      .stalled
  );

  assign mon_event = begin_valid;

  logic [NET_PIXELS*C*8-1:0]       net_tdata;
  logic                            net_rst, net_tvalid, net_tready;
  logic [N_CLASSES*LOGIT_BITS-1:0] answer_tdata;
  logic                            answer_tvalid, answer_tready;
  logic [TAG_BITS-1:0]             logits_tag;
  logic                            logits_lost, logits_failed;

  network_pairing #(
      .BEATS       (H * W / NET_PIXELS),
      .IN_BITS     (NET_PIXELS * C * 8),
      .LOGITS_BITS (N_CLASSES * LOGIT_BITS),
      .WINDOWS     (EVENTS),
      .LEAST       (NET_WAITS != 0 && NET_LATENCY > 2 ? 2 : 0)
  ) pairing (
      .clk,
      .rst,
      .timeout         (hwif_out.NETWORK_MARGIN.value.value == '0 ? '0 : hwif_out.NETWORK_MARGIN.value.value + NET_LATENCY),
      .clear           (hwif_out.FAULTS_CLEAR.network.value),
      .s_window_tvalid (window_valid),
      .s_window_tag    (window_tag),
      .s_window_lost   (window_lost),
      .s_axis_tdata    (pixel_tdata),
      .s_axis_tvalid   (pixel_tvalid),
      .s_axis_tready   (pixel_tready),
      .net_rst,
      .m_net_tdata     (net_tdata),
      .m_net_tvalid    (net_tvalid),
      .m_net_tready    (net_tready),
      .s_logits_tdata  (answer_tdata),
      .s_logits_tvalid (answer_tvalid),
      .s_logits_tready (answer_tready),
      .m_result_tdata  (logits_tdata),
      .m_result_tag    (logits_tag),
      .m_result_lost   (logits_lost),
      .m_result_failed (logits_failed),
      .m_result_tvalid (logits_tvalid),
      .m_result_tready (logits_tready),
      .fault           (network_fault),
      /* verilator lint_off PINCONNECTEMPTY */
      .surplus         (),
      .overdue         ()
      /* verilator lint_on PINCONNECTEMPTY */
  );

  icsort_net net (
      .clk,
      .rst           (net_rst),
      .s_axis_tdata  (net_tdata),
      .s_axis_tvalid (net_tvalid),
      .s_axis_tready (net_tready),
      .m_axis_tdata  (answer_tdata),
      .m_axis_tvalid (answer_tvalid),
      .m_axis_tready (answer_tready)
  );

  // ---------------------------------------------------------------- features
  localparam int unsigned FeatureCount = FEATURES != 0 ? 9 * C + C * (C - 1) : 0;

  logic [31:0]         feature_tdata, record_feature;
  logic [TAG_BITS-1:0] feature_tuser, event_tag;
  logic                feature_none, feature_tlast, feature_tvalid, feature_tready, featureless, decided;
  localparam int unsigned RecordValues = FeatureCount > N_CLASSES ? FeatureCount : N_CLASSES;
  localparam int unsigned RecordBits   = $clog2(RecordValues + 1) < 4 ? 4 : $clog2(RecordValues + 1);
  /* verilator lint_off UNUSEDSIGNAL */  // it may also count more classes than there are features
  logic [RecordBits-1:0] record_index;
  /* verilator lint_on UNUSEDSIGNAL */

  if (FEATURES != 0) begin : gen_features
    logic [TAG_BITS:0] table_tdata;
    logic              table_tvalid, table_tready;
    logic [7:0]        table_index;
    logic [31:0]       table_value;

    features #(
        .LINE_W      (LINE_W),
        .C           (C),
        .SAMPLE_BITS (SAMPLE_BITS),
        .P           (P),
        .EVENTS      (EVENTS)
    ) numbers (
        .clk,
        .rst,
        .index             (feature_index),
        .store             (feature_write),
        .data              (feature_data),
        .entry             (feature_read),
        .commit            (hwif_out.FRONT_COMMIT.strobe.value),
        .beat_valid,
        .beat_data         (beat_tdata),
        .beat_end,
        .s_member_tdata    ({member_tag, member_line, member_first, member_last}),
        .s_member_tvalid   (member_valid),
        .s_member_tready   (member_ready),
        .m_features_tdata  (table_tdata),
        .m_features_tvalid (table_tvalid),
        .m_features_tready (table_tready),
        .value_index       (table_index),
        .value             (table_value),
        /* verilator lint_off PINCONNECTEMPTY */
        .event_lost        (),
        .line_lost         ()
        /* verilator lint_on PINCONNECTEMPTY */
    );

    feature_store #(
        .FEATURES (FeatureCount),
        .EVENTS   (EVENTS),
        .TAG_BITS (TAG_BITS)
    ) store (
        .clk,
        .rst,
        .s_features_tdata  (table_tdata),
        .s_features_tvalid (table_tvalid),
        .s_features_tready (table_tready),
        .value_index       (table_index),
        .value             (table_value),
        .m_axis_tdata      (feature_tdata),
        .m_axis_tuser      (feature_tuser),
        .m_axis_none       (feature_none),
        .m_axis_tlast      (feature_tlast),
        .m_axis_tvalid     (feature_tvalid),
        .m_axis_tready     (feature_tready),
        .decided,
        .decided_tag       (event_tag),
        .record_index      (record_index[$clog2(FeatureCount)-1:0]),
        .record_data       (record_feature),
        .lost              (featureless)
    );
  end else begin : gen_no_features
    assign feature_read   = '0;
    assign member_ready   = 1'b1;
    assign feature_tdata  = '0;
    assign feature_tuser  = '0;
    assign feature_none   = 1'b0;
    assign feature_tlast  = 1'b0;
    assign feature_tvalid = 1'b0;
    assign record_feature = '0;
    assign featureless    = 1'b0;
    wire unused = &{1'b0, beat_tdata, beat_valid, beat_end, member_tag, member_line, member_first, member_last, member_valid,
                    feature_write, feature_index, feature_data, feature_tready, record_index};
  end

  // ---------------------------------------------------------------- decision
  // Side FIFOs beside the network: when each event began, and how it ended; beside the gate: what of its result is not logits.
  localparam int unsigned EventsBits = $clog2(EVENTS + 1);
  logic [EventsBits-1:0] events_begun, events_ended;
  logic [TIME_BITS-1:0]  event_tdata, ended_time;
  logic [TAG_BITS-1:0]   ended_tag, result_tag;
  logic [EVENT_FLAGS-1:0] ended_flags, event_flags;
  logic [7:0]            ended_length;
  logic                  event_tvalid, event_tready, ended_tvalid, ended_tready, result_lost, result_failed;

  fifo #(
      .WIDTH (TAG_BITS + TIME_BITS),
      .DEPTH (EVENTS)
  ) begun (
      .clk,
      .rst,
      .s_axis_tdata  ({begin_tag, begin_time}),
      .s_axis_tvalid (begin_valid),
      .s_axis_tready (begin_ready),
      .m_axis_tdata  ({event_tag, event_tdata}),
      .m_axis_tvalid (event_tvalid),
      .m_axis_tready (event_tready),
      .count         (events_begun)
  );

  fifo #(
      .WIDTH (TAG_BITS + EVENT_FLAGS + 8 + TIME_BITS),
      .DEPTH (EVENTS)
  ) ended (
      .clk,
      .rst,
      .s_axis_tdata  ({end_tag, EVENT_FLAGS'(end_flags), end_length, end_time}),
      .s_axis_tvalid (end_valid),
      .s_axis_tready (end_ready),
      .m_axis_tdata  ({ended_tag, ended_flags, ended_length, ended_time}),
      .m_axis_tvalid (ended_tvalid),
      .m_axis_tready (ended_tready),
      .count         (events_ended)
  );

  // Of an event its length and the time since the one before are values of the gates.
  logic                  event_before_q;
  logic [TIME_BITS-1:0]  time_before_q;
  wire  [TIME_BITS-1:0]  interval = event_tdata - time_before_q;
  wire  [31:0]           interval_value = !event_before_q || |interval[TIME_BITS-1:31] ? 32'h7FFF_FFFF : interval[31:0];

  always_ff @(posedge clk) begin
    if (decided) begin
      event_before_q <= 1'b1;
      time_before_q  <= event_tdata;
    end
    if (rst) event_before_q <= 1'b0;
  end

  logic                            result_valid, result_ready, result_mismatch;
  logic                            result_ambiguous, result_featureless;
  logic [DIRECTIONS-1:0]           result_direction;
  logic [GATES-1:0]                result_gates;
  logic [7:0]                      result_class;
  logic [N_CLASSES*LOGIT_BITS-1:0] result_logits;
  logic [15:0]                     result_posterior;
  logic                            gate_committed, gate_committing, gate_reading;

  fifo #(
      .WIDTH (2),
      .DEPTH (EVENTS)
  ) tickets (
      .clk,
      .rst,
      .s_axis_tdata  ({logits_failed, logits_lost}),
      .s_axis_tvalid (logits_tvalid && logits_tready),
      /* verilator lint_off PINCONNECTEMPTY */
      .s_axis_tready (),
      .m_axis_tdata  ({result_failed, result_lost}),
      .m_axis_tvalid (),
      .m_axis_tready (result_valid && result_ready),
      .count         ()
      /* verilator lint_on PINCONNECTEMPTY */
  );

  logic decision_valid, decision_taken, decision_fault;

  event_join joiner (
      .event_valid   (event_tvalid),
      .event_tag,
      .take_event    (event_tready),
      .ended_valid   (ended_tvalid),
      .ended_tag,
      .take_ended    (ended_tready),
      .result_valid,
      .result_tag,
      .result_failed,
      .take_result   (result_ready),
      .joined        (decision_valid),
      .take          (decision_taken),
      .fault         (decision_fault),
      .mismatch
  );

  always_comb begin
    event_flags               = ended_flags;
    event_flags[FLAG_STALLED] = ended_flags[FLAG_STALLED] || result_lost;
    event_flags[FLAG_FEATURELESS] = FEATURES != 0 && result_featureless;
  end

  // ---------------------------------------------------------------- settings of the package: calibration, and whose they are
  logic [17:0] posterior_multiplier;
  logic [5:0]  posterior_shift;
  logic        calibrated;
  logic [63:0] settings_id;

  posterior_settings #(
      .EVENTS (EVENTS)
  ) calibration (
      .clk,
      .rst,
      .commit         (hwif_out.FRONT_COMMIT.strobe.value),
      .new_multiplier (hwif_out.POSTERIOR.multiplier.value),
      .new_shift      (hwif_out.POSTERIOR.shift.value),
      .begun          (begin_valid),
      .taken          (logits_tvalid && logits_tready),
      .multiplier     (posterior_multiplier),
      .shift          (posterior_shift),
      .calibrated
  );

  always_ff @(posedge clk) begin
    if (hwif_out.FRONT_COMMIT.strobe.value) settings_id <= {hwif_out.SETTINGS_ID_HI.value.value, hwif_out.SETTINGS_ID_LO.value.value};
    if (rst) settings_id <= '0;
  end

  assign hwif_in.POSTERIOR_IN_FORCE.multiplier.next    = posterior_multiplier;
  assign hwif_in.POSTERIOR_IN_FORCE.shift.next         = posterior_shift;
  assign hwif_in.SETTINGS_IN_FORCE_LO.value.next       = settings_id[31:0];
  assign hwif_in.SETTINGS_IN_FORCE_HI.value.next       = settings_id[63:32];

  /* verilator lint_off PINCONNECTEMPTY */
  gate_engine #(
      .N_CLASSES  (N_CLASSES),
      .LOGIT_BITS (LOGIT_BITS),
      .FEATURES   (FeatureCount),
      .TAG_BITS   (TAG_BITS),
      .TESTS      (TESTS),
      .GATES      (GATES),
      .SCALES     (SCALES),
      .CORNERS    (CORNERS)
  ) gates (
      .clk,
      .rst,
      .index                 (hwif_out.GATE_INDEX.index.value),
      .index_active          (hwif_out.GATE_INDEX.active.value),
      .index_written         (hwif_out.GATE_INDEX.index.swmod),
      .data                  (hwif_out.GATE_DATA.value.value),
      .data_written          (hwif_out.GATE_DATA.value.swmod),
      .read_data             (hwif_in.GATE_DATA.value.next),
      .read_valid            (hwif_in.GATE_DATA.value.we),
      .reading               (gate_reading),
      .commit                (hwif_out.GATE_COMMIT.strobe.value),
      .committing            (gate_committing),
      .committed             (gate_committed),
      .multiplier            (posterior_multiplier),
      .shift                 (posterior_shift),
      .calibrated,
      .s_axis_logits_tdata   (logits_tdata),
      .s_axis_logits_tuser   (logits_tag),
      .s_axis_logits_tvalid  (logits_tvalid),
      .s_axis_logits_tready  (logits_tready),
      .s_axis_feature_tdata  (feature_tdata),
      .s_axis_feature_tuser  (feature_tuser),
      .s_axis_feature_tvalid (feature_tvalid),
      .s_axis_feature_tlast  (feature_tlast),
      .s_axis_feature_none   (feature_none),
      .s_axis_feature_tready (feature_tready),
      .s_axis_event_tdata    ({interval_value, 32'(ended_length)}),
      .s_axis_event_tuser    (ended_tag),
      .s_axis_event_tvalid   (ended_tvalid),
      .s_axis_event_tready   (),
      .result_valid,
      .result_ready,
      .result_tag,
      .result_mismatch,
      .result_direction,
      .result_wanted         (),
      .result_ambiguous,
      .result_featureless,
      .result_tests          (),
      .result_gates,
      .result_class,
      .result_posterior,
      .result_logits
  );
  /* verilator lint_on PINCONNECTEMPTY */

  logic                  sort_pending, amend_valid, amend_ready;
  outcome_e              outcome, amend_outcome;
  logic [2:0]            direction, amend_direction;
  /* verilator lint_off UNUSEDSIGNAL */  // a frame of amendments has 24 bits of the number
  logic [31:0]           amend_event;
  /* verilator lint_on UNUSEDSIGNAL */
  logic [DIRECTIONS-1:0] fired, tested;
  logic [31:0]           schedule_serial;

  wire cell_valid = begin_valid || neighbour;  // never both

  assign decision_taken = decided;

  scheduler #(
      .SORTS  (SORTS),
      .EVENTS (EVENTS)
  ) sorts (
      .clk,
      .rst,
      .timestamp,
      .armed,
      .testing,
      .settings_view     (hwif_out.SCHEDULE_VIEW.value.value),
      .reg_req           (hwif_out.SCHEDULE.req),
      .reg_we            (hwif_out.SCHEDULE.req_is_wr),
      .reg_index         (hwif_out.SCHEDULE.addr[7:2]),
      .reg_wdata         (hwif_out.SCHEDULE.wr_data),
      .reg_wr_ack        (hwif_in.SCHEDULE.wr_ack),
      .reg_rd_ack        (hwif_in.SCHEDULE.rd_ack),
      .reg_rdata         (hwif_in.SCHEDULE.rd_data),
      .settings_commit   (hwif_out.SCHEDULE_COMMIT.strobe.value),
      .settings_valid    (schedule_valid),
      .settings_serial   (schedule_serial),
      .test_one          (hwif_out.TEST_PULSE.strobe.value),
      .test_period       (hwif_out.TEST_PERIOD.value.value),
      .test_width        (hwif_out.TEST.width.value),
      .test_direction    (hwif_out.TEST.direction.value),
      .test_events       (hwif_out.TEST.events.value),
      .drop_in           (drop_level),
      .drop_failed,
      .cell_valid,
      .cell_event        (begin_valid),
      .cell_doubtful     (neighbour && neighbour_doubtful),
      .cell_time         (begin_valid ? begin_time : neighbour_time),
      .cells_lost,
      .s_decision_tvalid (decision_valid),
      /* verilator lint_off PINCONNECTEMPTY */
      .s_decision_tready (),  // that of decided
      /* verilator lint_on PINCONNECTEMPTY */
      .s_decision_hit    (result_ambiguous ? '1 : result_direction),  // several wishes are none
      .s_decision_flags  (event_flags),
      .s_decision_fault  (decision_fault || result_mismatch),
      .decided,
      .outcome,
      .direction,
      .m_amend_valid     (amend_valid),
      .m_amend_ready     (amend_ready),
      .m_amend_event     (amend_event),
      .m_amend_outcome   (amend_outcome),
      .m_amend_direction (amend_direction),
      .fired,
      .tested,
      .pending           (sort_pending),
      .sort_out
  );

  // ---------------------------------------------------------------- event records and amendments
  logic        record_busy, record_skipped, record_dropped, records_empty;

  // Of an event that is decided without its own result it is not known whether its features are there.
  wire features_known = result_tag == event_tag && !result_mismatch && !result_featureless;

  event_record #(
      .N_CLASSES  (N_CLASSES),
      .LOGIT_BITS (LOGIT_BITS),
      .FEATURES   (FeatureCount)
  ) recorder (
      .clk,
      .rst,
      .groups          ({hwif_out.RECORD_FIELDS.logits.value, hwif_out.RECORD_FIELDS.features.value && features_known,
                         hwif_out.RECORD_FIELDS.timing.value, hwif_out.RECORD_FIELDS.base.value}),
      .timestamp,
      .gate_serial     (hwif_out.GATE_SERIAL.value.value),
      .decided,
      .tag             (event_tag),
      .outcome,
      .direction       (direction == OUTPUT_NONE ? NO_DIRECTION : 8'(direction)),
      .flags           (event_flags),
      .length          (ended_length),
      .gates           (32'(result_gates)),
      .event_time      (event_tdata),
      .last_time       (ended_time),
      .best_class      (result_class),
      .logits          (result_logits),
      .posterior       (result_posterior),
      .feature_index   (record_index),
      .feature_data    (record_feature),
      .m_word_tdata    (mon_record_tdata),
      .m_word_tvalid   (mon_record_tvalid),
      .m_word_tlast    (mon_record_tlast),
      .busy            (record_busy),
      .lost            (record_skipped)
  );

  assign mon_decision = decided;

  // An amendment is one word; it goes between two event records.
  logic [31:0] amendment_tdata;
  logic        amendment_tvalid, amendment_room;
  wire         amended         = amend_valid && amend_ready;
  wire         amendment_goes  = amendment_tvalid && !mon_record_tvalid;

  assign amend_ready = amendment_room;

  fifo #(
      .WIDTH (32),
      .DEPTH (16)
  ) amendments (
      .clk,
      .rst,
      .s_axis_tdata  ({1'b0, amend_direction, 4'(amend_outcome), amend_event[23:0]}),
      .s_axis_tvalid (amended && hwif_out.RECORD_FIELDS.base.value),
      .s_axis_tready (amendment_room),
      .m_axis_tdata  (amendment_tdata),
      .m_axis_tvalid (amendment_tvalid),
      .m_axis_tready (!mon_record_tvalid),
      /* verilator lint_off PINCONNECTEMPTY */
      .count         ()
      /* verilator lint_on PINCONNECTEMPTY */
  );

  logic [31:0] fifo_tdata;
  logic        fifo_tvalid, fifo_tready, fifo_tlast;
  logic [7:0]  fifo_tuser;

  record_fifo #(
      .DEPTH (RECORD_WORDS)
  ) records (
      .clk,
      .rst,
      .s_word_tdata  (mon_record_tvalid ? mon_record_tdata : amendment_tdata),
      .s_word_tvalid (mon_record_tvalid || amendment_goes),
      .s_word_tlast  (!mon_record_tvalid || mon_record_tlast),
      .s_word_tuser  (mon_record_tvalid ? FRAME_EVENT : FRAME_AMENDMENT),
      .m_axis_tdata  (fifo_tdata),
      .m_axis_tvalid (fifo_tvalid),
      .m_axis_tready (fifo_tready),
      .m_axis_tlast  (fifo_tlast),
      .m_axis_tuser  (fifo_tuser),
      .lost          (record_dropped),
      .empty         (records_empty)
  );

  // ---------------------------------------------------------------- statistics and images, behind the records
  logic [31:0] statistics_tdata;
  logic        statistics_tvalid, statistics_tready, statistics_tlast, statistics_lost;

  statistics #(
      .COUNTERS (icsort_statistics_pkg::COUNTERS)
  ) statistics_frames (
      .clk,
      .rst,
      .period        (hwif_out.STATISTICS_PERIOD.value.value == '1 ? CLOCK_HZ : hwif_out.STATISTICS_PERIOD.value.value),
      .timestamp,
      .state         ({8'({network_fault, faults}),
                       {interlock_closed, schedule_valid, disarmed_by, testing, mon_idle, gate_valid, armed}}),
      .counters      (icsort_statistics_pkg::counters_of(hwif_in)),
      .m_axis_tdata  (statistics_tdata),
      .m_axis_tvalid (statistics_tvalid),
      .m_axis_tready (statistics_tready),
      .m_axis_tlast  (statistics_tlast),
      .lost          (statistics_lost)
  );

  logic [31:0] image_tdata;
  logic        image_tvalid, image_tready, image_tlast, image_busy, image_skipped;

  image_snapshot #(
      .BEATS      (H * W / NET_PIXELS),
      .BEAT_BYTES (NET_PIXELS * C)
  ) images (
      .clk,
      .rst,
      .rule          (hwif_out.IMAGE_RULE.rule.value),
      .rule_number   (hwif_out.IMAGE_RULE.argument.value),
      .request       (hwif_out.IMAGE_REQUEST.strobe.value),
      .s_beat_tdata  (pixel_tdata),
      .s_beat_tvalid (pixel_tvalid && pixel_tready),
      .window_valid,
      .window_tag,
      .window_lost,
      .decided,
      .decided_tag   (event_tag),
      .decided_gates (32'(result_gates)),
      .m_axis_tdata  (image_tdata),
      .m_axis_tvalid (image_tvalid),
      .m_axis_tready (image_tready),
      .m_axis_tlast  (image_tlast),
      .busy          (image_busy),
      .skipped       (image_skipped)
  );

  frame_arbiter #(
      .SOURCES (3)
  ) frames (
      .clk,
      .rst,
      .s_axis_tdata  ({image_tdata, statistics_tdata, fifo_tdata}),
      .s_axis_tvalid ({image_tvalid, statistics_tvalid, fifo_tvalid}),
      .s_axis_tready ({image_tready, statistics_tready, fifo_tready}),
      .s_axis_tlast  ({image_tlast, statistics_tlast, fifo_tlast}),
      .s_axis_tuser  ({FRAME_IMAGE, FRAME_STATISTICS, fifo_tuser}),
      .m_axis_tdata  (m_axis_record_tdata),
      .m_axis_tvalid (m_axis_record_tvalid),
      .m_axis_tready (m_axis_record_tready),
      .m_axis_tlast  (m_axis_record_tlast),
      .m_axis_tuser  (m_axis_record_tuser)
  );

  // ---------------------------------------------------------------- counters and status
  // Each cell enters ACCEPTED, MISSED, DEBRIS or DEAD_TIME once, and leaves ACCEPTED by exactly one outcome. The outcomes come first, by their
  // codes.
  localparam int unsigned Outcomes = int'(COMPLETE) + 1;
  localparam int unsigned Accepted = Outcomes, Missed = Outcomes + 1, RecordsLost = Outcomes + 2, LineErrors = Outcomes + 3,
      Debris = Outcomes + 4, BadFrames = Outcomes + 5, GoodFrames = Outcomes + 6, HeartbeatsLost = Outcomes + 7,
      LineGaps = Outcomes + 8, LinesStopped = Outcomes + 9, DeadTime = Outcomes + 10, TestPulses = Outcomes + 11,
      WindowsLost = Outcomes + 12, FeaturesLost = Outcomes + 13, SortedIn = Outcomes + 14;
  localparam int unsigned StatisticsLost = SortedIn + DIRECTIONS;
  localparam int unsigned ImagesSkipped = StatisticsLost + 1;
  localparam int unsigned Counters = ImagesSkipped + 1;
  localparam int unsigned StepBits = 3;  // all outputs at once, and a sort that is charged with the one before
  logic [Counters-1:0][StepBits-1:0] step;
  logic [Counters-1:0][31:0]         count;

  always_comb begin
    step                 = '0;
    for (int unsigned i = 0; i < Outcomes; i++) begin
      step[i] = StepBits'(decided && outcome == outcome_e'(i)) + StepBits'(amended && amend_outcome == outcome_e'(i));
    end
    step[SORTED]         = '0;
    for (int unsigned i = 0; i < DIRECTIONS; i++) begin
      step[SORTED]       = step[SORTED] + StepBits'(fired[i]);
      step[TestPulses]   = step[TestPulses] + StepBits'(tested[i]);
      step[SortedIn+i]   = StepBits'(fired[i]);
    end
    step[Accepted]       = StepBits'(begin_valid);
    step[Missed]         = StepBits'(missed);
    step[RecordsLost]    = StepBits'(record_dropped) + StepBits'(record_skipped);
    step[LineErrors]     = StepBits'(line_error);
    step[Debris]         = StepBits'(debris);
    step[BadFrames]      = StepBits'(host_bad);
    step[GoodFrames]     = StepBits'(host_alive);
    step[HeartbeatsLost] = StepBits'(silenced);
    step[LineGaps]       = StepBits'(line_gap);
    step[LinesStopped]   = StepBits'(stalled);
    step[DeadTime]       = StepBits'(dead_time);
    step[WindowsLost]    = StepBits'(window_valid && window_lost);
    step[FeaturesLost]   = StepBits'(featureless);
    step[StatisticsLost] = StepBits'(statistics_lost);
    step[ImagesSkipped]  = StepBits'(image_skipped);
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
  wire quiet = events_begun == '0 && !begin_valid && !record_busy && !amendment_tvalid && records_empty && host_idle && !sort_pending
      && !source_playing && !image_busy;
  always_ff @(posedge clk) mon_idle <= quiet && !rst;

  assign mon_stream_line    = line_tvalid;
  assign mon_stream_net_in  = pixel_tvalid && pixel_tready;
  assign mon_stream_net_out = answer_tvalid && answer_tready;

  assign hwif_in.BUILD_ID_LO.value.next       = BUILD_ID[31:0];
  assign hwif_in.BUILD_ID_HI.value.next       = BUILD_ID[63:32];
  assign hwif_in.MODEL_ID_LO.value.next       = MODEL_ID[31:0];
  assign hwif_in.MODEL_ID_HI.value.next       = MODEL_ID[63:32];
  assign hwif_in.NETWORK_ID_LO.value.next     = NETWORK_ID[31:0];
  assign hwif_in.NETWORK_ID_HI.value.next     = NETWORK_ID[63:32];
  assign hwif_in.GEOMETRY.classes.next        = 8'(N_CLASSES);
  assign hwif_in.GEOMETRY.channels.next       = 8'(C);
  assign hwif_in.GEOMETRY.height.next         = 8'(H);
  assign hwif_in.GEOMETRY.width.next          = 8'(W);
  assign hwif_in.CLOCK_HZ.value.next          = CLOCK_HZ;
  assign hwif_in.TIMESTAMP_LO.value.next      = timestamp[31:0];
  assign hwif_in.TIMESTAMP_HI.value.next      = 32'(timestamp[47:32]);
  assign hwif_in.STATUS.armed.next            = armed;
  assign hwif_in.STATUS.testing.next          = testing;
  assign hwif_in.STATUS.idle.next             = mon_idle;
  assign hwif_in.STATUS.schedule_valid.next   = schedule_valid;
  assign hwif_in.STATUS.interlock.next        = interlock_closed;
  assign hwif_in.FAULTS.interlock.next        = faults[0];
  assign hwif_in.FAULTS.cells_lost.next       = faults[1];
  assign hwif_in.FAULTS.drop_clock.next       = faults[2];
  assign hwif_in.FAULTS.pairing.next          = faults[3];
  assign hwif_in.FAULTS.network.next          = network_fault;
  assign hwif_in.SCHEDULE_SERIAL.value.next   = schedule_serial;
  assign hwif_in.STATUS.disarmed_by.next      = disarmed_by;
  assign hwif_in.STATUS.gate_valid.hwset      = gate_committed;
  assign hwif_in.GATE_SERIAL.value.incr       = gate_committed;
  assign hwif_in.GATE_STATE.committing.next   = gate_committing;
  assign hwif_in.GATE_STATE.reading.next      = gate_reading;
  assign hwif_in.GATE_SIZE.tests.next         = 8'(TESTS);
  assign hwif_in.GATE_SIZE.gates.next         = 8'(GATES);
  assign hwif_in.GATE_SIZE.scales.next        = 8'(SCALES);
  assign hwif_in.GATE_SIZE.corners.next       = 8'(CORNERS);
  assign hwif_in.GATE_VALUES.features.next    = 8'(FeatureCount);
  assign hwif_in.ACCEPTED.value.next          = count[Accepted];
  assign hwif_in.MISSED.value.next            = count[Missed];
  assign hwif_in.SORTED.value.next            = count[SORTED];
  assign hwif_in.REJECTED.value.next          = count[REJECTED];
  assign hwif_in.DISARMED.value.next          = count[DISARMED];
  assign hwif_in.LATE.value.next              = count[LATE];
  assign hwif_in.HARDWARE.value.next          = count[HARDWARE];
  assign hwif_in.CONFLICT.value.next          = count[CONFLICT];
  assign hwif_in.RECORDS_LOST.value.next      = count[RecordsLost];
  assign hwif_in.LINE_ERRORS.value.next       = count[LineErrors];
  assign hwif_in.DEBRIS.value.next            = count[Debris];
  assign hwif_in.WINDOWS_LOST.value.next      = count[WindowsLost];
  assign hwif_in.FEATURES_LOST.value.next     = count[FeaturesLost];
  assign hwif_in.LINK_BAD_FRAMES.value.next   = count[BadFrames];
  assign hwif_in.LINK_GOOD_FRAMES.value.next  = count[GoodFrames];
  assign hwif_in.HEARTBEATS_LOST.value.next   = count[HeartbeatsLost];
  assign hwif_in.LINE_GAPS.value.next         = count[LineGaps];
  assign hwif_in.LINES_STOPPED.value.next     = count[LinesStopped];
  assign hwif_in.DEAD_TIME.value.next         = count[DeadTime];
  assign hwif_in.COINCIDENCE.value.next        = count[COINCIDENCE];
  assign hwif_in.AMBIGUOUS.value.next          = count[AMBIGUOUS];
  assign hwif_in.OVERLONG.value.next           = count[OVERLONG];
  assign hwif_in.STALLED.value.next            = count[STALLED];
  assign hwif_in.FAULT.value.next              = count[FAULT];
  assign hwif_in.LIMITED.value.next            = count[LIMITED];
  assign hwif_in.SKIPPED.value.next            = count[SKIPPED];
  assign hwif_in.COMPLETE.value.next           = count[COMPLETE];
  assign hwif_in.TEST_PULSES.value.next       = count[TestPulses];
  assign hwif_in.SORTED_0.value.next          = count[SortedIn+0];
  assign hwif_in.SORTED_1.value.next          = count[SortedIn+1];
  assign hwif_in.SORTED_2.value.next          = count[SortedIn+2];
  assign hwif_in.SORTED_3.value.next          = count[SortedIn+3];
  assign hwif_in.SORTED_4.value.next          = count[SortedIn+4];
  assign hwif_in.SORTED_5.value.next          = count[SortedIn+5];
  assign hwif_in.STATISTICS_LOST.value.next   = count[StatisticsLost];
  assign hwif_in.IMAGES_SKIPPED.value.next    = count[ImagesSkipped];

  // Every accepted event has ended in exactly one counter once nothing is in flight.
  logic [31:0] ended_count;
  always_comb begin
    ended_count = '0;
    for (int unsigned i = 0; i < Outcomes; i++) ended_count = ended_count + count[i];
  end
  assert property (@(posedge clk) disable iff (rst) !(mon_idle && quiet) || count[Accepted] == ended_count);
  // Side FIFOs stay in step: an event that was accepted always finds room for its end.
  assert property (@(posedge clk) disable iff (rst) !end_valid || end_ready);
  assert property (@(posedge clk) disable iff (rst) events_ended <= events_begun);
  // Nothing is armed before a gate was committed.
  assert property (@(posedge clk) disable iff (rst) !armed || gate_valid);
  // There is one request at a time, so the register file never stalls one; no master would wait.
  assert property (@(posedge clk) disable iff (rst) !request_q || (!stall_read && !stall_write));

endmodule

`default_nettype wire
