// SPDX-License-Identifier: Apache-2.0
//
// axil_registers_properties: a master that keeps AXI's rules and a register bus that answers once get one response for each transaction.
`default_nettype none

module axil_registers_properties (
    input  wire logic        clk,
    input  wire logic        rst,
    input  wire logic [15:0] s_axil_awaddr,
    input  wire logic        s_axil_awvalid,
    input  wire logic [31:0] s_axil_wdata,
    input  wire logic [3:0]  s_axil_wstrb,
    input  wire logic        s_axil_wvalid,
    input  wire logic        s_axil_bready,
    input  wire logic [15:0] s_axil_araddr,
    input  wire logic        s_axil_arvalid,
    input  wire logic        s_axil_rready,
    input  wire logic        reg_ack,
    input  wire logic        reg_err,
    input  wire logic [31:0] reg_rdata
);
  logic        s_axil_awready, s_axil_wready, s_axil_bvalid, s_axil_arready, s_axil_rvalid, reg_req, reg_we, good, bad, busy;
  logic [1:0]  s_axil_bresp, s_axil_rresp;
  logic [15:0] reg_addr;
  logic [31:0] s_axil_rdata, reg_wdata;

  axil_registers dut (
      .s_axil_awprot ('0),
      .s_axil_arprot ('0),
      .*
  );

  logic begun_q = 1'b0, asked_q, writes_q, reads_q;  // asked: on the register bus; writes, reads: taken, without response
  logic refused_q;

  always_ff @(posedge clk) begin
    begun_q  <= 1'b1;
    asked_q  <= (asked_q || reg_req) && !reg_ack;
    writes_q <= (writes_q || s_axil_awready) && !(s_axil_bvalid && s_axil_bready);
    reads_q  <= (reads_q || s_axil_arready) && !(s_axil_rvalid && s_axil_rready);
    if (s_axil_awready) refused_q <= s_axil_wstrb != '1;
    if (rst) begin
      asked_q  <= 1'b0;
      writes_q <= 1'b0;
      reads_q  <= 1'b0;
    end
  end

  always_comb begin
    if (!begun_q) assume (rst);
    // The bus answers what it was asked, once.
    assume (!reg_ack || asked_q || reg_req);
    if (begun_q && !rst) begin
      // Address and data of a write are taken together, only where both are there; one transaction at a time.
      assert (s_axil_awready == s_axil_wready);
      assert (!s_axil_awready || (s_axil_awvalid && s_axil_wvalid));
      assert (!s_axil_arready || s_axil_arvalid);
      assert (!(s_axil_awready || s_axil_arready) || !(writes_q || reads_q || asked_q || reg_req));
      assert (!(s_axil_awready && s_axil_arready));
      // A response is of a transaction that was taken, and the register bus sees no more than was asked.
      assert (!s_axil_bvalid || writes_q);
      assert (!s_axil_rvalid || reads_q);
      assert (!(writes_q && reads_q));
      assert (!reg_req || (writes_q && reg_we && !refused_q) || (reads_q && !reg_we));
      assert (!(reg_req && asked_q));
      // A part of a word is never written, and is answered with SLVERR.
      assert (!(s_axil_bvalid && refused_q) || s_axil_bresp == 2'b10);
      assert (busy == (writes_q || reads_q));
      // What the above follows from; states are Idle, Bus, Refuse, Respond.
      assert ((dut.state_q == 2'd1) == (asked_q || reg_req));
      assert ((dut.state_q == 2'd3) == (s_axil_bvalid || s_axil_rvalid));
      assert (!writes_q || reg_we);
      assert (!reads_q || !reg_we);
      assert (dut.state_q != 2'd2 || (writes_q && refused_q));
      assert (!(asked_q || reg_req) || reads_q || !refused_q);
    end
  end

endmodule

`default_nettype wire
