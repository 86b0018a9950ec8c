// What a peer that lies can say to the deciding half of a gateway, and in which order: hellos and
// messages of every kind. Whatever it is: what waits is bounded, and what is handed to the database
// is causally ready and without gaps.

#include <array>

#include "gateway/replica/handshake.h"
#include "gateway/replica/replica.h"
#include "tests/fuzz/samples.h"
#include "tests/fuzz/target.h"

namespace entente::fuzz {
namespace {

using Instant = Replica::Instant;
constexpr uint64_t kWall = 1'700'000'000'000;
constexpr size_t kHoldBack = 4096;
constexpr std::array<const char*, 3> kNames = {"dc1", "dc2", "dc3"};

Config config() {
  Config c;
  c.cluster = "fuzz";
  for (const char* name : kNames) {
    Datacenter dc;
    dc.name = name;
    c.datacenters.push_back(std::move(dc));
  }
  return c;
}

Replica::Options options(const Graph& graph) {
  Replica::Options o;
  o.dc = "dc1";
  o.graph = &graph;
  o.hold_back_bytes = kHoldBack;
  o.link_window = 2048;
  o.batch_bytes = 512;
  o.apply_bytes = 1024;
  return o;
}

class Talk {
 public:
  explicit Talk(Choices& choices)
      : choices_(choices), graph_(config()), replica_(options(graph_), begin()) {}

  void run() {
    for (size_t n = 0; n < 200 && !choices_.done(); ++n) {
      step();
      now_ += Instant(choices_.byte());
      replica_.tick(now_);
      Ready ready = replica_.take();
      if (ready.apply) apply(*ready.apply);
      for (const auto& cut : ready.cuts) replica_.link_down(cut.peer, now_);
      for (const auto& locate : ready.locates) {
        replica_.located(locate.peer, locate.origin, uint64_t{0}, now_);
      }
      for (const auto& read : ready.reads) replica_.log_read(read.peer, {}, now_);
      if (ready.promise) choices_.flag() ? replica_.promised(now_) : replica_.promise_failed(now_);
      // A link may hold a window beyond the limit that is yet to be forgotten.
      MUST(replica_.held_bytes() <= kHoldBack + 2 * 2048 + 80 * 1024);
    }
    replica_.origins(), replica_.links(), replica_.stable(), replica_.collectable();
  }

 private:
  static Replica::State begin() {
    Replica::State state{origin_of(1), {}, {{origin_of(1), "dc1"}}, 1, {}};
    state.streams[origin_of(1)].seq = 1;
    return state;
  }

  Origin origin() { return origin_of(static_cast<uint8_t>(1 + choices_.below(5))); }
  std::string dc() { return choices_.byte() % 16 == 15 ? "dc9" : kNames[choices_.below(3)]; }

  VersionVector vector() {
    VersionVector vv;
    for (size_t n = choices_.below(4); n > 0; --n) vv.set(origin(), number());
    return vv;
  }
  uint64_t number() { return choices_.byte() % 8 == 7 ? choices_.number() : choices_.byte() % 8; }

  Hello hello(const std::string& of) {
    Hello h;
    h.cluster = "fuzz";
    h.dc = of;
    h.incarnation = of == "dc2" ? origin_of(2) : origin();
    h.window = number();
    h.frame_bytes = number();
    for (size_t n = choices_.below(4); n > 0; --n) {
      h.applied.push_back({origin(), dc(), number(), {}});
    }
    Hello mine;
    mine.cluster = "fuzz";
    mine.dc = "dc1";
    mine = replica_.hello(mine);
    const auto ok = check_hello(mine, h, graph_).and_then([&] {
      return check_history(mine, {}, h, [&](const Origin&, uint64_t) {
        return std::optional(std::array<uint8_t, 16>{});
      });
    });
    if (!ok) MUST(ok.error().code == Code::kMismatch || ok.error().code == Code::kFork);
    return h;
  }

