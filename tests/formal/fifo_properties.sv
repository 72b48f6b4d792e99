// SPDX-License-Identifier: Apache-2.0
//
// fifo: nothing is lost, doubled, or changed, told of any one word that goes in; what is offered stays until it is taken.
`default_nettype none

module fifo_properties #(
    parameter int unsigned DEPTH = 4
) (
    input wire logic       clk,
    input wire logic       rst,
    input wire logic [7:0] in_data,
    input wire logic       in_valid,
    input wire logic       out_ready,
    input wire logic       watch      // the word that goes in now is the one that is looked at
);
  logic                        in_ready, out_valid;
  logic [7:0]                  out_data;
  logic [$clog2(DEPTH+1)-1:0]  count;

  fifo #(.WIDTH(8), .DEPTH(DEPTH)) dut (
      .clk, .rst,
      .s_axis_tdata(in_data), .s_axis_tvalid(in_valid), .s_axis_tready(in_ready),
      .m_axis_tdata(out_data), .m_axis_tvalid(out_valid), .m_axis_tready(out_ready),
      .count
  );

  logic                        begun_q = 1'b0;    // reset has been
  logic                        watching_q = 1'b0;
  logic [7:0]                  word_q;
  logic [$clog2(DEPTH+1)-1:0]  ahead_q;           // words in front of it
  logic                        offered_q = 1'b0;
  logic [7:0]                  offer_q;

  wire push = in_valid && in_ready;
  wire pop  = out_valid && out_ready;

  always_ff @(posedge clk) begin
    begun_q <= 1'b1;
    if (!begun_q) assume (rst);
    if (push && watch && !watching_q) begin
      watching_q <= 1'b1;
      word_q     <= in_data;
      ahead_q    <= count - ($bits(count))'(pop);
    end else if (watching_q && pop) begin
      if (ahead_q == '0) watching_q <= 1'b0;
      ahead_q <= ahead_q - 1'b1;
    end
    offered_q <= out_valid && !out_ready;
    offer_q   <= out_data;
    if (rst) begin
      watching_q <= 1'b0;
      offered_q  <= 1'b0;
    end
  end

  always_comb begin
    if (begun_q && !rst) begin
      assert (count <= DEPTH);
      assert (out_valid == (count != 0));
      if (offered_q) assert (out_valid && out_data == offer_q);
      if (watching_q) assert (ahead_q < count);
      if (watching_q && ahead_q == 0) assert (out_data == word_q);
    end
  end

endmodule

`default_nettype wire
