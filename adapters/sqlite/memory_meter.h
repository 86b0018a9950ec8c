#pragma once

#include <cstdint>

namespace entente::sqlite {

// Bytes that SQLite has taken on this thread less those that it gave back on it: what changes while
// a statement runs is what it uses. Zero for ever if SQLite was in use before it could be measured.
int64_t memory_in_use();

}  // namespace entente::sqlite
