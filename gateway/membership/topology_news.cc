#include "gateway/membership/topology_news.h"

#include <spdlog/spdlog.h>

#include <future>
#include <memory>
#include <utility>

#include "gateway/api/introduction.h"
#include "gateway/encoding/json.h"
#include "gateway/http/http_caller.h"
#include "gateway/membership/topology_epochs.h"

namespace entente {
namespace {

constexpr std::chrono::milliseconds kEvery{1'000};
constexpr HttpCaller::Patience kPatience{std::chrono::milliseconds(500),
                                         std::chrono::milliseconds(2'000)};
constexpr size_t kAnswerBytes = 2 << 20;

std::string refusal_in(std::string body) {
  const auto json = parse_json(body);
  return json ? text_of(*json, "detail") : "it does not answer as a gateway";
}

}  // namespace

Result<TopologyNewsItem> exchange_topology_news(const Config& config, const std::string& dc,
                                                const Datacenter& other,
                                                const TopologyNewsItem& mine) {
  HttpQuestion question{"/v1/topology", write_topology_news(mine), {}};
  question.headers.emplace_back("Entente-Gateway", introduction_of(config, dc));
  auto answer = ask_server(to_gateway(config, other), std::move(question), kPatience, kAnswerBytes);
  if (!answer) return tl::unexpected(answer.error());
  if (answer->status != 200) return fail(Code::kRefused, refusal_in(std::move(answer->body)));
  return parse_topology_news(answer->body);
}

TopologyNews::TopologyNews(const Config& config, std::string dc, Peers& peers,
                           std::function<TopologyNewsItem()> mine, Adopt adopt)
    : config_(config),
      dc_(std::move(dc)),
      peers_(peers),
      mine_(std::move(mine)),
      adopt_(std::move(adopt)),
      thread_([this] { run(); }) {}

TopologyNews::~TopologyNews() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
    wake_.notify_all();
  }
  thread_.join();
}

bool TopologyNews::pause() {
  std::unique_lock lock(mutex_);
  return !wake_.wait_for(lock, kEvery, [this] { return stop_; });
}

void TopologyNews::run() {
  while (pause()) {
    for (const auto& name : unlinked()) {
      if (const Datacenter* neighbour = config_.find(name)) ask(*neighbour);
    }
  }
}

std::vector<std::string> TopologyNews::unlinked() {
  const auto seen = std::make_shared<std::promise<PeersView>>();
  peers_.view([seen](PeersView view) { seen->set_value(std::move(view)); });
  std::vector<std::string> names;
  for (const auto& link : seen->get_future().get().links) {
    if (!is_up(link.state)) names.push_back(link.peer);
  }
  return names;
}

void TopologyNews::ask(const Datacenter& neighbour) {
  const TopologyNewsItem mine = mine_();
  const auto said = exchange_topology_news(config_, dc_, neighbour, mine);
  if (!said || !comes_after(said->epoch, said->fingerprint, mine.epoch, mine.fingerprint)) return;
  const auto done = adopt_(epoch_of(*said, config_));
  if (done) return;
  spdlog::warn("topology_not_taken dc={} from={} epoch={} reason=\"{}\"", dc_, neighbour.name,
               said->epoch, done.error().text);
}

}  // namespace entente
