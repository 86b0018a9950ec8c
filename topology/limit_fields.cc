#include "topology/limit_fields.h"

#include <array>

#include "topology/scalars.h"

namespace entente {
namespace {

constexpr uint64_t kKiB = 1 << 10, kMiB = 1 << 20, kGiB = 1 << 30;
constexpr uint64_t kMinute = 60'000, kHour = 3'600'000;

constexpr LimitField count(std::string_view name, LimitField::Count member, uint64_t least,
                           uint64_t most) {
  return {name, LimitField::Unit::kCount, member, least, most};
}
constexpr LimitField bytes(std::string_view name, LimitField::Count member, uint64_t least,
                           uint64_t most) {
  return {name, LimitField::Unit::kBytes, member, least, most};
}
constexpr LimitField time(std::string_view name, LimitField::Time member, uint64_t least,
                          uint64_t most) {
  return {name, LimitField::Unit::kTime, member, least, most};
}

constexpr std::array kFields{
    count("connections", &Limits::connections, 1, 1'000'000),
    bytes("header_bytes", &Limits::header_bytes, kKiB, kMiB),
    bytes("body_bytes", &Limits::body_bytes, kKiB, kGiB),
    count("queued_writes", &Limits::queued_writes, 1, 1'000'000),
    count("queued_reads", &Limits::queued_reads, 1, 1'000'000),
    time("header_timeout", &Limits::header_timeout, 100, 10 * kMinute),
    time("body_timeout", &Limits::body_timeout, 100, kHour),
    time("idle_timeout", &Limits::idle_timeout, 100, 24 * kHour),
    time("write_timeout", &Limits::write_timeout, 100, kHour),
    time("session_wait", &Limits::session_wait, 0, 10 * kMinute),
    time("context_lifetime", &Limits::context_lifetime, 1'000, 30 * 24 * kHour),
    time("transaction_timeout", &Limits::transaction_timeout, 100, kHour),
    time("stream_timeout", &Limits::stream_timeout, 100, kHour),
    count("streams", &Limits::streams, 1, 1'000'000),
    time("schema_timeout", &Limits::schema_timeout, 100, kHour),
    count("changes_feeds", &Limits::changes_feeds, 0, 1'000'000),
    time("changes_heartbeat", &Limits::changes_heartbeat, 10, kHour),
    count("group_transactions", &Limits::group_transactions, 1, 65'536),
    count("readers", &Limits::readers, 1, 64),
    bytes("sql_bytes", &Limits::sql_bytes, kKiB, 512 * kMiB),
    bytes("result_bytes", &Limits::result_bytes, kKiB, kGiB),
    time("statement_time", &Limits::statement_time, 1, kHour),
    bytes("statement_memory", &Limits::statement_memory, 96 * kMiB, 64 * kGiB),
    bytes("transaction_bytes", &Limits::transaction_bytes, 64 * kKiB, 512 * kMiB),
    count("siblings", &Limits::siblings, 2, 10'000),
    count("conflict_log_rows", &Limits::conflict_log_rows, 0, 1'000'000'000),
    time("conflict_log_age", &Limits::conflict_log_age, kMinute, 3'650 * 24 * kHour),
    time("changes_retention", &Limits::changes_retention, 0, 30 * 24 * kHour),
    time("log_retention", &Limits::log_retention, 0, 3'650 * 24 * kHour),
    bytes("log_bytes", &Limits::log_bytes, 0, 1'024 * kGiB),
    bytes("frame_bytes", &Limits::frame_bytes, 64 * kKiB, kGiB),
    bytes("batch_bytes", &Limits::batch_bytes, kKiB, 64 * kMiB),
    bytes("link_window", &Limits::link_window, 64 * kKiB, kGiB),
    bytes("hold_back_bytes", &Limits::hold_back_bytes, 64 * kKiB, 16 * kGiB),
    bytes("apply_bytes", &Limits::apply_bytes, 4 * kKiB, kGiB),
    time("heartbeat", &Limits::heartbeat, 10, kMinute),
    time("link_timeout", &Limits::link_timeout, 50, 10 * kMinute),
    time("reconnect_max", &Limits::reconnect_max, 10, 10 * kMinute),
    count("verify_rate", &Limits::verify_rate, 1, 100'000'000),
    time("verify_every", &Limits::verify_every, 0, 30 * 24 * kHour),
    time("repair_every", &Limits::repair_every, 0, 30 * 24 * kHour),
};

}  // namespace

std::string LimitField::format(const Limits& limits) const {
  if (const auto* duration = std::get_if<Time>(&member)) return format_duration(limits.**duration);
  const uint64_t value = limits.*std::get<Count>(member);
  return unit == Unit::kBytes ? format_size(value) : std::to_string(value);
}

std::span<const LimitField> limit_fields() { return kFields; }

}  // namespace entente
