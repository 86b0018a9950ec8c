#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "conflict/policy.h"
#include "conflict/transaction.h"

namespace entente::simulation {

// A row by table and key.
using RowName = std::pair<std::string, Key>;

// One write to one register, as the specification sees it. No value: it erased the row.
struct OracleWrite {
  Version version;
  std::optional<Row> value;
  Row base = {};  // what its writer started from
};

struct ExpectedRegister {
  Policy policy;
  bool commutes = false;             // a counter or a set: every write adds to it
  bool forgets = false;              // its losers may be forgotten at once
  std::vector<OracleWrite> maximal;  // not overwritten by anybody who had seen it; not empty
  size_t winner = 0;                 // what SQL shows,
  std::optional<OracleWrite> made;   // unless it is made of several
  bool open = false;
  bool undecided = false;  // open, unless deleting the row has decided it
  bool held = false;

  const OracleWrite& shown() const { return made ? *made : maximal[winner]; }
  bool differs(const OracleWrite& write) const { return write.value != shown().value; }
};

struct ExpectedRow {
  std::map<std::string, ExpectedRegister> registers;
  std::optional<Row> visible;  // without the key

  // What was lost with `loser`, a value, in this register: its own value, and, if the row's
  // existence was lost, the columns it still holds in other registers.
  Row lost_with(const OracleWrite& loser, const std::string& group) const;
};

// What every replica must show, from the design's words alone: a register's values are its causally
// maximal writes, and its policy chooses among them. It shares no code with the engine but the
// decoding of records, and stores every write for ever.
//
// Errors: a complaint is a sentence; none means that all is well.
class Oracle {
 public:
  using Complaint = std::optional<std::string>;

  // Puts what a change names, as the schema of `epoch` did, under the names that the rules and the
  // tables go by. False: they have no place for it.
  using Names = std::function<bool(RowChange& change, uint64_t epoch)>;

  Oracle(const ConflictRules& rules, const std::vector<TableDef>& tables, Names names = {});

  // A run became durable at its origin, which had applied `had` before it.
  // `takes_part`: it knows of no topology without it.
  Complaint committed(const Run& run, const VersionVector& had, bool takes_part);

  // A replica that has applied `applied` forgets tombstones that `stable` covers: whatever it has
  // yet to apply, of all that somebody who takes part has, must have seen them.
  Complaint collected(const VersionVector& stable, const VersionVector& applied,
                      const VersionVector& somewhere);

  // That is all that the disks that count have forgotten: others may go without it.
  void collected_no_more_than(VersionVector collected) { collected_ = std::move(collected); }

  // Of an origin, what is after `seq` never was: nobody has it but one disk, which no longer
  // counts, or whose history has become another's. Returns their records.
  std::vector<std::string> forget_after(const Origin& origin, uint64_t seq);
  // The disk counts again, and nobody has another history: what was forgotten is there.
  Complaint found_again(const Run& run, bool takes_part);
  // What a datacenter had written under a name that others know with another history, as a life of
  // its own: the same rows, one for one.
  Complaint reissued(const Run& run, const std::vector<std::string>& was, bool takes_part);

  // Everything that ever became durable at its origin and was not lost.
  const VersionVector& everything() const { return everything_; }

  // Of this origin, what is after `seq` may be lost: the only disk that has it is gone.
  void may_lose(const Origin& origin, uint64_t seq);
  // This is all that is left, for good. A complaint if more is lost than may be (P2).
  Complaint lost_all_but(const VersionVector& left);
  // The record's bytes; null if there is no such transaction.
  const std::string* record(const Dot& dot) const;
  const Transaction* transaction(const Dot& dot) const;
  std::string dc(const Origin& origin) const;

  // P4: a vector that covers a transaction covers all that it has seen.
  Complaint closed(const VersionVector& seen) const;
  // What a replica with this vector must hold; rows that were never written are absent.
  std::map<RowName, ExpectedRow> expected(const VersionVector& seen) const;
  // The same of one row; without registers if it was never written.
  ExpectedRow expected(const RowName& row, const VersionVector& seen) const;

  // The register a column belongs to.
  std::string register_of(const std::string& table, const std::string& column) const;
  Policy policy_of(const RowName& row, const std::string& group) const;

 private:
  struct Seen {
    std::vector<uint64_t> seqs;  // by index of the origin
    bool covers(size_t origin, uint64_t seq) const {
      return origin < seqs.size() && seqs[origin] >= seq;
    }
  };
  struct StoredWrite {
    OracleWrite write;
    size_t origin = 0;
    std::vector<std::pair<size_t, uint64_t>> overwritten_by;
    // Of counters and sets: re-creations of the row that had seen it, and who removed what it
    // added.
    Value delta = {};
    std::vector<std::pair<size_t, uint64_t>> put_aside_by;
    std::map<std::string, std::vector<std::pair<size_t, uint64_t>>> added;
  };
  struct Stored {
    Transaction transaction;
    std::string record;
    StreamState before;
  };
  enum class Context { kIsAll, kIsGiven };  // all that its origin had applied, as a rule

  Complaint enter_run(const Run& run, VersionVector has, Context context, bool takes_part);
  Complaint enter(Transaction t, std::string record, const StreamState& before,
                  const VersionVector& had, Context context, bool takes_part);
  Complaint check_stamp(const Transaction& t) const;
  static Complaint check_has_seen(const Transaction& t, const VersionVector& collected);
  void enter(const RowChange& change, const Transaction& t, Context context);
  void enter_write(std::vector<StoredWrite>& to, StoredWrite write, const Seen& seen,
                   const RowChange& change, const std::string& group);
  Seen seen_of(const VersionVector& vector) const;
  ExpectedRow expected(const RowName& row, const Seen& seen) const;
  // `has_counted`: what a re-creation of the row puts aside of its counters.
  using HasCounted = std::function<bool(size_t origin, uint64_t seq)>;
  void enter_addition(std::vector<StoredWrite>& to, StoredWrite write, const RowChange& change,
                      const std::string& column, const Seen& seen, const HasCounted& has_counted);
  ExpectedRegister judged(const RowName& row, const std::string& group,
                          std::vector<OracleWrite> maximal) const;
  ExpectedRegister added_up(const Policy& policy, const std::string& column,
                            const std::vector<StoredWrite>& writes, const Seen& seen) const;
  void ask_handler(const std::vector<size_t>& candidates, const std::string& group,
                   ExpectedRegister& r) const;
  int rank(const Origin& origin) const;

  ConflictRules rules_;
  std::map<std::string, TableDef> tables_;
  Names names_;  // none: those of all changes
  std::map<Origin, size_t> index_;
  std::map<Origin, std::string> dcs_;
  std::map<Origin, std::vector<Stored>> log_;  // by seq - 1
  std::map<Origin, StreamState> streams_;
  std::map<RowName, std::map<std::string, std::vector<StoredWrite>>> rows_;
  VersionVector everything_;
  VersionVector collected_;  // by any replica
  std::map<Origin, uint64_t> may_lose_after_;
};

}  // namespace entente::simulation
