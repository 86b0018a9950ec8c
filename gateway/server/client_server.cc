#include "gateway/server/client_server.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <set>

#include "conflict/context.h"
#include "gateway/api/changes/changes_api.h"
#include "gateway/api/conflicts/conflicts_api.h"
#include "gateway/api/introduction.h"
#include "gateway/api/late/unshipped_api.h"
#include "gateway/api/operations/operations_api.h"
#include "gateway/api/rows/increments_api.h"
#include "gateway/api/rows/rows_api.h"
#include "gateway/api/rows/transactions_api.h"
#include "gateway/api/session.h"
#include "gateway/api/sql/hrana_api.h"
#include "gateway/api/verify/verify_api.h"
#include "gateway/async/repeated_line.h"
#include "gateway/async/wall_clock.h"
#include "gateway/http/browser_rules.h"
#include "gateway/http/http_server.h"
#include "gateway/http/problem.h"
#include "gateway/membership/snapshot_api.h"
#include "gateway/transport/gateway_tls.h"

namespace entente {
namespace {

// A database that still has to be replaced is tried to be sooner (commands/serve).
constexpr std::chrono::minutes kAttemptCounts{2};
constexpr std::string_view kTopologyPath = "/v1/topology";

}  // namespace

struct ClientServer::Impl {
  Impl(const Config& config, const Graph& graph, std::string dc, Store& store, Peers& peers,
       Options o)
      : options(std::move(o)),
        browsers(config.cors, config.find(dc) != nullptr ? config.find(dc)->clients : Endpoint{}),
        server(config.limits),
        short_reads(store, server.executor()),
        site{config,
             graph,
             std::move(dc),
             store,
             short_reads,
             server.loop(),
             server.executor(),
             [&peers](std::function<void(PeersView)> done) { peers.view(std::move(done)); }},
        increments(site),
        sql(site, streams),
        changes(site),
        snapshots(site, options.copies,
                  [&peers](const std::string& by, auto done) { peers.copied_by(by, done); }),
        topology(site, options.topology, options.adopt_topology),
        unshipped(site, options.topology),
        verify(site),
        catching_up(options.catching_up),
        operations{site,
                   metrics,
                   [this] { return server.connections(); },
                   streams,
                   [this] { return changes.counts(); },
                   [this] { return verify.counts(); },
                   [this] { return catching_up.load(); },
                   [this] { return why_not_replaced(); },
                   options.rejoined} {
    add_rows_api(router, site);
    increments.add_to(router);
    add_transactions_api(router, site, unshipped);
    add_conflicts_api(router, site);
    changes.add_to(router);
    sql.add_to(router);
    add_operations_api(router, operations);
    topology.add_to(router);
    unshipped.add_to(router);
    verify.add_to(router);
  }

  // One other gateway's connection, and what its clients have open at this schema leader.
  struct Follower {
    // `certificate`: see PeerLink::certificate.
    Follower(Impl& server, std::shared_ptr<const PeerCertificate> certificate);
    ~Follower() { server.followers.erase(this); }
    Follower(const Follower&) = delete;
    Follower& operator=(const Follower&) = delete;

    // Whether it may still ask, as whom it says it is. kMismatch.
    Result<void> check_certificate(const std::optional<std::string>& introduction);
    Task<Response> lead(RoutedRequest routed);

    Impl& server;
    const std::shared_ptr<const PeerCertificate> certificate;
    std::shared_ptr<const TlsMaterial> checked;  // it agrees with it
    HranaApi sql;
    Router router;
  };

  std::shared_ptr<const HttpService> serve_follower(std::shared_ptr<const PeerCertificate> by);
  Task<Response> answer_follower(Follower& follower, Request request);
  Task<Response> answer_client(Request request);
  Task<Response> handle(const Router& by, Request request);
  void look_whether_caught_up();
  std::string why_not_replaced() {
    const std::lock_guard lock(not_replaced_mutex);
    return std::chrono::steady_clock::now() - not_replaced_at < kAttemptCounts ? not_replaced : "";
  }
  Task<Response> dispatch(const RouteHandler& handler, RoutedRequest routed);
  void append_headers(const Response& response, std::string& out) const;

