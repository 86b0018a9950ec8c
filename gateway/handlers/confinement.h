#pragma once

#include <cstdint>

#include "conflict/result.h"

// What the process of a handler gives up for good, in this order. None of it is undone by a crash,
// a new thread or a new program.
namespace entente {

// Memory past `memory` more bytes, files, processes, core dumps; closes every descriptor from
// `first_to_close` on; dies with the gateway.
Result<void> give_up_resources(unsigned first_to_close, uint64_t memory);

// From here on it can open files to read and map them, which loading a shared object needs, and
// send on `fd`. Asking for a socket, a process or a thread kills it.
Result<void> allow_only_loading(int fd);

// From here on it can compute, and receive and send on `fd`. Asking for a file kills it too; any
// other system call fails.
Result<void> allow_only_computing(int fd);

}  // namespace entente
