// SPDX-License-Identifier: Apache-2.0
//
// request_path: the way of a request from bytes to the register bus, a byte a cycle, for benches that send many.
`default_nettype none

module request_path (
    input  wire logic        clk,
    input  wire logic        rst,
    input  wire logic [7:0]  data,
    input  wire logic        valid,
    output logic             reg_req,
    output logic             reg_we,
    output logic [15:0]      reg_addr,
    output logic [31:0]      reg_wdata,
    output logic [31:0]      good,
    output logic [31:0]      bad,
    output logic [31:0]      requests
);
  logic [7:0] decoded_data;
  logic       decoded_valid, decoded_end, decoded_bad, good_frame, bad_frame, answer_valid;

  cobs_decoder decoder (
      .clk,
      .rst,
      .s_data  (data),
      .s_valid (valid),
      .s_error (1'b0),
      .m_data  (decoded_data),
      .m_valid (decoded_valid),
      .m_end   (decoded_end),
      .m_bad   (decoded_bad)
  );

  link_rx requester (
      .clk,
      .rst,
      .s_data       (decoded_data),
      .s_valid      (decoded_valid),
      .s_end        (decoded_end),
      .s_bad        (decoded_bad),
      .reg_req,
      .reg_we,
      .reg_addr,
      .reg_wdata,
      .reg_ack      (reg_req),
      .reg_err      (1'b0),
      .reg_rdata    (32'd0),
      .answer_data  (),
      .answer_bytes (),
      .answer_valid,
      .answer_ready (answer_valid),
      .busy         (),
      .bad_frame,
      .good_frame
  );

  always_ff @(posedge clk) begin
    good     <= good + 32'(good_frame);
    bad      <= bad + 32'(bad_frame);
    requests <= requests + 32'(reg_req);
    if (rst) begin
      good     <= '0;
      bad      <= '0;
      requests <= '0;
    end
  end

endmodule

`default_nettype wire
