#include "topology/limit_fields.h"
#include "topology/sections.h"

namespace entente {
namespace {

void read_limit(const LimitField& field, Fields& fields, Limits& limits) {
  const std::string key(field.name);
  if (const auto* time = std::get_if<LimitField::Time>(&field.member)) {
    using std::chrono::milliseconds;
    const auto value = fields.duration(key, milliseconds(field.least), milliseconds(field.most));
    limits.** time = value.value_or(limits.**time);
    return;
  }
  size_t& member = limits.*std::get<LimitField::Count>(field.member);
  if (field.unit == LimitField::Unit::kBytes) {
    member = fields.size(key, field.least, field.most).value_or(member);
  } else {
    const auto least = static_cast<int64_t>(field.least);
    const auto most = static_cast<int64_t>(field.most);
    member = static_cast<size_t>(
        fields.integer(key, least, most).value_or(static_cast<int64_t>(member)));
  }
}

// Limits that only make sense together. Reported at the one that the file sets.
void check_together(const Limits& limits, const Fields& fields, Problems& problems) {
  const auto require = [&](bool holds, std::string_view small, std::string_view large) {
    if (holds) return;
    problems.add(fields.place(fields.has(small) ? small : large),
                 in_quotes(small) + " must be less than " + in_quotes(large));
  };
  require(limits.transaction_bytes < limits.frame_bytes, "transaction_bytes", "frame_bytes");
  require(limits.batch_bytes < limits.link_window, "batch_bytes", "link_window");
  require(limits.heartbeat < limits.link_timeout, "heartbeat", "link_timeout");
}

}  // namespace

Limits read_limits(Fields& file, Problems& problems) {
  Limits limits;
  Fields fields = section(file, "limits", problems);
  for (const auto& field : limit_fields()) read_limit(field, fields, limits);
  check_together(limits, fields, problems);
  fields.finish();
  return limits;
}

}  // namespace entente