  Run run_of_changes() {
    const Origin of = origin();
    StreamState& sent = sent_[of];
    if (choices_.byte() % 16 == 15) sent = {};
    Run run{of, sent.seq + 1, 0, {}};
    ByteWriter out;
    for (size_t n = 1 + choices_.below(3); n > 0; --n) {
      Transaction t{{of, sent.seq + 1}, sent.hlc, vector(), 0, {}, {}};
      t.hlc.bits = std::max(sent.hlc.bits, Hlc::at(kWall).bits) + 1 + choices_.byte();
      if (sent.seq == 0) t.declares_dc = dc();
      const std::string record = seal_record(t, 1, std::string(choices_.byte() * 4u, 'x'), sent);
      out.string(record);
      ++run.count;
      if (const auto head = decode_head(of, record, sent)) sent = advance(sent, *head, record);
    }
    run.records = out.take();
    if (choices_.byte() % 16 == 15) run.records.resize(choices_.below(run.records.size() + 1));
    if (choices_.byte() % 16 == 15) run.first = 1 + choices_.below(4);
    return run;
  }

  Message message() {
    switch (choices_.below(9)) {
      case 5:
        return Oversized{origin(), number(), number()};
      case 0:
        return Subscribe{origin(), number()};
      case 1:
        return Unsubscribe{origin()};
      case 2:
        return Credit{number()};
      case 3:
        return Trimmed{origin()};
      case 4: {
        Vectors v;
        for (size_t n = choices_.below(3); n > 0; --n) {
          v.rows.push_back({dc(), origin(), vector(), {vector(), number()}});
        }
        if (choices_.flag()) v.labels.emplace_back(origin(), dc());
        return v;
      }
      default: {
        Changes c;
        for (size_t n = 1 + choices_.below(2); n > 0; --n) c.runs.push_back(run_of_changes());
        return c;
      }
    }
  }

  void step() {
    const std::string peer = choices_.flag() ? "dc2" : "dc3";
    switch (choices_.below(8)) {
      case 0:
        return replica_.link_up(hello(peer), now_);
      case 1:
        return replica_.link_down(peer, now_);
      case 2:
        now_ += Instant(number() % 100'000);
        return;
      default:
        return replica_.receive(peer, message(), now_, kWall + static_cast<uint64_t>(now_.count()));
    }
  }

  void apply(const Apply& work) {
    VersionVector have = replica_.applied();
    std::vector<LogPiece> pieces;
    for (const auto& run : work.runs) {
      MUST(run.origin != replica_.self() && run.count > 0);
      MUST(run.first == have.at(run.origin) + 1);
      MUST(slice_after(run, 0));
      have.advance(run.origin, run.last());
      pieces.push_back({++log_head_, run});
    }
    if (choices_.byte() % 4 != 3) return replica_.applied(pieces, now_);
    log_head_ -= pieces.size();
    const Code code = choices_.flag() ? Code::kInvalid : Code::kBusy;
    replica_.apply_failed({code, "no", ""}, now_);
  }

  Choices& choices_;
  const Graph graph_;
  Replica replica_;
  std::map<Origin, StreamState> sent_;
  Instant now_{1000};
  uint64_t log_head_ = 1;
};

void run(std::string_view bytes) {
  Choices choices(bytes);
  Talk(choices).run();
}

std::vector<std::string> seeds() {
  std::vector<std::string> out;
  uint32_t x = 7;
  for (int i = 0; i < 16; ++i) {
    std::string seed = {0, 0, 0, 2, 0, 1, 0, 0};  // a link comes up
    for (int n = 0; n < 40 + 40 * i; ++n) {
      x = x * 1664525 + 1013904223;
      seed.push_back(static_cast<char>(x >> 24));
    }
    out.push_back(seed);
  }
  return out;
}

const Registration registered({"replica", run, seeds});

}  // namespace
}  // namespace entente::fuzz
