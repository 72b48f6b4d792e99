// SPDX-License-Identifier: Apache-2.0
//
// link_tx: makes the payloads of frames to the host, CRC-32 included, from answers and event records.
//
//   Answers     answer_data, answer_bytes from link_rx; taken in the cycle with answer_valid and answer_ready.
//   Records     AXI4-Stream, one record body a packet, words of 32 bits, low byte first; sent as tuser (the type), a sequence number
//               that counts frames of this type (8 bits), the body. tready is high only inside a record, with a word's last byte.
//   hold        no frame begins while it is high: with the encoder's busy on it, an answer waits for one record at most
//               and not for a second one that was only queued in the encoder.
//   Order       between frames: an answer before a record. A frame that has begun is finished first.
//   Output      AXI4-Stream, one payload with its CRC (low byte first) a packet; 1 byte in 2 cycles at most.
//   Latency     2 cycles from an answer or the first record byte to the first byte of its payload.
//   busy        a frame has begun and not left yet. Reset drops it and numbers records from 0.
`default_nettype none

module link_tx
  import icsort_pkg::*;
(
    input  wire logic        clk,
    input  wire logic        rst,

    input  wire logic        hold,

    input  wire logic [63:0] answer_data,
    input  wire logic [3:0]  answer_bytes,
    input  wire logic        answer_valid,
    output logic             answer_ready,

    input  wire logic [31:0] s_axis_record_tdata,
    input  wire logic        s_axis_record_tvalid,
    output logic             s_axis_record_tready,
    input  wire logic        s_axis_record_tlast,
    input  wire logic [7:0]  s_axis_record_tuser,

    output logic [7:0]       m_axis_tdata,
    output logic             m_axis_tvalid,
    input  wire logic        m_axis_tready,
    output logic             m_axis_tlast,

    output logic             busy
);
  typedef enum logic [1:0] {Idle, Head, Body, Crc} state_e;

  state_e      state_q;
  logic [63:0] head_q;
  logic [3:0]  left_q;   // bytes left of the head, or of the CRC
  logic        record_q;
  logic [1:0]  byte_q;   // of the record's word at hand
  logic [3:0][7:0] seq_q; // of the next record, by the low bits of its type
  logic [31:0] crc;

  wire free = !m_axis_tvalid;
  wire [1:0] crc_index = 2'(4'd4 - left_q);
  wire take = state_q == Body && free && s_axis_record_tvalid;
  wire [7:0] record_byte = s_axis_record_tdata[8*byte_q +: 8];

  assign answer_ready         = state_q == Idle && !hold;
  assign s_axis_record_tready = state_q == Body && free && byte_q == '1;
  assign busy                 = state_q != Idle || m_axis_tvalid;

  crc32 u_crc32 (
      .clk,
      .rst,
      .clear (state_q == Idle),
      .enable((state_q == Head && free) || take),
      .data  (state_q == Head ? head_q[7:0] : record_byte),
      .crc
  );

  always_ff @(posedge clk) begin
    if (m_axis_tready) m_axis_tvalid <= 1'b0;
    unique case (state_q)
      Idle: if (hold) begin
        state_q <= Idle;
      end else if (answer_valid) begin
        head_q   <= answer_data;
        left_q   <= answer_bytes;
        record_q <= 1'b0;
        state_q  <= Head;
      end else if (s_axis_record_tvalid) begin
        head_q   <= 64'({seq_q[s_axis_record_tuser[1:0]], s_axis_record_tuser});
        left_q   <= 4'd2;
        record_q <= 1'b1;
        byte_q   <= '0;
        seq_q[s_axis_record_tuser[1:0]] <= seq_q[s_axis_record_tuser[1:0]] + 1'b1;
        state_q  <= Head;
      end
      Head: if (free) begin
        m_axis_tdata  <= head_q[7:0];
        m_axis_tvalid <= 1'b1;
        m_axis_tlast  <= 1'b0;
        head_q        <= head_q >> 8;
        left_q        <= left_q - 1'b1;
        if (left_q == 4'd1) begin
          left_q  <= 4'd4;
          state_q <= record_q ? Body : Crc;
        end
      end
      Body: if (take) begin
        m_axis_tdata  <= record_byte;
        m_axis_tvalid <= 1'b1;
        byte_q        <= byte_q + 1'b1;
        if (s_axis_record_tlast && byte_q == '1) state_q <= Crc;
      end
      Crc: if (free) begin
        m_axis_tdata  <= crc[8*crc_index +: 8];
        m_axis_tvalid <= 1'b1;
        m_axis_tlast  <= left_q == 4'd1;
        left_q        <= left_q - 1'b1;
        if (left_q == 4'd1) state_q <= Idle;
      end
      default: state_q <= Idle;
    endcase
    if (rst) begin
      state_q       <= Idle;
      m_axis_tvalid <= 1'b0;
      seq_q         <= '0;
    end
  end

  // Types of records differ in their low two bits alone.
  assert property (@(posedge clk) disable iff (rst) !s_axis_record_tvalid || s_axis_record_tuser[7:2] == FRAME_EVENT[7:2]);

endmodule

`default_nettype wire
