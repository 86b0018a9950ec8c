#pragma once

#include <string>
#include <tl/expected.hpp>
#include <utility>

namespace entente {

// Why something was refused or failed. A code exists only because a caller reacts to it.
enum class Code {
  kInvalid,        // the request or the bytes make no sense; sending them again never helps
  kNotFound,       // no such table or row
  kConstraint,     // UNIQUE, CHECK, NOT NULL or a foreign key refused the write
  kPrecondition,   // an ETag or "must not exist" did not hold here
  kContextNeeded,  // the table wants a context with every write
  kSql,            // the database refused a statement
  kRefused,     // understood, but not allowed here (authorizer, schema leader, table without a key)
  kTooLarge,    // past a configured limit
  kBusy,        // try again soon
  kTimeout,     // a deadline passed; nothing was changed
  kNotReached,  // this gateway has not applied what the request says it has seen
  kExhausted,   // disk full: writes are refused, reads go on
  kCorrupt,     // the database or the disk cannot be trusted: stop this gateway
  kFork,        // two histories under one origin
  kMismatch,    // a peer of another cluster, protocol or topology
};

// An error is a value. `text` names the object, the limit and what to do; `tag` is a stable
// machine-readable word for clients (`SQLITE_CONSTRAINT`, `unknown_column`), or empty.
struct Error {
  Code code = Code::kInvalid;
  std::string text;
  std::string tag;
};

template <class T>
using Result = tl::expected<T, Error>;

inline tl::unexpected<Error> fail(Code code, std::string text, std::string tag = {}) {
  return tl::unexpected<Error>(Error{code, std::move(text), std::move(tag)});
}

}  // namespace entente
