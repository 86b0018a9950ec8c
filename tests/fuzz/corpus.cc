#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "tests/fuzz/target.h"

namespace entente::fuzz {
namespace {

std::string read(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

int digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

std::string from_hex(std::string_view text) {
  std::string out;
  int high = -1;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '#') i = std::min(text.find('\n', i), text.size() - 1);
    const int d = digit(text[i]);
    if (d >= 0 && high >= 0) out.push_back(static_cast<char>(high << 4 | d));
    if (d >= 0) high = high >= 0 ? -1 : d;
  }
  return out;
}

}  // namespace

std::vector<Target>& targets() {
  static std::vector<Target> all;
  return all;
}

Registration::Registration(const Target& target) {
  auto& all = targets();
  const auto at = std::find_if(all.begin(), all.end(),
                               [&](const Target& other) { return other.name > target.name; });
  all.insert(at, target);
}

std::vector<std::string> first_inputs(const Target& target) {
  std::vector<std::string> inputs;
  if (target.seeds != nullptr) inputs = target.seeds();
  const auto folder = std::filesystem::path(ENTENTE_SOURCE) / "tests/fuzz/corpus" / target.name;
  std::vector<std::filesystem::path> files;
  if (std::filesystem::is_directory(folder)) {
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
      files.push_back(entry.path());
    }
  }
  std::sort(files.begin(), files.end());
  for (const auto& file : files) {
    const std::string text = read(file);
    inputs.push_back(file.extension() == ".hex" ? from_hex(text) : text);
  }
  return inputs;
}

}  // namespace entente::fuzz
