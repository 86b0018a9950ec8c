#include "tests/support/writer.h"

#include <algorithm>

#include "tests/support/http_client.h"

namespace entente::testing {
namespace {

constexpr std::chrono::milliseconds kAfterARefusal{10};

}  // namespace

Writer::Writer(const Cluster& cluster, const std::string& dc, const std::string& label,
               std::chrono::milliseconds pause)
    : label_(label), port_(cluster.port(dc)), pause_(pause), thread_([this] { write(); }) {}

void Writer::stop() {
  stop_ = true;
  if (thread_.joinable()) thread_.join();
}

std::set<std::string> Writer::acknowledged() const {
  const std::lock_guard lock(mutex_);
  return acknowledged_;
}

void Writer::write() {
  HttpClient client(port_);
  for (int i = 0; !stop_; ++i) {
    const std::string key = label_ + "-" + std::to_string(i);
    const auto answer = client.request("PUT", "/v1/tables/items/rows/" + key,
                                       R"({"row":{"v":")" + std::string(200, 'x') + R"("}})");
    if (answer.status != 200) {
      std::this_thread::sleep_for(kAfterARefusal);
      continue;
    }
    {
      const std::lock_guard lock(mutex_);
      acknowledged_.insert(key);
    }
    if (pause_.count() > 0) std::this_thread::sleep_for(pause_);
  }
}

std::set<std::string> keys_at(const Cluster& cluster, const std::string& dc) {
  std::set<std::string> keys;
  const auto answer = sql(cluster.port(dc), "SELECT group_concat(id) AS ids FROM items");
  const std::string start = R"([[{"type":"text","value":")";
  const auto at = answer.find(start);
  if (at == std::string::npos) return keys;
  const auto end = answer.find('"', at + start.size());
  std::string key;
  for (size_t i = at + start.size(); i <= end; ++i) {
    if (answer[i] == ',' || i == end) {
      keys.insert(std::move(key));
      key.clear();
    } else {
      key.push_back(answer[i]);
    }
  }
  return keys;
}

bool includes(const std::set<std::string>& all, const std::set<std::string>& some) {
  return std::includes(all.begin(), all.end(), some.begin(), some.end());
}

}  // namespace entente::testing
