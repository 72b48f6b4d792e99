// SPDX-License-Identifier: Apache-2.0
//
// record_batches: records one behind the other in the packets of a DMA, which keeps no TUSER and is asked anew for each packet.
//
//   Trailer     behind its last word a record has one more: its type (s_axis_tuser) in bits 31:24, how many words it has in bits 15:0. So a
//               packet is read from its end.
//   Packet      whole records. It ends with the first trailer that makes it WORDS words long or longer, or, while no record is under way,
//               PERIOD cycles behind its first word: a buffer of WORDS + a record and its trailer holds any.
//   Handshake   AXI4-Stream of 32-bit words on both sides, a record a packet at the input.
//   Latency     none for words of records; a trailer leaves 2 cycles or more behind them, with the next record or the end of the packet.
//   Reset       what is under way is lost.
//   Overflow    none: the input waits.
`default_nettype none

module record_batches #(
    parameter int unsigned WORDS  = 4096,
    parameter int unsigned PERIOD = 100_000
) (
    input  wire logic        clk,
    input  wire logic        rst,

    input  wire logic [31:0] s_axis_tdata,
    input  wire logic        s_axis_tvalid,
    output logic             s_axis_tready,
    input  wire logic        s_axis_tlast,
    input  wire logic [7:0]  s_axis_tuser,

    output logic [31:0]      m_axis_tdata,
    output logic             m_axis_tvalid,
    input  wire logic        m_axis_tready,
    output logic             m_axis_tlast
);
  if (WORDS < 1 || WORDS > 65535 || PERIOD < 1) begin : gen_size_error
    $error("record_batches: WORDS must be 1 to 65535, and PERIOD at least 1");
  end

  localparam int unsigned AgeBits = $clog2(PERIOD + 1);

  typedef enum logic [1:0] {Record, Hold, Trailer} state_e;

  state_e             state_q;
  logic [15:0]        words_q;   // of the record
  logic [16:0]        packet_q;  // of the packet, saturating at WORDS
  logic [AgeBits-1:0] age_q;     // since its first word, saturating
  logic [7:0]         type_q;
  logic               last_q;

  wire full = packet_q + 1'b1 >= 17'(WORDS);  // with the trailer
  wire old  = age_q == AgeBits'(PERIOD);

  assign m_axis_tvalid = state_q == Record ? s_axis_tvalid : state_q == Trailer;
  assign m_axis_tdata  = state_q == Record ? s_axis_tdata : {type_q, 8'd0, words_q};
  assign m_axis_tlast  = state_q == Trailer && last_q;
  assign s_axis_tready = state_q == Record && m_axis_tready;

  always_ff @(posedge clk) begin
    if (packet_q != '0 && !old) age_q <= age_q + 1'b1;
    if (m_axis_tvalid && m_axis_tready && packet_q != 17'(WORDS)) packet_q <= packet_q + 1'b1;
    unique case (state_q)
      Record:
        if (s_axis_tvalid && m_axis_tready) begin
          words_q <= words_q + 1'b1;
          type_q  <= s_axis_tuser;
          if (s_axis_tlast) state_q <= Hold;
        end
      Hold: begin
        last_q <= full || old;
        if (full || old || s_axis_tvalid) state_q <= Trailer;
      end
      default:
        if (m_axis_tready) begin
          state_q <= Record;
          words_q <= '0;
          if (last_q) begin
            packet_q <= '0;
            age_q    <= '0;
          end
        end
    endcase
    if (rst) begin
      state_q  <= Record;
      words_q  <= '0;
      packet_q <= '0;
      age_q    <= '0;
      last_q   <= 1'b0;
    end
  end

  // What is offered stays until it is taken, where it stays at the input.
  assert property (@(posedge clk) disable iff (rst)
                   !$past(state_q == Trailer && !m_axis_tready && !rst) || (m_axis_tvalid && $stable(m_axis_tdata) && $stable(m_axis_tlast)));

  ended_by_length: cover property (@(posedge clk) disable iff (rst) state_q == Hold && full && !old);
  ended_by_time: cover property (@(posedge clk) disable iff (rst) state_q == Hold && old && !full);
  goes_on: cover property (@(posedge clk) disable iff (rst) state_q == Hold && !full && !old && s_axis_tvalid);

endmodule

`default_nettype wire
