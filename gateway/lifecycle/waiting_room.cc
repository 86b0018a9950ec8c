#include "gateway/lifecycle/waiting_room.h"

#include <utility>

#include "gateway/encoding/json.h"
#include "gateway/http/problem.h"

namespace entente {

WaitingRoom::WaitingRoom(const Config& config, const Datacenter& dc)
    : config_(config),
      dc_(dc),
      sentence_(dc.name + " has no database yet, and looks for a neighbour's"),
      server_(config.limits) {}

WaitingRoom::~WaitingRoom() { server_.stop(); }

Result<void> WaitingRoom::open() {
  HttpService service;
  service.handle = [this](Request request) { return answer(std::move(request)); };
  service.append_headers = [this](const Response&, std::string& out) {
    out += "\r\nEntente-Dc: " + dc_.name;
  };
  service.tick = [] {};
  service.stop = [] {};
  return server_.start(dc_.clients, std::move(service), accept_clients(config_));
}

void WaitingRoom::say(std::string sentence) {
  const std::lock_guard lock(mutex_);
  sentence_ = std::move(sentence);
}

std::string WaitingRoom::said() const {
  const std::lock_guard lock(mutex_);
  return sentence_;
}

Task<Response> WaitingRoom::answer(Request request) const {
  const std::string sentence = said();
  if (request.path == "/livez" || request.path == "/health") co_return text_response(200, "ok\n");
  if (request.path == "/readyz") co_return text_response(503, sentence + "\n");
  if (request.path == "/v1/status") co_return status(sentence);
  co_return problem(503, "not_ready", sentence);
}

Response WaitingRoom::status(const std::string& sentence) const {
  JsonWriter out;
  out.begin_object().member("verdict", sentence + ".").key("healthy").boolean(false);
  out.member("cluster", config_.cluster).member("dc", dc_.name);
  out.key("notes").begin_array().end_array().key("datacenters").begin_array();
  for (const auto& other : config_.datacenters) {
    const bool self = other.name == dc_.name;
    out.begin_object().member("dc", other.name).key("self").boolean(self).end_object();
  }
  out.end_array().end_object();
  Response response;
  response.body = out.take();
  return response;
}

}  // namespace entente
