// SPDX-License-Identifier: Apache-2.0
//
// sorter_axi_bench: icsort_axi_top with its parameters bound, as the compiler binds them, around the stub network.
// The constants are those of tests/hw/sorter/reference.py.
`default_nettype none

module sorter_axi_bench #(
    parameter int unsigned FEATURES     = 0,
    parameter int unsigned RECORD_WORDS = 1024
) (
    input  wire logic          clk,
    input  wire logic          rst,
    input  wire logic [31:0]   s_axis_line_tdata,
    input  wire logic          s_axis_line_tvalid,
    output logic               s_axis_line_tready,
    input  wire logic          s_axis_line_tlast,
    input  wire logic [63:0]   s_axis_line_tuser,
    output logic [47:0]        timestamp,
    input  wire logic [15:0]   s_axil_awaddr,
    input  wire logic [2:0]    s_axil_awprot,
    input  wire logic          s_axil_awvalid,
    output logic               s_axil_awready,
    input  wire logic [31:0]   s_axil_wdata,
    input  wire logic [3:0]    s_axil_wstrb,
    input  wire logic          s_axil_wvalid,
    output logic               s_axil_wready,
    output logic [1:0]         s_axil_bresp,
    output logic               s_axil_bvalid,
    input  wire logic          s_axil_bready,
    input  wire logic [15:0]   s_axil_araddr,
    input  wire logic [2:0]    s_axil_arprot,
    input  wire logic          s_axil_arvalid,
    output logic               s_axil_arready,
    output logic [31:0]        s_axil_rdata,
    output logic [1:0]         s_axil_rresp,
    output logic               s_axil_rvalid,
    input  wire logic          s_axil_rready,
    output logic [31:0]        m_axis_record_tdata,
    output logic               m_axis_record_tvalid,
    input  wire logic          m_axis_record_tready,
    output logic               m_axis_record_tlast,
    output logic [7:0]         m_axis_record_tuser,
    input  wire logic          interlock,
    input  wire logic          drop_clock,
    output logic [5:0]         sort_out,
    output logic               interrupt,
    output logic               mon_armed,
    output logic               mon_fault,
    output logic               mon_idle,
    output logic               mon_event,
    output logic               mon_decision,
    output logic [31:0]        mon_record_tdata,
    output logic               mon_record_tvalid,
    output logic               mon_record_tlast,
    output logic               mon_stream_line,
    output logic               mon_stream_net_in,
    output logic               mon_stream_net_out
);
  icsort_axi_top #(
      .LINE_W       (12),
      .H            (6),
      .W            (8),
      .X_OFFSET     (3),
      .C            (2),
      .SAMPLE_BITS  (16),
      .N_CLASSES    (4),
      .LOGIT_BITS   (16),
      .NET_LATENCY  (3),
      .NET_WAITS    (1),
      .FEATURES     (FEATURES),
      .BACKGROUND   ({16'd30000, 16'd300}),
      .GAIN         ({-18'sd40, 18'sd90}),
      .SHIFT        (12),
      .BUILD_ID     (64'h0123_4567_89AB_CDEF),
      .MODEL_ID     (64'hFEDC_BA98_7654_3210),
      .NETWORK_ID   (64'h0F1E_2D3C_4B5A_6978),
      .CLOCK_HZ     (100_000_000),
      .RECORD_WORDS (RECORD_WORDS)
  ) top (.*);

endmodule

`default_nettype wire
