#include <algorithm>
#include <cctype>

#include "topology/scalars.h"
#include "topology/sections.h"
#include "topology/yaml_json.h"

namespace entente {
namespace {

using namespace std::chrono_literals;

constexpr uint64_t kKiB = 1 << 10, kMiB = 1 << 20, kGiB = 1 << 30;
constexpr int64_t kLeastInstructions = 1'000, kMostInstructions = 1'000'000'000;
constexpr uint64_t kPluginMemory = 256 * kMiB;
constexpr size_t kHashDigits = 64;

// The code's file, resolved; reported if it is not there.
std::string read_path(Fields& fields, const std::string& key, const std::filesystem::path& folder,
                      Problems& problems) {
  const auto word = fields.word(key);
  if (!word) return "";
  const auto path = (folder / word->text).lexically_normal();
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  if (!std::filesystem::exists(status)) {
    problems.add(word->place, in_quotes(word->text) + ": there is no file " + path.string());
  } else if (!std::filesystem::is_regular_file(status)) {
    problems.add(word->place, in_quotes(word->text) + " is not a file");
  }
  return path.string();
}

void refuse_keys_of_the_other(Fields& fields, std::initializer_list<const char*> keys,
                              const std::string& owner) {
  for (const std::string key : keys) fields.refuse(key, in_quotes(key) + " belongs to " + owner);
}

std::string read_hash(Fields& fields, Problems& problems) {
  const auto word = fields.word("sha256");
  if (!word) return "";
  std::string hash = word->text;
  const bool hex =
      std::all_of(hash.begin(), hash.end(), [](unsigned char c) { return std::isxdigit(c) != 0; });
  if (!hex || hash.size() != kHashDigits) {
    problems.add(word->place, "`sha256` must be 64 hex digits, as `sha256sum FILE` prints them");
  }
  std::transform(hash.begin(), hash.end(), hash.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return hash;
}

std::string read_settings(Fields& fields, const std::string& where, Problems& problems) {
  const Node* node = fields.find("config");
  if (!node) return "";
  const Fields reports_what_is_no_mapping(*node, "`config` of " + where, fields.place("config"),
                                          problems);
  return node->kind == Node::Kind::kMap ? json_of(*node) : "";
}

void read_lua(Fields& fields, const std::filesystem::path& folder, HandlerSource& out,
              Problems& problems) {
  out.kind = HandlerSource::Kind::kLua;
  out.path = read_path(fields, "lua", folder, problems);
  refuse_keys_of_the_other(fields, {"sha256", "config", "trusted", "time"},
                           "plug-ins, and this handler is a Lua script");
  const auto instructions = fields.integer("instructions", kLeastInstructions, kMostInstructions);
  if (instructions) out.instructions = static_cast<uint64_t>(*instructions);
}

void read_plugin(Fields& fields, const std::filesystem::path& folder, const std::string& where,
                 HandlerSource& out, Problems& problems) {
  out.kind = HandlerSource::Kind::kPlugin;
  out.path = read_path(fields, "plugin", folder, problems);
  out.memory = kPluginMemory;
  refuse_keys_of_the_other(fields, {"instructions"}, "Lua scripts, and this handler is a plug-in");
  out.sha256 = read_hash(fields, problems);
  out.config = read_settings(fields, where, problems);
  out.trusted = fields.flag("trusted").value_or(out.trusted);
  if (const auto time = fields.duration("time", 10ms, 60s)) {
    out.time_ms = static_cast<uint64_t>(time->count());
  }
}

HandlerSource read_handler(const Entry& entry, const std::filesystem::path& folder,
                           Problems& problems) {
  if (const auto name = parse_name(entry.key); !name) problems.add(entry.place, name.error().text);
  HandlerSource out;
  const std::string where = "handler " + in_quotes(entry.key);
  Fields fields(entry.value, where, entry.place, problems);
  if (fields.has("plugin")) {
    fields.refuse("lua", "a handler is either `lua` or `plugin`, and this one says both");
    read_plugin(fields, folder, where, out, problems);
  } else {
    fields.require("lua", "lua: handlers/cart.lua` or `plugin: handlers/cart.so");
    fields.find("plugin");
    read_lua(fields, folder, out, problems);
  }
  out.memory = fields.size("memory", 64 * kKiB, kGiB).value_or(out.memory);
  fields.finish();
  return out;
}

}  // namespace

HandlersSection read_handlers(Fields& file, const std::filesystem::path& folder,
                              Problems& problems) {
  HandlersSection out;
  const Node* node = file.find("handlers");
  if (!node) return out;
  const Fields reports_what_is_no_mapping(*node, "`handlers`", file.place("handlers"), problems);
  for (const auto& entry : node->entries) {
    out.names.push_back(entry.key);
    out.places[entry.key] = entry.place;
    out.sources[entry.key] = read_handler(entry, folder, problems);
  }
  return out;
}

}  // namespace entente
