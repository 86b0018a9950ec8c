#include <xxhash.h>

#include <algorithm>
#include <map>

#include "conflict/new_key.h"

#include "topology/scalars.h"
#include "topology/sections.h"

namespace entente {
namespace {

constexpr int64_t kHighestPriority = 1'000'000;

// Which endpoint took an address first: (host, port) -> "`peers` of frankfurt".
using Taken = std::map<std::pair<std::string, uint16_t>, std::string>;

enum class Scheme { kForbidden, kWebSocket };

constexpr std::string_view kHowToLeave =
    "`security: {tls: {cert: node.crt, key: node.key, ca: ca.crt}}`; `entente cert init` and "
    "`entente cert issue` make these files";

// Takes a scheme off `text`; absent and reported if it is none that fits.
std::optional<std::string> without_scheme(const Word& word, Scheme scheme, Reach reach,
                                          Problems& problems) {
  const size_t split = word.text.find("://");
  if (split == std::string::npos) return word.text;
  const std::string name = word.text.substr(0, split);
  const std::string rest = word.text.substr(split + 3);
  if (scheme == Scheme::kForbidden) {
    problems.add(word.place,
                 "applications speak HTTP here: leave " + in_quotes(name + "://") + " out",
                 parse_endpoint(rest) ? rest : "");
    return std::nullopt;
  }
  const std::string fits = reach == Reach::kAnywhere ? "wss" : "ws";
  if (name == fits) return rest;
  const bool readable = parse_endpoint(rest).has_value();
  if (name == "wss") {
    problems.add(word.place, "wss:// needs TLS: write " + std::string(kHowToLeave),
                 readable && is_loopback(parse_endpoint(rest)->host) ? "ws://" + rest : "");
  } else if (name == "ws") {
    problems.add(word.place, "with `security.tls` links between gateways are wss://",
                 readable ? "wss://" + rest : "");
  } else {
    problems.add(word.place, in_quotes(name) + " is not a scheme for links between gateways",
                 readable && is_loopback(parse_endpoint(rest)->host) ? fits + "://" + rest : "");
  }
  return std::nullopt;
}

// All of a machine's addresses: where to listen, not where somebody could connect.
bool is_wildcard(const std::string& host) { return host == "0.0.0.0" || host == "::"; }

std::optional<Endpoint> read_endpoint(const Word& word, Scheme scheme, Reach reach,
                                      Problems& problems) {
  const auto text = without_scheme(word, scheme, reach, problems);
  if (!text) return std::nullopt;
  auto endpoint = parse_endpoint(*text);
  if (!endpoint) {
    problems.add(word.place, endpoint.error().text);
    return std::nullopt;
  }
  if (reach == Reach::kLoopback && !is_loopback(endpoint->host)) {
    problems.add(word.place, in_quotes(endpoint->host) +
                                 " is not on loopback, and without TLS nothing else is served: "
                                 "use 127.0.0.1, [::1] or localhost, or write " +
                                 std::string(kHowToLeave));
    return std::nullopt;
  }
  if (scheme == Scheme::kWebSocket && is_wildcard(endpoint->host)) {
    problems.add(word.place, in_quotes(endpoint->host) +
                                 " is no address that the others could connect to: write the name "
                                 "that they reach this datacenter by");
    return std::nullopt;
  }
  endpoint->tls = reach == Reach::kAnywhere;
  return *endpoint;
}

void take_address(const Endpoint& endpoint, const Word& word, const std::string& owner,
                  Taken& taken, Problems& problems) {
  if (endpoint.port == 0 || is_wildcard(endpoint.host)) return;
  const std::string host = endpoint.host == "localhost" ? "127.0.0.1" : endpoint.host;
  const auto [first, is_new] = taken.try_emplace({host, endpoint.port}, owner);
  if (is_new) return;
  problems.add(word.place, "port " + std::to_string(endpoint.port) + " on " + host +
                               " is taken already by " + first->second);
}

Endpoint read_address(Fields& fields, const std::string& key, Scheme scheme, Reach reach,
                      const std::string& dc, Taken& taken, Problems& problems) {
  const auto word = fields.word(key);
  const auto endpoint = word ? read_endpoint(*word, scheme, reach, problems) : std::nullopt;
  if (!endpoint) return {};
  take_address(*endpoint, *word, "`" + key + "` of " + dc, taken, problems);
  return *endpoint;
}

// A function of the name, so that it stays what it is whoever joins or leaves.
uint8_t key_slot_of(std::string_view dc) {
  return static_cast<uint8_t>(XXH3_64bits(dc.data(), dc.size()) % NewKeys::kSlots);
}

// Two datacenters that number rows alike would give the same key to different rows.
void check_key_slots(const std::vector<Datacenter>& datacenters,
                     const std::vector<FilePlace>& places, Problems& problems) {
  std::map<int, std::string> taken;
  for (const auto& dc : datacenters) taken.emplace(dc.key_slot, dc.name);
  int free = 0;
  for (size_t i = 0; i < datacenters.size(); ++i) {
    const auto& dc = datacenters[i];
    const std::string owner = taken.at(dc.key_slot);
    if (owner == dc.name) continue;
    while (taken.contains(free)) ++free;
    taken.emplace(free, dc.name);  // the next problem names another
    problems.add(places[i],
                 dc.name + " and " + owner + " both have key slot " + std::to_string(dc.key_slot) +
                     ", and would give the same keys to different rows: give " + dc.name +
                     " one of its own, before it has written anything",
                 "key_slot: " + std::to_string(free));
  }
}

void read_database(Fields& parent, const std::filesystem::path& folder, Datacenter& datacenter,
                   Problems& problems) {
  Fields fields = section(parent, "database", problems);
  if (const auto kind = fields.word("kind")) {
    if (kind->text == "postgres") {
      problems.add(kind->place,
                   "databases of kind `postgres` are not in this version: it has "
                   "sqlite and memory");
    } else if (const auto chosen = fields.pick<std::string>(
                   "kind", *kind, {{"sqlite", "sqlite"}, {"memory", "memory"}})) {
      datacenter.database_kind = *chosen;
    }
  }
  if (datacenter.database_kind == "memory") {
    fields.refuse("path", "a database of kind memory has no `path`");
  }
  if (const auto path = fields.word("path")) {
    datacenter.database_path = (folder / path->text).lexically_normal().string();
  }
  fields.finish();
}

Datacenter read_datacenter(const Entry& entry, const std::filesystem::path& folder, Reach reach,
                           Taken& taken, Problems& problems) {
  if (const auto name = parse_name(entry.key); !name) problems.add(entry.place, name.error().text);
  Datacenter out;
  out.name = entry.key;
  Fields fields(entry.value, "datacenter " + in_quotes(entry.key), entry.place, problems);
  fields.require("peers", "peers: ws://127.0.0.1:7400");
  fields.require("clients", "clients: 127.0.0.1:8080");
  out.peers = read_address(fields, "peers", Scheme::kWebSocket, reach, out.name, taken, problems);
  out.clients =
      read_address(fields, "clients", Scheme::kForbidden, reach, out.name, taken, problems);
  out.priority =
      static_cast<int>(fields.integer("priority", -kHighestPriority, kHighestPriority).value_or(0));
  out.key_slot = static_cast<uint8_t>(
      fields.integer("key_slot", 0, NewKeys::kSlots - 1).value_or(key_slot_of(out.name)));
  read_database(fields, folder, out, problems);
  fields.finish();
  return out;
}

}  // namespace

DatacentersSection read_datacenters(Fields& file, const std::filesystem::path& folder, Reach reach,
                                    Problems& problems) {
  DatacentersSection out;
  file.require("datacenters", "datacenters: {tokyo: {…}}");
  const Node* node = file.find("datacenters");
  if (!node) return out;
  const FilePlace place = file.place("datacenters");
  const Fields reports_what_is_no_mapping(*node, "`datacenters`", place, problems);
  const bool readable = node->kind == Node::Kind::kMap || node->kind == Node::Kind::kNothing;
  if (readable && node->entries.empty()) {
    problems.add(place, "`datacenters` lists none: at least one is needed");
  }
  if (node->entries.size() > kDatacenters) {
    problems.add(node->entries[kDatacenters].place,
                 "more than " + std::to_string(kDatacenters) + " datacenters");
    return out;
  }
  Taken taken;
  std::vector<FilePlace> places;
  for (const auto& entry : node->entries) {
    out.names.push_back(entry.key);
    places.push_back(entry.place);
    out.list.push_back(read_datacenter(entry, folder, reach, taken, problems));
  }
  check_key_slots(out.list, places, problems);
  return out;
}

bool refers_to_datacenter(const Word& word, std::span<const std::string> datacenters,
                          Problems& problems) {
  if (datacenters.empty()) return true;
  if (std::find(datacenters.begin(), datacenters.end(), word.text) != datacenters.end()) {
    return true;
  }
  problems.add(word.place, in_quotes(word.text) + " is not a datacenter of this file",
               problems.full() ? "" : nearest(word.text, datacenters));
  return false;
}

}  // namespace entente
