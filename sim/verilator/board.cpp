// SPDX-License-Identifier: Apache-2.0
//
// The virtual board: the verilated sorter, its line stream fed from a file, its UART pins behind a pseudo-terminal or files.
//
// One process, one clock loop; Python starts it and reads what it wrote. Lines begin when the board is armed, as cells
// do not wait for a computer in a real sorter but a test must not miss the first ones. While nothing moves (no
// lines, no byte on the link, sorter idle) the clock stands still and the process sleeps.
//
//   --lines FILE        uint16 samples, little endian, (lines, LINE_W, C); what flows past
//   --line-width N      pixels in a line
//   --line-gap N        idle cycles behind each line
//   --pixel-bytes N     bytes in a pixel, all channels
//   --clks-per-bit N    UART bit time in cycles
//   --pty LINK          make a pseudo-terminal and point the symbolic link LINK, none yet or a dead one, at it; run until SIGTERM
//   --uart-in FILE      instead: bytes for the board's receiver, sent before the lines; run until all is decided and idle
//   --uart-out FILE     bytes from the board's transmitter (only with --uart-in)
//   --records FILE      the event records as the sorter made them, before the link
//   --timeline FILE     cycle,signal,value of every change of the monitor signals until the first sort is over
//   --summary FILE      JSON: cycles, lines, events, sort pulses; written at the end
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "Vicsort_build.h"
#include "harness.h"
#include "verilated.h"

namespace {

using harness::bytes_of;
using harness::fail;
using harness::Output;

volatile std::sig_atomic_t stop_requested = 0;

// The host's end of the wire: 8N1, one call of clock() a cycle.
class Uart {
 public:
  explicit Uart(unsigned clks_per_bit) : clks_per_bit_(clks_per_bit) {}

  std::deque<uint8_t> to_board, from_board;

  bool quiet() const { return to_board.empty() && send_left_ == 0 && receive_left_ == 0; }

  // `line` is the board's transmit pin; returns the level of its receive pin.
  bool clock(bool line) {
    receive(line);
    if (send_left_ == 0 && !to_board.empty()) {
      send_bits_ = 0x200u | (to_board.front() << 1);
      to_board.pop_front();
      send_left_ = 10 * clks_per_bit_;
    }
    if (send_left_ == 0) return true;
    const bool level = send_bits_ & 1u;
    if (--send_left_ % clks_per_bit_ == 0) send_bits_ >>= 1;
    return level;
  }

 private:
  void receive(bool line) {
    if (receive_left_ == 0) {
      if (line) return;
      receive_left_ = 10 * clks_per_bit_;
      receive_bits_ = 0;
    }
    const unsigned elapsed = 10 * clks_per_bit_ - receive_left_;
    if (elapsed % clks_per_bit_ == clks_per_bit_ / 2) receive_bits_ |= uint32_t(line) << (elapsed / clks_per_bit_);
    // Ready for the next start bit as soon as the middle of the stop bit is seen.
    if (elapsed == 9 * clks_per_bit_ + clks_per_bit_ / 2) {
      if (line) from_board.push_back(uint8_t(receive_bits_ >> 1));
      receive_left_ = 0;
    } else {
      --receive_left_;
    }
  }

  unsigned clks_per_bit_, send_left_ = 0, receive_left_ = 0;
  uint32_t send_bits_ = 0, receive_bits_ = 0;
};

// The pseudo-terminal. The slave end stays open here, so that a host may come and go.
class Terminal {
 public:
  Terminal(const Terminal&) = delete;
  explicit Terminal(std::string link) : link_(std::move(link)) {
    char name[128];
    if (openpty(&master_, &slave_, name, nullptr, nullptr) != 0) fail("cannot make a pseudo-terminal");
    termios raw{};
    tcgetattr(slave_, &raw);
    cfmakeraw(&raw);
    tcsetattr(slave_, TCSANOW, &raw);
    fcntl(master_, F_SETFL, O_NONBLOCK);
    struct stat target;
    if (stat(link_.c_str(), &target) != 0) unlink_link();  // a dead link; Python refused anything else
    if (symlink(name, link_.c_str()) != 0) fail("cannot make the link " + link_ + ": " + std::strerror(errno));
    std::printf("%s\n", name);
    std::fflush(stdout);
  }
  ~Terminal() {
    unlink_link();
    close(master_);
    close(slave_);
  }

