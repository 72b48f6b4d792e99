// SPDX-License-Identifier: Apache-2.0
//
// axil_registers: an AXI4-Lite slave that carries out what its master asks on the sorter's register bus.
//
//   AXI4-Lite   32 bits of data. One transaction at a time; where a read and a write wait, they take turns. A write is taken once its address
//               and its data are both there, in the same cycle.
//   SLVERR      no such register, one that cannot be read or written so, an address that is no multiple of 4, a write of
//               less than all four bytes (which then is not carried out). A read that fails returns 0.
//   Register bus  see icsort_core.
//   Latency     2 cycles from address (and data) to the response where the bus answers at once. Interval: 3 cycles.
//   good, bad   one cycle for each transaction, with its response: OKAY or SLVERR.
//   busy        a transaction is at work or its response waits.
//   Reset       drops the transaction at hand, as AXI has it: the master is reset with it.
`default_nettype none

module axil_registers (
    input  wire logic        clk,
    input  wire logic        rst,

    input  wire logic [15:0] s_axil_awaddr,
    input  wire logic [2:0]  s_axil_awprot,
    input  wire logic        s_axil_awvalid,
    output logic             s_axil_awready,
    input  wire logic [31:0] s_axil_wdata,
    input  wire logic [3:0]  s_axil_wstrb,
    input  wire logic        s_axil_wvalid,
    output logic             s_axil_wready,
    output logic [1:0]       s_axil_bresp,
    output logic             s_axil_bvalid,
    input  wire logic        s_axil_bready,
    input  wire logic [15:0] s_axil_araddr,
    input  wire logic [2:0]  s_axil_arprot,
    input  wire logic        s_axil_arvalid,
    output logic             s_axil_arready,
    output logic [31:0]      s_axil_rdata,
    output logic [1:0]       s_axil_rresp,
    output logic             s_axil_rvalid,
    input  wire logic        s_axil_rready,

    output logic             reg_req,
    output logic             reg_we,
    output logic [15:0]      reg_addr,
    output logic [31:0]      reg_wdata,
    input  wire logic        reg_ack,
    input  wire logic        reg_err,
    input  wire logic [31:0] reg_rdata,

    output logic             good,
    output logic             bad,
    output logic             busy
);
  localparam logic [1:0] Okay = 2'b00, Slverr = 2'b10;

  typedef enum logic [1:0] {Idle, Bus, Refuse, Respond} state_e;

  state_e state_q;
  logic   read_next_q;  // it is the reads' turn

  wire write_waits = s_axil_awvalid && s_axil_wvalid;
  wire take_read   = state_q == Idle && s_axil_arvalid && (read_next_q || !write_waits);
  wire take_write  = state_q == Idle && write_waits && !take_read;
  wire answered    = (state_q == Bus && reg_ack) || state_q == Refuse;
  wire failed      = state_q == Refuse || reg_err;

  assign s_axil_awready = take_write;
  assign s_axil_wready  = take_write;
  assign s_axil_arready = take_read;
  assign busy           = state_q != Idle;

  always_ff @(posedge clk) begin
    reg_req <= 1'b0;
    good    <= answered && !failed;
    bad     <= answered && failed;
    if (take_read || take_write) begin
      read_next_q <= take_write;
      reg_we      <= take_write;
      reg_addr    <= take_write ? s_axil_awaddr : s_axil_araddr;
      reg_wdata   <= s_axil_wdata;
      reg_req     <= take_read || s_axil_wstrb == '1;
      state_q     <= take_read || s_axil_wstrb == '1 ? Bus : Refuse;
    end
    if (answered) begin
      state_q       <= Respond;
      s_axil_bresp  <= failed ? Slverr : Okay;
      s_axil_rresp  <= failed ? Slverr : Okay;
      s_axil_rdata  <= failed ? '0 : reg_rdata;
      s_axil_bvalid <= reg_we;
      s_axil_rvalid <= !reg_we;
    end
    if (s_axil_bvalid && s_axil_bready) begin
      s_axil_bvalid <= 1'b0;
      state_q       <= Idle;
    end
    if (s_axil_rvalid && s_axil_rready) begin
      s_axil_rvalid <= 1'b0;
      state_q       <= Idle;
    end
    if (rst) begin
      state_q       <= Idle;
      read_next_q   <= 1'b0;
      reg_req       <= 1'b0;
      good          <= 1'b0;
      bad           <= 1'b0;
      s_axil_bvalid <= 1'b0;
      s_axil_rvalid <= 1'b0;
    end
  end

  wire unused = &{s_axil_awprot, s_axil_arprot};

  // A response stays as it is until it is taken, and one request is on the bus at a time.
  assert property (@(posedge clk) disable iff (rst) !$past(s_axil_bvalid && !s_axil_bready && !rst) || (s_axil_bvalid && $stable(s_axil_bresp)));
  assert property (@(posedge clk) disable iff (rst) !$past(s_axil_rvalid && !s_axil_rready && !rst) || (s_axil_rvalid && $stable(s_axil_rdata)));
  assert property (@(posedge clk) disable iff (rst) !(s_axil_bvalid && s_axil_rvalid));
  assert property (@(posedge clk) disable iff (rst) !reg_req || state_q == Bus);

endmodule

`default_nettype wire
