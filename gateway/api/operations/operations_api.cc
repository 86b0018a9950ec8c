#include "gateway/api/operations/operations_api.h"

#include <algorithm>
#include <cmath>

#include "gateway/api/operations/standing.h"
#include "gateway/async/wall_clock.h"
#include "gateway/encoding/json.h"
#include "gateway/http/problem.h"
#include "gateway/store/store_calls.h"
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

// ---- /v1/status --------------------------------------------------------------------------------

struct Verdict {
  bool healthy = true;
  std::string sentence;
};

// What is seen at one moment, and outlives the Sight made of it.
struct Seen {
  PeersView peers;
  Store::Counters store;
};

Sight sight_of(const Site& site, const Seen& seen) {
  return {site.config,           site.dc,  seen.peers, site.store.opened().self,
          seen.store.last_stamp, wall_ms()};
}

// One that is up again has yet to prove itself; that says nothing, unless it was lost often.
std::string links_that_are_down(const PeersView& view) {
  constexpr uint64_t kOften = 3;
  std::string down;
  for (const auto& link : view.links) {
    const bool up =
        is_up(link.state) && (link.state != LinkState::kUnsteady || link.losses < kOften);
    if (!up && !link.spare) down += (down.empty() ? "" : ", ") + link.peer;
  }
  return down;
}

Verdict judge_health(const Site& site, const Seen& seen, const VerifyApi::Counts& verified,
                     bool catching_up, const std::string& not_replaced) {
  const auto& [view, counters] = seen;
  if (!not_replaced.empty()) {
    return {false, site.dc + " serves its clients; its database has to be replaced by a copy: " +
                       not_replaced + "."};
  }
  if (catching_up) {
    uint64_t behind = 0;
    for (const auto& origin : view.origins) behind += origin.known - origin.applied;
    return {false, site.dc + " has a copy of its database and catches up before it serves: " +
                       std::to_string(behind) + " transactions are known of and not here yet."};
  }
  if (counters.disk_full) return {false, "The disk is full: writes are refused, reads go on."};
  const std::string down = links_that_are_down(view);
  if (!down.empty()) {
    const char* const waits =
        site.config.topology.reroute ? "." : "; nothing is rerouted around it.";
    return {false, site.dc + " serves its clients; it has no link to " + down + waits};
  }
  if (const auto refused = refused_changes(sight_of(site, seen)); !refused.empty()) {
    return {false, site.dc + " serves its clients; " + refused + "."};
  }
  if (clock_ahead(sight_of(site, seen)) || runs_ahead(sight_of(site, seen))) {
    return {false, site.dc +
                       " serves its clients; its peers do not accept its changes yet, "
                       "because its clock runs or ran ahead."};
  }
  if (!counters.left_out.empty()) {
    const LeftOut& first = counters.left_out.front();
    return {false, site.dc +
                       " serves its clients; a schema change could not be made here, and what "
                       "it makes is missing: " +
                       first.sql + ": " + first.why +
                       ". It is tried again after the next schema change, and at the next start."};
  }
  if (counters.foreign_writes > 0) {
    return {false, site.dc +
                       " serves its clients; another process has written to its database, and what "
                       "it changed is not replicated."};
  }
  if (verified.different > 0) {
    return {false, site.dc + " serves its clients; when it was last compared, " +
                       std::to_string(verified.different) +
                       " of its rows differed from another datacenter's: see entente verify."};
  }
  return {true, site.dc + " serves its clients and is linked with all its neighbours."};
}

void write_standing(JsonWriter& out, const Sight& sight, const std::string& dc) {
  const auto standing = standing_of(sight, dc);
  out.begin_object().member("dc", dc).key("self").boolean(dc == sight.dc);
  out.member("link", standing.link).member("reason", standing.reason);
  out.member("route", standing.route).member("preferred", standing.preferred);
  out.member("route_reason", standing.detour);
  out.key("lag_seconds").real(standing.lag_seconds);
  out.key("behind").unsigned_integer(standing.behind).key("unacknowledged");
  standing.unacknowledged ? out.unsigned_integer(*standing.unacknowledged) : out.null();
  out.key("round_trip_ms");
  standing.round_trip_ms ? out.real(*standing.round_trip_ms) : out.null();
  out.end_object();
}

