// SPDX-License-Identifier: Apache-2.0
//
// network_pairing_properties: any network, any windows. Each window has one result, in order, with its tag; one without failed has logits that
// came when they may; behind a fault nothing of the network passes.
`default_nettype none

module network_pairing_properties
  import icsort_pkg::*;
#(
    parameter int unsigned BEATS   = 2,
    parameter int unsigned WINDOWS = 2,
    parameter int unsigned LEAST   = 2
) (
    input  wire logic                 clk,
    input  wire logic                 rst,
    input  wire logic                 clear,
    input  wire logic                 s_window_tvalid,
    input  wire logic [TAG_BITS-1:0]  s_window_tag,
    input  wire logic                 s_window_lost,
    input  wire logic [3:0]           s_axis_tdata,
    input  wire logic                 s_axis_tvalid,
    input  wire logic                 m_net_tready,
    input  wire logic [3:0]           s_logits_tdata,
    input  wire logic                 s_logits_tvalid,
    input  wire logic                 m_result_tready
);
  localparam logic [31:0] Timeout = 32'd6;

  logic                s_axis_tready, net_rst, m_net_tvalid, s_logits_tready, m_result_lost, m_result_failed, m_result_tvalid,
                       fault, surplus, overdue;
  logic [3:0]          m_net_tdata, m_result_tdata;
  logic [TAG_BITS-1:0] m_result_tag;

  network_pairing #(
      .BEATS       (BEATS),
      .IN_BITS     (4),
      .LOGITS_BITS (4),
      .WINDOWS     (WINDOWS),
      .LEAST       (LEAST)
  ) dut (
      .timeout (Timeout),
      .*
  );

  // Windows are announced with tags in order, at most WINDOWS without a result, and as many as go in.
  logic                begun_q = 1'b0;
  logic [TAG_BITS-1:0] announced_q, resulted_q;  // tags of the next
  logic [7:0]          taken_q;                  // beats of windows that have no result yet, or more
  logic [7:0]          whole_q;                  // windows whose last beat was taken
  logic                offered_q;                // logits that were not taken

  wire take   = s_axis_tvalid && s_axis_tready;
  wire result = m_result_tvalid && m_result_tready;

  always_ff @(posedge clk) begin
    begun_q   <= 1'b1;
    offered_q <= s_logits_tvalid && !s_logits_tready && !net_rst && !rst;
    if (s_window_tvalid) announced_q <= announced_q + 1'b1;
    if (result) resulted_q <= resulted_q + 1'b1;
    if (take) taken_q <= taken_q == 8'(BEATS - 1) ? '0 : taken_q + 1'b1;
    if (take && taken_q == 8'(BEATS - 1)) whole_q <= whole_q + 1'b1;
    if (rst) begin
      announced_q <= '0;
      resulted_q  <= '0;
      taken_q     <= '0;
      whole_q     <= '0;
    end
  end

  wire [7:0] waiting = announced_q - resulted_q;

  always_comb begin
    if (!begun_q) assume (rst);
    assume (!s_window_tvalid || (s_window_tag == announced_q && waiting < 8'(WINDOWS)));
    // Logits stay until they are taken, but for a reset.
    assume (!offered_q || net_rst || s_logits_tvalid);
    // A window goes in at most one ahead of its announcement, and none without room for it.
    assume (!s_axis_tvalid || 8'(whole_q - resulted_q) < 8'(WINDOWS));
    if (begun_q && !rst) begin
      assert (!m_result_tvalid || (m_result_tag == resulted_q && waiting != '0));
      // Logits pass whole, once, and only to a window; of a faulty network none.
      assert (!(s_logits_tvalid && s_logits_tready) || (result && !m_result_failed && m_result_tdata == s_logits_tdata));
      assert (!(result && !m_result_failed) || (s_logits_tvalid && s_logits_tready && !fault));
      assert (!(result && m_result_failed) || (fault && m_result_tdata == '0));
      assert (!(result && !m_result_failed) || LEAST == 0 || resulted_q != whole_q);
      assert (!m_net_tvalid || (s_axis_tvalid && !fault && !net_rst));
      // While it is at fault neither pixels nor windows wait.
      assert (!fault || (s_axis_tready && (m_result_tvalid || waiting == '0)));
    end
  end

endmodule

`default_nettype wire
