#include "gateway/server/conflict_json.h"

#include <ctime>

namespace entente {
namespace {

// ISO 8601, UTC, milliseconds.
std::string iso_time(uint64_t unix_ms) {
  const auto seconds = static_cast<std::time_t>(unix_ms / 1000);
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  char text[64];
  const size_t n = std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &utc);
  const std::string ms = std::to_string(1000 + unix_ms % 1000).substr(1);
  return std::string(text, n) + "." + ms + "Z";
}

void write_key(JsonWriter& out, const Key& key, BigIntegers big) {
  out.begin_array();
  const auto parts = key_parts(key);
  for (size_t i = 0; parts && i < parts->size(); ++i) write_value(out, (*parts)[i], big);
  out.end_array();
}

}  // namespace

void write_conflict(JsonWriter& out, const ConflictEntry& entry, std::string_view dc,
                    BigIntegers big) {
  out.begin_object().key("id").unsigned_integer(entry.id).member("table", entry.table).key("key");
  write_key(out, entry.key, big);
  out.member("column", entry.group).member("kind", entry.kind);
  out.member("policy", to_string(entry.policy)).member("state", entry.open ? "open" : "resolved");
  out.key("winner").begin_object();
  write_version(out, entry.winner, big);
  out.end_object().key("losers").begin_array();
  for (const auto& loser : entry.losers) {
    out.begin_object();
    write_version(out, loser, big);
    out.end_object();
  }
  out.end_array().member("decided_by", entry.decided_by).member("note", entry.note);
  out.member("detected_at", iso_time(entry.detected_ms)).member("detected_in", dc).end_object();
}

}  // namespace entente
