#include "tests/crash/disk.h"

#include <algorithm>
#include <set>
#include <string_view>

#include "tests/simulation/random.h"

namespace entente::crash {

using simulation::Random;

uint32_t Disk::find(const std::string& name) const {
  const auto it = names_.find(name);
  return it == names_.end() ? 0 : it->second;
}

void Disk::write(std::string& content, uint64_t offset, std::string_view bytes) {
  if (content.size() < offset + bytes.size()) content.resize(offset + bytes.size());
  content.replace(offset, bytes.size(), bytes);
}

uint32_t Disk::apply(const DiskOp& op) {
  switch (op.kind) {
    case DiskOp::Kind::kCreate: {
      uint32_t& file = names_[op.name];
      if (file == 0) files_[file = ++last_file_];
      return file;
    }
    case DiskOp::Kind::kRemove:
      names_.erase(op.name);
      break;
    case DiskOp::Kind::kWrite: {
      File& file = files_.at(op.file);
      write(file.seen, op.offset, op.bytes);
      file.unsynced.push_back({false, false, op.offset, op.bytes});
      break;
    }
    case DiskOp::Kind::kTruncate: {
      File& file = files_.at(op.file);
      if (file.seen.size() == op.offset) break;
      file.seen.resize(op.offset);
      file.unsynced.push_back({true, false, op.offset});
      break;
    }
    case DiskOp::Kind::kSync: {
      File& file = files_.at(op.file);
      const bool any_lost =
          std::any_of(file.unsynced.begin(), file.unsynced.end(), [](auto& u) { return u.lost; });
      if (!any_lost) {
        file.medium = file.seen;
        file.unsynced.clear();
        break;
      }
      // What was lost stays so, in its place; the others are on the medium.
      std::vector<Unsynced> lost;
      for (auto& u : file.unsynced) {
        if (u.lost) {
          lost.push_back(std::move(u));
        } else if (u.truncate) {
          file.medium.resize(u.offset);
        } else {
          write(file.medium, u.offset, u.bytes);
        }
      }
      file.unsynced = std::move(lost);
      break;
    }
    case DiskOp::Kind::kSyncLost:
      for (auto& u : files_.at(op.file).unsynced) u.lost = true;
      break;
    case DiskOp::Kind::kSyncDirectory:
      names_on_medium_ = names_;
      break;
  }
  return 0;
}

bool Disk::all_synced() const {
  return names_ == names_on_medium_ && std::all_of(files_.begin(), files_.end(), [](const auto& f) {
           return f.second.unsynced.empty();
         });
}

Disk Disk::after(const PowerLoss& loss) const {
  Random random(loss.seed, "power loss");
  // Some crashes lose nearly all, others nearly nothing.
  const double kept = loss.seed == 0 ? 0 : static_cast<double>(1 + random.below(9)) / 10;
  Disk out;
  out.last_file_ = last_file_;
  std::set<std::string> changed;
  for (const auto* names : {&names_, &names_on_medium_}) {
    for (const auto& [name, file] : *names) changed.insert(name);
  }
  for (const auto& name : changed) {
    const Names& from = random.chance(kept) ? names_ : names_on_medium_;
    if (const auto it = from.find(name); it != from.end()) out.names_.insert(*it);
  }
  for (const auto& [name, id] : out.names_) {
    const File& file = files_.at(id);
    std::string content = file.medium;
    for (const auto& u : file.unsynced) {
      if (u.truncate) {
        if (!u.lost && random.chance(kept)) content.resize(u.offset);
        continue;
      }
      for (uint64_t at = u.offset, end = u.offset + u.bytes.size(); at < end;) {
        const uint64_t next = std::min(end, (at / loss.sector + 1) * loss.sector);
        std::string_view piece = std::string_view(u.bytes).substr(at - u.offset, next - at);
        uint64_t to = at;
        at = next;
        if (u.lost || !random.chance(kept)) continue;
        if (random.chance(0.1)) {  // torn: its beginning, or its end
          const uint64_t cut = random.below(piece.size() + 1);
          if (random.chance(0.5)) {
            piece = piece.substr(0, cut);
          } else {
            to += cut;
            piece = piece.substr(cut);
          }
        }
        if (!piece.empty()) write(content, to, piece);
      }
    }
    out.files_[id] = {content, content, {}};
  }
  out.names_on_medium_ = out.names_;
  return out;
}

}  // namespace entente::crash
