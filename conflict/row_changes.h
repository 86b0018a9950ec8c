#pragma once

#include <optional>
#include <string>
#include <vector>

#include "conflict/row_state.h"
#include "conflict/transaction.h"

namespace entente {

// A value that lost to another without having been seen by it: what the conflict log lists.
struct Loss {
  std::string group;
  PolicyKind policy = PolicyKind::kLww;
  Sibling loser;
  Sibling winner;          // what is shown instead: its row may be made of several
  std::string kind;        // "update-delete": what the loser did, then the winner; "insert-insert"
  std::string decided_by;  // "lww", "merge: text", "handler cart lua:…", "delete_wins", "writer", …
};

// Losers to the same value, in the same way: they are listed as one conflict.
bool same_conflict(const Loss& a, const Loss& b);

// Applies a transaction's change to the row and returns the values that lost because of it. The
// columns a group's register gets are those of the change that belong to it; every put re-asserts
// the row's existence; an erase touches existence alone. A put whose existence lost is listed with
// the whole row as it was, because columns it had not written itself are lost with it. A write that
// replaces the values of an open conflict has decided it: they are listed too.
std::vector<Loss> apply(RowState& state, const Layout& layout, const RowChange& change,
                        const Version& version, const VersionVector& transaction_context,
                        const Ranks& ranks);

// Several changes to one row that become visible together: nobody sees what it is in between, so
// of what lost in between only that is listed which nothing of the batch has overwritten. After
// finish() the state and the losses are what the changes one by one would have made, less those.
class Batch {
 public:
  // May list some of what is lost already.
  std::vector<Loss> apply(RowState& state, const Layout& layout, const RowChange& change,
                          const Version& version, const VersionVector& transaction_context,
                          const Ranks& ranks);
  // Lists the rest and forgets the losers that may be forgotten. Once, at the end.
  std::vector<Loss> finish(RowState& state, const Layout& layout, const Ranks& ranks);
  // What the policies say of the state that this batch was applied to.
  Verdicts verdicts(const RowState& state, const Layout& layout, const Ranks& ranks) const;

 private:
  friend class Application;
  // Of one register, by index into the layout's groups.
  struct OfRegister {
    std::optional<Verdict> verdict;  // as long as it holds
    // The losers that were listed before the batch wrote to it; absent: it did not.
    std::optional<std::vector<Dot>> lost_before;
  };
  std::vector<OfRegister> registers_;
  std::vector<Dot> arrived_;   // the changes of which nothing is listed yet
  std::vector<Dot> inserted_;  // those that found no row
};

// What lost when registers that were open came to be decided without a write: a handler that had
// failed decides, or the rules have changed.
std::vector<Loss> decided_late(const RowState& state, const Layout& layout,
                               const std::vector<std::string>& were_open, const Ranks& ranks);

// What another replica knows of a row, having seen all that its vector covers.
struct Known {
  const RowState& state;
  const VersionVector& seen;
};

// Joins it into what is known here, and returns the values that lose because the two met. Those
// that have lost at one of them are in its conflict log. `collected`: as for join() of row_state.h.
std::vector<Loss> join(RowState& state, const VersionVector& seen, const Known& theirs,
                       const VersionVector& collected, const Layout& layout, const Ranks& ranks);

// Fills in what a change must carry besides its columns, from the row as its writer found it: bases
// and floors, where the policies of the registers that it touches ask for them. `before`: what SQL
// showed. `counters`: what its writer's context showed of them, if it says so.
void add_bases(RowChange& change, const RowState& state, const Layout& layout,
               const std::optional<Row>& before, const std::optional<Row>& counters = {});

// The values that the counters of a row which SQL shows have in the context of who read it.
Row counters_of(const std::optional<Row>& shown, const Layout& layout);
// What they are to whoever wrote the row with a context that showed `seen`: `now` without what that
// had not seen. `set`: the columns that the write gave values; `added`: what it added to them.
Row counters_after(Row now, const Row& seen, const Row& set, const Row& added);
// kPrecondition, "counter_unseen": the row is gone, and a write that makes it anew would put aside
// what its counters have counted that the context has not seen.
Result<void> check_counters_seen(const RowState& state, const Layout& layout,
                                 const RowContext& context);

// Makes the change one that begins the row anew: its sets have what it writes and nothing that it
// has seen, its counters the sums that it writes, over `floors` and what is known here. kInvalid:
// it has no context of its own, or a floor is of no counter. kNotReached: its context does not
// cover all that is put aside.
Result<void> renew(RowChange& change, const RowState& state, const Layout& layout,
                   std::vector<Floor> floors);

// Fills in who set the UNIQUE keys that the change leaves as its writer saw them. `columns`: those
// that the table's UNIQUE keys are made of; the change carries its context and what it keeps.
void add_keys_set(RowChange& change, const std::vector<std::string>& columns, const RowState& state,
                  const Layout& layout, const Ranks& ranks);

// Fills in the old values; `before`: what SQL showed.
void add_old_values(RowChange& change, const Layout& layout, const std::optional<Row>& before);

}  // namespace entente
