#include "gateway/membership/topology_news_item.h"

#include <utility>

#include "conflict/context.h"
#include "conflict/hex.h"
#include "gateway/encoding/json.h"
#include "gateway/membership/data_folder.h"
#include "gateway/replica/messages.h"

namespace entente {
namespace {

void write_points(JsonWriter& out, const std::vector<ChainPoint>& points) {
  out.key("histories").begin_array();
  for (const auto& p : points) {
    out.begin_array().string(to_hex(p.origin)).unsigned_integer(p.seq);
    out.string(to_hex(Origin{p.chain})).end_array();
  }
  out.end_array();
}

Result<std::vector<ChainPoint>> read_points(const Json& json) {
  const auto* list = json.array();
  if (list == nullptr || list->size() > kMostOrigins) {
    return fail(Code::kInvalid, "\"histories\" must be a list of at most " +
                                    std::to_string(kMostOrigins) + " points");
  }
  std::vector<ChainPoint> points;
  for (const auto& one : *list) {
    const auto* parts = one.array();
    const bool good = parts != nullptr && parts->size() == 3 && (*parts)[0].string() != nullptr &&
                      (*parts)[1].integer() != nullptr && *(*parts)[1].integer() >= 0 &&
                      (*parts)[2].string() != nullptr;
    const auto origin = good ? parse_origin(*(*parts)[0].string()) : std::nullopt;
    const auto chain = good ? parse_origin(*(*parts)[2].string()) : std::nullopt;
    if (!origin || !chain) return fail(Code::kInvalid, "a point of a history is malformed");
    points.push_back({*origin, static_cast<uint64_t>(*(*parts)[1].integer()), chain->id});
  }
  return points;
}

}  // namespace

std::string write_topology_news(const TopologyNewsItem& item) {
  JsonWriter out;
  out.begin_object().key("epoch").unsigned_integer(item.epoch);
  out.member("fingerprint", item.fingerprint).member("yaml", item.yaml);
  out.member("leader", item.leader);
  if (!item.histories.empty()) write_points(out, item.histories);
  out.member("incarnation", to_hex(item.incarnation));
  if (item.sealed) out.member("sealed", session_token(*item.sealed));
  out.end_object();
  return out.take();
}

Result<TopologyNewsItem> parse_topology_news(std::string& json) {
  const auto body = parse_json(json);
  const Json* epoch = body ? body->find("epoch") : nullptr;
  if (epoch == nullptr || epoch->integer() == nullptr || *epoch->integer() < 0) {
    return fail(Code::kInvalid, "this says nothing of a topology");
  }
  TopologyNewsItem item;
  item.epoch = static_cast<uint64_t>(*epoch->integer());
  item.fingerprint = text_of(*body, "fingerprint");
  item.yaml = text_of(*body, "yaml");
  item.leader = text_of(*body, "leader");
  if (const Json* points = body->find("histories")) {
    auto read = read_points(*points);
    if (!read) return tl::unexpected(read.error());
    item.histories = std::move(*read);
  }
  item.incarnation = parse_origin(text_of(*body, "incarnation")).value_or(Origin{});
  if (body->find("sealed") == nullptr) return item;
  auto sealed = parse_session_token(text_of(*body, "sealed"));
  if (!sealed) return tl::unexpected(sealed.error());
  item.sealed = std::move(*sealed);
  return item;
}

}  // namespace entente
