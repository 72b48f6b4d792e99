// SPDX-License-Identifier: Apache-2.0
//
// sorter_bench: icsort_axi_top around a stand-in for a network (icsort_net.sv here), from registers to sort pulses. A host writes trigger,
// preprocessing, calibration, a gate on class 0 and a schedule over AXI4-Lite, and arms. Cells of three kinds pass, of random
// height, distance and brightness. Each cell of kind 0 must give a pulse of WIDTH cycles, DELAY cycles behind the light of its first
// line, to the cycle; nothing else may give one. Every cell must leave a record and be counted. +seed=N draws others.
`default_nettype none

module sorter_bench;
  localparam int LineW = 12, C = 2, Cells = 60, LineCycles = 20, Delay = 900, Width = 9;

  bit          clk, rst = 1'b1, line_valid, line_last;
  logic [31:0] line_data;
  logic [63:0] line_user;
  logic [47:0] timestamp;

  logic [15:0] awaddr, araddr;
  logic [31:0] wdata, rdata, record_data;
  bit          awvalid, wvalid, bready, arvalid, rready, record_ready;
  logic        awready, wready, bvalid, arready, rvalid, record_valid, record_last, armed, idle;
  logic [1:0]  bresp, rresp;
  logic [7:0]  record_user;
  logic [5:0]  sort;

  /* verilator lint_off PINMISSING */
  icsort_axi_top #(
      .LINE_W(LineW), .H(6), .W(8), .X_OFFSET(2), .C(C), .N_CLASSES(4), .LOGIT_BITS(16), .NET_LATENCY(3), .NET_WAITS(1)
  ) dut (
      .clk, .rst,
      .s_axis_line_tdata(line_data), .s_axis_line_tvalid(line_valid), .s_axis_line_tlast(line_last),
      .s_axis_line_tuser(line_user), .timestamp,
      .s_axil_awaddr(awaddr), .s_axil_awprot(3'd0), .s_axil_awvalid(awvalid), .s_axil_awready(awready),
      .s_axil_wdata(wdata), .s_axil_wstrb(4'hF), .s_axil_wvalid(wvalid), .s_axil_wready(wready),
      .s_axil_bresp(bresp), .s_axil_bvalid(bvalid), .s_axil_bready(bready),
      .s_axil_araddr(araddr), .s_axil_arprot(3'd0), .s_axil_arvalid(arvalid), .s_axil_arready(arready),
      .s_axil_rdata(rdata), .s_axil_rresp(rresp), .s_axil_rvalid(rvalid), .s_axil_rready(rready),
      .m_axis_record_tdata(record_data), .m_axis_record_tvalid(record_valid), .m_axis_record_tready(record_ready),
      .m_axis_record_tlast(record_last), .m_axis_record_tuser(record_user),
      .interlock(1'b1), .drop_clock(1'b0), .sort_out(sort), .mon_armed(armed), .mon_idle(idle)
  );
  /* verilator lint_on PINMISSING */

  always #5 clk = !clk;

  task automatic fail(input string what);
    $display("FAILED: %s", what);
    $fatal(1);
  endtask

  // ---------------------------------------------------------------- the host
  task automatic write(input logic [15:0] address, input logic [31:0] value);
    awaddr = address;
    wdata  = value;
    {awvalid, wvalid} = 2'b11;
    while (awvalid || wvalid) begin
      bit took_address, took_data;
      @(posedge clk) took_address = awready;
      took_data = wready;
      @(negedge clk);
      if (took_address) awvalid = 1'b0;
      if (took_data) wvalid = 1'b0;
    end
    repeat ($urandom_range(3)) @(negedge clk);
    bready = 1'b1;
    while (!bvalid) @(negedge clk);
    if (bresp != 2'b00) fail($sformatf("a write to 0x%0h is refused", address));
    @(negedge clk);
    bready = 1'b0;
  endtask

  task automatic read(input logic [15:0] address, output logic [31:0] value);
    araddr  = address;
    arvalid = 1'b1;
    while (arvalid) begin
      bit took;
      @(posedge clk) took = arready;
      @(negedge clk);
      if (took) arvalid = 1'b0;
    end
    rready  = 1'b1;
    while (!rvalid) @(negedge clk);
    if (rresp != 2'b00) fail($sformatf("a read of 0x%0h is refused", address));
    value = rdata;
    @(negedge clk);
    rready = 1'b0;
  endtask

  task automatic expect_count(input logic [15:0] address, input string name, input int count);
    logic [31:0] value;
    read(address, value);
    if (value != 32'(count)) fail($sformatf("%s is %0d, and must be %0d", name, value, count));
  endtask

  // Words of a gate set (docs/gates.md), as `icsort gate set CLASS --posterior 0.69` writes them for class 0 of four.
  localparam int Words = 17;
  localparam logic [44:0] GateSet [Words] = '{
      {13'h00B, 32'h00000100}, {13'h003, 32'h00000000}, {13'h007, 32'h00000000}, {13'h013, 32'h0000AFC8},
      {13'h017, 32'h7FFFFFFF}, {13'h01B, 32'h80000000}, {13'h01F, 32'h7FFFFFFF}, {13'h800, 32'h00000001},
      {13'h801, 32'h00000000}, {13'h802, 32'h00000000}, {13'h803, 32'h00000002}, {13'h840, 32'h00000001},
      {13'h841, 32'h00000000}, {13'h842, 32'h00000000}, {13'h843, 32'h00000000}, {13'h880, 32'h00010101},
      {13'h881, 32'h3CB1D7A8}
  };

  task automatic configure();
    write(16'h200, 60_000);                  // TRIGGER_ON
    write(16'h204, 30_000);                  // TRIGGER_OFF
    write(16'h208, 32'h0101);                // TRIGGER_WEIGHTS_LO: both channels
    write(16'h210, (LineW - 1) << 16);       // TRIGGER_COLUMNS: all
    write(16'h214, 32'h0000_0202);           // TRIGGER_LINES: two end an event, and make one
    write(16'h218, 32'd20);                  // TRIGGER_LIMITS
    write(16'h21C, 32'd2);                   // WINDOW
    write(16'h228, 32'd12);                  // PREPROCESS_SHIFT
    for (int c = 0; c < C; c++) begin
      write(16'h234, 32'(2 << 24 | c));      // background of channel c: 0
      write(16'h238, 32'd0);
      write(16'h234, 32'(3 << 24 | c));      // gain: 16 / 2^12, so that a sample becomes its upper byte
      write(16'h238, 32'd16);
    end
    write(16'h240, 19 << 24 | 163_840);      // POSTERIOR
    write(16'h22C, 1);                       // FRONT_COMMIT
    for (int i = 0; i < Words; i++) begin
      write(16'h300, 32'(GateSet[i][44:32]));
      write(16'h304, GateSet[i][31:0]);
    end
    write(16'h308, 1);                       // GATE_COMMIT
    for (int i = 0; i < 41; i++) write(16'(16'h100 + 4 * i), 0);
    write(16'h100, Delay);                   // DIRECTION_0
    write(16'h104, Width);
    write(16'h190, 32'h0100_0000);           // MODE: yield, output 0
    write(16'h1A0, 32'hFFFF_FFFF);           // DROP_TIMEOUT
    write(16'h1E0, 1);                       // SCHEDULE_COMMIT
    repeat (100) @(negedge clk);
    write(16'h444, 32'h1F);                  // FAULTS_CLEAR
    write(16'h03C, 1);                       // ARM
    if (!armed) fail("the sorter is not armed");
  endtask

  // ---------------------------------------------------------------- the light
  shortint unsigned number;
  longint  lights [$];  // of cells that must be sorted
  int      sorted_cells;

  task automatic send_line(input int kind);  // -1: nothing there
    for (int x = 0; x < LineW; x++) begin
      line_valid = 1'b1;
      line_last  = x == LineW - 1;
      if (x == 0) line_user = {number, timestamp};
      for (int c = 0; c < C; c++) begin
        automatic bit bright = kind == 2 || kind == c;
        line_data[16*c +: 16] = 16'(bright ? $urandom_range(65_535, 45_000) : $urandom_range(kind < 0 ? 300 : 3_000));
      end
      @(negedge clk);
    end
    number++;
    line_valid = 1'b0;
    repeat (LineCycles - LineW) @(negedge clk);
  endtask

  task automatic send_cell(input int kind);
    repeat ($urandom_range(24, 8)) send_line(-1);  // pulses of one output begin 256 cycles apart at least
    if (kind == 0) begin
      lights.push_back(longint'(timestamp));
      sorted_cells++;
    end
    repeat ($urandom_range(12, 6)) send_line(kind);
  endtask

  // ---------------------------------------------------------------- pulses and records
  int high, records;

  always @(negedge clk) begin
    if (sort[5:1] != 0) fail("a pulse of a direction that is not used");
    if (sort[0]) begin
      if (high == 0) begin
        automatic longint light = lights.size() > 0 ? lights.pop_front() : -1;
        if (light < 0 || longint'(timestamp) != light + Delay) fail($sformatf("a pulse at %0d, light at %0d", timestamp, light));
      end
      high++;
    end else begin
      if (high != 0 && high != Width) fail($sformatf("a pulse of %0d cycles", high));
      high = 0;
      if (lights.size() > 0 && longint'(timestamp) > lights[0] + Delay) fail($sformatf("no pulse for the light at %0d", lights[0]));
    end
    if (record_valid && record_ready && record_last && record_user == 8'hE0) records++;
  end
  always @(posedge clk) #1 record_ready = $urandom_range(3) == 0;

  initial begin
    repeat (1_000_000) @(negedge clk);
    fail("it does not end");
  end

  initial begin
    int seed;
    if (!$value$plusargs("seed=%d", seed)) seed = 1;
    void'($urandom(seed));
    repeat (8) @(negedge clk);
    rst = 1'b0;
    repeat (8) @(negedge clk);
    configure();
    for (int i = 0; i < Cells; i++) send_cell(i < 3 ? i : int'($urandom_range(2)));
    repeat (5) send_line(-1);
    while (!idle || lights.size() != 0 || high != 0) @(negedge clk);
    repeat (2000) @(negedge clk);
    write(16'h038, 1);                       // SNAPSHOT
    expect_count(16'h080, "ACCEPTED", Cells);
    expect_count(16'h088, "SORTED", sorted_cells);
    expect_count(16'h08C, "REJECTED", Cells - sorted_cells);
    expect_count(16'h0A0, "RECORDS_LOST", 0);
    expect_count(16'h0B8, "LINE_GAPS", 0);
    if (records != Cells) fail($sformatf("%0d records", records));
    $display("PASSED: %0d of %0d cells sorted, each %0d cycles behind its light", sorted_cells, Cells, Delay);
    $finish;
  end

endmodule

`default_nettype wire
