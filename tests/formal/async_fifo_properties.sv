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
  logic       watching_q;
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
      offered_q     <= 1'b0;
      offer_q       <= '0;
      read_before_q <= '0;
    end else begin
      read_before_q <= dut.read_gray_q;
      if (out_valid && out_ready) out_q <= out_q + 1'b1;
      offered_q <= out_valid && !out_ready;
      offer_q   <= out_data;
    end
  end

  always_comb begin
    if (begun_q && !rst) begin
      assert (5'(in_q - out_q) <= DEPTH + 1);
      if (out_valid) assert (in_q != out_q);
      if (out_valid && watching_q && out_q == number_q) assert (out_data == beat_q);
      if (offered_q) assert (out_valid && out_data == offer_q);
      assert ($countones(dut.write_gray_q ^ write_before_q) <= 1);
      assert ($countones(dut.read_gray_q ^ read_before_q) <= 1);
    end
  end

endmodule

`default_nettype wire
