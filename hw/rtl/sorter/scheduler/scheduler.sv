// SPDX-License-Identifier: Apache-2.0
//
// scheduler: from cells and the gates' wishes to the sort outputs. Model: sim/bit_true/scheduler.py; docs/sorter.md has every rule.
//
//   cells -> cell_intake (-> drop_position <- drop_clock) -> sort_scheduler -> 6 x sort_output -> sort_out
//                                                  wishes ->      ^   ^
//                                         schedule_settings, test_pulses
//
//   cell        a pulse for each cell that the light has seen: see cell_intake.
//   s_decision  valid/ready: the gates' wish for the oldest undecided event and how it ended; taken with `decided`.
//   settings, reg   a memory of words with a shadow: see schedule_settings. settings_valid: a set is in force.
//   drop_in     the drop clock's pin, synchronised.
//   cells_lost, drop_failed   pulses, both faults.
//   Latency     of a decision from s_decision: sort_scheduler. sort_out is exact to the cycle in valve mode; in droplet mode it changes 4
//               cycles behind the pin's edge.
//   Reset       nothing in force, everything forgotten, outputs low.
`default_nettype none

module scheduler
  import icsort_pkg::*;
#(
    parameter int unsigned CELLS  = 256,
    parameter int unsigned SORTS  = 64,
    parameter int unsigned EVENTS = 16
) (
    input  wire logic                   clk,
    input  wire logic                   rst,

    input  wire logic [TIME_BITS-1:0]   timestamp,
    input  wire logic                   armed,
    input  wire logic                   testing,

    input  wire logic                   settings_view,
    input  wire logic                   reg_req,
    input  wire logic                   reg_we,
    input  wire logic [5:0]             reg_index,
    input  wire logic [31:0]            reg_wdata,
    output logic                        reg_wr_ack,
    output logic                        reg_rd_ack,
    output logic [31:0]                 reg_rdata,
    input  wire logic                   settings_commit,
    output logic                        settings_valid,
    output logic [31:0]                 settings_serial,

    input  wire logic                   test_one,
    input  wire logic [31:0]            test_period,
    input  wire logic [15:0]            test_width,
    input  wire logic [2:0]             test_direction,
    input  wire logic                   test_events,

    input  wire logic                   drop_in,
    output logic                        drop_failed,

    input  wire logic                   cell_valid,
    input  wire logic                   cell_event,
    input  wire logic                   cell_doubtful,
    input  wire logic [TIME_BITS-1:0]   cell_time,
    output logic                        cells_lost,

    input  wire logic                   s_decision_tvalid,
    output logic                        s_decision_tready,
    input  wire logic [DIRECTIONS-1:0]  s_decision_hit,
    input  wire logic [EVENT_FLAGS-1:0] s_decision_flags,
    input  wire logic                   s_decision_fault,

    output logic                        decided,
    output outcome_e                    outcome,
    output logic [2:0]                  direction,

    output logic                        m_amend_valid,
    input  wire logic                   m_amend_ready,
    output logic [31:0]                 m_amend_event,
    output outcome_e                    m_amend_outcome,
    output logic [2:0]                  m_amend_direction,

    output logic [DIRECTIONS-1:0]       fired,
    output logic [DIRECTIONS-1:0]       tested,
    output logic                        pending,
    output logic [DIRECTIONS-1:0]       sort_out
);
  localparam int unsigned Remembered = 16;
  localparam int unsigned AskBits    = $clog2(Remembered);

  schedule_mode_t              mode;
  logic [31:0]                 mode_word, before_cycles, after_cycles, drop_increment, drop_timeout, setting;
  logic [5:0]                  setting_index;
  logic                        restart, sorts_pending, cells_empty;
  logic                        drop_tick;
  logic [TIME_BITS-5:0]        drop_number;
  logic [AskBits-1:0]          ask;
  logic [TIME_BITS-1:0]        began;
  logic [AskBits:0]            drops_known;
  logic                        intake_valid, intake_ready, intake_event, intake_doubtful;
  logic [TIME_BITS-1:0]        intake_position;
  logic                        locate, located, located_doubtful;
  logic [TIME_BITS-1:0]        locate_time, located_position;
  logic                        tick;
  logic [DIRECTIONS-1:0]       sorts_out, test_out;

  assign mode    = schedule_mode_t'(mode_word);
  assign sort_out = sorts_out | test_out;
  assign pending  = sorts_pending || !cells_empty || test_out != '0;

  schedule_settings settings (
      .clk,
      .rst,
      .view    (settings_view),
      .reg_req,
      .reg_we,
      .reg_index,
      .reg_wdata,
      .reg_wr_ack,
      .reg_rd_ack,
      .reg_rdata,
      .commit  (settings_commit),
      .frozen  (armed || testing || sorts_pending),
      .valid   (settings_valid),
      .restart,
      .serial  (settings_serial),
      .index   (setting_index),
      .word    (setting),
      .mode    (mode_word),
      .before_cycles,
      .after_cycles,
      .drop_increment,
      .drop_timeout
  );

  drop_clock #(
      .REMEMBERED (Remembered)
  ) drops (
      .clk,
      .rst,
      .enabled   (mode.droplet && settings_valid),
      .external  (mode.external),
      .increment (drop_increment),
      .timeout   (drop_timeout),
      .drop_in,
      .timestamp,
      .tick      (drop_tick),
      .number    (drop_number),
      .ask,
      .began,
      .known     (drops_known),
      .failed    (drop_failed)
  );

  drop_position #(
      .REMEMBERED (Remembered)
  ) place (
      .clk,
      .rst,
      .start     (locate),
      .cell_time (locate_time),
      .done      (located),
      .position  (located_position),
      .doubtful  (located_doubtful),
      .number    (drop_number),
      .known     (drops_known),
      .ask,
      .began
  );

  cell_intake #(
      .DEPTH (2 * EVENTS)
  ) intake (
      .clk,
      .rst,
      .droplet          (mode.droplet),
      .restart,
      .s_cell_valid     (cell_valid),
      .s_cell_event     (cell_event),
      .s_cell_doubtful  (cell_doubtful),
      .s_cell_time      (cell_time),
      .lost             (cells_lost),
      .empty            (cells_empty),
      .m_cell_valid     (intake_valid),
      .m_cell_ready     (intake_ready),
      .m_cell_event     (intake_event),
      .m_cell_doubtful  (intake_doubtful),
      .m_cell_position  (intake_position),
      .locate,
      .locate_time,
      .located,
      .located_position,
      .located_doubtful
  );

  test_pulses tests (
      .clk,
      .rst,
      .enabled   (armed || testing),
      .one       (test_one),
      .period    (test_period),
      .direction (test_direction),
      .width     (test_width),
      .tick,
      .quiet     (sorts_out == '0),
      .tested,
      .test_out
  );

  sort_scheduler #(
      .CELLS  (CELLS),
      .SORTS  (SORTS),
      .EVENTS (EVENTS)
  ) engine (
      .clk,
      .rst,
      .timestamp,
      .drop_tick,
      .drop_number,
      .armed,
      .testing,
      .test_events,
      .test_direction,
      .restart,
      .mode,
      .before_cycles,
      .after_cycles,
      .setting_index,
      .setting,
      .s_cell_valid      (intake_valid),
      .s_cell_ready      (intake_ready),
      .s_cell_event      (intake_event),
      .s_cell_doubtful   (intake_doubtful),
      .s_cell_position   (intake_position),
      .s_decision_tvalid,
      .s_decision_tready,
      .s_decision_hit,
      .s_decision_flags,
      .s_decision_fault,
      .decided,
      .outcome,
      .direction,
      .m_amend_valid,
      .m_amend_ready,
      .m_amend_event,
      .m_amend_outcome,
      .m_amend_direction,
      .fired,
      .tick,
      .pending           (sorts_pending),
      .sort_out          (sorts_out)
  );

endmodule

`default_nettype wire