void write_clock(JsonWriter& out, const Sight& sight) {
  const auto ahead = clock_ahead(sight);
  out.key("clock").begin_object();
  out.key("max_drift_ms").integer(sight.config.max_clock_drift.count());
  out.key("ahead_seconds").real(ahead ? ahead->seconds : 0).key("accepted_again_ms");
  ahead ? out.unsigned_integer(ahead->accepted_again_ms) : out.null();
  out.end_object();
}

// `records`: those of the log that somebody may still need.
void write_log(JsonWriter& out, const Sight& sight) {
  const auto& view = sight.peers;
  out.key("log").begin_object().key("head").unsigned_integer(view.log_head);
  out.key("needed_after").unsigned_integer(view.log_needed_after);
  out.key("records").unsigned_integer(view.log_head - view.log_needed_after);
  out.member("reason", log_reason(sight)).key("kept_for").begin_array();
  for (const auto& holder : log_holders(sight)) {
    out.begin_object().member("dc", holder.dc).key("heard").boolean(holder.heard);
    out.key("behind").unsigned_integer(holder.behind).end_object();
  }
  out.end_array().end_object();
}

// ---- One link, one origin: in /v1/status and /v1/links -----------------------------------------

void write_vector(JsonWriter& out, const VersionVector& vector) {
  out.begin_object();
  for (const auto& [origin, seq] : vector) out.key(to_hex(origin)).unsigned_integer(seq);
  out.end_object();
}

void write_rates(JsonWriter& out, const LinkView& link) {
  out.key("sent_bytes_per_second").real(link.sent_bytes_rate);
  out.key("received_bytes_per_second").real(link.received_bytes_rate);
  out.key("sent_changes_per_second").real(link.sent_changes_rate);
  out.key("received_changes_per_second").real(link.received_changes_rate);
}

void write_traffic(JsonWriter& out, const Replica::LinkStatus& t) {
  out.key("sent_log_position").unsigned_integer(t.unsent_after);
  out.key("log_head").unsigned_integer(t.log_head).key("credit_bytes").integer(t.credit);
  out.key("sent_transactions").unsigned_integer(t.sent_transactions);
  out.key("received_transactions").unsigned_integer(t.received_transactions);
  out.key("duplicates").unsigned_integer(t.duplicates);
  out.key("sent_bytes").unsigned_integer(t.sent_bytes);
  out.key("received_bytes").unsigned_integer(t.received_bytes);
  out.key("held").unsigned_integer(t.held).key("held_bytes").unsigned_integer(t.held_bytes);
}

void write_link(JsonWriter& out, const LinkView& link) {
  out.begin_object().member("peer", link.peer).member("state", to_string(link.state));
  out.key("losses").unsigned_integer(link.losses);
  out.key("spare").boolean(link.spare);
  out.member("reason", link.reason).key("since_ms").unsigned_integer(link.since_ms);
  out.member("refusal", link.refusal).key("refused_seconds_ago");
  link.refused_seconds_ago ? out.real(*link.refused_seconds_ago) : out.null();
  out.key("round_trip_ms").real(link.round_trip_ms);
  out.key("clock_offset_ms").real(link.clock_offset_ms);
  write_rates(out, link);
  write_traffic(out, link.traffic);
  out.key("applied");
  write_vector(out, link.traffic.applied);
  out.end_object();
}

void write_origin(JsonWriter& out, const Sight& sight, const Replica::OriginStatus& origin) {
  out.begin_object().member("origin", to_hex(origin.origin)).member("dc", origin.dc);
  out.key("applied").unsigned_integer(origin.applied);
  out.key("known").unsigned_integer(origin.known);
  out.key("behind").unsigned_integer(origin.known - std::min(origin.known, origin.applied));
  out.key("lag_seconds").real(lag_seconds(sight, origin));
  out.key("last_change_ms").unsigned_integer(origin.hlc.unix_ms());
  out.member("upstream", origin.upstream).member("preferred", origin.preferred);
  out.member("route_reason", detour_reason(sight, origin));
  out.key("held").unsigned_integer(origin.held);
  out.key("held_bytes").unsigned_integer(origin.held_bytes).end_object();
}

