#pragma once

#include <memory>
#include <span>
#include <string>

#include "gateway/api/site.h"
#include "gateway/api/sql/hrana_values.h"
#include "gateway/api/sql/leader_stream.h"
#include "gateway/api/sql/transaction_record.h"
#include "gateway/store/interactive_transaction.h"

namespace entente {

// Who sends SQL, and from where.
struct SqlCaller {
  ClientPtr client;
  std::string from;  // an address
};

// One SQL connection of a client, as Hrana sees it: at times, it has a transaction.
//
// Outside a transaction each statement is one of its own: those that read go to a reading
// connection, the others are committed with whatever else waits. BEGIN holds the writer until
// COMMIT; BEGIN … READONLY holds a snapshot. A batch that is one whole transaction is a single
// piece of work for the writer and holds up nobody.
//
// Schema changes run at the schema leader: a statement, batch or script outside a transaction as a
// whole; a transaction from its first schema statement on, with what it wrote before done there
// again. What the leader commits is waited for here (limits.session_wait) before the answer; if it
// does not come, the answer comes all the same, and the next thing asked of this stream waits.
//
// A client without the right to change the schema is refused here, and everything else by the
// database, which knows what a statement reads and writes.
//
// Threads: its loop's; one call at a time.
class HranaStream {
 public:
  // What is open in all streams together.
  struct Counts {
    size_t streams = 0;
    size_t snapshots = 0;
    uint64_t forwarded = 0;  // schema statements sent to the leader, ever
  };

  HranaStream(const Site& site, Counts& counts, SqlCaller caller)
      : site_(site), counts_(counts), caller_(std::move(caller)) {
    ++counts_.streams;
  }
  ~HranaStream() {
    close();
    --counts_.streams;
  }
  HranaStream(const HranaStream&) = delete;
  HranaStream& operator=(const HranaStream&) = delete;

  // What is asked from now on is asked by this one. Not while a call runs. A transaction that is
  // open at the schema leader, where nobody looks at rights, goes on only for who may change the
  // schema.
  void act_for(SqlCaller caller);
  const Client& client() const { return *caller_.client; }

  Task<Result<StatementResult>> execute(Statement statement);
  // The outcome of a statement that only reads, and little; otherwise nothing, and nothing was
  // done.
  std::optional<Result<StatementResult>> execute_at_once(Statement& statement);
  Task<StepResults> batch(std::vector<BatchStep> steps);
  // Stops at the first statement that fails.
  Task<Result<void>> sequence(std::string sql);

  Task<Result<StatementDescription>> describe(std::string sql);

  // Rolls back what is open. Does not wait.
  void close();
  // Lets go of a snapshot that was held for too long. Not while a call runs.
  void expire();
  bool autocommit() const { return !transaction_ && !reading_ && !leader_; }
  // What its client has seen: of reads and of commits.
  const VersionVector& seen() const { return seen_; }
  // The same as its token; "" for nothing.
  std::string session() const;

 private:
  using Outcome = Result<StatementResult>;

  Task<Outcome> execute_here(Statement statement);
  Task<Outcome> begin_write();
  Task<Outcome> begin_read();
  void saw_what_is_here();
  Task<Outcome> end(bool commit);
  Task<Outcome> in_transaction(Statement statement);
  Task<Outcome> in_snapshot(Statement statement);
  Task<Outcome> alone(Statement statement);
  Task<Outcome> read(const Statement& statement);
  Task<StepResults> one_by_one(const std::vector<BatchStep>& steps);
  Task<StepResults> at_once(const std::vector<BatchStep>& steps);
  void release_snapshot();
  StatementResult foreign_keys() const;
  void count(const Outcome& outcome);

  bool follows() const { return site_.config.schema_leader != site_.dc; }
  bool belongs_there(std::string_view sql) const;
  // Here. What makes it unless it is there needs no leader, which may be away.
  Task<bool> has_table(std::string name);
  bool goes_there(std::span<const std::string_view> statements) const;
  // Counts the schema statements, and opens a stream at the leader if there is none.
  void go_there(std::span<const std::string_view> statements);
  Task<Outcome> execute_there(Statement statement);
  Task<StepResults> batch_there(std::vector<BatchStep> steps);
  Task<Result<void>> sequence_there(std::string sql);
  // Goes on there with the transaction that is open here, if it comes out the same.
  Task<Outcome> move_there(Statement statement);
  // Ends the stream at the leader unless a transaction is open in it.
  Task<void> come_back();
  // Waits for what was committed there.
  Task<Result<void>> catch_up();

  Statement by_caller(Statement statement) const;
  Task<Outcome> execute_anywhere(Statement statement);
  void audit(std::string_view sql, const Result<void>& outcome) const;
  // `stands`: what the steps did was not rolled back.
  void audit(const std::vector<BatchStep>& steps, const StepResults& results, bool stands) const;

  const Site& site_;
  Counts& counts_;
  SqlCaller caller_;
  VersionVector seen_;
  VersionVector awaited_;                 // committed at the leader, and not applied here yet
  std::unique_ptr<LeaderStream> leader_;  // does all that is asked
  std::shared_ptr<InteractiveTransaction> transaction_;
  TransactionRecord record_;          // of transaction_, unless this is the leader
  bool enforce_foreign_keys_ = true;  // its client has not said otherwise
  ConnectionCounts counted_;
  bool reading_ = false;              // from BEGIN … READONLY to its end
  std::shared_ptr<Reader> snapshot_;  // none, if it was held for too long
  std::chrono::steady_clock::time_point snapshot_deadline_;
};

// An error when limits.streams are open.
Result<void> admit_stream(const Site& site, const HranaStream::Counts& counts);

// True for a batch that is one transaction from its first step to its last, whatever happens on the
// way: BEGIN; steps; COMMIT, or BEGIN; steps; COMMIT if …; ROLLBACK if the COMMIT did not succeed.
bool is_whole_transaction(const std::vector<BatchStep>& steps);

}  // namespace entente
