// SPDX-License-Identifier: Apache-2.0
//
// pulse_synchronizer: two clocks that tick as they like, and a reset at any time. No pulse is made up and none doubled: those that were
// given are those that were taken, or all but the one that is on its way.
`default_nettype none

module pulse_synchronizer_properties (
    input wire logic s_clk,
    input wire logic m_clk,
    input wire logic rst,
    input wire logic pulse
);
  logic       ready, given;
  logic [3:0] taken_q, given_q;
  logic       begun_q = 1'b0;  // reset has been

  pulse_synchronizer dut (.rst, .s_clk, .s_pulse(pulse), .s_ready(ready), .m_clk, .m_pulse(given));

  always_ff @(posedge s_clk or posedge rst) begin
    if (rst) begin
      begun_q <= 1'b1;
      taken_q <= '0;
    end else begin
      begun_q <= begun_q;
      if (pulse && ready) taken_q <= taken_q + 1'b1;
    end
  end

  always_ff @(posedge m_clk or posedge rst) begin
    if (rst) given_q <= '0;
    else if (given) given_q <= given_q + 1'b1;
  end

  wire [3:0] on_its_way = taken_q - given_q;

  always_comb begin
    if (begun_q && !rst) begin
      assert (on_its_way <= 1);
      if (given) assert (on_its_way == 1);
      if (ready) assert (on_its_way == 0);
    end
  end

endmodule

`default_nettype wire
