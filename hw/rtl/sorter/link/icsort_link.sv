// SPDX-License-Identifier: Apache-2.0
//
// icsort_link: the host link. Answers register requests from the host and sends records to it.
//
//   Line        UART 8N1, CLKS_PER_BIT cycles a bit on both pins. A frame is COBS(payload, CRC-32(payload)) and a zero byte;
//               payload = type, sequence number, body, all little endian. docs/link.md has every frame.
//   Requests    READ and WRITE are carried out on the register bus, a WRITE followed by a read of the same address. One
//               request at a time: an intact frame that arrives while the answer to the one before has not begun to
//               leave is not carried out, and is counted as bad; the host waits for each answer.
//   Register bus  reg_req is high for one cycle with reg_we, reg_addr and reg_wdata, which then stay until the answer.
//               The answer is one cycle of reg_ack with reg_err and reg_rdata, in the cycle of reg_req or any later one.
//   Records     AXI4-Stream, one record body a packet, sent as a frame of type tuser. s_axis_record_tready is low while the line is
//               busy; a packet that has begun must not wait for the host. Answers go before records, between frames.
//   Latency     a request is put on the bus 5 to 6 cycles after the middle of the stop bit of its closing zero.
//   Overflow    none: records wait at s_axis_record; a request that cannot be kept is counted, never lost silently.
//   Counting    every frame from the host gives exactly one pulse: good_frame (intact and carried out or answered
//               with NACK) or bad_frame (checksum, coding, length, UART framing, or no room). Lone zero bytes are no frames.
//   tx_idle     nothing to send: no request at work, no answer, no record byte, transmit pin at rest.
//   Reset       drops the frame being received or sent, numbers records from 0.
`default_nettype none

module icsort_link #(
    parameter int unsigned CLKS_PER_BIT = 100
) (
    input  wire logic        clk,
    input  wire logic        rst,

    input  wire logic        uart_rx,
    output logic             uart_tx,

    output logic             reg_req,
    output logic             reg_we,
    output logic [15:0]      reg_addr,
    output logic [31:0]      reg_wdata,
    input  wire logic        reg_ack,
    input  wire logic        reg_err,
    input  wire logic [31:0] reg_rdata,

    input  wire logic [31:0] s_axis_record_tdata,
    input  wire logic        s_axis_record_tvalid,
    output logic             s_axis_record_tready,
    input  wire logic        s_axis_record_tlast,
    input  wire logic [7:0]  s_axis_record_tuser,

    output logic             tx_idle,
    output logic             bad_frame,
    output logic             good_frame
);

  logic [7:0] rx_data;
  logic       rx_valid, rx_error;

  uart_rx #(
      .CLKS_PER_BIT(CLKS_PER_BIT)
  ) u_uart_rx (
      .clk,
      .rst,
      .rxd  (uart_rx),
      .data (rx_data),
      .valid(rx_valid),
      .error(rx_error)
  );

  logic [7:0] decoded_data;
  logic       decoded_valid, decoded_end, decoded_bad;

  cobs_decoder u_cobs_decoder (
      .clk,
      .rst,
      .s_data (rx_data),
      .s_valid(rx_valid),
      .s_error(rx_error),
      .m_data (decoded_data),
      .m_valid(decoded_valid),
      .m_end  (decoded_end),
      .m_bad  (decoded_bad)
  );

  logic [63:0] answer_data;
  logic [3:0]  answer_bytes;
  logic        answer_valid, answer_ready, request_busy;

  link_rx u_link_rx (
      .clk,
      .rst,
      .s_data (decoded_data),
      .s_valid(decoded_valid),
      .s_end  (decoded_end),
      .s_bad  (decoded_bad),
      .reg_req,
      .reg_we,
      .reg_addr,
      .reg_wdata,
      .reg_ack,
      .reg_err,
      .reg_rdata,
      .answer_data,
      .answer_bytes,
      .answer_valid,
      .answer_ready,
      .busy   (request_busy),
      .bad_frame,
      .good_frame
  );

  logic [7:0] coded_data;
  logic       coded_valid, coded_ready, coder_busy, uart_busy;

  logic [7:0] payload_data;
  logic       payload_valid, payload_ready, payload_last, payload_busy;

  link_tx u_link_tx (
      .clk,
      .rst,
      .hold         (coder_busy),
      .answer_data,
      .answer_bytes,
      .answer_valid,
      .answer_ready,
      .s_axis_record_tdata,
      .s_axis_record_tvalid,
      .s_axis_record_tready,
      .s_axis_record_tlast,
      .s_axis_record_tuser,
      .m_axis_tdata (payload_data),
      .m_axis_tvalid(payload_valid),
      .m_axis_tready(payload_ready),
      .m_axis_tlast (payload_last),
      .busy         (payload_busy)
  );

  cobs_encoder u_cobs_encoder (
      .clk,
      .rst,
      .s_axis_tdata (payload_data),
      .s_axis_tvalid(payload_valid),
      .s_axis_tready(payload_ready),
      .s_axis_tlast (payload_last),
      .m_axis_tdata (coded_data),
      .m_axis_tvalid(coded_valid),
      .m_axis_tready(coded_ready),
      .busy         (coder_busy)
  );

  uart_tx #(
      .CLKS_PER_BIT(CLKS_PER_BIT)
  ) u_uart_tx (
      .clk,
      .rst,
      .s_axis_tdata (coded_data),
      .s_axis_tvalid(coded_valid),
      .s_axis_tready(coded_ready),
      .txd          (uart_tx),
      .busy         (uart_busy)
  );

  assign tx_idle = !(request_busy || s_axis_record_tvalid || payload_busy || coder_busy || uart_busy);

endmodule

`default_nettype wire
