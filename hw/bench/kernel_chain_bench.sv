// SPDX-License-Identifier: Apache-2.0
//
// kernel_chain_bench: random images through kernel_chain with random stalls at both ends and a reset in the middle; every score and
// every label is compared with the layers' definitions, computed here without streams or pipelines. +seed=N draws others.
`default_nettype none

module kernel_chain_bench;
  localparam int Images = 64, H = 6, W = 8, C = 2;

  typedef int image_t [H][W][C];

  logic        clk = 1'b0, rst = 1'b1;
  logic [7:0]  pixel;
  logic        pixel_valid = 1'b0, pixel_ready, label_valid, label_ready = 1'b0, score_passes;
  logic [1:0]  label;
  logic [14:0] score;

  kernel_chain dut (
      .clk, .rst,
      .s_axis_tdata(pixel), .s_axis_tvalid(pixel_valid), .s_axis_tready(pixel_ready),
      .m_axis_tdata(label), .m_axis_tvalid(label_valid), .m_axis_tready(label_ready),
      .score, .score_passes
  );

  always #5 clk = !clk;

  // ---------------------------------------------------------------- what the layers are
  logic [47:0]  weights    [6];   // word nf*3 + sf: row nf*2 + pe, column sf*6 + simd at (pe*6 + simd) * 4
  logic [839:0] thresholds [1];   // channel c, threshold i at (c*15 + i) * 14
  logic [3:0]   taps       [54];  // word channel*9 + tap
  logic [7:0]   addends    [6];

  image_t images [Images];
  int     scores [Images][3];
  int     labels [Images];

  function automatic void work_out(input int n);
    int joined [H][W][6], pooled [3][4][6], channel [6];
    for (int y = 0; y < H; y++) begin
      for (int x = 0; x < W; x++) begin
        for (int row = 0; row < 4; row++) begin
          int sum = 0;
          for (int i = 0; i < 18; i++) begin
            int at_y = y + i / 6 - 1, at_x = x + i / 2 % 3 - 1;
            logic signed [3:0] weight = weights[row/2*3 + i/6][(row%2*6 + i%6)*4 +: 4];
            if (at_y >= 0 && at_y < H && at_x >= 0 && at_x < W) sum += int'(weight) * images[n][at_y][at_x][i%2];
          end
          joined[y][x][row] = 0;
          for (int i = 0; i < 15; i++) begin
            logic signed [13:0] least = thresholds[0][(row*15 + i)*14 +: 14];
            if (sum >= int'(least)) joined[y][x][row]++;
          end
        end
        for (int c = 0; c < C; c++) joined[y][x][4+c] = images[n][y][x][c];
      end
    end
    for (int c = 0; c < 6; c++) begin
      for (int y = 0; y < 3; y++) begin
        for (int x = 0; x < 4; x++) begin
          pooled[y][x][c] = 0;
          for (int i = 0; i < 4; i++) begin
            if (joined[2*y+i/2][2*x+i%2][c] > pooled[y][x][c]) pooled[y][x][c] = joined[2*y+i/2][2*x+i%2][c];
          end
        end
      end
      channel[c] = int'($signed(addends[c]));
      for (int i = 0; i < 18; i++) begin
        logic signed [3:0] weight = taps[c*9 + i%9];
        channel[c] += 2 * int'(weight) * pooled[i%9/3][i/9 + i%3][c];
      end
    end
    for (int i = 0; i < 3; i++) scores[n][i] = channel[2*i] > channel[2*i+1] ? channel[2*i] : channel[2*i+1];
    labels[n] = 0;
    for (int i = 1; i < 3; i++) if (scores[n][i] > scores[n][labels[n]]) labels[n] = i;
  endfunction

  // ---------------------------------------------------------------- both ends of the stream
  int sent, scored, labelled, idle, stall;
  bit offered;
  logic [1:0] offer;

  task automatic fail(input string what);
    $display("FAILED: %s", what);
    $fatal(1);
  endtask

  always @(posedge clk) begin
    if (rst) begin
      pixel_valid <= 1'b0;
      sent        <= 0;
      scored      <= 0;
      labelled    <= 0;
      offered     <= 1'b0;
    end else begin
      if (!pixel_valid || pixel_ready) begin
        automatic int next = sent + int'(pixel_valid);
        sent        <= next;
        pixel_valid <= next < Images * H * W && $urandom_range(99) >= idle;
        if (next < Images * H * W) begin
          for (int c = 0; c < C; c++) pixel[c*4 +: 4] <= 4'(images[next/(H*W)][next/W%H][next%W][c]);
        end
      end
      if (score_passes) begin
        if (int'($signed(score)) != scores[scored/3][scored%3]) fail($sformatf("image %0d, score %0d", scored / 3, scored % 3));
        scored <= scored + 1;
      end
      if (offered && (!label_valid || label != offer)) fail("an offered label changed before it was taken");
      offered <= label_valid && !label_ready;
      offer   <= label;
      if (label_valid && label_ready) begin
        if (int'(label) != labels[labelled]) fail($sformatf("image %0d, label", labelled));
        labelled <= labelled + 1;
      end
    end
    label_ready <= $urandom_range(99) >= stall;
  end

  task automatic reset();
    rst = 1'b1;
    repeat (4) @(negedge clk);
    rst = 1'b0;
  endtask

  task automatic run(input int idle_percent, input int stall_percent, input int cycles);
    idle  = idle_percent;
    stall = stall_percent;
    reset();
    for (int i = 0; i < cycles && labelled < Images; i++) @(negedge clk);
  endtask

  initial begin
    int seed;
    if (!$value$plusargs("seed=%d", seed)) seed = 1;
    void'($urandom(seed));
    $readmemh("weights.hex", weights);
    $readmemh("thresholds.hex", thresholds);
    $readmemh("taps.hex", taps);
    $readmemh("addends.hex", addends);
    for (int n = 0; n < Images; n++) begin
      for (int i = 0; i < H * W * C; i++) images[n][i/(W*C)][i/C%W][i%C] = int'($urandom_range(15));
      work_out(n);
    end
    for (int i = 0; i < 6; i++) begin
      // one that is cut off by the next one's reset, then all of it
      run(30, 30, 200 + int'($urandom_range(2000)));
      run(i % 3 == 1 ? 60 : 0, i % 3 == 2 ? 60 : 0, 200_000);
      if (scored != 3 * Images || labelled != Images) fail($sformatf("%0d labels of %0d", labelled, Images));
    end
    for (int i = 0; i < 3; i++) begin
      automatic int count = 0;
      for (int n = 0; n < Images; n++) count += int'(labels[n] == i);
      if (count == 0) fail($sformatf("no image has label %0d, so this says little", i));
    end
    $display("PASSED: %0d images, six times", Images);
    $finish;
  end

endmodule

`default_nettype wire
