// SPDX-License-Identifier: Apache-2.0
//
// cobs_encoder: Consistent Overhead Byte Stuffing of packets, each closed by a zero byte.
//
//   Handshake   AXI4-Stream on both sides. s_axis_tready comes from a register; it is high while a block is collected and
//               low while it is sent.
//   Order       packets and bytes in order; the closing zero is the only zero, so m_axis needs no tlast.
//   Latency     a block (up to 254 bytes, to the next zero or the end of the packet) is collected before its first byte leaves:
//               2 cycles after its last byte.
//   Interval    a block of n bytes takes n cycles in and n + 1 out; the end of a packet 1 or 2 more.
//   Length      any packet length from 1; one block of 254 bytes is stored.
//   busy        something is held that has not left yet.
//   Overflow    cannot happen.
//   Reset       drops what is held.
`default_nettype none

module cobs_encoder (
    input  wire logic       clk,
    input  wire logic       rst,

    input  wire logic [7:0] s_axis_tdata,
    input  wire logic       s_axis_tvalid,
    output logic            s_axis_tready,
    input  wire logic       s_axis_tlast,

    output logic [7:0]      m_axis_tdata,
    output logic            m_axis_tvalid,
    input  wire logic       m_axis_tready,

    output logic            busy
);
  localparam logic [7:0] BlockBytes = 8'd254;

  typedef enum logic [2:0] {Collect, Code, Data, EmptyBlock, Close} state_e;

  state_e     state_q;
  logic [7:0] mem [256];
  logic [7:0] count_q;   // non-zero bytes in the block
  logic [7:0] rd_q;
  logic       last_q;    // the block is the last of its packet
  logic       zero_q;    // and the packet ends in a zero: an empty block follows

  assign s_axis_tready = state_q == Collect;
  assign busy          = state_q != Collect || count_q != '0 || m_axis_tvalid;

  wire take    = s_axis_tvalid && s_axis_tready;
  wire is_zero = s_axis_tdata == '0;
  wire free    = !m_axis_tvalid || m_axis_tready;

  state_e after_block;
  always_comb begin
    after_block = Collect;
    if (last_q) after_block = zero_q ? EmptyBlock : Close;
  end

  always_ff @(posedge clk) begin
    if (take && !is_zero) mem[count_q] <= s_axis_tdata;
    if (free) m_axis_tvalid <= 1'b0;
    unique case (state_q)
      Collect: begin
        rd_q <= '0;
        if (take) begin
          last_q <= s_axis_tlast;
          zero_q <= is_zero;
          if (!is_zero) count_q <= count_q + 1'b1;
          if (is_zero || s_axis_tlast || count_q == BlockBytes - 1'b1) state_q <= Code;
        end
      end
      Code: if (free) begin
        m_axis_tvalid <= 1'b1;
        m_axis_tdata  <= count_q + 1'b1;
        state_q       <= count_q == '0 ? after_block : Data;
      end
      Data: if (free) begin
        m_axis_tvalid <= 1'b1;
        m_axis_tdata  <= mem[rd_q];
        rd_q          <= rd_q + 1'b1;
        if (rd_q == count_q - 1'b1) begin
          count_q <= '0;
          state_q <= after_block;
        end
      end
      EmptyBlock: if (free) begin
        m_axis_tvalid <= 1'b1;
        m_axis_tdata  <= 8'd1;
        state_q       <= Close;
      end
      Close: if (free) begin
        m_axis_tvalid <= 1'b1;
        m_axis_tdata  <= '0;
        state_q       <= Collect;
      end
      default: state_q <= Collect;
    endcase
    if (rst) begin
      state_q       <= Collect;
      count_q       <= '0;
      m_axis_tvalid <= 1'b0;
    end
  end

endmodule

`default_nettype wire