void write_links_and_origins(JsonWriter& out, const Sight& sight) {
  out.key("links").begin_array();
  for (const auto& link : sight.peers.links) write_link(out, link);
  out.end_array().key("origins").begin_array();
  for (const auto& origin : sight.peers.origins) write_origin(out, sight, origin);
  out.end_array();
}

Task<Response> get_status(const Operations& operations) {
  const Site& site = operations.site;
  CallbackCall<PeersView> call(site.loop, site.view);
  Seen seen;
  seen.peers = co_await call;
  seen.store = site.store.counters();
  const Sight sight = sight_of(site, seen);
  const auto verified = operations.verified();
  const auto verdict =
      judge_health(site, seen, verified, operations.catching_up(), operations.not_replaced());
  const auto up = std::chrono::steady_clock::now() - operations.started;
  JsonWriter out;
  out.begin_object().member("verdict", verdict.sentence).key("healthy").boolean(verdict.healthy);
  out.member("cluster", site.config.cluster).member("dc", site.dc).member("version", kVersion);
  out.member("incarnation", to_hex(site.store.opened().self));
  out.member("rejoined", operations.rejoined);
  out.key("uptime_seconds").real(std::floor(std::chrono::duration<double>(up).count()));
  out.key("disk_full").boolean(seen.store.disk_full);
  out.key("foreign_writes").unsigned_integer(seen.store.foreign_writes);
  out.key("schema_changes_left_out").unsigned_integer(seen.store.left_out.size());
  out.key("differing_rows").unsigned_integer(verified.different);
  out.key("reroute").boolean(site.config.topology.reroute).key("notes").begin_array();
  for (const auto& note : notes(sight)) out.string(note);
  out.end_array().key("datacenters").begin_array();
  for (const auto& datacenter : site.config.datacenters) {
    write_standing(out, sight, datacenter.name);
  }
  out.end_array();
  write_clock(out, sight);
  write_log(out, sight);
  write_links_and_origins(out, sight);
  out.end_object();
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
  out.key("epoch").unsigned_integer(site.config.epoch);
  out.member("schema_leader", site.config.schema_leader);
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

Task<Response> get_links(const Site& site) {
  CallbackCall<PeersView> call(site.loop, site.view);
  Seen seen;
  seen.peers = co_await call;
  seen.store = site.store.counters();
  const auto& view = seen.peers;
  JsonWriter out;
  out.begin_object();
  write_links_and_origins(out, sight_of(site, seen));
  out.key("members").begin_array();
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
  Seen seen;
  seen.peers = co_await call;
  std::function<void(Reader&)> job = [&](Reader& r) {
    now.open_conflicts = count_open_conflicts(r);
  };
  ReadCall counting(site.store, site.loop, std::move(job));
  co_await counting;
  seen.store = site.store.counters();
  const Sight sight = sight_of(site, seen);
  now.sight = &sight;
  now.store = seen.store;
  now.connections = operations.connections();
  now.streams = operations.streams.streams;
  now.schema_forwarded = operations.streams.forwarded;
  now.feeds = operations.feeds();
  now.verified = operations.verified();
  now.tls = site.config.tls.live.get();
  Response response = text_response(200, operations.metrics.render(now));
  response.content_type = "text/plain; version=0.0.4";
  co_return response;
}

Task<Response> get_livez() { co_return text_response(200, "ok\n"); }

// A gateway that can answer has its database open and its links started: partitioned or with a full
// disk it still serves. Not so one that got a copy of its database and is not level yet.
Task<Response> get_readyz(const Operations& operations) {
  if (!operations.catching_up()) co_return text_response(200, "ready\n");
  co_return text_response(503, "catching up\n");
}

Task<Response> get_root(const Site& site) {
  co_return text_response(200, "Entente, datacenter " + site.dc + " of cluster " +
                                   site.config.cluster +
                                   R"(

  rows          GET PUT PATCH DELETE /v1/tables/{table}/rows/{key}
  transactions  POST /v1/transactions
  SQL           POST /v2/pipeline (Hrana: any libSQL client)
  conflicts     GET /v1/conflicts
  changes       GET /v1/changes
  operations    GET /v1/status /v1/topology /v1/links /metrics /livez /readyz
  comparison    POST GET /v1/verify
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
