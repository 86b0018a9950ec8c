#pragma once

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "gateway/replica/replica.h"

namespace entente {

using Instant = Replica::Instant;

inline constexpr uint64_t kWall = 1'700'000'000'000;

inline Origin origin_of(char c) {
  Origin o;
  o.id.fill(static_cast<uint8_t>(c));
  return o;
}

inline Config all_to_all(std::vector<std::string> names) {
  Config config;
  config.cluster = "test";
  for (auto& name : names) config.datacenters.push_back({name, {}, {}, 0, "memory", ""});
  return config;
}

// Makes records of one origin, each after the other.
class Author {
 public:
  explicit Author(std::string dc) : dc_(std::move(dc)), origin_(origin_of(dc_[0])) {}

  const Origin& origin() const { return origin_; }

  // The next transaction, having seen `context` of others.
  Run next(const VersionVector& context = {}, size_t bytes = 10, uint64_t wall_ms = kWall) {
    Transaction t;
    t.dot = {origin_, stream_.seq + 1};
    t.hlc = std::max(Hlc::at(wall_ms), Hlc{stream_.hlc.bits + 1});
    t.context = stream_.context;
    t.context.join(context);
    t.context.set(origin_, stream_.seq);
    if (stream_.seq == 0) t.declares_dc = dc_;
    RowChange change;
    change.table = "t";
    change.key = "k";
    change.columns["v"] = std::string(bytes, 'x');
    t.changes.push_back(change);
    const std::string record = encode_record(t, stream_);
    stream_ = advance(stream_, *decode_head(origin_, record, stream_), record);
    ByteWriter out;
    out.string(record);
    return {origin_, stream_.seq, 1, out.take()};
  }
  VersionVector seen() const {
    VersionVector vv;
    vv.set(origin_, stream_.seq);
    return vv;
  }

 private:
  std::string dc_;
  Origin origin_;
  StreamState stream_;
};

inline Run operator+(Run a, const Run& b) {
  a.count += b.count;
  a.records += b.records;
  return a;
}

inline VersionVector vector_at(const Author& author, uint64_t seq) {
  VersionVector vv;
  vv.set(author.origin(), seq);
  return vv;
}

// The replica of datacenter "me", with what it wants done sorted by kind.
class ReplicaTest : public ::testing::Test {
 protected:
  using Run = entente::Run;  // not ::testing::Test's

  void start(std::vector<std::string> names, Replica::Options options = {}) {
    config_ = all_to_all(std::move(names));
    restart(std::move(options));
  }

  void restart(Replica::Options options = {}, Replica::State state = {origin_of('m'), {}, {}, 0}) {
    graph_.emplace(config_);
    options.dc = "me";
    options.graph = &*graph_;
    replica_.emplace(options, std::move(state));
    replica_->tick(now_);
  }

  void connect(const std::string& dc, const VersionVector& has, uint64_t window = 1 << 20,
               uint64_t frame_bytes = Hello{}.frame_bytes) {
    Hello hello;
    hello.dc = dc;
    hello.incarnation = origin_of(dc[0]);
    hello.window = window;
    hello.frame_bytes = frame_bytes;
    for (const auto& d : has) {
      hello.applied.push_back(
          {d.origin, std::string(1, static_cast<char>(d.origin.id[0])), d.seq, {}});
    }
    replica_->link_up(hello, now_);
  }

  void receive(const std::string& dc, const Run& run) {
    replica_->receive(dc, Changes{{run}}, now_, kWall);
  }

  // Ticks as the shell does, and keeps every promise that is due; returns the last.
  std::optional<VersionVector> live(Instant by) {
    std::optional<VersionVector> kept;
    for (const Instant end = now_ + by; now_ < end;) {
      later(Instant{20});
      auto promise = replica_->take().promise;
      if (!promise) continue;
      kept = std::move(promise);
      replica_->promised(now_);
    }
    return kept;
  }

  // What `dc` says, itself or through `by`, of what it has applied and promised.
  void hear(const std::string& by, const std::string& dc, const VersionVector& applied,
            Promise promise) {
    replica_->receive(by, Vectors{{{dc, origin_of(dc[0]), applied, std::move(promise)}}, {}}, now_,
                      kWall);
  }

  void later(Instant by) {
    now_ += by;
    replica_->tick(now_);
  }

  template <class M>
  static std::vector<M> sent(const Ready& ready, const std::string& peer) {
    std::vector<M> out;
    for (const auto& send : ready.sends) {
      if (send.peer == peer && std::holds_alternative<M>(send.message)) {
        out.push_back(std::get<M>(send.message));
      }
    }
    return out;
  }

  // Takes the apply, if there is one, and says that it is durable.
  size_t apply_one() {
    const auto ready = replica_->take();
    if (!ready.apply) return 0;
    size_t count = 0;
    std::vector<LogPiece> pieces;
    for (const auto& run : ready.apply->runs) {
      count += run.count;
      pieces.push_back({++position_, run});
    }
    replica_->applied(std::move(pieces), now_);
    return count;
  }

  Config config_;
  std::optional<Graph> graph_;
  std::optional<Replica> replica_;
  Instant now_{1000};
  uint64_t position_ = 0;
};

}  // namespace entente
