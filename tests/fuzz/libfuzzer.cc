// libFuzzer's side: one program for all targets; ENTENTE_FUZZ_TARGET names the one to run. With
// ENTENTE_FUZZ_LIST set it prints the targets' names; with ENTENTE_FUZZ_SEEDS, a folder, it writes
// the target's first inputs there.

#include <cstdint>
#include <fstream>

#include "tests/fuzz/target.h"

namespace {

const entente::fuzz::Target* chosen = nullptr;

const char* environment(const char* name) { return std::getenv(name); }

void write_seeds(const std::string& folder) {
  size_t n = 0;
  for (const auto& input : entente::fuzz::first_inputs(*chosen)) {
    std::ofstream(folder + "/seed_" + std::to_string(n++), std::ios::binary) << input;
  }
}

}  // namespace

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  const char* name = environment("ENTENTE_FUZZ_TARGET");
  for (const auto& target : entente::fuzz::targets()) {
    if (environment("ENTENTE_FUZZ_LIST") != nullptr) std::cout << target.name << std::endl;
    if (name != nullptr && target.name == name) chosen = &target;
  }
  if (environment("ENTENTE_FUZZ_LIST") != nullptr) std::exit(0);
  if (chosen == nullptr) {
    std::cerr << "ENTENTE_FUZZ_TARGET names no target" << std::endl;
    std::exit(2);
  }
  if (const char* folder = environment("ENTENTE_FUZZ_SEEDS")) {
    write_seeds(folder);
    std::exit(0);
  }
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  // A copy of its own size: reading past its end is found.
  const std::string bytes(reinterpret_cast<const char*>(data), size);
  chosen->run(bytes);
  return 0;
}
