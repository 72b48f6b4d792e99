// SPDX-License-Identifier: Apache-2.0
//
// icsort_top: the sorter with a serial line to the host: icsort_core behind icsort_link. Ports, events, timing and reset are the core's;
// frames, answers and their order are the link's.
`default_nettype none

module icsort_top #(
    parameter int unsigned LINE_W       = 40,
    parameter int unsigned H            = 40,
    parameter int unsigned W            = 40,
    parameter int unsigned X_OFFSET     = 0,
    parameter int unsigned C            = 3,
    parameter int unsigned SAMPLE_BITS  = 16,
    parameter int unsigned P            = 1,
    parameter int unsigned LINES        = 256,
    parameter int unsigned SOURCE_LINES = 64,
    parameter int unsigned NET_PIXELS   = 1,
    parameter int unsigned N_CLASSES    = 7,
    parameter int unsigned LOGIT_BITS   = 20,
    parameter int unsigned NET_LATENCY  = 0,
    parameter int unsigned NET_WAITS    = 0,
    parameter int unsigned FEATURES     = 0,
    parameter logic [C*SAMPLE_BITS-1:0] BACKGROUND = '0,
    parameter logic [C*18-1:0]          GAIN       = '0,
    parameter int unsigned SHIFT        = 1,
    parameter logic [63:0] BUILD_ID     = '0,
    parameter logic [63:0] MODEL_ID     = '0,
    parameter logic [63:0] NETWORK_ID   = '0,
    parameter int unsigned CLOCK_HZ     = 100_000_000,
    parameter int unsigned CLKS_PER_BIT = 100,
    parameter int unsigned EVENTS       = 16,
    parameter int unsigned SORTS        = 64,
    parameter int unsigned RECORD_WORDS = 1024,
    parameter int unsigned TESTS        = 32,
    parameter int unsigned GATES        = 16,
    parameter int unsigned SCALES       = 16,
    parameter int unsigned CORNERS      = 16
) (
    input  wire logic                              clk,
    input  wire logic                              rst,

    input  wire logic [P*C*SAMPLE_BITS-1:0]        s_axis_line_tdata,
    input  wire logic                              s_axis_line_tvalid,
    output logic                                   s_axis_line_tready,
    input  wire logic                              s_axis_line_tlast,
    input  wire logic [63:0]                       s_axis_line_tuser,

    output logic [icsort_pkg::TIME_BITS-1:0]       timestamp,

    input  wire logic                              uart_rx,
    output logic                                   uart_tx,
    input  wire logic                              interlock,
    input  wire logic                              drop_clock,
    output logic [icsort_pkg::DIRECTIONS-1:0]      sort_out,

    output logic                                   mon_armed,
    output logic                                   mon_fault,
    output logic                                   mon_idle,
    output logic                                   mon_event,
    output logic                                   mon_decision,
    output logic [31:0]                            mon_record_tdata,
    output logic                                   mon_record_tvalid,
    output logic                                   mon_record_tlast,
    output logic                                   mon_stream_line,
    output logic                                   mon_stream_net_in,
    output logic                                   mon_stream_net_out
);

  logic        reg_req, reg_we, reg_ack, reg_err, host_alive, host_bad, host_idle;
  logic [15:0] reg_addr;
  logic [31:0] reg_wdata, reg_rdata;
  logic [31:0] record_tdata;
  logic        record_tvalid, record_tready, record_tlast;
  logic [7:0]  record_tuser;

  icsort_core #(
      .LINE_W       (LINE_W),
      .H            (H),
      .W            (W),
      .X_OFFSET     (X_OFFSET),
      .C            (C),
      .SAMPLE_BITS  (SAMPLE_BITS),
      .P            (P),
      .LINES        (LINES),
      .SOURCE_LINES (SOURCE_LINES),
      .NET_PIXELS   (NET_PIXELS),
      .N_CLASSES    (N_CLASSES),
      .LOGIT_BITS   (LOGIT_BITS),
      .NET_LATENCY  (NET_LATENCY),
      .NET_WAITS    (NET_WAITS),
      .FEATURES     (FEATURES),
      .BACKGROUND   (BACKGROUND),
      .GAIN         (GAIN),
      .SHIFT        (SHIFT),
      .BUILD_ID     (BUILD_ID),
      .MODEL_ID     (MODEL_ID),
      .NETWORK_ID   (NETWORK_ID),
      .CLOCK_HZ     (CLOCK_HZ),
      .EVENTS       (EVENTS),
      .SORTS        (SORTS),
      .RECORD_WORDS (RECORD_WORDS),
      .TESTS        (TESTS),
      .GATES        (GATES),
      .SCALES       (SCALES),
      .CORNERS      (CORNERS)
  ) core (
      .clk,
      .rst,
      .s_axis_line_tdata,
      .s_axis_line_tvalid,
      .s_axis_line_tready,
      .s_axis_line_tlast,
      .s_axis_line_tuser,
      .timestamp,
      .reg_req,
      .reg_we,
      .reg_addr,
      .reg_wdata,
      .reg_ack,
      .reg_err,
      .reg_rdata,
      .host_alive,
      .host_bad,
      .host_idle,
      .m_axis_record_tdata  (record_tdata),
      .m_axis_record_tvalid (record_tvalid),
      .m_axis_record_tready (record_tready),
      .m_axis_record_tlast  (record_tlast),
      .m_axis_record_tuser  (record_tuser),
      .interlock,
      .drop_clock,
      .sort_out,
      /* verilator lint_off PINCONNECTEMPTY */
      .interrupt            (),  // the host asks
      /* verilator lint_on PINCONNECTEMPTY */
      .mon_armed,
      .mon_fault,
      .mon_idle,
      .mon_event,
      .mon_decision,
      .mon_record_tdata,
      .mon_record_tvalid,
      .mon_record_tlast,
      .mon_stream_line,
      .mon_stream_net_in,
      .mon_stream_net_out
  );

  icsort_link #(
      .CLKS_PER_BIT (CLKS_PER_BIT)
  ) link (
      .clk,
      .rst,
      .uart_rx,
      .uart_tx,
      .reg_req,
      .reg_we,
      .reg_addr,
      .reg_wdata,
      .reg_ack,
      .reg_err,
      .reg_rdata,
      .s_axis_record_tdata  (record_tdata),
      .s_axis_record_tvalid (record_tvalid),
      .s_axis_record_tready (record_tready),
      .s_axis_record_tlast  (record_tlast),
      .s_axis_record_tuser  (record_tuser),
      .tx_idle              (host_idle),
      .bad_frame            (host_bad),
      .good_frame           (host_alive)
  );

endmodule

`default_nettype wire
