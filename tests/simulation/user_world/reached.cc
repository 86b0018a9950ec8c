#include "tests/simulation/user_world/reached.h"

#include <algorithm>
#include <iomanip>
#include <string>

namespace entente::simulation::user_world {
namespace {

constexpr size_t kPaths = static_cast<size_t>(Path::kCount);
constexpr std::array<std::string_view, kPaths> kNames = {
    "statement refused",
    "transaction given up",
    "row request refused",
    "context presented",
    "context ahead",
    "context expired",
    "applied twice",
    "reopened",
    "collected",
    "schema changed",
    "schema change refused",
    "schema change met old writes",
    "key respelled",
    "hidden by UNIQUE",
    "hidden by its equal",
    "hidden by CHECK",
    "orphan listed",
    "orphan hidden",
    "loser listed",
    "compared with plain SQLite",
    "error as plain SQLite's",
};

bool waits(Draw draw) {
  const auto& list = drawn_once_mended();
  return std::any_of(list.begin(), list.end(), [&](const auto& w) { return w.draw == draw; });
}

// A batch cannot walk it before that is mended.
bool waits(Path path) {
  switch (path) {
    case Path::kKeyRespelled:
      return waits(Draw::kRespellKey);
    case Path::kOrphanListed:
      return waits(Draw::kForeignKey);
    case Path::kOrphanHidden:
      return waits(Draw::kForeignKey) || waits(Draw::kOrphansHide);
    default:
      return false;
  }
}

}  // namespace

std::string_view to_string(Path path) { return kNames[static_cast<size_t>(path)]; }

void Reached::drew(const Draws& draws) {
  for (size_t i = 0; i < kDraws; ++i) draws_[i] += draws.has(static_cast<Draw>(i)) ? 1 : 0;
}

void Reached::add(const Reached& other) {
  for (size_t i = 0; i < kPaths; ++i) paths_[i] += other.paths_[i];
  for (size_t i = 0; i < kDraws; ++i) draws_[i] += other.draws_[i];
}

std::string Reached::missing() const {
  std::string out;
  for (size_t i = 0; i < kPaths; ++i) {
    if (paths_[i] == 0 && !waits(static_cast<Path>(i)))
      out += "never met: " + std::string(kNames[i]) + "\n";
  }
  for (size_t i = 0; i < kDraws; ++i) {
    const auto draw = static_cast<Draw>(i);
    if (draws_[i] == 0 && !waits(draw))
      out += "never drawn: " + std::string(to_string(draw)) + "\n";
  }
  return out;
}

std::ostream& operator<<(std::ostream& out, const Reached& reached) {
  for (size_t i = 0; i < kPaths; ++i) {
    out << "  " << std::left << std::setw(32) << kNames[i] << reached.paths_[i] << "\n";
  }
  return out;
}

}  // namespace entente::simulation::user_world
