// SPDX-License-Identifier: Apache-2.0
//
// link_rx: checks request frames from the host, carries them out on the register bus and makes the answer.
//
//   Input       decoded frames from cobs_decoder: bytes, then s_end with s_bad.
//   Requests    READ 0x01 {addr u16}, WRITE 0x02 {addr u16, data u32}; intact means: coding and CRC-32 right, 2 to 8 bytes of
//               payload. Anything intact that is no such request is answered with NACK (1 type, 2 length, 3 the bus said
//               reg_err). A frame that is not intact is dropped: no answer, bad_frame.
//   Register bus  see icsort_link. A WRITE reads back 2 cycles after its acknowledge; a register that cannot be read, a strobe,
//               is answered with 0.
//   Answer      answer_valid with answer_bytes bytes of answer_data (payload without CRC, low byte first), stable until
//               answer_ready. One at a time: an intact frame that ends before then is dropped and counted as bad.
//   Latency     reg_req 1 cycle after s_end.
//   Counting    one pulse, good_frame or bad_frame, in the cycle after each s_end.
//   busy        from an accepted request until its answer was taken.
//   Reset       drops the frame, the request and the answer.
`default_nettype none

module link_rx
  import icsort_pkg::*;
(
    input  wire logic        clk,
    input  wire logic        rst,

    input  wire logic [7:0]  s_data,
    input  wire logic        s_valid,
    input  wire logic        s_end,
    input  wire logic        s_bad,

    output logic             reg_req,
    output logic             reg_we,
    output logic [15:0]      reg_addr,
    output logic [31:0]      reg_wdata,
    input  wire logic        reg_ack,
    input  wire logic        reg_err,
    input  wire logic [31:0] reg_rdata,

    output logic [63:0]      answer_data,
    output logic [3:0]       answer_bytes,
    output logic             answer_valid,
    input  wire logic        answer_ready,

    output logic             busy,
    output logic             bad_frame,
    output logic             good_frame
);
  localparam logic [7:0] NackType = 8'd1, NackLength = 8'd2, NackAddress = 8'd3;
  localparam logic [3:0] CrcBytes = 4'd4, LeastBytes = 4'd6, ReadBytes = 4'd8, WriteBytes = 4'd12;
  localparam logic [31:0] CrcResidue = 32'h2144DF1C;

  typedef enum logic [1:0] {Idle, Bus, ReadBack, Answer} state_e;

  logic [63:0] frame_q;  // payload: type, seq, addr, data
  logic [3:0]  count_q;  // bytes with CRC, stays at WriteBytes + 1 where there are more
  logic [31:0] crc;

  crc32 u_crc32 (
      .clk,
      .rst,
      .clear (s_end),
      .enable(s_valid),
      .data  (s_data),
      .crc
  );

  state_e     state_q;
  logic [7:0] seq_q;
  logic       write_q;

  wire [7:0] frame_type = frame_q[7:0];
  wire [7:0] frame_seq  = frame_q[15:8];
  wire intact = s_end && !s_bad && count_q >= LeastBytes && count_q <= WriteBytes && crc == CrcResidue;
  wire accept = intact && state_q == Idle;

  assign answer_valid = state_q == Answer;
  assign busy         = state_q != Idle;

  always_ff @(posedge clk) begin
    if (s_valid) begin
      if (count_q < WriteBytes - CrcBytes) frame_q[8*count_q[2:0] +: 8] <= s_data;
      if (count_q <= WriteBytes) count_q <= count_q + 1'b1;
    end
    if (s_end) count_q <= '0;

    good_frame <= accept;
    bad_frame  <= s_end && !accept;
    reg_req    <= 1'b0;
    unique case (state_q)
      Idle: if (accept) begin
        seq_q     <= frame_seq;
        write_q   <= frame_type == FRAME_WRITE;
        reg_we    <= frame_type == FRAME_WRITE;
        reg_addr  <= frame_q[31:16];
        reg_wdata <= frame_q[63:32];
        if (frame_type != FRAME_READ && frame_type != FRAME_WRITE) begin
          answer_data  <= 64'({NackType, frame_seq, FRAME_NACK});
          answer_bytes <= 4'd3;
          state_q      <= Answer;
        end else if (count_q != (frame_type == FRAME_READ ? ReadBytes : WriteBytes)) begin
          answer_data  <= 64'({NackLength, frame_seq, FRAME_NACK});
          answer_bytes <= 4'd3;
          state_q      <= Answer;
        end else begin
          reg_req <= 1'b1;
          state_q <= Bus;
        end
      end
      Bus: if (reg_ack) begin
        if (reg_err && reg_we == write_q) begin
          answer_data  <= 64'({NackAddress, seq_q, FRAME_NACK});
          answer_bytes <= 4'd3;
          state_q      <= Answer;
        end else if (reg_we) begin
          state_q <= ReadBack;
        end else begin
          answer_data  <= {reg_err ? 32'd0 : reg_rdata, reg_addr, seq_q, write_q ? FRAME_WRITE_ACK : FRAME_READ_ACK};
          answer_bytes <= 4'd8;
          state_q      <= Answer;
        end
      end
      ReadBack: begin
        reg_we  <= 1'b0;
        reg_req <= 1'b1;
        state_q <= Bus;
      end
      Answer: if (answer_ready) state_q <= Idle;
      default: state_q <= Idle;
    endcase
    if (rst) begin
      state_q    <= Idle;
      count_q    <= '0;
      reg_req    <= 1'b0;
      good_frame <= 1'b0;
      bad_frame  <= 1'b0;
    end
  end

  frame_refused: cover property (@(posedge clk) disable iff (rst) s_end && !intact);
  frame_while_busy: cover property (@(posedge clk) disable iff (rst) intact && state_q != Idle);
  type_refused: cover property (@(posedge clk) disable iff (rst) accept && frame_type != FRAME_READ && frame_type != FRAME_WRITE);
  length_refused: cover property (@(posedge clk) disable iff (rst) accept && ((frame_type == FRAME_READ && count_q != ReadBytes) || (frame_type == FRAME_WRITE && count_q != WriteBytes)));
  address_refused: cover property (@(posedge clk) disable iff (rst) state_q == Bus && reg_ack && reg_err && reg_we == write_q);
  frame_too_long: cover property (@(posedge clk) disable iff (rst) s_end && count_q > WriteBytes);

endmodule

`default_nettype wire
