#include "gateway/api/introduction.h"

#include "gateway/encoding/json.h"
#include "gateway/replica/handshake.h"

namespace entente {
namespace {

Hello hello_of(const Config& config, const std::string& dc) {
  Hello hello;
  hello.cluster = config.cluster;
  hello.dc = dc;
  hello.topology = topology_fingerprint(config);
  return hello;
}

}  // namespace

std::string introduction_of(const Config& config, const std::string& dc) {
  const Hello mine = hello_of(config, dc);
  JsonWriter out;
  out.begin_object().key("protocol").unsigned_integer(mine.protocol);
  out.member("cluster", mine.cluster).member("dc", mine.dc).member("topology", mine.topology);
  return out.end_object().take();
}

Result<void> check_introduction(const Site& site, const std::optional<std::string>& header,
                                Agreement needed) {
  std::string text = header.value_or("");
  const auto json = parse_json(text);
  if (!json) return fail(Code::kMismatch, "only gateways ask here; applications have another port");
  Hello theirs;
  const Json* protocol = json->find("protocol");
  const bool known = protocol != nullptr && protocol->integer() != nullptr;
  theirs.protocol = known ? static_cast<uint32_t>(*protocol->integer()) : 0;
  theirs.cluster = text_of(*json, "cluster");
  theirs.dc = text_of(*json, "dc");
  theirs.topology = text_of(*json, "topology");
  const Hello mine = hello_of(site.config, site.dc);
  return needed == Agreement::kCluster ? check_cluster(mine, theirs)
                                       : check_asker(mine, theirs, site.graph);
}

std::string introduced_dc(const std::optional<std::string>& header) {
  std::string text = header.value_or("");
  const auto json = parse_json(text);
  return json ? text_of(*json, "dc") : "";
}

}  // namespace entente
