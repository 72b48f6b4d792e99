// SPDX-License-Identifier: Apache-2.0
//
// async_fifo: two clocks that tick as they like. Nothing is lost, doubled or changed, told of any one beat that goes in; what is
// offered stays until it is taken; a pointer that crosses changes one bit a step; never more than DEPTH and the offered one inside.
`default_nettype none

module async_fifo_properties #(
    parameter int unsigned DEPTH = 4
) (
    input wire logic       s_clk,
    input wire logic       m_clk,
    input wire logic       rst,
    input wire logic [1:0] in_data,
    input wire logic       in_valid,
    input wire logic       out_ready,
    input wire logic       watch      // the beat that goes in now is the one that is looked at
);
  logic       in_ready, out_valid;
  logic [1:0] out_data;

  async_fifo #(.WIDTH(2), .DEPTH(DEPTH)) dut (
      .rst,
      .s_clk, .s_axis_tdata(in_data), .s_axis_tvalid(in_valid), .s_axis_tready(in_ready),
      .m_clk, .m_axis_tdata(out_data), .m_axis_tvalid(out_valid), .m_axis_tready(out_ready)
  );

  // Beats in and out since reset, and the watched one: its number and what it is.
  logic [4:0] in_q, out_q, number_q;
  logic       watching_q, left_q;
  logic [1:0] beat_q, offer_q;
  logic       offered_q;
  logic       begun_q = 1'b0;  // reset has been
  logic [$clog2(DEPTH):0] write_before_q, read_before_q;

  always_ff @(posedge s_clk or posedge rst) begin
    if (rst) begin
      in_q           <= '0;
      watching_q     <= 1'b0;
      number_q       <= '0;
      beat_q         <= '0;
      write_before_q <= '0;
      begun_q        <= 1'b1;
    end else begin
      begun_q        <= begun_q;
      write_before_q <= dut.write_gray_q;
      if (in_valid && in_ready) begin
        in_q <= in_q + 1'b1;
        if (watch && !watching_q) begin
          watching_q <= 1'b1;
          number_q   <= in_q;
          beat_q     <= in_data;
        end
      end
    end
  end

  always_ff @(posedge m_clk or posedge rst) begin
    if (rst) begin
      out_q         <= '0;
      left_q        <= 1'b0;
      offered_q     <= 1'b0;
      offer_q       <= '0;
      read_before_q <= '0;
    end else begin
      read_before_q <= dut.read_gray_q;
      if (out_valid && out_ready) begin
        out_q  <= out_q + 1'b1;
        left_q <= left_q || (watching_q && out_q == number_q);
      end
      offered_q <= out_valid && !out_ready;
      offer_q   <= out_data;
    end
  end

  // For induction: how far behind what the writer knows of the reader each pointer is. One that a side has not taken since reset is not
  // looked at: it counts as what it is a copy of.
  localparam int unsigned Bits = $clog2(DEPTH) + 1;
  typedef logic [Bits-1:0] pointer_t;

  function automatic pointer_t binary(input pointer_t gray);
    for (int unsigned bit_ = 0; bit_ < Bits; bit_++) binary[bit_] = ^(gray >> bit_);
  endfunction

  wire [2:0] s_edges = dut.s_reset.ready_q, m_edges = dut.m_reset.ready_q;  // since reset, a bit each
  pointer_t  read_seen, read_known, write_seen, write_known;

  assign read_seen   = s_edges[0] ? binary(dut.read_seen_q) : dut.read_q;
  assign read_known  = s_edges[1] ? binary(dut.read_known_q) : read_seen;
  assign write_seen  = m_edges[0] ? binary(dut.write_seen_q) : dut.write_q;
  assign write_known = m_edges[1] ? binary(dut.write_known_q) : write_seen;

  wire [Bits-1:0] seen_on    = read_seen - read_known;
  wire [Bits-1:0] read_on    = dut.read_q - read_known;
  wire [Bits-1:0] known_on   = write_known - read_known;
  wire [Bits-1:0] written_on = write_seen - read_known;
  wire [Bits-1:0] write_on   = dut.write_q - read_known;
  wire [Bits-1:0] held       = dut.write_q - dut.read_q;
  wire [4:0]      ahead      = number_q - out_q;  // beats that leave before the watched one

  always_comb begin
    if (begun_q) begin
      assert (s_edges == 3'b000 || s_edges == 3'b001 || s_edges == 3'b011 || s_edges == 3'b111);
      assert (m_edges == 3'b000 || m_edges == 3'b001 || m_edges == 3'b011 || m_edges == 3'b111);
      if (rst) assert (s_edges == '0 && m_edges == '0);
      if (!s_edges[2]) assert (dut.write_q == '0 && dut.read_q == '0 && write_seen == '0 && write_known == '0 && !out_valid);
      if (!m_edges[2]) assert (dut.read_q == '0 && read_seen == '0 && read_known == '0 && !out_valid);
      assert (dut.write_gray_q == (dut.write_q ^ dut.write_q >> 1));
      assert (dut.read_gray_q == (dut.read_q ^ dut.read_q >> 1));
      assert (seen_on <= read_on && read_on <= known_on && known_on <= written_on && written_on <= write_on);
      assert (write_on <= DEPTH);
      assert (5'(in_q - out_q) == 5'(held) + 5'(out_valid));
      assert (pointer_t'(in_q) == dut.write_q);
      if (watching_q && !left_q) begin
        assert (ahead < 5'(in_q - out_q));
        if (!(out_valid && ahead == '0)) assert (dut.mem[number_q[Bits-2:0]] == beat_q);
      end
    end
    if (begun_q && !rst) begin
      assert (5'(in_q - out_q) <= DEPTH + 1);
      if (out_valid) assert (in_q != out_q);
      if (out_valid && watching_q && !left_q && out_q == number_q) assert (out_data == beat_q);
      if (offered_q) assert (out_valid && out_data == offer_q);
      assert ($countones(dut.write_gray_q ^ write_before_q) <= 1);
      assert ($countones(dut.read_gray_q ^ read_before_q) <= 1);
    end
  end

endmodule

`default_nettype wire
