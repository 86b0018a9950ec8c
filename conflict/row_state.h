#pragma once

#include <boost/container/flat_map.hpp>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "conflict/context.h"
#include "conflict/result.h"
#include "conflict/transaction.h"
#include "conflict/verdict.h"

namespace entente {

// Everything known of one row: its registers by group name. A register that is absent was never
// written.
struct RowState {
  Key key;
  boost::container::flat_map<std::string, Register, std::less<>> registers;
};
// Empty if it was never written.
const Register& register_of(const RowState& state, std::string_view group);

// What the policies say of a row, register by register.
struct Verdicts {
  std::vector<Verdict> of;  // by index into the layout's groups; of one never written: nothing said
  bool deleted = true;      // there is no row, and nobody has to decide about that
  bool held = false;        // a handler says that nobody may see it
};
Verdicts judge(const RowState& state, const Layout& layout, const Ranks& ranks);
// Of one register; of one never written: nothing said.
Verdict judge(const RowState& state, const Layout& layout, const Group& group, const Ranks& ranks);
// The same as judge() of all, for who knows what is said of each. By index into the layout's
// groups.
Verdicts judged(const RowState& state, std::vector<Verdict> of);
// True if this verdict on the row's existence says that there is no row.
bool deleted(const RowState& state, const Verdict& of_existence);

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

// The siblings of open registers that SQL does not show: what a plain SQL write to this row keeps.
std::vector<KeptSibling> hidden_siblings(const RowState& state, const Layout& layout,
                                         const Ranks& ranks);

// The siblings that the context's ceiling covers although the context does not: what a write that
// presents it keeps.
std::vector<KeptSibling> unseen_siblings(const RowState& state, const Layout& layout,
                                         const RowContext& context);

// What somebody has seen of the row who presented `context` with a write that kept `kept`: all that
// was `applied` but the values it had not seen before. Without the write's own dot.
RowContext seen_after(const RowState& before, const RowContext& context,
                      const std::vector<KeptSibling>& kept, VersionVector applied);

// What a row may hold of values that nobody has decided between.
struct SiblingBounds {
  size_t siblings = SIZE_MAX;  // in one register
  size_t bytes = SIZE_MAX;     // of their values
};
// Refuses a local write that leaves a register with more siblings than before, and more than it may
// have. What other replicas wrote is never refused. Counters and sets are made of many writes: not
// they.
Result<void> check_siblings(const RowState& before, const RowState& after, const Layout& layout,
                            const SiblingBounds& bounds);

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
//   of a decided register, everything but what is shown: losers and bases.
// True if something was.
bool collapse(RowState& state, const Layout& layout, const VersionVector& stable,
              const Ranks& ranks);

// The siblings that collapse() leaves as they are wherever it may have run, as far as `promised`
// covers them: what a write that saw nothing of the row can keep of what it counts as having seen.
// A decided register keeps what it shows, if that is one write's own value: what a policy has made
// of several, or with a base, looks different where it was collapsed.
std::vector<KeptSibling> lasting_siblings(const RowState& state, const Layout& layout,
                                          const VersionVector& promised, const Ranks& ranks);

// What two replicas know of a row together. Either may have collapsed it as far as `collected`
// covers.
RowState join(const RowState& a, const VersionVector& a_seen, const RowState& b,
              const VersionVector& b_seen, const VersionVector& collected, const Layout& layout);

// Which writes somebody has seen.
using Knows = std::function<bool(const Version&)>;
// True if somebody may learn something from this row. Of a set always: who removed something from
// it may have left no trace but what is missing.
bool has_news(const RowState& state, const Knows& knows, const Layout& layout);

}  // namespace entente
