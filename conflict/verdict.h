#pragma once

#include <optional>
#include <string>
#include <vector>

#include "conflict/key.h"
#include "conflict/policy.h"
#include "conflict/register.h"

namespace entente {

// Whose register it is: all that a policy may look at besides the values. Views: use it at once.
struct Subject {
  const Layout& layout;
  const Group& group;
  const Key& key;
};

// What a policy says of a set of siblings: a pure function of the set.
struct Verdict {
  size_t winner = 0;    // the sibling that is shown, or, of several that made a value, the newest
  bool open = false;    // nobody decided: what is shown is only what SQL shows meanwhile
  bool hold = false;    // … and nobody may see the row until somebody resolves it
  bool erased = false;  // a handler decided that there is no row
  std::optional<Row> made;  // the value, when it is not the winner's own
  std::string failure;      // why the handler could not decide; open, then
};

// `r` must not be empty.
Verdict judge(const Register& r, const Subject& subject, const Ranks& ranks);
// The same, but decides also what `run: read` leaves open: what the next reader is told.
Verdict decide(const Register& r, const Subject& subject, const Ranks& ranks);

// The value that a verdict shows; null: no row, or nobody wrote one.
const Row* shown(const Register& r, const Verdict& verdict);

// The write that set the columns of UNIQUE keys in what is shown: of several that made a value, the
// newest. `r` must not be empty.
Version keys_set(const Register& r, const Verdict& verdict);

// What is shown, as a sibling: of several that made a value, by the name of the newest.
Sibling shown_sibling(const Register& r, const Verdict& verdict);

// A sibling that says the same as what is shown lost nothing.
bool says_the_same(const Sibling& s, const Register& r, const Verdict& verdict);

// True if losers may be forgotten at once: lww may, because its order extends causality. Every
// other order must keep them until they are superseded or stable.
bool forgets_losers(const Group& group, const Layout& layout);

// Removes the losers that the policy may forget. A loser with the winner's content stays: it has
// lost nothing yet, and if its twin is overwritten by somebody who did not see it, it must still be
// there to lose.
void prune(Register& r, const Subject& subject, const Ranks& ranks);

}  // namespace entente
