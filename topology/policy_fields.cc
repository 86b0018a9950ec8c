#include "topology/policy_fields.h"

#include <algorithm>
#include <array>

namespace entente {
namespace {

constexpr size_t kLongestSeparator = 255;

constexpr std::array<std::string_view, 6> kKeys{"policy",  "merge",   "separator",
                                                "markers", "handler", "run"};

const Choices<PolicyKind> kPolicies{
    {"lww", PolicyKind::kLww},           {"priority", PolicyKind::kPriority},
    {"merge", PolicyKind::kMerge},       {"counter", PolicyKind::kCounter},
    {"siblings", PolicyKind::kSiblings}, {"handler", PolicyKind::kHandler}};
const Choices<MergeKind> kMerges{{"concat", MergeKind::kConcat}, {"union", MergeKind::kUnion},
                                 {"json", MergeKind::kJson},     {"text", MergeKind::kText},
                                 {"min", MergeKind::kMin},       {"max", MergeKind::kMax}};
const Choices<RunWhen> kRuns{{"write", RunWhen::kWrite}, {"read", RunWhen::kRead}};

Policy plain(PolicyKind kind) {
  Policy policy;
  policy.kind = kind;
  return policy;
}

void leave_unread(Fields& fields) {
  for (const auto key : kKeys) fields.find(std::string(key));
}

// False if a key that only this policy has cannot be read.
bool read_separator(Fields& fields, Policy& policy, Problems& problems) {
  if (policy.kind != PolicyKind::kMerge || policy.merge != MergeKind::kConcat) {
    fields.refuse("separator", "`separator` belongs to `merge: concat`");
    return true;
  }
  if (!fields.has("separator")) return true;
  const auto separator = fields.text("separator");
  if (!separator) return false;
  if (separator->text.size() > kLongestSeparator) {
    problems.add(separator->place, "`separator` is longer than 255 bytes");
    return false;
  }
  policy.separator = separator->text;
  return true;
}

bool read_markers(Fields& fields, Policy& policy) {
  if (policy.kind != PolicyKind::kMerge || policy.merge != MergeKind::kText) {
    fields.refuse("markers", "`markers` belongs to `merge: text`");
    return true;
  }
  if (!fields.has("markers")) return true;
  const auto markers = fields.flag("markers");
  policy.markers = markers.value_or(false);
  return markers.has_value();
}

// Another merge than the inherited one begins with its own options.
bool read_merge(Fields& fields, Policy& policy) {
  if (policy.kind != PolicyKind::kMerge) {
    fields.refuse("merge", "`merge` belongs to policy merge, and this one is " + policy.describe());
    return true;
  }
  if (fields.has("policy")) fields.require("merge", "merge: union");
  if (!fields.has("merge")) return !fields.has("policy");
  const auto merge = fields.choice("merge", kMerges);
  if (!merge) return false;
  if (*merge != policy.merge) policy = plain(PolicyKind::kMerge);
  policy.merge = *merge;
  return true;
}

bool read_handler(Fields& fields, Policy& policy, std::span<const std::string> handlers,
                  Problems& problems) {
  if (policy.kind != PolicyKind::kHandler) {
    fields.refuse("handler",
                  "`handler` belongs to policy handler, and this one is " + policy.describe());
    return true;
  }
  if (fields.has("policy")) fields.require("handler", "handler: cart");
  if (!fields.has("handler")) return !fields.has("policy");
  const auto name = fields.word("handler");
  if (!name) return false;
  policy.handler = name->text;
  if (std::find(handlers.begin(), handlers.end(), name->text) != handlers.end()) return true;
  problems.add(name->place, in_quotes(name->text) + " is not defined under `handlers`",
               problems.full() ? "" : nearest(name->text, handlers));
  return false;
}

// Nobody decides between siblings, so that `run` changes nothing about them: it stays as it is.
bool read_run(Fields& fields, Policy& policy, Problems& problems) {
  const auto run = fields.choice("run", kRuns);
  if (!run) return !fields.has("run");
  const bool never_on_write = policy.kind == PolicyKind::kSiblings;
  const bool always_on_write = policy.kind == PolicyKind::kLww ||
                               policy.kind == PolicyKind::kPriority || policy.is_counter() ||
                               policy.is_set();
  if (never_on_write && *run == RunWhen::kWrite) {
    problems.add(fields.place("run"),
                 "`run: write` decides when a conflict arrives, but policy siblings leaves that to "
                 "the reader: use `run: read`, or another policy");
    return false;
  }
  if (always_on_write && *run == RunWhen::kRead) {
    problems.add(fields.place("run"),
                 "`run: read` leaves the decision to the reader, but policy " + policy.describe() +
                     " decides when a conflict arrives: use `run: write`, or siblings, handler, or "
                     "merge: concat, json, text, min or max");
    return false;
  }
  if (!never_on_write) policy.run = *run;
  return true;
}

// What a group cannot have: registers of single columns.
bool suits(const Policy& policy, PolicyPlace place, const Fields& fields, Problems& problems) {
  if (place != PolicyPlace::kGroup || (!policy.is_counter() && !policy.is_set())) return true;
  problems.add(fields.place("policy"), "policy " + policy.describe() +
                                           " counts for one column at a time: give it to each of "
                                           "them under `columns`");
  return false;
}

}  // namespace

std::span<const std::string_view> policy_keys() { return kKeys; }

std::optional<Policy> read_policy(Fields& fields, PolicyPlace place, const Policy& inherited,
                                  std::span<const std::string> handlers, Problems& problems) {
  Policy policy = inherited;
  std::optional<PolicyKind> named;
  if (place != PolicyPlace::kTable) fields.require("policy", "policy: lww");
  if (fields.has("policy")) {
    named = fields.choice("policy", kPolicies);
    if (named) policy = plain(*named);
  }
  const bool known = named || (place == PolicyPlace::kTable && !fields.has("policy"));
  bool fine = known && read_merge(fields, policy);
  if (fine) {
    fine &= read_separator(fields, policy, problems);
    fine &= read_markers(fields, policy);
    fine &= read_handler(fields, policy, handlers, problems);
    fine &= read_run(fields, policy, problems);
    fine &= suits(policy, place, fields, problems);
  }
  leave_unread(fields);
  if (!fine) return std::nullopt;
  return policy;
}

}  // namespace entente
