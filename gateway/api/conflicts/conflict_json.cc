#include "gateway/api/conflicts/conflict_json.h"

namespace entente {

void write_conflict(JsonWriter& out, const ConflictEntry& entry, std::string_view dc,
                    BigIntegers big) {
  out.begin_object().key("id").unsigned_integer(entry.id).member("table", entry.table).key("key");
  write_key_parts(out, entry.key, big);
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
