#pragma once

#include <string>

#include "gateway/encoding/json.h"
#include "tests/support/expect.h"
#include "tests/support/http_client.h"

namespace entente::testing {

// A JSON page of a gateway's, as of now; null if there is none.
inline Json page(int port, const std::string& path) {
  HttpClient client(port);
  std::string body = client.request("GET", path).body;
  return parse_json(body).value_or(Json{});
}

// The first of the objects in `list` whose `key` is this text; null if there is none.
inline Json entry(const Json& root, const std::string& list, const std::string& key,
                  const std::string& text) {
  const Json* items = root.find(list);
  if (items == nullptr || items->array() == nullptr) return {};
  for (const auto& item : *items->array()) {
    if (text_of(item, key) == text) return item;
  }
  return {};
}

// A number however it is written; -1 if it is none.
inline double number(const Json& object, const std::string& key) {
  const Json* value = object.find(key);
  if (value == nullptr) return -1;
  if (value->integer() != nullptr) return static_cast<double>(*value->integer());
  return value->real() != nullptr ? *value->real() : -1;
}

inline bool flag(const Json& object, const std::string& key) {
  const Json* value = object.find(key);
  return value != nullptr && value->boolean() != nullptr && *value->boolean();
}

// Whether one of the notes of a status says this.
inline bool noted(const Json& status, const std::string& part) {
  const Json* notes = status.find("notes");
  if (notes == nullptr || notes->array() == nullptr) return false;
  for (const auto& note : *notes->array()) {
    if (note.string() != nullptr && has(*note.string(), part)) return true;
  }
  return false;
}

}  // namespace entente::testing
