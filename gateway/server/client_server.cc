#include "gateway/server/client_server.h"

#include <spdlog/spdlog.h>

#include "conflict/context.h"
#include "gateway/server/changes_api.h"
#include "gateway/server/conflicts_api.h"
#include "gateway/server/hrana_api.h"
#include "gateway/server/http_server.h"
#include "gateway/server/increments_api.h"
#include "gateway/server/operations_api.h"
#include "gateway/server/problem.h"
#include "gateway/server/rows_api.h"
#include "gateway/server/session.h"
#include "gateway/server/transactions_api.h"

namespace entente {
namespace {

// A browser on any page may call: sqld's habit, which libSQL's web clients rely on.
Response preflight() {
  Response response;
  response.status = 204;
  response.headers = {{"Access-Control-Allow-Methods", "GET, HEAD, POST, PUT, PATCH, DELETE"},
                      {"Access-Control-Allow-Headers", "*"},
                      {"Access-Control-Max-Age", "86400"}};
  return response;
}

}  // namespace

struct ClientServer::Impl {
  Impl(const Config& config, const Graph& graph, std::string dc, Store& store, Peers& peers)
      : server(config.limits),
        site{config,
             graph,
             std::move(dc),
             store,
             server.loop(),
             [&peers](std::function<void(PeersView)> done) { peers.view(std::move(done)); }},
        increments(site),
        sql(site),
        changes(site),
        operations{site, metrics, [this] { return server.connections(); },
                   [this] { return sql.streams(); }, [this] { return changes.counts(); }} {
    add_rows_api(router, site);
    increments.add_to(router);
    add_transactions_api(router, site);
    add_conflicts_api(router, site);
    changes.add_to(router);
    sql.add_to(router);
    add_operations_api(router, operations);
  }

  Task<Response> handle(Request request);
  Task<Response> dispatch(const RouteHandler& handler, RoutedRequest routed);
  void append_headers(const Response& response, std::string& out) const;

  HttpServer server;
  const Site site;
  IncrementsApi increments;
  HranaApi sql;
  ChangesApi changes;
  Metrics metrics;
  const Operations operations;
  Router router;
};

Task<Response> ClientServer::Impl::handle(Request request) {
  const auto began = std::chrono::steady_clock::now();
  if (request.method == Method::kOptions) co_return preflight();
  auto match = router.find(request.method, request.path);
  Response response = std::move(match.refusal);
  if (match.handler != nullptr) {
    RoutedRequest routed{std::move(request), std::move(match.parts)};
    Task<Response> dispatching = dispatch(*match.handler, std::move(routed));
    response = co_await dispatching;
  }
  metrics.observe(match.family, response.status, std::chrono::steady_clock::now() - began);
  co_return response;
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
  out += "\r\nAccess-Control-Allow-Origin: *\r\nAccess-Control-Expose-Headers: *";
}

ClientServer::ClientServer(const Config& config, const Graph& graph, std::string dc, Store& store,
                           Peers& peers)
    : impl_(std::make_unique<Impl>(config, graph, std::move(dc), store, peers)) {}

ClientServer::~ClientServer() { stop(); }

Result<void> ClientServer::start() {
  auto& s = *impl_;
  const auto* datacenter = s.site.config.find(s.site.dc);
  if (datacenter == nullptr) return fail(Code::kInvalid, "no datacenter " + s.site.dc);
  HttpService service;
  service.handle = [&s](Request request) { return s.handle(std::move(request)); };
  service.append_headers = [&s](const Response& response, std::string& out) {
    s.append_headers(response, out);
  };
  service.tick = [&s] {
    s.sql.expire();
    s.changes.tick();
  };
  service.stop = [&s] {
    s.sql.close_resting();
    s.changes.stop();
  };
  return s.server.start(datacenter->clients, std::move(service));
}

void ClientServer::stop() { impl_->server.stop(); }
uint16_t ClientServer::port() const { return impl_->server.port(); }

}  // namespace entente
