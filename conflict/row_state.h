#pragma once

#include <boost/container/flat_map.hpp>
#include <optional>
#include <string>
#include <vector>

#include "conflict/transaction.h"
#include "conflict/verdict.h"

namespace entente {

// Everything known of one row: its registers by group name. A register that is absent was never
// written.
struct RowState {
  Key key;
  boost::container::flat_map<std::string, Register, std::less<>> registers;
};

// What the policies say of a row, register by register.
struct Verdicts {
  std::vector<Verdict> of;  // by index into the layout's groups; of one never written: nothing said
  bool deleted = true;      // there is no row, and nobody has to decide about that
  bool held = false;        // a handler says that nobody may see it
};
Verdicts judge(const RowState& state, const Layout& layout, const Ranks& ranks);

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
    bool touched = false;
    std::vector<Dot> lost_before;  // touched: the losers that are listed
  };
  std::vector<OfRegister> registers_;
  std::vector<Dot> arrived_;   // the changes of which nothing is listed yet
  std::vector<Dot> inserted_;  // those that found no row
};

// What lost when registers that were open came to be decided without a write: a handler that had
// failed decides, or the rules have changed.
std::vector<Loss> decided_late(const RowState& state, const Layout& layout,
                               const std::vector<std::string>& were_open, const Ranks& ranks);

// Fills in what a change must carry besides its columns, from the row as its writer found it: bases
// and floors, where the policies of the registers that it touches ask for them. `before`: what SQL
// showed.
void add_bases(RowChange& change, const RowState& state, const Layout& layout,
               const std::optional<Row>& before);

// What the user's table shows: absent if the row does not exist or is held, otherwise the winners'
// columns.
std::optional<Row> visible(const RowState& state, const Layout& layout, const Verdicts& verdicts);
std::optional<Row> visible(const RowState& state, const Layout& layout, const Ranks& ranks);

// What the registers show, whether or not there is a row.
Row shown_columns(const RowState& state, const Layout& layout, const Verdicts& verdicts);
// What one write gave to the row, as far as it still stands. Not counters and sets: they are made
// of many writes.
Row columns_written_by(const RowState& state, const Layout& layout, const Dot& dot);

// The groups whose registers wait for somebody to decide. Deleting the row decides for its columns.
std::vector<std::string> open_groups(const Layout& layout, const Verdicts& verdicts);
bool open_conflict(const RowState& state, const Layout& layout, const Ranks& ranks);

// The dots of the siblings that SQL does not show: what a plain SQL write to this row keeps.
std::vector<Dot> hidden_siblings(const RowState& state, const Layout& layout, const Ranks& ranks);

// What the row becomes when somebody reads it: the columns that the policies of open registers with
// `run: read` decide, over what is shown. Nothing if none of them can decide.
struct Resolution {
  bool erase = false;
  Row columns;
};
std::optional<Resolution> resolve(const RowState& state, const Layout& layout, const Ranks& ranks);

// What may be forgotten once every write that the row is made of is stable: nobody can write any
// more without having seen them.
//   a deleted row, all of it, unless it has counters: what a re-creation puts aside is said in sums
//   since the row was first made;
//   of a row without an open conflict, everything but what is shown: losers and bases. While there
//   is an open one, a write of plain SQL keeps what it hides by its dot, in every register.
// True if something was.
bool collapse(RowState& state, const Layout& layout, const VersionVector& stable,
              const Ranks& ranks);

// The dots of the siblings that collapse() leaves as they are wherever it may have run: what a
// write that saw nothing of the row can keep of what it counts as having seen. A decided register
// keeps what it shows, if that is one write's own value: what a policy has made of several, or with
// a base, looks different where it was collapsed.
std::vector<Dot> lasting_siblings(const RowState& state, const Layout& layout, const Ranks& ranks);

RowState join(const RowState& a, const VersionVector& a_seen, const RowState& b,
              const VersionVector& b_seen, const Layout& layout);

}  // namespace entente
