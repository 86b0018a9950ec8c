#include "topology/fields.h"

#include <algorithm>

#include "topology/scalars.h"

namespace entente {
namespace {

std::string_view describe(const Node& node) {
  switch (node.kind) {
    case Node::Kind::kNothing:
      return "nothing";
    case Node::Kind::kText:
      return node.plain ? "a word" : "text in quotes";
    case Node::Kind::kList:
      return "a list";
    case Node::Kind::kMap:
      return "a mapping";
    case Node::Kind::kBroken:
      return "";
  }
  return "";
}

FilePlace place_of(const Node& node, FilePlace key) {
  return node.kind == Node::Kind::kNothing ? key : node.place;
}

}  // namespace

std::optional<Word> read_word(const Node& node, std::string_view what, Problems& problems) {
  if (node.kind == Node::Kind::kBroken) return std::nullopt;
  if (node.kind == Node::Kind::kText && !node.text.empty()) return Word{node.text, node.place};
  const auto is = node.kind == Node::Kind::kText ? "empty" : describe(node);
  problems.add(node.place, std::string(what) + " must be a word; this is " + std::string(is));
  return std::nullopt;
}

Fields::Fields(const Node& node, std::string where, FilePlace place, Problems& problems)
    : node_(node), where_(std::move(where)), place_(place), problems_(problems) {
  const bool fits = node.kind == Node::Kind::kMap || node.kind == Node::Kind::kNothing ||
                    node.kind == Node::Kind::kBroken;
  if (fits) return;
  problems.add(node.place, where_ + " must be a mapping of keys to values; this is " +
                               std::string(describe(node)));
}

const Entry* Fields::entry(std::string_view key) const {
  const auto found = std::find_if(node_.entries.begin(), node_.entries.end(),
                                  [&](const Entry& e) { return e.key == key; });
  return found == node_.entries.end() ? nullptr : &*found;
}

FilePlace Fields::place(std::string_view key) const {
  const Entry* found = entry(key);
  return found ? found->place : place_;
}

const Node* Fields::find(std::string key) {
  const Entry* found = entry(key);
  known_.push_back(std::move(key));
  return found ? &found->value : nullptr;
}

const Node* Fields::scalar(const std::string& key, std::string_view wanted, bool quotes_allowed) {
  const Node* node = find(key);
  if (!node || node->kind == Node::Kind::kBroken) return nullptr;
  const bool fits = node->kind == Node::Kind::kText && (node->plain || quotes_allowed);
  if (fits && !node->text.empty()) return node;
  const auto is = node->kind == Node::Kind::kText && node->text.empty() ? "empty" : describe(*node);
  problems_.add(place_of(*node, place(key)), in_quotes(key) + " must be " + std::string(wanted) +
                                                 "; this is " + std::string(is));
  return nullptr;
}

std::optional<Word> Fields::word(const std::string& key) {
  const Node* node = scalar(key, "a word", true);
  return node ? std::optional<Word>(Word{node->text, node->place}) : std::nullopt;
}

std::optional<Word> Fields::text(const std::string& key) {
  const Node* node = find(key);
  if (node && node->kind == Node::Kind::kText) return Word{node->text, node->place};
  if (node && node->kind != Node::Kind::kBroken) {
    problems_.add(place_of(*node, place(key)),
                  in_quotes(key) + " must be text; this is " + std::string(describe(*node)));
  }
  return std::nullopt;
}

std::optional<std::vector<Word>> Fields::words(const std::string& key) {
  const Node* node = find(key);
  if (!node || node->kind == Node::Kind::kBroken) return std::nullopt;
  if (node->kind != Node::Kind::kList) {
    problems_.add(place_of(*node, place(key)), in_quotes(key) +
                                                   " must be a list, as in [a, b]; "
                                                   "this is " +
                                                   std::string(describe(*node)));
    return std::nullopt;
  }
  std::vector<Word> out;
  bool whole = true;
  for (const auto& item : node->items) {
    auto word = read_word(item, "an item of " + in_quotes(key), problems_);
    whole = whole && word.has_value();
    if (word) out.push_back(std::move(*word));
  }
  return whole ? std::optional(std::move(out)) : std::nullopt;
}

std::optional<bool> Fields::flag(const std::string& key) {
  const Node* node = scalar(key, "true or false", false);
  if (!node) return std::nullopt;
  const auto value = parse_flag(node->text);
  if (value) return *value;
  const bool yes = node->text == "yes" || node->text == "on" || node->text == "True";
  const bool no = node->text == "no" || node->text == "off" || node->text == "False";
  problems_.add(node->place, in_quotes(key) + ": " + value.error().text,
                yes  ? "true"
                : no ? "false"
                     : "");
  return std::nullopt;
}

std::optional<int64_t> Fields::integer(const std::string& key, int64_t least, int64_t most) {
  const Node* node = scalar(key, "a whole number", false);
  if (!node) return std::nullopt;
  const auto value = parse_integer(node->text);
  if (!value) {
    problems_.add(node->place, in_quotes(key) + ": " + value.error().text);
    return std::nullopt;
  }
  if (*value >= least && *value <= most) return *value;
  report_range(key, node->place, std::to_string(least), std::to_string(most));
  return std::nullopt;
}

std::optional<uint64_t> Fields::size(const std::string& key, uint64_t least, uint64_t most) {
  const Node* node = scalar(key, "a size, as in 16MiB", true);
  if (!node) return std::nullopt;
  const auto value = parse_size(node->text);
  if (!value) {
    problems_.add(node->place, in_quotes(key) + ": " + value.error().text);
    return std::nullopt;
  }
  if (*value >= least && *value <= most) return *value;
  report_range(key, node->place, format_size(least), format_size(most));
  return std::nullopt;
}

std::optional<std::chrono::milliseconds> Fields::duration(const std::string& key,
                                                          std::chrono::milliseconds least,
                                                          std::chrono::milliseconds most) {
  const Node* node = scalar(key, "a duration, as in 3s", true);
  if (!node) return std::nullopt;
  const auto value = parse_duration(node->text);
  if (!value) {
    problems_.add(node->place, in_quotes(key) + ": " + value.error().text);
    return std::nullopt;
  }
  if (*value >= least && *value <= most) return *value;
  report_range(key, node->place, format_duration(least), format_duration(most));
  return std::nullopt;
}

void Fields::require(std::string_view key, std::string_view example) {
  const bool readable = node_.kind == Node::Kind::kMap || node_.kind == Node::Kind::kNothing;
  if (!readable || has(key)) return;
  problems_.add(place_, where_ + " needs " + in_quotes(key) + ", as in " + in_quotes(example));
}

void Fields::refuse(const std::string& key, const std::string& why) {
  if (find(key)) problems_.add(place(key), why);
}

void Fields::finish() {
  for (const auto& entry : node_.entries) {
    if (std::find(known_.begin(), known_.end(), entry.key) != known_.end()) continue;
    problems_.add(entry.place, in_quotes(entry.key) + " is not a key of " + where_,
                  problems_.full() ? "" : nearest(entry.key, known_));
  }
}

void Fields::report_choice(const std::string& key, const Word& chosen,
                           std::span<const std::string> names) {
  problems_.add(
      chosen.place,
      in_quotes(key) + " cannot be " + in_quotes(chosen.text) + ": it is " + alternatives(names),
      nearest(chosen.text, names));
}

void Fields::report_range(const std::string& key, FilePlace place, const std::string& least,
                          const std::string& most) {
  problems_.add(place, in_quotes(key) + " must be from " + least + " to " + most);
}

}  // namespace entente
