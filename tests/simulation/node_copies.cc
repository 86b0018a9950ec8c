// A node whose database is replaced by a copy of another's, goes back to a backup, or is cloned.

#include <algorithm>
#include <utility>

#include "conflict/codec.h"
#include "tests/simulation/node.h"

namespace entente::simulation {

std::unique_ptr<Disk> Node::give_copy(const std::string& to, const DatabaseOptions& as) {
  gave_copies_to_.insert(to);
  replica_->copied_by(to);
  return disk_->copy(as);
}

// As the gateway does: what the copy lacks is in the log here, or another copy is needed.
void Node::rejoin(const Rejoin& why) {
  for (const auto& peer : why.from) {
    Node& from = node(peer);
    if (!reaches(from) || from.epoch_ != epoch_ || !may_meet(peer) || from.astray_) continue;
    if (from.replica_->promise_under_way()) continue;
    ++incarnations_;
    const auto as = options();
    auto disk = from.give_copy(name_, as);
    auto fresh = disk->open(as);
    Origin reissued_as;
    Random identity(world_.plan.seed, "fork " + name_ + std::to_string(incarnations_));
    for (auto& byte : reissued_as.id) byte = static_cast<uint8_t>(identity.next());
    const auto doubt = why.restored ? std::optional(unverified_.value_or(Doubt())) : std::nullopt;
    const auto done = replay(*database_, *fresh, reissued_as, doubt, wall_ms());
    if (!done && done.error().tag == "copy_schema_older") {
      world_.coverage.met(Met::kCopySchemaOlder);
      continue;
    }
    if (!done && done.error().tag == "copy_too_old") continue;
    if (!done) return world_.fail(name_ + " cannot rejoin: " + done.error().text);
    if (done->reissued > 0 && !why.restored) {
      return world_.fail(name_ + " takes its own history for another's");
    }
    take_reissued(*fresh, reissued_as, done->reissued);
    world_.trace("rejoin", index_, from.index_, done->changes);
    world_.coverage.met(Met::kRejoined);
    if (done->changes > 0) world_.coverage.met(Met::kBroughtOver);
    if (done->joined > 0) world_.coverage.met(Met::kRowsJoined);
    declare(*fresh);
    copied_promise_ = fresh->state().promised;
    collected_.join(from.collected_);
    fresh.reset();
    crash();
    database_.reset();
    disk_ = std::move(disk);
    const VersionVector had = durable_;
    reopen();
    astray_ = lacks_a_promise();
    if (!why.restored && !durable_.covers(had)) {
      world_.fail(name_ + " lost what it had when its database was replaced (P2)");
    }
    catching_up_ = from_copy_ = true;
    marker_lost_ = false;
    world_.scheduler.after(work_.between(1, 200), [this] { start(); });
    return;
  }
}

void Node::lose_marker() {
  const auto in_doubt = [](const Node* n) {  // two who wait for each other need a person
    return n->astray_ || n->aside_ || n->rejoin_ || n->marker_lost_;
  };
  if (!alive() || std::any_of(all_.begin(), all_.end(), in_doubt)) return;
  world_.trace("lose marker", index_);
  world_.coverage.met(Met::kMarkerLost);
  crash();
  marker_lost_ = true;
  rejoin_without_marker();
}

void Node::rejoin_without_marker() {
  if (!marker_lost_ || left_) return;
  if (!world_.faulty(Fault::kMarker)) {  // whom it could ask may be dead from here on
    marker_lost_ = false;
    return start();
  }
  std::vector<std::string> from;
  for (const auto& peer : epoch_->graph.neighbours(name_)) {
    if (reaches(node(peer)) && node(peer).epoch_->comes_after(*epoch_)) {
      adopt(*node(peer).epoch_, node(peer).durable_);
      break;
    }
    from.push_back(peer);
  }
  if (left_) return;
  std::rotate(from.begin(), from.begin() + static_cast<ptrdiff_t>(news_.below(from.size() + 1)),
              from.end());
  if (!dead_) rejoin({"its marker is lost", from, true});
  world_.scheduler.after(news_.between(20, 300), [this] { rejoin_without_marker(); });
}

// What it had written itself while nobody had confirmed its history is another's now: what it wrote
// astray, and before that perhaps what others would know under its old name, too.
void Node::take_reissued(Database& fresh, const Origin& as, uint64_t count) {
  const Origin self = database_->state().self;
  const auto others = static_cast<ptrdiff_t>(durable_.at(self) - shared());
  std::vector<std::string> was(astray_records_.end() - others, astray_records_.end());
  astray_records_.clear();
  if (count > was.size()) {
    const auto known = world_.oracle.forget_after(self, durable_.at(self) - count);
    was.insert(was.begin(), known.begin(), known.end());
  }
  // Some of what was shipped in that life keeps its name, if nobody has another there.
  const uint64_t before = durable_.at(self) - was.size();
  if (count < was.size() && others_have(self) <= before) {
    Run kept{self, before + 1, was.size() - count, {}};
    ByteWriter bytes;
    for (size_t i = 0; i < kept.count; ++i) bytes.string(was[i]);
    kept.records = bytes.take();
    if (auto bad = world_.oracle.found_again(kept, takes_part())) world_.fail(*bad);
    was.erase(was.begin(), was.begin() + static_cast<ptrdiff_t>(kept.count));
  }
  world_.contexts_since = world_.scheduler.now() + 1;
  if (count != was.size()) {
    return world_.fail(name_ + ": of " + std::to_string(was.size()) +
                       " transactions of another history " + std::to_string(count) +
                       " are left (P2)");
  }
  if (count == 0) return;
  world_.coverage.met(Met::kReissued, count);
  Run all{as, 1, count, {}};
  const auto chunks = fresh.read_log(*fresh.position_before(as, 1), SIZE_MAX);
  for (const auto& chunk : *chunks) {
    if (chunk.run.origin == as) all.records += chunk.run.records;
  }
  if (auto bad = world_.oracle.reissued(all, was, takes_part())) world_.fail(*bad);
}

// ---- Backups and clones ------------------------------------------------------------------------

Node::Past Node::present() const {
  return {disk_->image(), durable_,     collected_,  copied_promise_,
          from_copy_,     catching_up_, unverified_, astray_records_};
}

void Node::back_up() {
  if (alive() && !astray_ && !unverified_) backup_ = present();
}

uint64_t Node::others_have(const Origin& origin) const {
  uint64_t most = 0;
  for (const Node* other : all_) {
    if (other != this) most = std::max(most, other->durable_.at(origin));
  }
  return most;
}

void Node::go_back(bool keep) {
  const auto in_doubt = [](const Node* n) { return n->astray_ || n->aside_ || n->rejoin_; };
  if (!alive() || !backup_ || std::any_of(all_.begin(), all_.end(), in_doubt)) return;
  const Origin self = database_->state().self;
  crash();
  network_.lose_all_from(index_);
  for (Node* other : all_) {  // what waits in somebody's memory may be the only trace of a change
    if (other == this || !other->alive() || !other->disk_) continue;
    other->crash();
    world_.scheduler.after(1, [other] { other->start(); });
  }
  world_.trace("go back", index_, keep);
  world_.coverage.met(keep ? Met::kCloned : Met::kRestored);
  Past was = present();
  put_back(*std::exchange(backup_, std::nullopt));
  // What nobody has but the database that was there.
  for (const auto& [origin, seq] : was.durable) {
    const uint64_t left = std::max(others_have(origin), durable_.at(origin));
    if (seq <= left) continue;
    if (!keep && origin != self) world_.oracle.may_lose(origin, left);
    if (origin == self) was.astray = world_.oracle.forget_after(self, left);
  }
  if (keep) aside_ = std::move(was);
  VersionVector collected = aside_ ? aside_->collected : VersionVector();
  for (const Node* node : all_) collected.join(node->collected_);
  world_.oracle.collected_no_more_than(std::move(collected));
  world_.scheduler.after(news_.between(1, 300), [this] { start(); });
}

void Node::bring_back() {
  if (!aside_) return;
  crash();
  network_.lose_all_from(index_);
  world_.trace("bring back", index_);
  put_back(*std::exchange(aside_, std::nullopt));
  start();
}

void Node::put_back(Past past) {
  database_.reset();
  disk_ = std::move(past.disk);
  collected_ = std::move(past.collected);
  from_copy_ = past.from_copy;
  catching_up_ = past.catching_up;
  unverified_ = past.unverified;
  astray_records_ = std::move(past.astray);
  history_.clear();
  world_.contexts_since = world_.scheduler.now() + 1;
  reopen();
  copied_promise_ = database_->state().promised;
  astray_ = true;
  look_whether_astray();
}

// Others may have nothing of its own that it has not; then what it has beyond that is its history.
void Node::look_whether_astray() {
  if (!astray_) return;
  const Origin self = database_->state().self;
  const uint64_t known = shared();
  const auto remembers = [this](const Node* other) { return remembers_more(*other); };
  if (others_have(self) > known || lacks_a_promise() ||
      std::any_of(all_.begin(), all_.end(), remembers)) {
    return;
  }
  astray_ = false;
  Run run{self, known + 1, durable_.at(self) - known, {}};
  const auto records = std::exchange(astray_records_, {});
  if (run.count == 0) return;
  ByteWriter bytes;
  for (size_t i = records.size() - run.count; i < records.size(); ++i) bytes.string(records[i]);
  run.records = bytes.take();
  if (auto bad = world_.oracle.found_again(run, takes_part())) world_.fail(*bad);
}

// Both histories of its own may have gone on with the same change: it is one.
uint64_t Node::shared() const {
  const Origin self = database_->state().self;
  uint64_t seq = durable_.at(self) - astray_records_.size();
  for (const auto& record : astray_records_) {
    const std::string* known = world_.oracle.record({self, seq + 1});
    if (known == nullptr || *known != record) break;
    ++seq;
  }
  return seq;
}

bool Node::lacks_a_promise() const {
  const VersionVector promised = database_->state().promised;
  return std::any_of(all_.begin(), all_.end(), [&](const Node* other) {
    return other != this && other->database_ &&
           !promised.covers(other->database_->state().collected);
  });
}

bool Node::remembers_more(const Node& other) const {
  if (&other == this || !other.alive()) return false;
  const auto row = other.replica_->members().find(name_);
  if (row == other.replica_->members().end()) return false;
  return durable_.at(row->second.incarnation) == 0 ||
         !database_->state().promised.covers(row->second.promise.floor);
}

// What two histories of one name do to somebody who hears the wrong one first is not gone into: who
// is astray meets those who know better. Once all is healed nobody writes: who has written nothing
// meanwhile tells nothing wrong, and who knows better may be farther away.
bool Node::may_meet(const std::string& peer) const {
  if (!astray_ || (world_.active.empty() && astray_records_.empty())) return true;
  const DatabaseState state = database_->state();
  const Node& other = node(peer);
  if (!other.alive()) return false;
  return other.replica_->applied().at(state.self) > shared() || remembers_more(other) ||
         (other.database_ && !state.promised.covers(other.database_->state().collected));
}

}  // namespace entente::simulation
