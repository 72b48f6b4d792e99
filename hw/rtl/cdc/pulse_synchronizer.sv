// SPDX-License-Identifier: Apache-2.0
//
// pulse_synchronizer: a pulse of one clock becomes one pulse of another.
//
//   Handshake   a pulse is a cycle of s_clk with s_pulse and s_ready. While s_ready is low the one before is on its way, and s_pulse is
//               ignored.
//   Latency     the edge of s_clk that takes the pulse falls into a cycle of m_clk: m_pulse is high in the second one behind that, or
//               in the third where both edges fall together.
//   Interval    s_ready rises with the second edge of s_clk behind that of m_clk with which m_pulse ends, or with the third where one
//               of s_clk falls together with that.
//   Reset       `rst` of any clock, of any length; s_ready and m_pulse are low in it, and until 3 edges of their clock behind it. A pulse on its
//               way is lost, and none is made up.
`default_nettype none

module pulse_synchronizer (
    input  wire logic rst,

    input  wire logic s_clk,
    input  wire logic s_pulse,
    output logic      s_ready,

    input  wire logic m_clk,
    output logic      m_pulse
);
  logic s_rst, m_rst, sent, seen;
  logic sent_q, seen_q;  // changes with each pulse that was taken, that was given

  reset_synchronizer #(.CYCLES(3)) s_reset (.clk(s_clk), .ready(!rst), .rst(s_rst));
  reset_synchronizer #(.CYCLES(3)) m_reset (.clk(m_clk), .ready(!rst), .rst(m_rst));

  synchronizer sent_level (.clk(m_clk), .pin(sent_q), .level(sent));
  synchronizer seen_level (.clk(s_clk), .pin(seen_q), .level(seen));

  assign s_ready = sent_q == seen && !s_rst;
  assign m_pulse = sent != seen_q && !m_rst;

  // Both at once, so that neither side sees the other's change: the synchronizers are through it before the resets end.
  always_ff @(posedge s_clk or posedge s_rst) begin
    if (s_rst) sent_q <= 1'b0;
    else if (s_pulse && s_ready) sent_q <= !sent_q;
  end

  always_ff @(posedge m_clk or posedge m_rst) begin
    if (m_rst) seen_q <= 1'b0;
    else seen_q <= sent;
  end

endmodule

`default_nettype wire
