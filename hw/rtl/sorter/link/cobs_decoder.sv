// SPDX-License-Identifier: Apache-2.0
//
// cobs_decoder: takes Consistent Overhead Byte Stuffing off a byte stream; a zero byte ends a frame.
//
//   Input       a byte in each cycle with s_valid, no ready. s_error with it: the byte is not to be trusted; it is not
//               decoded, and the frame that it stands in is bad.
//   Output      m_valid with a decoded byte; m_end for one cycle at the end of a frame, after its last byte and never
//               together with m_valid, with m_bad: coding broken off or s_error seen. Nothing waits: there is no ready.
//   Latency     1 cycle. A frame without bytes and without error (two zeros in a row) gives nothing.
//   Interval    1 byte a cycle.
//   Length      any; nothing is stored, so nothing overflows.
//   Reset       waits for a new frame: the next byte is taken as the first of one.
`default_nettype none

module cobs_decoder (
    input  wire logic       clk,
    input  wire logic       rst,

    input  wire logic [7:0] s_data,
    input  wire logic       s_valid,
    input  wire logic       s_error,

    output logic [7:0]      m_data,
    output logic            m_valid,
    output logic            m_end,
    output logic            m_bad
);
  logic [7:0] left_q;    // data bytes until the next code byte
  logic       open_q;    // a byte of the frame was seen
  logic       error_q;
  logic       zero_q;    // the block before ended in a zero that is not in the stream

  wire [7:0] code = s_data;

  always_ff @(posedge clk) begin
    m_valid <= 1'b0;
    m_end   <= 1'b0;
    if (s_valid) begin
      if (s_error) begin
        error_q <= 1'b1;
      end else if (s_data == '0) begin
        m_end   <= open_q || error_q;
        m_bad   <= error_q || left_q != '0;
        left_q  <= '0;
        open_q  <= 1'b0;
        error_q <= 1'b0;
      end else begin
        open_q <= 1'b1;
        if (left_q != '0) begin
          m_valid <= 1'b1;
          m_data  <= s_data;
          left_q  <= left_q - 1'b1;
        end else begin
          m_valid <= open_q && zero_q;
          m_data  <= '0;
          left_q  <= code - 1'b1;
          zero_q  <= code != 8'hFF;
        end
      end
    end
    if (rst) begin
      left_q  <= '0;
      open_q  <= 1'b0;
      error_q <= 1'b0;
      zero_q  <= 1'b0;
      m_valid <= 1'b0;
      m_end   <= 1'b0;
    end
  end

endmodule

`default_nettype wire
