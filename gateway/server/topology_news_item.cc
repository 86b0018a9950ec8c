#include "gateway/server/topology_news_item.h"

#include <utility>

#include "conflict/context.h"
#include "conflict/hex.h"
#include "gateway/server/data_folder.h"
#include "gateway/server/json.h"

namespace entente {

std::string write_topology_news(const TopologyNewsItem& item) {
  JsonWriter out;
  out.begin_object().key("epoch").unsigned_integer(item.epoch);
  out.member("fingerprint", item.fingerprint).member("yaml", item.yaml);
  out.member("leader", item.leader);
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
  item.incarnation = parse_origin(text_of(*body, "incarnation")).value_or(Origin{});
  if (body->find("sealed") == nullptr) return item;
  auto sealed = parse_session_token(text_of(*body, "sealed"));
  if (!sealed) return tl::unexpected(sealed.error());
  item.sealed = std::move(*sealed);
  return item;
}

}  // namespace entente
