#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace entente {

// Every limit, with its default. In the file under `limits:`, by these names, with units
// (`16MiB`, `5s`) where they have one.
struct Limits {
  // Clients.
  size_t connections = 4096;                         // open client connections
  size_t header_bytes = 16 << 10;                    // one request's head
  size_t body_bytes = 16 << 20;                      // one request's body
  size_t queued_writes = 8192;                       // waiting for the writer; past it 503 busy
  size_t queued_reads = 8192;                        // waiting for a reader; past it 503 busy
  std::chrono::milliseconds header_timeout{10'000};  // from the first byte to the end of the head
  std::chrono::milliseconds body_timeout{30'000};
  std::chrono::milliseconds idle_timeout{60'000};   // between requests
  std::chrono::milliseconds write_timeout{30'000};  // a client that does not read its answer
  std::chrono::milliseconds session_wait{2'000};    // for a session token or context to be reached
  std::chrono::milliseconds context_lifetime{600'000};   // a row's context; past it 412
  std::chrono::milliseconds transaction_timeout{5'000};  // an interactive transaction
  std::chrono::milliseconds stream_timeout{10'000};      // an idle SQL stream
  size_t streams = 4096;                                 // open SQL streams
  std::chrono::milliseconds schema_timeout{20'000};      // the schema leader's answer
  size_t changes_feeds = 256;                            // open change feeds
  std::chrono::milliseconds changes_heartbeat{10'000};   // silence on a change feed

  // The database.
  size_t group_transactions = 256;  // commit together at most
  size_t readers = 2;               // reading connections
  size_t sql_bytes = 1 << 20;
  size_t result_bytes = 64 << 20;
  std::chrono::milliseconds statement_time{10'000};
  size_t statement_memory = 256 << 20;
  size_t transaction_bytes = 64 << 20;
  size_t siblings = 100;  // values that nobody has decided between, of one register
  size_t conflict_log_rows = 1'000'000;
  std::chrono::milliseconds conflict_log_age{30ll * 24 * 3'600'000};
  std::chrono::milliseconds changes_retention{3'600'000};       // a change that everybody has
  std::chrono::milliseconds log_retention{7 * 24 * 3'600'000};  // … that somebody lacks
  size_t log_bytes = 1ull << 30;                                // past it both go at once

  // Links.
  size_t frame_bytes = 80 << 20;      // one frame, compressed or not
  size_t batch_bytes = 256 << 10;     // changes sent together, before compression
  size_t link_window = 8 << 20;       // unapplied changes in flight on one link
  size_t hold_back_bytes = 32 << 20;  // changes that wait for others' changes
  size_t apply_bytes = 4 << 20;       // handed to the writer and not yet durable
  std::chrono::milliseconds heartbeat{1'000};
  std::chrono::milliseconds link_timeout{5'000};  // nothing heard: the link is cut
  std::chrono::milliseconds reconnect_max{2'000};

  // Comparing datacenters.
  size_t verify_rate = 20'000;                             // rows a second
  std::chrono::milliseconds verify_every{24 * 3'600'000};  // by itself; 0: only when asked
  std::chrono::milliseconds repair_every{0};               // … and makes alike what differs
};

}  // namespace entente
