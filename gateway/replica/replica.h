#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "conflict/transaction.h"
#include "gateway/replica/link_trust.h"
#include "gateway/replica/member_promises.h"
#include "gateway/replica/messages.h"
#include "gateway/replica/own_promise.h"
#include "topology/graph.h"

namespace entente {

// What the replica wants done. The shell around it does it and reports back; the order of `sends`
// to one peer, and of `applies`, must be kept.
struct Send {
  std::string peer;
  Message message;
};

// Hand these to Database::apply; then call applied() with its outcome. One at a time.
struct Apply {
  std::vector<Run> runs;
};

// Read the log for a peer: Database::read_log(after, max_bytes); then call log_read().
struct ReadLog {
  std::string peer;
  uint64_t after = 0;
  size_t max_bytes = 0;
};

// Find where an origin's changes after `seq` begin: Database::position_before(); then call
// located().
struct Locate {
  std::string peer;
  Origin origin;
  uint64_t seq = 0;
};

// Cut the link to this peer: it broke the protocol.
struct Cut {
  std::string peer;
  std::string reason;
};

// This database has to be replaced by a copy of one of these neighbours' (adapters/replay.h); none
// named: any. Either nobody's log can bring it up to date any more, or it was `restored`: others
// know more of it than it does itself.
struct Rejoin {
  std::string reason;
  std::vector<std::string> from;
  bool restored = false;
};

struct Ready {
  std::vector<Send> sends;
  std::optional<Apply> apply;
  std::vector<ReadLog> reads;
  std::vector<Locate> locates;
  std::vector<Cut> cuts;
  // Make this floor durable: Database::promise(); then call promised() or promise_failed(). One at
  // a time.
  std::optional<VersionVector> promise;
  // Said again every now and then while it is so.
  std::optional<Rejoin> rejoin;
  bool empty() const {
    return sends.empty() && !apply && reads.empty() && locates.empty() && cuts.empty() &&
           !promise && !rejoin;
  }
};

// A piece of the local log, as the shell read it or as a commit or apply just returned it.
struct LogPiece {
  uint64_t position = 0;
  Run run;
};

// The deciding half of a gateway: what to ask of whom, what may be applied, what to send on.
//
// It is a state machine without I/O: feed it what happened, with the time; take() what should be
// done. The same code runs in the gateway and in the simulator.
//
// Threads:     one at a time.
// Invariants:  applied <= scheduled <= received, per origin. A transaction is handed to the
// database
//              after (origin, seq - 1) and everything in its context (P4), and once (P6). What
//              waits is bounded (P10): past hold_back_bytes the tail is forgotten and asked for
//              again.
// Durability:  nothing is sent on, and no vector or promise published, before the shell said that
//              it is durable: committed(), applied() and promised().
// Time:        a monotonic clock for deadlines (`now`), wall milliseconds for clock drift.
class Replica {
 public:
  using Instant = std::chrono::milliseconds;

