// SPDX-License-Identifier: Apache-2.0
//
// network_pairing: around the network: every window that goes in comes out once, in order, with its tag, whatever the network does.
//
//   s_window    a pulse for each window whose last pixels are on their way to s_axis: its tag, and whether lines of it were lost. No ready:
//               at most WINDOWS of them have no result yet.
//   s_axis      pixels to the network, BEATS beats a window; m_net goes to it, s_logits comes from it: AXI4-Stream, passed through.
//   m_result    one for each window, in order: its logits, tag and lost; failed: there are none, logits are 0.
//   Fault       the network gives logits less than LEAST cycles behind the last beat of a window (surplus; where LEAST is 0, because it needs
//               no last pixel: while no window is inside), or has none `timeout` cycles behind it (overdue; 0: it may take for ever). With
//               a timeout shorter than the way from there to the logits of the next window, logits that are missing never make
//               those of that one pass for them. `fault` stays until `clear` is pulsed while all that had come has its result; while it is high the network is held
//               in reset, pixels are taken and dropped, and each window gets its result at once: failed.
//   surplus, overdue   what it was, where it begins: one cycle.
//   Latency     0 cycles to the network and from it, but 1 where its logits follow each other at once. Interval: that of the network.
//   Reset       what is inside is lost; the network leaves its reset 2 cycles later.
`default_nettype none

module network_pairing
  import icsort_pkg::*;
#(
    parameter int unsigned BEATS       = 1600,
    parameter int unsigned IN_BITS     = 24,
    parameter int unsigned LOGITS_BITS = 140,
    parameter int unsigned WINDOWS     = 16,
    parameter int unsigned LEAST       = 2
) (
    input  wire logic                    clk,
    input  wire logic                    rst,

    input  wire logic [31:0]             timeout,
    input  wire logic                    clear,

    input  wire logic                    s_window_tvalid,
    input  wire logic [TAG_BITS-1:0]     s_window_tag,
    input  wire logic                    s_window_lost,

    input  wire logic [IN_BITS-1:0]      s_axis_tdata,
    input  wire logic                    s_axis_tvalid,
    output logic                         s_axis_tready,

    output logic                         net_rst,
    output logic [IN_BITS-1:0]           m_net_tdata,
    output logic                         m_net_tvalid,
    input  wire logic                    m_net_tready,
    input  wire logic [LOGITS_BITS-1:0]  s_logits_tdata,
    input  wire logic                    s_logits_tvalid,
    output logic                         s_logits_tready,

    output logic [LOGITS_BITS-1:0]       m_result_tdata,
    output logic [TAG_BITS-1:0]          m_result_tag,
    output logic                         m_result_lost,
    output logic                         m_result_failed,
    output logic                         m_result_tvalid,
    input  wire logic                    m_result_tready,

    output logic                         fault,
    output logic                         surplus,
    output logic                         overdue
);
  if (LEAST == 1) begin : gen_least_error
    $error("network_pairing: LEAST must be 0, or at least 2");
  end

  localparam int unsigned BeatBits  = $clog2(BEATS + 1);
  localparam int unsigned CountBits = $clog2(WINDOWS + 2);

  logic [BeatBits-1:0]  beat_q;
  logic [CountBits-1:0] inside_q;   // windows that have begun to go in and have no result
  logic [CountBits-1:0] coming_q;   // windows announced whose last beat has not come
  logic [CountBits-1:0] early_q;    // windows that had their result before their last beat, which has not come
  logic [31:0]          now_q, age_q;
  logic                 old_q;      // age_q is that of the window whose result is next
  logic                 popped_q;   // there was a result in the cycle before
  logic                 starting_q; // the network has just left its reset
  logic                 announced, room, whole;
  logic [31:0]          whole_time;

  wire open    = !fault && !net_rst && !starting_q;
  wire take    = s_axis_tvalid && s_axis_tready;
  wire begins  = take && beat_q == '0;
  wire ends    = take && beat_q == BeatBits'(BEATS - 1);
  wire result  = m_result_tvalid && m_result_tready;
  wire behind  = ends && !(result && !whole) && early_q == '0;  // its result comes later

  fifo #(
      .WIDTH (TAG_BITS + 1),
      .DEPTH (WINDOWS)
  ) windows (
      .clk,
      .rst,
      .s_axis_tdata  ({s_window_lost, s_window_tag}),
      .s_axis_tvalid (s_window_tvalid),
      .s_axis_tready (room),
      .m_axis_tdata  ({m_result_lost, m_result_tag}),
      .m_axis_tvalid (announced),
      .m_axis_tready (result),
      /* verilator lint_off PINCONNECTEMPTY */
      .count         ()
      /* verilator lint_on PINCONNECTEMPTY */
  );

  // When each window that waits for its logits was whole.
  fifo #(
      .WIDTH (32),
      .DEPTH (WINDOWS)
  ) times (
      .clk,
      .rst           (rst || fault),
      .s_axis_tdata  (now_q),
      .s_axis_tvalid (behind),
      /* verilator lint_off PINCONNECTEMPTY */
      .s_axis_tready (),
      /* verilator lint_on PINCONNECTEMPTY */
      .m_axis_tdata  (whole_time),
      .m_axis_tvalid (whole),
      .m_axis_tready (result),
      /* verilator lint_off PINCONNECTEMPTY */
      .count         ()
      /* verilator lint_on PINCONNECTEMPTY */
  );

  assign m_net_tdata     = s_axis_tdata;
  assign m_net_tvalid    = s_axis_tvalid && open;
  assign s_axis_tready   = fault || (m_net_tready && open);
  assign m_result_tdata  = fault ? '0 : s_logits_tdata;
  assign m_result_failed = fault;
  // Whether logits may be those of the window that is next.
  wire allowed = LEAST == 0 ? inside_q != '0 : old_q && age_q >= 32'(LEAST - 1);
  wire refused = LEAST == 0 ? inside_q == '0 : !whole || (old_q ? age_q < 32'(LEAST - 1) : !popped_q);

  assign m_result_tvalid = announced && (fault || (s_logits_tvalid && open && allowed));
  assign s_logits_tready = announced && m_result_tready && open && allowed;

  assign surplus = open && s_logits_tvalid && refused;
  assign overdue = open && old_q && age_q >= timeout && timeout != '0 && !s_logits_tvalid;

  always_ff @(posedge clk) begin
    if (take) beat_q <= ends ? '0 : beat_q + 1'b1;
    inside_q <= fault ? '0 : inside_q + CountBits'(begins) - CountBits'(result);
    coming_q <= coming_q + CountBits'(s_window_tvalid) - CountBits'(ends);

    early_q  <= fault ? '0 : early_q + CountBits'(result && !whole && !ends) - CountBits'(ends && early_q != '0 && !(result && !whole));

    now_q <= now_q + 1'b1;
    age_q <= now_q - whole_time;
    old_q <= whole && !result;
    popped_q <= result;

    net_rst    <= fault;
    starting_q <= net_rst;
    if (surplus || overdue) fault <= 1'b1;
    if (clear && beat_q == '0 && coming_q == '0 && !announced && !s_window_tvalid && !take) fault <= 1'b0;
    if (rst) begin
      beat_q     <= '0;
      inside_q   <= '0;
      coming_q   <= '0;
      early_q    <= '0;
      now_q      <= '0;
      old_q      <= 1'b0;
      popped_q   <= 1'b0;
      net_rst    <= 1'b1;
      starting_q <= 1'b1;
      fault      <= 1'b0;
    end
  end

  assert property (@(posedge clk) disable iff (rst) !s_window_tvalid || room);
  assert property (@(posedge clk) disable iff (rst) !(m_result_tvalid && !m_result_failed) || inside_q != '0);
  // What is offered stays, but for a fault.
  assert property (@(posedge clk) disable iff (rst) !$past(m_result_tvalid && !m_result_tready && !rst) || (m_result_tvalid && $stable(m_result_tag)));

  result_too_early: cover property (@(posedge clk) disable iff (rst) surplus);
  result_overdue: cover property (@(posedge clk) disable iff (rst) overdue);
  result_failed: cover property (@(posedge clk) disable iff (rst) result && m_result_failed);
  result_of_lost_lines: cover property (@(posedge clk) disable iff (rst) result && m_result_lost && !m_result_failed);
  result_waits: cover property (@(posedge clk) disable iff (rst) m_result_tvalid && !m_result_tready);
  several_windows_inside: cover property (@(posedge clk) disable iff (rst) inside_q >= CountBits'(2));
  fault_cleared: cover property (@(posedge clk) disable iff (rst) $past(fault) && !fault && !$past(rst));
  clear_refused: cover property (@(posedge clk) disable iff (rst) clear && fault && (beat_q != '0 || coming_q != '0 || announced));

endmodule

`default_nettype wire