  void exchange(Uart& uart) {
    uint8_t buffer[4096];
    ssize_t received;
    while ((received = read(master_, buffer, sizeof buffer)) > 0) {
      uart.to_board.insert(uart.to_board.end(), buffer, buffer + received);
    }
    while (!uart.from_board.empty()) {
      const size_t size = std::min(sizeof buffer, uart.from_board.size());
      std::copy_n(uart.from_board.begin(), size, buffer);
      const ssize_t sent = write(master_, buffer, size);
      if (sent <= 0) break;
      uart.from_board.erase(uart.from_board.begin(), uart.from_board.begin() + sent);
      last_write_ = std::chrono::steady_clock::now();
    }
    // A wire with nobody at its end loses what is sent; a slow reader is waited for.
    if (uart.from_board.empty()) last_write_ = std::chrono::steady_clock::now();
    if (std::chrono::steady_clock::now() - last_write_ > std::chrono::seconds(1)) uart.from_board.clear();
  }

  void unlink_link() {
    struct stat link;
    if (lstat(link_.c_str(), &link) == 0 && S_ISLNK(link.st_mode)) unlink(link_.c_str());
  }

  void sleep() {
    pollfd wait{master_, POLLIN, 0};
    poll(&wait, 1, 20);
  }

 private:
  std::string link_;
  int master_ = -1, slave_ = -1;
  std::chrono::steady_clock::time_point last_write_ = std::chrono::steady_clock::now();
};

// The file's pixels as the light of an instrument, which does not wait: each falls in its cycle, a gap behind each line. What
// the sorter does not take yet is kept, and each line brings its number and the cycle in which its first pixel fell.
class LineSource {
 public:
  LineSource(std::vector<uint8_t> samples, size_t pixel_bytes, size_t line_width, unsigned gap)
      : samples_(std::move(samples)), pixel_bytes_(pixel_bytes), line_width_(line_width), gap_(gap) {
    if (samples_.size() % (pixel_bytes * line_width) != 0) fail("the lines file does not hold whole lines");
  }

  bool done() const { return at_ == samples_.size(); }
  size_t lines() const { return at_ / (pixel_bytes_ * line_width_); }

  void drive(Vicsort_build& top, bool enabled) {
    if (enabled && !begun_) due_ = top.timestamp;
    begun_ = begun_ || enabled;
    const bool valid = begun_ && !done() && top.timestamp >= due_;
    top.s_axis_line_tvalid = valid;
    top.s_axis_line_tlast = valid && column_ == line_width_ - 1;
    top.s_axis_line_tuser = uint64_t(lines()) << 48 | due_;
    if (valid) std::memcpy(bytes_of(top.s_axis_line_tdata), &samples_[at_], pixel_bytes_);
  }

  void accepted() {
    at_ += pixel_bytes_;
    ++due_;
    if (++column_ == line_width_) {
      column_ = 0;
      due_ += gap_;
    }
  }

 private:
  std::vector<uint8_t> samples_;
  size_t pixel_bytes_, line_width_, at_ = 0, column_ = 0;
  unsigned gap_;
  bool begun_ = false;
  uint64_t due_ = 0;  // the cycle in which the pixel at hand falls
};

class Timeline {
 public:
  explicit Timeline(const std::string& path) : file_(path) { file_.text("cycle,signal,value\n"); }

  void sample(uint64_t cycle, const Vicsort_build& top) {
    if (!file_.open()) return;
    const std::pair<const char*, int> signals[] = {
        {"line", top.mon_stream_line},       {"event", top.mon_event},
        {"network in", top.mon_stream_net_in}, {"network out", top.mon_stream_net_out},
        {"decision", top.mon_decision_valid},  {"sort pulse", top.sort_pulse},
    };
    for (const auto& [name, value] : signals) {
      auto [at, first] = last_.try_emplace(name, 0);
      if (at->second == value) continue;
      if (name == std::string("sort pulse") && value == 0) finished_ = true;
      at->second = value;
      file_.text(std::to_string(cycle) + "," + name + "," + std::to_string(value) + "\n");
    }
    if (finished_) close();
  }
  void close() { file_.close(); }

