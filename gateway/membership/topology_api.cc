#include "gateway/membership/topology_api.h"

#include <algorithm>

#include "gateway/api/row_json.h"
#include "gateway/encoding/json.h"
#include "gateway/http/problem.h"
#include "gateway/membership/topology_epochs.h"

namespace entente {
namespace {

void write_names(JsonWriter& out, std::string_view key, const std::vector<std::string>& names) {
  out.key(key).begin_array();
  for (const auto& name : names) out.string(name);
  out.end_array();
}

void write_links(JsonWriter& out, std::string_view key, const TopologyChange::Links& links) {
  out.key(key).begin_array();
  for (const auto& [a, b] : links) out.begin_array().string(a).string(b).end_array();
  out.end_array();
}

void write_change(JsonWriter& out, const TopologyChange& change) {
  out.key("change").begin_object();
  write_names(out, "added", change.added);
  write_names(out, "removed", change.removed);
  write_links(out, "links_added", change.links_added);
  write_links(out, "links_removed", change.links_removed);
  out.member("shape", change.shape)
      .member("leader", change.leader)
      .key("other")
      .boolean(change.other)
      .end_object();
}

std::vector<std::string> names_in(const Json& body, std::string_view key) {
  std::vector<std::string> names;
  const Json* list = body.find(key);
  const auto* array = list != nullptr ? list->array() : nullptr;
  for (size_t i = 0; array != nullptr && i < array->size(); ++i) {
    if (const auto* name = (*array)[i].string()) names.push_back(*name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

bool flag_in(const Json& body, std::string_view key) {
  const Json* flag = body.find(key);
  return flag != nullptr && flag->boolean() != nullptr && *flag->boolean();
}

std::optional<uint64_t> number_in(const Json& body, std::string_view key) {
  const Json* number = body.find(key);
  if (number == nullptr || number->integer() == nullptr || *number->integer() < 0) return {};
  return static_cast<uint64_t>(*number->integer());
}

std::string listed(const std::vector<std::string>& names) {
  std::string out;
  for (const auto& name : names) out += (out.empty() ? "" : ", ") + name;
  return out;
}

// Without a file, all that can change is who leads.
Result<void> check_leader(const Config& now, const TopologyEpoch& proposal, bool has_file) {
  if (!has_file && proposal.leader.empty()) {
    return fail(Code::kInvalid, "the body needs \"yaml\", a topology file, or \"leader\"",
                "bad_topology");
  }
  if (has_file || now.find(proposal.leader) != nullptr) return {};
  return fail(Code::kInvalid, "there is no datacenter " + proposal.leader + " in this cluster",
              "bad_topology");
}

Response refused(const Error& error) {
  return problem(error.code == Code::kInvalid ? 400 : 409, error.tag, error.text);
}

}  // namespace

void TopologyApi::add_to(Router& people) {
  people.add(Method::kPost, "/v1/topology", "operations", Right::kAdmin,
             [this](RoutedRequest r) { return change(std::move(r)); });
}

Task<Response> TopologyApi::change(RoutedRequest routed) {
  static constexpr std::string_view kMembers[] = {"yaml", "leader", "plan", "remove", "epoch"};
  const auto body = parse_json(routed.request.body);
  if (!body) co_return problem(body.error());
  if (auto ok = only_members(*body, kMembers); !ok) co_return problem(ok.error());
  const Config& now = site_.config;
  const uint64_t epoch = now.epoch + 1;
  if (number_in(*body, "epoch").value_or(now.epoch) != now.epoch) {
    co_return problem(409, "topology_moved",
                      "the topology in force is epoch " + std::to_string(now.epoch));
  }
  TopologyEpoch proposal{epoch, text_of(*body, "yaml")};
  proposal.leader = text_of(*body, "leader");
  if (auto ok = check_leader(now, proposal, body->find("yaml") != nullptr); !ok) {
    co_return refused(ok.error());
  }
  if (body->find("yaml") == nullptr) proposal.yaml = mine_().yaml;
  const auto next = read_proposal(now, proposal);
  if (!next) co_return refused(next.error());
  const auto difference = entente::difference(now, *next);
  if (const auto named = names_in(*body, "remove"); named != difference.removed) {
    co_return problem(
        409, "topology_refused",
        "it leaves out " + (difference.removed.empty() ? "nobody" : listed(difference.removed)) +
            ", and what was to be removed is " + (named.empty() ? "nobody" : listed(named)));
  }
  const bool applies = !flag_in(*body, "plan") && !difference.empty();
  if (applies) {
    if (!adopt_) co_return problem(409, "topology_refused", "this gateway keeps no topology");
    const auto done = adopt_(std::move(proposal));
    if (!done) co_return refused(done.error());
  }
  JsonWriter out;
  out.begin_object().key("epoch").unsigned_integer(applies ? epoch : now.epoch);
  write_change(out, difference);
  out.key("applied").boolean(applies).end_object();
  Response response;
  response.body = out.take();
  co_return response;
}

// Whoever has the later one gives it to the other.
Task<Response> TopologyApi::answer_gateway(RoutedRequest routed) {
  std::string text = std::move(routed.request.body);
  const auto said = parse_topology_news(text);
  if (!said) co_return problem(said.error());
  if (!adopt_) co_return problem(404, "no_topology", "this gateway keeps no topology");
  TopologyNewsItem mine = mine_();
  mine.sealed = site_.store.applied();
  for (auto point : said->histories) {
    point.seq = std::min(point.seq, mine.sealed->at(point.origin));
    const auto chain = site_.store.database().chain_at(point.origin, point.seq);
    point.chain = chain ? chain->value_or(std::array<uint8_t, 16>{}) : std::array<uint8_t, 16>{};
    mine.histories.push_back(point);
  }
  if (comes_after(said->epoch, said->fingerprint, mine.epoch, mine.fingerprint)) {
    TopologyEpoch news = epoch_of(*said, site_.config);
    news.sealed.reset();
    (void)adopt_(std::move(news));
  }
  Response response;
  response.body = write_topology_news(mine);
  co_return response;
}

}  // namespace entente
