#include <algorithm>
#include <bit>
#include <nlohmann/json.hpp>
#include <set>
#include <unordered_set>

#include "conflict/merge.h"

namespace entente {
namespace {

using Json = nlohmann::json;

constexpr size_t kDepthMax = 64;

// Builds a document event by event, and stops at the first thing that does not fit: deeper than
// kDepthMax, a member named twice, an integer that would be rounded.
class Reader : public nlohmann::json_sax<Json> {
 public:
  Json take() { return std::move(root_); }

  bool null() override { return put(nullptr); }
  bool boolean(bool b) override { return put(b); }
  bool number_integer(int64_t i) override { return put(i); }
  bool number_unsigned(uint64_t i) override { return put(i); }
  bool number_float(double d, const std::string& text) override {
    return text.find_first_of(".eE") != std::string::npos && put(d);
  }
  bool string(std::string& s) override { return put(std::move(s)); }
  bool binary(Json::binary_t&) override { return false; }
  bool start_object(size_t) override { return open(Json::object()); }
  bool end_object() override { return close(); }
  bool start_array(size_t) override { return open(Json::array()); }
  bool end_array() override { return close(); }
  bool key(std::string& name) override {
    const auto [member, fresh] = open_.back()->emplace(std::move(name), nullptr);
    member_ = &*member;
    return fresh;
  }
  bool parse_error(size_t, const std::string&, const Json::exception&) override { return false; }

 private:
  bool put(Json value) {
    *slot() = std::move(value);
    return true;
  }

  bool open(Json container) {
    if (open_.size() == kDepthMax) return false;
    Json* here = slot();
    *here = std::move(container);
    open_.push_back(here);
    return true;
  }

  bool close() {
    open_.pop_back();
    return true;
  }

  // Where the next value goes.
  Json* slot() {
    if (open_.empty()) return &root_;
    if (open_.back()->is_object()) return member_;
    open_.back()->push_back(nullptr);
    return &open_.back()->back();
  }

  Json root_;
  // The containers around the next value, outermost first. Each stays where it is while it is
  // open: its parent gets no other element until it is closed.
  std::vector<Json*> open_;
  Json* member_ = nullptr;  // the last key's value, in open_.back()
};

std::optional<Json> read(const Value& v) {
  const auto* text = std::get_if<std::string>(&v);
  // The parser takes a NUL for the end.
  if (!text || text->find('\0') != std::string::npos) return std::nullopt;
  Reader reader;
  if (!Json::sax_parse(*text, &reader)) return std::nullopt;
  return reader.take();
}

std::optional<Json> read_object(const Value& v) {
  auto document = read(v);
  return document && document->is_object() ? std::move(document) : std::nullopt;
}

std::string write(const Json& document) {
  return document.dump(-1, ' ', false, Json::error_handler_t::replace);
}

bool same(const Json& a, const Json& b);

bool same_members(const Json& a, const Json& b) {
  return std::ranges::equal(a.items(), b.items(), [](const auto& x, const auto& y) {
    return x.key() == y.key() && same(x.value(), y.value());
  });
}

// The same type and value: the library's == takes 2^53 + 1 for the double 2^53.
bool same(const Json& a, const Json& b) {
  if (a.type() != b.type() || a.size() != b.size()) return false;
  if (a.is_object()) return same_members(a, b);
  if (a.is_array()) return std::ranges::equal(a, b, same);
  if (!a.is_number_float()) return a == b;
  return std::bit_cast<uint64_t>(a.get<double>()) == std::bit_cast<uint64_t>(b.get<double>());
}

// A member's value, or null for one that is not there.
bool same(const Json* a, const Json* b) { return a && b ? same(*a, *b) : a == b; }

const Json* member(const Json& object, const std::string& name) {
  const auto it = object.find(name);
  return it == object.end() ? nullptr : &*it;
}

std::set<std::string> names(const Json& a, const Json& b) {
  std::set<std::string> all;
  for (const auto& item : a.items()) all.insert(item.key());
  for (const auto& item : b.items()) all.insert(item.key());
  return all;
}

Json merge_objects(const Json& base, const Json& earlier, const Json& later);

std::optional<Json> merge_member(const Json* base, const Json* earlier, const Json* later) {
  const auto copy = [](const Json* v) { return v ? std::optional(*v) : std::nullopt; };
  if (same(earlier, later) || same(earlier, base)) return copy(later);
  if (same(later, base)) return copy(earlier);
  if (!earlier || !later || !earlier->is_object() || !later->is_object()) return copy(later);
  return merge_objects(base && base->is_object() ? *base : Json::object(), *earlier, *later);
}

Json merge_objects(const Json& base, const Json& earlier, const Json& later) {
  Json merged = Json::object();
  for (const auto& name : names(earlier, later)) {
    auto value = merge_member(member(base, name), member(earlier, name), member(later, name));
    if (value) merged.emplace(name, std::move(*value));
  }
  return merged;
}

}  // namespace

Value merge_json(const Value* base, const Value& earlier, const Value& later) {
  const Value was = base ? *base : Null{};
  if (identical(earlier, later) || identical(earlier, was)) return later;
  if (identical(later, was)) return earlier;
  const auto mine = read_object(earlier);
  const auto theirs = read_object(later);
  if (!mine || !theirs) return later;
  return write(merge_objects(read_object(was).value_or(Json::object()), *mine, *theirs));
}

std::optional<std::vector<std::string>> set_elements(const Value& v) {
  std::vector<std::string> elements;
  if (std::holds_alternative<Null>(v)) return elements;
  const auto array = read(v);
  if (!array || !array->is_array()) return std::nullopt;
  std::unordered_set<std::string> met;
  for (const Json& element : *array) {
    std::string text = write(element);
    if (met.insert(text).second) elements.push_back(std::move(text));
  }
  return elements;
}

Value set_value(const std::vector<std::string>& elements) {
  std::string array = "[";
  for (const auto& element : elements) {
    if (array.size() > 1) array += ',';
    array += element;
  }
  return array + "]";
}

}  // namespace entente
