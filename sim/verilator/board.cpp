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
//   --line-pixels N     pixels in a beat
//   --line-cycles X     cycles from line to line, at least its beats; need not be whole
//   --channels N        samples in a pixel
//   --sample-bits N     bits of a sample on the board
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
#include <array>
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

// The file's lines as the light of an instrument, which does not wait: line i falls floor(i * line_cycles) cycles behind the first
// one, a beat a cycle. What the sorter does not take yet is kept, and each line brings its number and the cycle in which it fell.
class LineSource {
 public:
  LineSource(std::vector<uint8_t> samples, const harness::Options& options)
      : samples_(std::move(samples)),
        channels_(options.number("--channels")),
        sample_bits_(options.number("--sample-bits")),
        width_(options.number("--line-width")),
        pixels_(options.number("--line-pixels")),
        line_cycles_(std::stod(options.text("--line-cycles"))) {
    if (samples_.size() % (2 * channels_ * width_) != 0) fail("the lines file does not hold whole lines");
    count_ = samples_.size() / (2 * channels_ * width_);
  }

  bool done() const { return line_ == count_; }
  size_t lines() const { return line_; }
  uint64_t start() const { return start_; }

  void drive(Vicsort_build& top, bool enabled) {
    if (enabled && !begun_) start_ = top.timestamp;
    begun_ = begun_ || enabled;
    const uint64_t due = start_ + uint64_t(double(line_) * line_cycles_);
    const bool valid = begun_ && !done() && top.timestamp >= due + column_ / pixels_;
    top.s_axis_line_tvalid = valid;
    top.s_axis_line_tlast = valid && column_ + pixels_ >= width_;
    top.s_axis_line_tuser = uint64_t(line_) << 48 | due;
    if (valid) put(bytes_of(top.s_axis_line_tdata), sizeof top.s_axis_line_tdata);
  }

  void accepted() {
    column_ += pixels_;
    if (column_ >= width_) {
      column_ = 0;
      ++line_;
    }
  }

 private:
  // The pixels of a beat beside each other; lanes beyond the line are zero.
  void put(uint8_t* data, size_t size) const {
    const size_t pixels = std::min(pixels_, width_ - column_);
    const uint8_t* from = &samples_[2 * channels_ * (line_ * width_ + column_)];
    std::memset(data, 0, size);
    if (sample_bits_ == 16) {
      std::memcpy(data, from, 2 * channels_ * pixels);
      return;
    }
    for (size_t sample = 0; sample < channels_ * pixels; ++sample) {
      const size_t at = sample * sample_bits_;
      const uint32_t value = (from[2 * sample] | from[2 * sample + 1] << 8) << at % 8;
      for (size_t byte = 0; 8 * byte < at % 8 + sample_bits_; ++byte) data[at / 8 + byte] |= uint8_t(value >> 8 * byte);
    }
  }

  std::vector<uint8_t> samples_;
  size_t channels_, sample_bits_, width_, pixels_, count_ = 0, line_ = 0, column_ = 0;
  double line_cycles_;
  bool begun_ = false;
  uint64_t start_ = 0;  // the cycle in which the first line falls
};

class Timeline {
 public:
  explicit Timeline(const std::string& path) : file_(path) { file_.text("cycle,signal,value\n"); }

  void sample(uint64_t cycle, const Vicsort_build& top) {
    if (!file_.open()) return;
    const std::pair<const char*, int> signals[] = {
        {"line", top.mon_stream_line},       {"event", top.mon_event},
        {"network in", top.mon_stream_net_in}, {"network out", top.mon_stream_net_out},
        {"decision", top.mon_decision},  {"sort pulse", top.sort_out != 0},
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

// Cycle in which an output rose, cycles that it was high, its number.
using Pulse = std::array<uint64_t, 3>;

std::string json(const std::vector<Pulse>& pulses) {
  std::string text = "[";
  for (const auto& [start, length, direction] : pulses) {
    if (text.size() > 1) text += ", ";
    text += "[" + std::to_string(start) + ", " + std::to_string(length) + ", " + std::to_string(direction) + "]";
  }
  return text + "]";
}

}  // namespace

int main(int argc, char** argv) {
  const harness::Options options(argc, argv);

  std::signal(SIGTERM, [](int) { stop_requested = 1; });
  std::signal(SIGINT, [](int) { stop_requested = 1; });
  prctl(PR_SET_PDEATHSIG, SIGTERM);  // a board does not outlive the program that started it

  LineSource lines(harness::read_file(options.text("--lines")), options);
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
  uint64_t cycle = 0, events = 0, decisions = 0;
  std::vector<Pulse> pulses;
  std::array<std::optional<uint64_t>, 6> high_since;
  std::vector<uint32_t> record;  // words of the one that is being made
  bool sending = false;
  unsigned quiet = 0;
  const unsigned quiet_enough = 64 * options.number("--clks-per-bit");
  const auto started = std::chrono::steady_clock::now();

  top.uart_rx = 1;
  top.interlock = 1;
  top.drop_clock = 0;
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
    decisions += top.mon_decision;
    if (top.mon_record_tvalid) {
      record.push_back(top.mon_record_tdata);
      if (top.mon_record_tlast) {
        records.write(reinterpret_cast<const uint8_t*>(record.data()), sizeof(uint32_t) * record.size());
        record.clear();
      }
    }
    for (unsigned direction = 0; direction < high_since.size(); ++direction) {
      const bool high = top.sort_out >> direction & 1;
      if (high && !high_since[direction]) high_since[direction] = now;
      if (!high && high_since[direction]) {
        pulses.push_back({*high_since[direction], now - *high_since[direction], direction});
        high_since[direction].reset();
      }
    }
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
               ", \"first_line\": " + std::to_string(lines.start()) + ", \"lines\": " + std::to_string(lines.lines()) + ", \"events\": " + std::to_string(events) +
               ", \"decisions\": " + std::to_string(decisions) + ", \"sort_pulses\": " + json(pulses) + "}\n");
  summary.close();
  records.close();
  uart_out.close();
  timeline.close();
  return 0;
}