  const Options options;
  const BrowserRules browsers;
  HttpServer server;
  ShortReads short_reads;
  const Site site;
  IncrementsApi increments;
  HranaStream::Counts streams;
  HranaApi sql;
  ChangesApi changes;
  SnapshotApi snapshots;
  TopologyApi topology;
  UnshippedApi unshipped;
  VerifyApi verify;
  std::atomic<bool> catching_up;
  std::atomic<bool> promising{false};  // … to refuse earlier contexts, when that is over
  std::mutex not_replaced_mutex;
  std::string not_replaced;
  std::chrono::steady_clock::time_point not_replaced_at;
  std::set<Follower*> followers;
  RepeatedLine refusals;  // of gateways' requests; the network thread's
  Metrics metrics;
  const Operations operations;
  Router router;
};

Task<Response> ClientServer::Impl::answer_client(Request request) {
  auto response = browsers.answer(request);
  const auto origin = request.origin;
  if (!response) {
    Task<Response> handling = handle(router, std::move(request));
    response = co_await handling;
  }
  browsers.permit(origin, *response);
  co_return std::move(*response);
}

Task<Response> ClientServer::Impl::handle(const Router& by, Request request) {
  const auto began = std::chrono::steady_clock::now();
  auto match = by.find(request.method, request.path);
  Response response = std::move(match.refusal);
  if (catching_up && match.family != "operations") {
    response = problem(503, "catching_up",
                       site.dc + " has a copy of its database and catches up before it serves");
  } else if (match.handler != nullptr) {
    RoutedRequest routed{std::move(request), std::move(match.parts)};
    Task<Response> dispatching = dispatch(*match.handler, std::move(routed));
    response = co_await dispatching;
  }
  metrics.observe(match.family, response.status, std::chrono::steady_clock::now() - began);
  co_return response;
}

// It has all that a neighbour has told us of: what that one knows as collected, this one does not
// hold any more. And clients must not come with contexts that the life before may have promised to
// refuse: what it had promised, all had applied.
void ClientServer::Impl::look_whether_caught_up() {
  if (!catching_up) return;
  site.view([this](const PeersView& view) {
    const bool level = std::any_of(view.links.begin(), view.links.end(), [&](const LinkView& link) {
      return is_up(link.state) && !link.traffic.applied.empty() &&
             view.applied.covers(link.traffic.applied);
    });
    if (!level || promising.exchange(true)) return;
    site.store.promise(view.applied, [this](const Result<void>& promised) {
      if (!promised) return promising.store(false);
      catching_up = false;
      spdlog::info("caught_up dc={}", site.dc);
      if (options.caught_up) options.caught_up();
    });
  });
}

// A handler that throws (memory ran out, a library surprised us) fails its request alone.
Task<Response> ClientServer::Impl::dispatch(const RouteHandler& handler, RoutedRequest routed) {
  try {
    if (routed.request.session) {
      Task<std::optional<Response>> waiting = wait_for_session(site, routed.request.session);
      auto refusal = co_await waiting;
      if (refusal) co_return std::move(*refusal);
    }
    Task<Response> handling = handler(std::move(routed));
    co_return co_await handling;
  } catch (const std::exception& e) {
    spdlog::error("request_failed reason=\"{}\"", e.what());
  }
  co_return problem(500, "internal", "the gateway failed to answer this request");
}

void ClientServer::Impl::append_headers(const Response& response, std::string& out) const {
  out += "\r\nEntente-Dc: ";
  out += site.dc;
  out += "\r\nEntente-Session: ";
  out += response.session.empty() ? session_token(site.store.applied()) : response.session;
  out += "\r\nX-Content-Type-Options: nosniff";
}

// ---- Other gateways ----------------------------------------------------------------------------

ClientServer::Impl::Follower::Follower(Impl& s, std::shared_ptr<const PeerCertificate> by)
    : server(s), certificate(std::move(by)), sql(s.site, s.streams) {
  router.add(Method::kPost, "/v3/pipeline", "schema",
             [this](RoutedRequest r) { return lead(std::move(r)); });
  router.add(Method::kPost, "/v1/snapshot", "snapshot",
             [this](RoutedRequest r) { return server.snapshots.answer(std::move(r)); });
  router.add(Method::kPost, kTopologyPath, "operations",
             [this](RoutedRequest r) { return server.topology.answer_gateway(std::move(r)); });
  router.add(Method::kPost, "/v1/unshipped", "operations",
             [this](RoutedRequest r) { return server.unshipped.answer_gateway(std::move(r)); });
  router.add(Method::kPost, "/v1/digest", "digest",
             [this](RoutedRequest r) { return server.verify.digest(std::move(r)); });
  server.followers.insert(this);
}

std::shared_ptr<const HttpService> ClientServer::Impl::serve_follower(
    std::shared_ptr<const PeerCertificate> by) {
  const auto follower = std::make_shared<Follower>(*this, std::move(by));
  HttpService service;
  service.handle = [this, follower](Request request) {
    return answer_follower(*follower, std::move(request));
  };
  service.append_headers = [this](const Response& response, std::string& out) {
    append_headers(response, out);
  };
  return std::make_shared<const HttpService>(std::move(service));
}

Result<void> ClientServer::Impl::Follower::check_certificate(
    const std::optional<std::string>& introduction) {
  const auto& live = server.site.config.tls.live;
  if (!live || !certificate) return {};
  const auto files = live->current();
  const bool changed = std::exchange(checked, files) != files;
  const bool over = static_cast<int64_t>(wall_ms() / 1000) >= certificate->ends;
  const auto welcome = changed || over
                           ? files->check_again(*certificate, TlsSession::Role::kAccepts)
                           : Result<void>{};
  return welcome.and_then(
      [&] { return check_claim(certificate.get(), introduced_dc(introduction)); });
}

// Only the schema leader answers: nothing is sent on twice.
Task<Response> ClientServer::Impl::Follower::lead(RoutedRequest routed) {
  const Site& site = server.site;
  if (site.config.schema_leader != site.dc) {
    co_return problem(403, "schema_leader",
                      site.dc + " is not the schema leader: its topology file names " +
                          site.config.schema_leader);
  }
  Task<Response> running = sql.pipeline(std::move(routed));
  co_return co_await running;
}

// Only a gateway may ask.
Task<Response> ClientServer::Impl::answer_follower(Follower& follower, Request request) {
  if (from_browser(request)) {
    co_return problem(403, "foreign_origin", "only gateways may ask here, and this is a browser");
  }
  const auto himself = follower.check_certificate(request.gateway);
  if (!himself) {
    const auto now = std::chrono::steady_clock::now().time_since_epoch();
    const std::string& why = himself.error().text;
    const auto count = refusals.due(why, std::chrono::duration_cast<RepeatedLine::Instant>(now));
    if (count) spdlog::warn("request_refused dc={} count={} reason=\"{}\"", site.dc, *count, why);
    co_return problem(403, "not_this_gateway", himself.error().text);
  }
  const auto needed = request.path == kTopologyPath ? Agreement::kCluster : Agreement::kTopology;
  const auto known = check_introduction(site, request.gateway, needed);
  if (!known) co_return problem(403, "not_this_cluster", known.error().text);
  Task<Response> handling = handle(follower.router, std::move(request));
  co_return co_await handling;
}

ClientServer::ClientServer(const Config& config, const Graph& graph, std::string dc, Store& store,
                           Peers& peers, Options options)
    : impl_(
          std::make_unique<Impl>(config, graph, std::move(dc), store, peers, std::move(options))) {}

ClientServer::ClientServer(const Config& config, const Graph& graph, std::string dc, Store& store,
                           Peers& peers)
    : ClientServer(config, graph, std::move(dc), store, peers, Options()) {}

ClientServer::~ClientServer() { stop(); }

Result<void> ClientServer::start() {
  auto& s = *impl_;
  const auto* datacenter = s.site.config.find(s.site.dc);
  if (datacenter == nullptr) return fail(Code::kInvalid, "no datacenter " + s.site.dc);
  HttpService service;
  service.handle = [&s](Request request) { return s.answer_client(std::move(request)); };
  service.append_headers = [&s](const Response& response, std::string& out) {
    s.append_headers(response, out);
  };
  service.tick = [&s] {
    s.sql.expire();
    for (auto* follower : s.followers) follower->sql.expire();
    s.changes.tick();
    s.snapshots.tick();
    s.verify.tick();
    s.look_whether_caught_up();
  };
  service.stop = [&s] {
    s.sql.close_resting();
    for (auto* follower : s.followers) follower->sql.close_resting();
    s.changes.stop();
    s.verify.stop();
  };
  return s.server.start(datacenter->clients, std::move(service), accept_clients(s.site.config));
}

void ClientServer::serve_gateway(Transport transport, std::string received) {
  auto certificate = transport.peer();
  impl_->server.adopt(std::move(transport), std::move(received),
                      [&s = *impl_, certificate = std::move(certificate)] {
                        return s.serve_follower(certificate);
                      });
}

void ClientServer::not_replaced(std::string reason) {
  const std::lock_guard lock(impl_->not_replaced_mutex);
  impl_->not_replaced = std::move(reason);
  impl_->not_replaced_at = std::chrono::steady_clock::now();
}

void ClientServer::stop() { impl_->server.stop(); }
uint16_t ClientServer::port() const { return impl_->server.port(); }

}  // namespace entente
