#include "gateway/server/operations_api.h"

#include <algorithm>
#include <cmath>

#include "gateway/server/json.h"
#include "gateway/server/problem.h"
#include "gateway/server/store_calls.h"
#include "topology/scalars.h"

namespace entente {
namespace {

constexpr std::string_view kVersion = "0.1.0";
constexpr size_t kConflictsCounted = 1'000;

Response json_response(JsonWriter& out) {
  Response response;
  response.body = out.take();
  return response;
}

Response text_response(std::string text) {
  Response response;
  response.content_type = "text/plain";
  response.body = std::move(text);
  return response;
}

// ---- How far the others are --------------------------------------------------------------------

double now_seconds() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

// One datacenter as this gateway sees it.
struct Standing {
  std::string link = "none";  // up | connecting | refused | none
  std::string reason;
  double lag_seconds = 0;  // age of the last change here, of an origin that has more
  uint64_t behind = 0;     // its transactions known of and not applied here
  std::optional<uint64_t> unacknowledged;  // ours that it has not said it applied
  std::optional<double> round_trip_ms;
};

void look_at_link(const std::vector<LinkView>& links, const std::string& dc, Standing& standing) {
  for (const auto& link : links) {
    if (link.peer != dc) continue;
    standing.link = link.state;
    standing.reason = link.reason;
    if (link.state == "up") standing.round_trip_ms = link.round_trip_ms;
  }
}

void look_at_origins(const std::vector<Replica::OriginStatus>& origins, const std::string& dc,
                     Standing& standing) {
  for (const auto& origin : origins) {
    if (origin.dc != dc || origin.known <= origin.applied) continue;
    standing.behind += origin.known - origin.applied;
    const double age = now_seconds() - static_cast<double>(origin.hlc.unix_ms()) / 1000;
    standing.lag_seconds = std::max({standing.lag_seconds, age, 0.0});
  }
}

Standing standing_of(const Site& site, const PeersView& view, const std::string& dc) {
  Standing standing;
  look_at_link(view.links, dc, standing);
  look_at_origins(view.origins, dc, standing);
  const Origin& self = site.store.opened().self;
  const uint64_t ours = site.store.applied().at(self);
  for (const auto& member : view.members) {
    if (member.dc == dc && dc != site.dc) {
      standing.unacknowledged = ours - std::min(ours, member.applied.at(self));
    }
  }
  return standing;
}

// ---- /v1/status --------------------------------------------------------------------------------

struct Verdict {
  bool healthy = true;
  std::string sentence;
};

Verdict judge_health(const Site& site, const PeersView& view, const Store::Counters& counters,
                     bool catching_up) {
  if (catching_up) {
    uint64_t behind = 0;
    for (const auto& origin : view.origins) behind += origin.known - origin.applied;
    return {false, site.dc + " has a copy of its database and catches up before it serves: " +
                       std::to_string(behind) + " transactions are known of and not here yet."};
  }
  if (counters.disk_full) return {false, "The disk is full: writes are refused, reads go on."};
  std::string down;
  for (const auto& link : view.links) {
    if (link.state != "up" && !link.spare) down += (down.empty() ? "" : ", ") + link.peer;
  }
  if (!down.empty()) {
    const char* const waits =
        site.config.topology.reroute ? "." : "; nothing is rerouted around it.";
    return {false, site.dc + " serves its clients; it has no link to " + down + waits};
  }
  if (counters.foreign_writes > 0) {
    return {false, site.dc +
                       " serves its clients; another process has written to its database, and what "
                       "it changed is not replicated."};
  }
  return {true, site.dc + " serves its clients and is linked with all its neighbours."};
}

void write_standing(JsonWriter& out, const Site& site, const PeersView& view,
                    const std::string& dc) {
  const auto standing = standing_of(site, view, dc);
  out.begin_object().member("dc", dc).key("self").boolean(dc == site.dc);
  out.member("link", standing.link).member("reason", standing.reason);
  out.key("lag_seconds").real(standing.lag_seconds);
  out.key("behind").unsigned_integer(standing.behind).key("unacknowledged");
  standing.unacknowledged ? out.unsigned_integer(*standing.unacknowledged) : out.null();
  out.key("round_trip_ms");
  standing.round_trip_ms ? out.real(*standing.round_trip_ms) : out.null();
  out.end_object();
}

Task<Response> get_status(const Operations& operations) {
  const Site& site = operations.site;
  CallbackCall<PeersView> call(site.loop, site.view);
  const auto view = co_await call;
  const auto counters = site.store.counters();
  const auto verdict = judge_health(site, view, counters, operations.catching_up());
  const auto up = std::chrono::steady_clock::now() - operations.started;
  JsonWriter out;
  out.begin_object().member("verdict", verdict.sentence).key("healthy").boolean(verdict.healthy);
  out.member("cluster", site.config.cluster).member("dc", site.dc).member("version", kVersion);
  out.member("incarnation", to_hex(site.store.opened().self));
  out.key("uptime_seconds").real(std::floor(std::chrono::duration<double>(up).count()));
  out.key("disk_full").boolean(counters.disk_full);
  out.key("foreign_writes").unsigned_integer(counters.foreign_writes);
  out.key("datacenters").begin_array();
  for (const auto& datacenter : site.config.datacenters) {
    write_standing(out, site, view, datacenter.name);
  }
  out.end_array().end_object();
  co_return json_response(out);
}

// ---- /v1/topology ------------------------------------------------------------------------------

void write_links(JsonWriter& out, const Graph& graph) {
  out.key("links").begin_array();
  for (const auto& dc : graph.datacenters()) {
    for (const auto& neighbour : graph.neighbours(dc)) {
      if (dc < neighbour) out.begin_array().string(dc).string(neighbour).end_array();
    }
  }
  out.end_array();
}

void write_upstreams(JsonWriter& out, const Site& site, const PeersView& view) {
  out.key("upstreams").begin_array();
  for (const auto& origin : view.origins) {
    const auto preferred = site.graph.upstream(site.dc, origin.dc);
    out.begin_object().member("dc", origin.dc).member("origin", to_hex(origin.origin));
    out.member("preferred", preferred.value_or("")).member("now", origin.upstream).end_object();
  }
  out.end_array();
}

Task<Response> get_topology(const Site& site) {
  CallbackCall<PeersView> call(site.loop, site.view);
  const auto view = co_await call;
  JsonWriter out;
  out.begin_object().member("cluster", site.config.cluster).member("dc", site.dc);
  out.member("kind", to_string(site.config.topology.kind)).key("datacenters").begin_array();
  for (const auto& datacenter : site.config.datacenters) out.string(datacenter.name);
  out.end_array();
  out.key("clients").begin_object();
  for (const auto& datacenter : site.config.datacenters) {
    out.member(datacenter.name, format_endpoint(datacenter.clients));
  }
  out.end_object();
  write_links(out, site.graph);
  write_upstreams(out, site, view);
  out.end_object();
  co_return json_response(out);
}

// ---- /v1/links ---------------------------------------------------------------------------------

void write_vector(JsonWriter& out, const VersionVector& vector) {
  out.begin_object();
  for (const auto& [origin, seq] : vector) out.key(to_hex(origin)).unsigned_integer(seq);
  out.end_object();
}

void write_link(JsonWriter& out, const LinkView& link) {
  const auto& t = link.traffic;
  out.begin_object().member("peer", link.peer).member("state", link.state);
  out.key("spare").boolean(link.spare);
  out.member("reason", link.reason).key("since_ms").unsigned_integer(link.since_ms);
  out.key("round_trip_ms").real(link.round_trip_ms);
  out.key("clock_offset_ms").real(link.clock_offset_ms);
  out.key("sent_log_position").unsigned_integer(t.unsent_after);
  out.key("log_head").unsigned_integer(t.log_head).key("credit_bytes").integer(t.credit);
  out.key("sent_transactions").unsigned_integer(t.sent_transactions);
  out.key("received_transactions").unsigned_integer(t.received_transactions);
  out.key("duplicates").unsigned_integer(t.duplicates);
  out.key("sent_bytes").unsigned_integer(t.sent_bytes);
  out.key("received_bytes").unsigned_integer(t.received_bytes).key("applied");
  write_vector(out, t.applied);
  out.end_object();
}

void write_origin(JsonWriter& out, const Replica::OriginStatus& origin) {
  out.begin_object().member("origin", to_hex(origin.origin)).member("dc", origin.dc);
  out.key("applied").unsigned_integer(origin.applied);
  out.key("known").unsigned_integer(origin.known);
  out.key("last_change_ms").unsigned_integer(origin.hlc.unix_ms());
  out.member("upstream", origin.upstream).member("preferred", origin.preferred);
  out.key("held").unsigned_integer(origin.held);
  out.key("held_bytes").unsigned_integer(origin.held_bytes).end_object();
}

Task<Response> get_links(const Site& site) {
  CallbackCall<PeersView> call(site.loop, site.view);
  const auto view = co_await call;
  JsonWriter out;
  out.begin_object().key("links").begin_array();
  for (const auto& link : view.links) write_link(out, link);
  out.end_array().key("origins").begin_array();
  for (const auto& origin : view.origins) write_origin(out, origin);
  out.end_array().key("members").begin_array();
  for (const auto& member : view.members) {
    out.begin_object().member("dc", member.dc);
    out.member("incarnation", to_hex(member.incarnation)).key("applied");
    write_vector(out, member.applied);
    out.key("promised");
    write_vector(out, member.promise.floor);
    out.end_object();
  }
  out.end_array().key("applied");
  write_vector(out, view.applied);
  out.key("stable");
  write_vector(out, view.stable);
  out.key("collectable");
  write_vector(out, view.collectable);
  out.key("held_bytes").unsigned_integer(view.held_bytes).end_object();
  co_return json_response(out);
}

// ---- /metrics, /livez, /readyz, / --------------------------------------------------------------

size_t count_open_conflicts(Reader& reader) {
  ConflictQuery query;
  query.state = ConflictQuery::State::kOpen;
  query.limit = kConflictsCounted;
  const auto entries = reader.conflicts(query);
  return entries ? entries->size() : 0;
}

Task<Response> get_metrics(const Operations& operations) {
  const Site& site = operations.site;
  Metrics::Now now;
  CallbackCall<PeersView> call(site.loop, site.view);
  now.peers = co_await call;
  std::function<void(Reader&)> job = [&](Reader& r) {
    now.open_conflicts = count_open_conflicts(r);
  };
  ReadCall counting(site.store, site.loop, std::move(job));
  co_await counting;
  now.store = site.store.counters();
  for (const auto& dc : site.config.datacenters) {
    if (dc.name == site.dc) continue;
    now.lag_seconds[dc.name] = standing_of(site, now.peers, dc.name).lag_seconds;
  }
  now.connections = operations.connections();
  now.streams = operations.streams.streams;
  now.schema_forwarded = operations.streams.forwarded;
  now.feeds = operations.feeds();
  Response response = text_response(operations.metrics.render(now));
  response.content_type = "text/plain; version=0.0.4";
  co_return response;
}

Task<Response> get_livez() { co_return text_response("ok\n"); }

// A gateway that can answer has its database open and its links started: partitioned or with a full
// disk it still serves. Not so one that got a copy of its database and is not level yet.
Task<Response> get_readyz(const Operations& operations) {
  if (!operations.catching_up()) co_return text_response("ready\n");
  Response response = text_response("catching up\n");
  response.status = 503;
  co_return response;
}

Task<Response> get_root(const Site& site) {
  co_return text_response("Entente, datacenter " + site.dc + " of cluster " + site.config.cluster +
                          R"(

  rows          GET PUT PATCH DELETE /v1/tables/{table}/rows/{key}
  transactions  POST /v1/transactions
  SQL           POST /v2/pipeline (Hrana: any libSQL client)
  conflicts     GET /v1/conflicts
  changes       GET /v1/changes
  operations    GET /v1/status /v1/topology /v1/links /metrics /livez /readyz
)");
}

}  // namespace

void add_operations_api(Router& router, const Operations& operations) {
  const Site& site = operations.site;
  const auto add = [&](std::string_view path, RouteHandler handler) {
    router.add(Method::kGet, path, "operations", std::move(handler));
  };
  // POST, too: a request with a body that costs nothing but HTTP, to measure the others against.
  router.add(Method::kPost, "/livez", "operations", [](RoutedRequest) { return get_livez(); });
  add("/livez", [](RoutedRequest) { return get_livez(); });
  add("/readyz", [&operations](RoutedRequest) { return get_readyz(operations); });
  add("/health", [](RoutedRequest) { return get_livez(); });
  add("/metrics", [&operations](RoutedRequest) { return get_metrics(operations); });
  add("/v1/status", [&operations](RoutedRequest) { return get_status(operations); });
  add("/v1/topology", [&site](RoutedRequest) { return get_topology(site); });
  add("/v1/links", [&site](RoutedRequest) { return get_links(site); });
  add("/", [&site](RoutedRequest) { return get_root(site); });
}

}  // namespace entente
