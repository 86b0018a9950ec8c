#include "topology/yaml_json.h"

#include <nlohmann/json.hpp>

namespace entente {
namespace {

using nlohmann::json;

json scalar(const Node& node) {
  if (!node.plain) return node.text;
  auto value = json::parse(node.text, nullptr, false);
  if (value.is_number() || value.is_boolean() || value.is_null()) return value;
  return node.text;
}

json converted(const Node& node) {
  if (node.kind == Node::Kind::kText) return scalar(node);
  json out;
  if (node.kind == Node::Kind::kList) out = json::array();
  if (node.kind == Node::Kind::kMap) out = json::object();
  for (const auto& item : node.items) out.push_back(converted(item));
  for (const auto& entry : node.entries) out[entry.key] = converted(entry.value);
  return out;
}

}  // namespace

std::string json_of(const Node& node) {
  return converted(node).dump(-1, ' ', false, json::error_handler_t::replace);
}

}  // namespace entente