 private:
  Output file_;
  std::map<std::string, int> last_;
  bool finished_ = false;
};

std::string json_pairs(const std::vector<std::pair<uint64_t, uint64_t>>& pairs) {
  std::string text = "[";
  for (const auto& [start, length] : pairs) {
    if (text.size() > 1) text += ", ";
    text += "[" + std::to_string(start) + ", " + std::to_string(length) + "]";
  }
  return text + "]";
}

}  // namespace

int main(int argc, char** argv) {
  const harness::Options options(argc, argv);

  std::signal(SIGTERM, [](int) { stop_requested = 1; });
  std::signal(SIGINT, [](int) { stop_requested = 1; });
  prctl(PR_SET_PDEATHSIG, SIGTERM);  // a board does not outlive the program that started it

  LineSource lines(harness::read_file(options.text("--lines")), options.number("--pixel-bytes"),
                   options.number("--line-width"), options.number("--line-gap"));
  Uart uart(options.number("--clks-per-bit"));
  Output records(options.text("--records")), uart_out(options.text("--uart-out")), summary(options.text("--summary"));
  Timeline timeline(options.text("--timeline"));
  const bool interactive = options.given("--pty");
  if (!interactive) {
    const auto bytes = harness::read_file(options.text("--uart-in"));
    uart.to_board.assign(bytes.begin(), bytes.end());
  }

  VerilatedContext context;
  Vicsort_build top(&context);
  const size_t record_bytes = options.number("--record-bytes");
  uint64_t cycle = 0, events = 0, decisions = 0;
  std::vector<std::pair<uint64_t, uint64_t>> pulses;
  bool sending = false, pulse_before = false;
  unsigned quiet = 0;
  const unsigned quiet_enough = 64 * options.number("--clks-per-bit");
  const auto started = std::chrono::steady_clock::now();

  top.uart_rx = 1;
  top.rst = 1;
  top.s_axis_line_tvalid = 0;
  for (int i = 0; i < 16; ++i) {
    top.clk = i & 1;
    top.eval();
  }
  top.rst = 0;

  std::optional<Terminal> terminal;
  if (interactive) terminal.emplace(options.text("--pty"));
  while (!stop_requested && !context.gotFinish()) {
    if (terminal && cycle % 1024 == 0) {
      terminal->exchange(uart);
      if (uart.from_board.size() > 65536) {
        terminal->sleep();
        continue;
      }
    }
    const bool still = uart.quiet() && top.mon_idle && (lines.done() || !sending);
    quiet = still ? quiet + 1 : 0;
    if (quiet > quiet_enough) {
      if (!terminal) break;
      terminal->exchange(uart);
      if (uart.to_board.empty()) {
        terminal->sleep();
        continue;
      }
    }

    sending = sending || top.mon_armed;
    lines.drive(top, sending);
    top.clk = 0;
    top.eval();
    const bool accepted = top.s_axis_line_tvalid && top.s_axis_line_tready;
    const uint64_t now = top.timestamp;
    events += top.mon_event;
    if (top.mon_decision_valid) {
      ++decisions;
      records.write(bytes_of(top.mon_record), record_bytes);
    }
    if (top.sort_pulse && !pulse_before) pulses.emplace_back(now, 0);
    if (top.sort_pulse) ++pulses.back().second;
    pulse_before = top.sort_pulse;
    timeline.sample(now, top);
    const bool receive_pin = uart.clock(top.uart_tx);
    top.clk = 1;
    top.eval();
    top.uart_rx = receive_pin;
    if (accepted) lines.accepted();
    ++cycle;
    if (!terminal) {
      for (; !uart.from_board.empty(); uart.from_board.pop_front()) uart_out.write(&uart.from_board.front(), 1);
    }
  }
  if (terminal) terminal->exchange(uart);
  terminal.reset();
  top.final();

  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
  summary.text("{\"cycles\": " + std::to_string(cycle) + ", \"seconds\": " + std::to_string(seconds) +
               ", \"lines\": " + std::to_string(lines.lines()) + ", \"events\": " + std::to_string(events) +
               ", \"decisions\": " + std::to_string(decisions) + ", \"sort_pulses\": " + json_pairs(pulses) + "}\n");
  summary.close();
  records.close();
  uart_out.close();
  timeline.close();
  return 0;
}
