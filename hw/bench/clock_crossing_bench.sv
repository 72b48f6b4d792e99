// SPDX-License-Identifier: Apache-2.0
//
// clock_crossing_bench: lines of random length and distance from a clock of its own through line_clock_crossing, for clocks of several
// ratios: every beat comes once, in order, and each line with the cycle of the sorter's clock in which its first beat was taken.
// +seed=N draws others.
`default_nettype none

module clock_crossing_bench;
  localparam int Lines = 400, Runs = 8;

  bit          s_clk, m_clk, rst = 1'b1, valid, last, out_ready;
  logic [15:0] data, out_data;
  logic        out_valid, out_last, lost;
  logic [63:0] user;
  logic [47:0] timestamp;
  realtime     s_half = 5, m_half = 5;

  line_clock_crossing #(.WIDTH(16), .DEPTH(64)) dut (
      .rst, .s_clk, .s_axis_line_tdata(data), .s_axis_line_tvalid(valid), .s_axis_line_tlast(last), .lost,
      .m_clk, .timestamp, .m_axis_line_tdata(out_data), .m_axis_line_tvalid(out_valid),
      .m_axis_line_tready(out_ready), .m_axis_line_tlast(out_last), .m_axis_line_tuser(user)
  );

  always #(s_half) s_clk = !s_clk;
  always #(m_half) m_clk = !m_clk;
  always @(posedge m_clk) timestamp <= rst ? '0 : timestamp + 1'b1;

  task automatic fail(input string what);
    $display("FAILED: %s", what);
    $fatal(1);
  endtask

  // What was taken: {last, data}, and of each line the moment.
  logic [16:0] beats [$];
  logic [47:0] times [$];
  bit          first_in, first_out;
  int          lines_out;

  always @(posedge s_clk) begin
    if (lost) fail("a beat found no room");
    if (valid && !rst) begin
      if (first_in) times.push_back(timestamp);
      first_in = last;
      beats.push_back({last, data});
    end
  end

  always @(posedge m_clk) begin
    if (out_valid && out_ready && !rst) begin
      if (beats.size() == 0 || {out_last, out_data} != beats.pop_front()) fail("another beat than the next one");
      if (first_out) begin
        automatic logic [47:0] at = times.pop_front();
        if (user[63:48] != 16'(lines_out)) fail($sformatf("line %0d has number %0d", lines_out, user[63:48]));
        if (user[47:0] - at > 1) fail($sformatf("line %0d was there in cycle %0d, not %0d", lines_out, at, user[47:0]));
      end
      first_out = out_last;
      if (out_last) lines_out++;
    end
  end
  always @(negedge m_clk) out_ready = $urandom_range(9) != 0;

  initial begin
    int seed;
    if (!$value$plusargs("seed=%d", seed)) seed = 1;
    void'($urandom(seed));
    for (int n = 0; n < Runs; n++) begin
      s_half = 3.0 + 0.001 * real'($urandom_range(9000));
      m_half = s_half * (0.3 + 0.001 * real'($urandom_range(500)));
      rst    = 1'b1;
      #100;
      beats.delete();
      times.delete();
      {first_in, first_out} = 2'b11;
      lines_out = 0;
      rst       = 1'b0;
      repeat (8) @(negedge s_clk);
      #(8 * m_half);
      for (int i = 0; i < Lines; i++) begin
        automatic int length = int'($urandom_range(20, 8));
        for (int x = 0; x < length; x++) begin
          while ($urandom_range(3) == 0) begin
            valid = 1'b0;
            @(negedge s_clk);
          end
          valid = 1'b1;
          data  = 16'($urandom);
          last  = x == length - 1;
          @(negedge s_clk);
        end
        valid = 1'b0;
        repeat ($urandom_range(4)) @(negedge s_clk);
      end
      #(100 * m_half + 100 * s_half);
      if (lines_out != Lines || beats.size() != 0) fail($sformatf("%0d lines of %0d", lines_out, Lines));
    end
    $display("PASSED: %0d lines at each of %0d pairs of clocks", Lines, Runs);
    $finish;
  end

endmodule

`default_nettype wire