  struct Options {
    std::string dc;
    const Graph* graph = nullptr;  // outlives the replica
    bool reroute = true;
    Instant failover_after{3'000};
    Instant max_clock_drift{10'000};
    Instant context_lifetime{600'000};
    size_t frame_bytes = 80 << 20;
    size_t link_window = 8 << 20;
    size_t batch_bytes = 256 << 10;
    size_t hold_back_bytes = 32 << 20;
    size_t apply_bytes = 4 << 20;
  };

  // What is durable when the gateway starts.
  struct State {
    Origin self;
    std::map<Origin, StreamState> streams;
    std::map<Origin, std::string> labels;
    uint64_t log_head = 0;
    VersionVector promised{};
  };

  Replica(Options options, State state);

  // ---- What happened.
  void link_up(const Hello& hello, Instant now);
  void link_down(std::string_view peer, Instant now);
  void receive(std::string_view peer, Message message, Instant now, uint64_t wall_ms);
  // The local database made something durable that nobody here had asked for: a group of its own,
  // or changes of an origin that is nobody's life, brought by somebody.
  void committed(const LogPiece& piece, Instant now);
  // The apply that was taken is durable and logged as these pieces …
  void applied(const std::vector<LogPiece>& pieces, Instant now);
  // … or failed: it is offered again after a pause, unless its bytes are at fault.
  void apply_failed(const Error& error, Instant now);
  // The promise that was taken is durable. REQUIRES: committed() was called for every group that
  // became durable before it …
  void promised(Instant now);
  // … or it failed: it, or a later one, is offered again after a pause.
  void promise_failed(Instant now);
  void log_read(std::string_view peer, const std::vector<LogPiece>& pieces, Instant now);
  void located(std::string_view peer, const Origin& origin, Result<uint64_t> position, Instant now);
  // A datacenter is given a copy of this database as it is after this, and begins a new life with
  // it. No promise is made from here on until that life is known here with all that it brings: what
  // it writes counts as having seen what was promised in the copy, and nobody collects more.
  // Copy it once no promise is under way.
  void copied_by(const std::string& dc);
  bool promise_under_way() const { return own_promise_.under_way(); }
  // Call at least every 20 ms while anything changes.
  void tick(Instant now);

  // ---- What should be done.
  Ready take();

  // ---- What is known.
  const VersionVector& applied() const { return applied_; }
  const Origin& self() const { return self_; }
  // Others know more of this database than it does; see Rejoin.
  bool restored() const { return restored_.has_value(); }
  // The longest record that this gateway and all neighbours that it has met take in one frame.
  size_t longest_record() const;
  Hello hello(const Hello& who_i_am) const;  // fills in what the state knows
  // Applied by every datacenter of the file, as far as anyone told: what the log may forget. Empty
  // while one of them was never heard of.
  VersionVector stable() const;
  // What every datacenter of the file has promised that clients' contexts must cover: tombstones
  // and settled siblings may go if it covers all their dots. Empty while one of them was never
  // heard of or has promised nothing, and while changes of a datacenter's former life are known of
  // and not applied here. Invariant: every change that is not applied here yet, or not made yet,
  // has seen at least this of every row it touches. A datacenter that lost its database must have
  // caught up before it takes writes: nothing here can tell.
  VersionVector collectable() const;

  // Why an origin's changes are not asked for at the neighbour that the topology names.
  enum class Detour {
    kNone,        // they are; or there is nobody to name: they are our own
    kUnknown,     // nobody has said yet whose changes they are, or the file no longer says
    kLinkDown,    // there is no link to that neighbour
    kNothingNew,  // it is linked, but had nothing new for a while although somebody else had
    kPulled,  // others' changes wait for some of them: asked of who sent those, until they are here
    kPaused,  // nobody is asked: they wait for others' changes, and what waits is full
    kClock,   // nobody is asked for now: the next one is stamped too far ahead of the clock here
    kTooLong,  // the next one is longer than any frame that is taken here
  };

  struct OriginStatus {
    Origin origin;
    std::string dc;
    uint64_t applied = 0;
    uint64_t known = 0;     // the highest seq any neighbour claims to have
    Hlc hlc;                // of the last applied
    std::string upstream;   // whom we ask now; "" nobody
    std::string preferred;  // whom the topology names; "" nobody
    size_t held = 0;        // transactions that wait
    size_t held_bytes = 0;
    Hlc held_hlc{};  // of the first that waits
    Detour detour = Detour::kNone;
    uint64_t stamped_ms = 0;  // kClock: Unix, the stamp of the next one
    Oversized too_long{};     // kTooLong: the next one
  };
  std::vector<OriginStatus> origins() const;

  struct LinkStatus {
    std::string peer;
    bool up = false;
    uint64_t unsent_after = 0;  // log position sent up to
    uint64_t log_head = 0;
    int64_t credit = 0;
    uint64_t sent_transactions = 0, received_transactions = 0, duplicates = 0;
    uint64_t sent_bytes = 0, received_bytes = 0;
    size_t held = 0, held_bytes = 0;  // came over it and wait
    VersionVector applied;            // what the peer last said
    size_t frame_bytes = SIZE_MAX;    // … and takes in one frame
    // What it lacks and cannot be sent, as it takes no frame that long.
    std::optional<Oversized> too_long;
    LinkTrust::State trust = LinkTrust::State::kDown;
  };
  std::vector<LinkStatus> links() const;
  const std::map<std::string, MemberVector, std::less<>>& members() const { return members_; }
  // Those who were given a copy and whose new life is not known here yet.
  const std::map<std::string, Origin>& given_a_copy() const { return copied_by_; }
  size_t held_bytes() const { return held_bytes_; }
  // Either side takes changes from the other over this link.
  bool in_use(std::string_view peer) const;
  // It is up, and a change came over it just now, or there is none that should.
  bool useful(std::string_view peer) const;

 private:
  // A transaction that was received and waits for its turn.
  struct Held {
    std::string record;
    size_t size = 0;  // of the record on the link, with its length
    Hlc hlc;
    VersionVector context;
    std::string peer;       // who sent it …
    uint64_t session = 0;   // … over which life of the link
    bool credited = false;  // its bytes were already given back to the sender
  };

  // One origin's changes on their way in. applied.seq <= scheduled.seq <= received.seq, and `held`
  // are those after `scheduled` up to `received`, without gaps.
  struct Stream {
    StreamState applied, scheduled, received;  // chains are the database's business: not kept here
    std::deque<Held> held;
    size_t held_bytes = 0;
    std::string upstream;     // whom we asked; "" nobody
    bool paused = false;      // waits for others' changes and is full: asked again once it drained
    Instant progress{0};      // when `received` last moved, or nobody had more
    uint64_t head = 0;        // the seq of the first that is held …
    Instant head_since{0};    // … and since when it is that
    std::string pulled_from;  // asked of this neighbour …
    uint64_t pulled_up_to = 0;  // … until it is received up to here
    uint64_t stamped_ms = 0;    // of the next one, which was stamped too far ahead; 0: it was not
    Instant not_before{0};      // … which is why nobody is asked before this
    Instant clock_pause{0};     // … that grows
  };

  struct Link {
    explicit Link(LinkTrust t) : trust(t) {}

    bool up = false;
    uint64_t session = 0;
    LinkTrust trust;
    Instant delivered{-1'000};  // a change came over it last
    size_t window = 0;          // the smaller of both sides'
    // Receiving.
    uint64_t owed = 0;  // bytes of credit to give back
    // Sending. Everything at or below `cursor` in the log was sent, or need not be.
    std::map<Origin, uint64_t> sent;       // what the peer subscribed to -> sent up to this seq
    std::map<Origin, uint64_t> locating;   // where after this seq begins is being looked up
    std::map<Origin, uint64_t> trimmed;    // after this seq we asked, and its log began later
    std::map<Origin, Oversized> too_long;  // … and this one is longer than our frames
    uint64_t cursor = 0;
    int64_t credit = 0;
    bool reading = false;
    uint64_t read_after = 0, read_head = 0;
    // What each side knows of the other.
    VersionVector peer_applied;
    std::map<std::string, MemberVector, std::less<>> told;  // member -> what was last sent
    std::set<Origin> labels_told;
    LinkStatus counters;
  };

  // Runs on their way into one frame.
  struct Batch {
    Changes changes;
    size_t bytes = kRunRoom;  // of the frame, at most
  };

  // A part of the apply that was taken and not answered.
  struct InFlight {
    Origin origin;
    StreamState after;
    std::vector<Held> records;  // without their bytes: whose credit they are
  };

  Link* up_link(std::string_view peer);
  void send(std::string_view peer, Message message);
  void cut(std::string_view peer, std::string reason);

  // Coming in.
  void on(const std::string& peer, Link& link, Subscribe&& message);
  void on(const std::string& peer, Link& link, Unsubscribe&& message);
  void on(const std::string& peer, Link& link, Changes&& message);
  void on(const std::string& peer, Link& link, Credit&& message);
  void on(const std::string& peer, Link& link, Vectors&& message);
  void on(const std::string& peer, Link& link, Trimmed&& message);
  void on(const std::string& peer, Link& link, Oversized&& message);
  bool take_run(const std::string& peer, Link& link, const Run& run);
  bool take_record(const std::string& peer, Link& link, Stream& stream, const Origin& origin,
                   std::string_view record, size_t size);
  void wait_for_clock(const Origin& origin, Stream& stream, uint64_t stamped_ms);
  Stream& stream_of(const Origin& origin);
  uint64_t durable_at(std::string_view peer, const Origin& origin) const;
  void learn(const MemberVector& row, bool from_itself);
  void say_what_is_known_of(const Hello& hello);
  bool names_too_many(const Vectors& news) const;
  bool knows_more_of_us(const std::string& peer, const MemberVector& row) const;
  void doubt_ourselves(const std::string& peer);
  void look_whether_to_believe();
  bool knows_of_a_former_life() const;
  void learn_label(const Origin& origin, const std::string& dc);

  // Towards the database.
  std::optional<Apply> next_apply();
  bool schedule(const Origin& origin, Stream& stream, VersionVector& will_have, Apply& batch,
                size_t& bytes);
  size_t smallest_window() const;
  void pause_blocked_streams();
  void pause(const Origin& origin, Stream& stream);
  void forget_unapplied(Stream& stream);
  void give_back(const Held& held);
  void flush_credit(const std::string& peer, Link& link);

  // Towards the peers.
  void advance_by(const Run& run, Stream& stream);
  void log_grew(const LogPiece& piece);
  bool send_piece(const std::string& peer, Link& link, const LogPiece& piece, Batch& out);
  void send_batch(const std::string& peer, Link& link, Batch batch);
  void pump(const std::string& peer, Link& link);
  void locate(const std::string& peer, Link& link, const Origin& origin);
  void tell_vectors();

  // Whom to ask.
  void choose_upstreams();
  std::string choose_upstream(const Origin& origin, Stream& stream);
  bool is_useful(const std::string& peer, const Link& link) const;
  void look_what_to_pull();
  void pull(const Origin& origin, uint64_t up_to, const std::string& from);
  bool pulls(const Origin& origin, const Stream& stream) const;
  std::string best_other(const Origin& origin, const Stream& stream) const;
  std::optional<std::string> preferred(const Origin& origin) const;
  void look_whether_to_rejoin();
  bool may_promise() const;
  void look_who_is_back();
  static bool can_give(const Link& link, const Origin& origin, const Stream& stream);
  static bool has_forgotten(const Link& link, const Origin& origin, const Stream& stream);
  static const Oversized* too_long(const Link& link, const Origin& origin, const Stream& stream);
  // Who has more of it, if nobody whom we may ask has it in the log.
  std::vector<std::string> who_has_what_is_forgotten(const Origin& origin,
                                                     const Stream& stream) const;
  Detour detour(const Origin& origin, const Stream& stream) const;
  void ask(const Origin& origin, Stream& stream, const std::string& peer);

  Options options_;
  Origin self_;
  VersionVector applied_;
  std::map<Origin, Stream> streams_;
  std::map<Origin, std::string> labels_;
  std::map<std::string, Link, std::less<>> links_;  // one per neighbour and spare
  std::map<std::string, MemberVector, std::less<>> members_;
  // What others said last of those that are linked: it counts once they are not.
  std::map<std::string, MemberVector, std::less<>> hearsay_;
  OwnPromise own_promise_;
  MemberPromises promises_;  // the others'
  Instant promise_after_{0};
  bool met_somebody_ = false;
  std::map<std::string, Origin> copied_by_;  // and whose life it was then
  uint64_t log_head_ = 0;
  size_t held_bytes_ = 0;
  std::vector<InFlight> in_flight_;  // empty: no apply outstanding
  bool cautious_ = false;  // an apply failed over its bytes: one run at a time, to find it
  Instant apply_after_{0};
  Origin turn_;  // where the next batch starts, so that every origin gets one
  bool vectors_changed_ = false;
  Instant vectors_told_{0};
  std::optional<Instant> started_;
  std::optional<Instant> out_of_reach_since_;  // some origin's changes are in nobody's log
  // Says nothing more to anybody, until its database was replaced.
  std::optional<Rejoin> restored_;
  std::set<std::string> restored_says_;  // … who say so
  Instant restored_heard_{0};            // … and when one of them was last linked
  Instant rejoin_said_{0};
  uint64_t wall_ms_ = 0;
  Instant now_{0};
  Ready out_;
};

}  // namespace entente
