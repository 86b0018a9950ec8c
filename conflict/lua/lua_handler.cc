#include "conflict/lua/lua_handler.h"

#include <xxhash.h>

#include <mutex>
#include <vector>

#include "conflict/codec.h"
#include "conflict/lua/sandbox.h"

namespace entente {
namespace {

using lua::Program;
using lua::Sandbox;

// Counted up when a script may decide otherwise than before: a library function answers
// differently.
constexpr uint64_t kLibraryVersion = 1;

std::string hex(uint64_t v) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string out;
  for (int shift = 60; shift >= 0; shift -= 4) out += kDigits[v >> shift & 15];
  return out;
}

std::string version_of(const Program& program) {
  ByteWriter bytes;
  bytes.varint(kLibraryVersion);
  bytes.varint(program.instructions);
  bytes.varint(program.memory_bytes);
  bytes.string(program.text);
  const auto hash = XXH3_128bits(bytes.view().data(), bytes.view().size());
  return "lua:" + hex(hash.high64) + hex(hash.low64);
}

class LuaHandler : public Handler {
 public:
  explicit LuaHandler(Program program)
      : program_(std::move(program)), version_(version_of(program_)) {}

  Result<void> load() {
    auto sandbox = Sandbox::open(program_);
    if (!sandbox) return tl::unexpected(sandbox.error());
    give_back(std::move(*sandbox));
    return {};
  }

  Result<Decision> decide(const Conflict& conflict) const override {
    auto sandbox = take();
    if (!sandbox) return tl::unexpected(sandbox.error());
    auto decision = (*sandbox)->decide(conflict);
    if (!(*sandbox)->worn()) give_back(std::move(*sandbox));
    return decision;
  }

  const std::string& version() const override { return version_; }

 private:
  Result<std::unique_ptr<Sandbox>> take() const {
    {
      const std::lock_guard lock(mutex_);
      if (!idle_.empty()) {
        auto out = std::move(idle_.back());
        idle_.pop_back();
        return out;
      }
    }
    return Sandbox::open(program_);
  }

  void give_back(std::unique_ptr<Sandbox> sandbox) const {
    const std::lock_guard lock(mutex_);
    idle_.push_back(std::move(sandbox));
  }

  const Program program_;
  const std::string version_;
  mutable std::mutex mutex_;
  mutable std::vector<std::unique_ptr<Sandbox>> idle_;
};

}  // namespace

Result<std::shared_ptr<Handler>> load_lua(std::string_view name, std::string_view script,
                                          uint64_t instructions, uint64_t memory_bytes) {
  auto handler = std::make_shared<LuaHandler>(
      Program{std::string(name), std::string(script), instructions, memory_bytes});
  if (auto loaded = handler->load(); !loaded) return tl::unexpected(loaded.error());
  return handler;
}

}  // namespace entente
