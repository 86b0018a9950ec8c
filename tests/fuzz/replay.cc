// Runs every target over its first inputs and over mutations of them, the same ones every time:
// what CI does, without libFuzzer.
//
//   fuzz_replay [--mutations N] [--input FILE] [TARGET…]
//
// N of each input. When a target fails, the input is left beside this program.

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>

#include "tests/fuzz/target.h"

#if defined(__SANITIZE_ADDRESS__)
extern "C" void __sanitizer_set_death_callback(void (*callback)());
#endif

namespace {

using entente::fuzz::Target;

constexpr unsigned kSecondsMax = 20;            // that one input may take
constexpr size_t kMemoryMax = size_t{4} << 30;  // of address space
constexpr size_t kInputMax = 64 << 10;          // bytes of a mutated input

std::string left_in;  // the path of an input that failed
std::string current;
std::string_view current_target;

// Leaves the input that is being run. Only what a signal handler may call.
void leave_input() {
  std::FILE* file = std::fopen(left_in.c_str(), "wb");
  if (file == nullptr) return;
  std::fwrite(current.data(), 1, current.size(), file);
  std::fclose(file);
  std::fprintf(stderr,
               "fuzz: target %.*s failed; its input is in %s: fuzz_replay --input %s %.*s\n",
               static_cast<int>(current_target.size()), current_target.data(), left_in.c_str(),
               left_in.c_str(), static_cast<int>(current_target.size()), current_target.data());
}

void on_signal(int signal) {
  if (signal == SIGALRM) std::fprintf(stderr, "fuzz: an input takes too long\n");
  leave_input();
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

void watch() {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_set_death_callback(leave_input);
#else
  const rlimit memory{kMemoryMax, kMemoryMax};
  setrlimit(RLIMIT_AS, &memory);
  for (const int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL}) std::signal(signal, on_signal);
#endif
  for (const int signal : {SIGABRT, SIGALRM}) std::signal(signal, on_signal);
}

// What libFuzzer does, in its plainest form.
class Mutations {
 public:
  Mutations(const std::vector<std::string>& inputs, uint64_t seed)
      : inputs_(inputs), random_(seed) {}

  std::string of(const std::string& input) {
    std::string out = input;
    for (size_t n = 1 + below(4); n > 0; --n) change(out);
    if (out.size() > kInputMax) out.resize(kInputMax);
    return out;
  }

 private:
  size_t below(size_t n) { return n > 0 ? random_() % n : 0; }

  void change(std::string& out) {
    const size_t at = below(out.size() + 1);
    const size_t size = std::min(out.size() - at, 1 + below(16));
    switch (below(8)) {
      case 0:
        if (at < out.size()) out[at] = static_cast<char>(out[at] ^ (1 << below(8)));
        break;
      case 1:
        if (at < out.size()) out[at] = static_cast<char>(random_());
        break;
      case 2:
        if (at < out.size()) out[at] = kEdges[below(sizeof kEdges)];
        break;
      case 3:
        out.erase(at, size);
        break;
      case 4:
        out.insert(at, std::string(out, at, size));
        break;
      case 5:
        out.insert(at, 1 + below(4), kEdges[below(sizeof kEdges)]);
        break;
      case 6:
        splice(out, at);
        break;
      default:
        out.resize(at);
        break;
    }
  }

  // Goes on as another input does.
  void splice(std::string& out, size_t at) {
    const std::string& other = inputs_[below(inputs_.size())];
    out.resize(at);
    out += std::string_view(other).substr(std::min(other.size(), at + below(8)));
  }

  static constexpr char kEdges[] = {0,   1,   2,   5,   16,  '\x7f', '\x80', '\xff',
                                    '"', '{', '[', ',', ':', '\n',   ' ',    '\'',
                                    '%', '0', '-', 'e', ';', '(',    '\xc3', '\xf0'};
  const std::vector<std::string>& inputs_;
  std::mt19937_64 random_;
};

struct Options {
  size_t mutations = 500;
  std::string input;
  std::vector<std::string_view> names;
};

struct Totals {
  size_t targets = 0, inputs = 0, executions = 0;
};

void run(const Target& target, std::string input, Totals& totals) {
  current = std::move(input);
  alarm(kSecondsMax);
  target.run(current);
  ++totals.executions;
}

void replay(const Target& target, const Options& options, Totals& totals) {
  const auto begin = std::chrono::steady_clock::now();
  const size_t before = totals.executions;
  const auto inputs = entente::fuzz::first_inputs(target);
  MUST(!inputs.empty());
  for (const auto& input : inputs) run(target, input, totals);
  Mutations mutations(inputs, 1);
  for (const auto& input : inputs) {
    for (size_t i = 0; i < options.mutations / target.cost; ++i)
      run(target, mutations.of(input), totals);
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  std::printf("  %-16.*s %4zu inputs %8zu executions %6.1f s\n",
              static_cast<int>(target.name.size()), target.name.data(), inputs.size(),
              totals.executions - before, took.count());
  ++totals.targets;
  totals.inputs += inputs.size();
}

Options options_of(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    if (word == "--mutations" && i + 1 < argc) {
      options.mutations = std::strtoul(argv[++i], nullptr, 10);
    } else if (word == "--input" && i + 1 < argc) {
      options.input = argv[++i];
    } else {
      options.names.push_back(word);
    }
  }
  return options;
}

}  // namespace

int main(int argc, char** argv) {
  const Options options = options_of(argc, argv);
  left_in = std::filesystem::path(argv[0]).replace_filename("fuzz_failed_input").string();
  watch();
  Totals totals;
  for (const auto& target : entente::fuzz::targets()) {
    const auto& names = options.names;
    if (!names.empty() && std::find(names.begin(), names.end(), target.name) == names.end()) {
      continue;
    }
    current_target = target.name;
    if (options.input.empty()) {
      replay(target, options, totals);
      continue;
    }
    std::ifstream file(options.input, std::ios::binary);
    run(target, {std::istreambuf_iterator<char>(file), {}}, totals);
  }
  if (totals.executions == 0) {
    std::fprintf(stderr, "fuzz_replay: there is no such target\n");
    return 2;
  }
  std::printf("report: fuzz: %zu targets, %zu corpus entries, %zu executions\n", totals.targets,
              totals.inputs, totals.executions);
  return 0;
}
