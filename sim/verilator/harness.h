// SPDX-License-Identifier: Apache-2.0
//
// What the programs that drive a verilated model share: options, checked files, ports as bytes.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <type_traits>
#include <vector>

namespace harness {

[[noreturn]] inline void fail(const std::string& message) {
  std::fprintf(stderr, "%s\n", message.c_str());
  std::exit(1);
}

// Options are pairs: --name value.
class Options {
 public:
  Options(int argc, char** argv) {
    for (int i = 1; i + 1 < argc; i += 2) values_[argv[i]] = argv[i + 1];
  }
  bool given(const char* name) const { return values_.count(name) != 0; }
  std::string text(const char* name) const {
    const auto entry = values_.find(name);
    return entry == values_.end() ? "" : entry->second;
  }
  uint64_t number(const char* name) const { return std::strtoull(text(name).c_str(), nullptr, 10); }

 private:
  std::map<std::string, std::string> values_;
};

// A port of a verilated model: integers up to 64 bits, arrays of 32-bit words above.
template <typename Port>
uint8_t* bytes_of(Port& port) {
  if constexpr (std::is_integral_v<Port>) {
    return reinterpret_cast<uint8_t*>(&port);
  } else {
    return reinterpret_cast<uint8_t*>(port.data());
  }
}

inline std::vector<uint8_t> read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) fail("cannot read " + path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

// An output file that is checked: a full disk must not pass for a short run.
class Output {
 public:
  explicit Output(const std::string& path) : path_(path) {
    if (path.empty()) return;
    file_ = std::fopen(path.c_str(), "wb");
    if (file_ == nullptr) fail("cannot write " + path);
  }
  bool open() const { return file_ != nullptr; }
  void write(const void* data, size_t size) {
    if (file_ != nullptr && std::fwrite(data, 1, size, file_) != size) fail("cannot write " + path_ + ": is the disk full?");
  }
  void text(const std::string& line) { write(line.data(), line.size()); }
  void close() {
    if (file_ != nullptr && std::fclose(file_) != 0) fail("cannot write " + path_ + ": is the disk full?");
    file_ = nullptr;
  }

 private:
  std::string path_;
  std::FILE* file_ = nullptr;
};

}  // namespace harness
