#include "gateway/server/metrics.h"

#include <prometheus/client_metric.h>
#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

namespace entente {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;
using Labels = std::vector<ClientMetric::Label>;

constexpr double kBuckets[] = {0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01,
                               0.025,  0.05,    0.1,    0.25,  1.0,    2.5,   10.0};

// One family of values that are read, not counted here.
class Family {
 public:
  Family(MetricType type, std::string name, std::string help) {
    family_.type = type;
    family_.name = std::move(name);
    family_.help = std::move(help);
  }
  Family& add(double value, Labels labels = {}) {
    ClientMetric metric;
    metric.label = std::move(labels);
    if (family_.type == MetricType::Counter) {
      metric.counter.value = value;
    } else {
      metric.gauge.value = value;
    }
    family_.metric.push_back(std::move(metric));
    return *this;
  }
  MetricFamily take() { return std::move(family_); }

 private:
  MetricFamily family_;
};

Family gauge(std::string name, std::string help) {
  return Family(MetricType::Gauge, std::move(name), std::move(help));
}
Family counter(std::string name, std::string help) {
  return Family(MetricType::Counter, std::move(name), std::move(help));
}

void add_store(std::vector<MetricFamily>& out, const Store::Counters& c) {
  const auto number = [](uint64_t n) { return static_cast<double>(n); };
  out.push_back(counter("entente_commit_groups_total", "Groups committed with one fsync each")
                    .add(number(c.groups))
                    .take());
  out.push_back(counter("entente_transactions_total", "Client transactions by outcome")
                    .add(number(c.committed), {{"outcome", "committed"}})
                    .add(number(c.failed), {{"outcome", "failed"}})
                    .take());
  out.push_back(counter("entente_applied_transactions_total", "Other datacenters' transactions")
                    .add(number(c.applied))
                    .take());
  out.push_back(counter("entente_collected_rows_total",
                        "Rows from which tombstones or settled siblings were collected")
                    .add(number(c.collected_rows))
                    .take());
  out.push_back(
      gauge("entente_handlers_failed", "Open conflicts because a handler failed: it is tried again")
          .add(number(c.handlers_failed))
          .take());
  out.push_back(gauge("entente_queued_requests", "Requests that wait for the database")
                    .add(number(c.queued_writes), {{"queue", "write"}})
                    .add(number(c.queued_reads), {{"queue", "read"}})
                    .take());
  out.push_back(counter("entente_foreign_writes_total",
                        "Times that another process was found to have written to the database")
                    .add(number(c.foreign_writes))
                    .take());
  out.push_back(
      gauge("entente_disk_full", "1 while writes fail for want of space").add(c.disk_full).take());
}

void add_links(std::vector<MetricFamily>& out, const std::vector<LinkView>& links) {
  auto up = gauge("entente_link_up", "1 while the link to this datacenter is up");
  auto trip = gauge("entente_link_round_trip_seconds", "Round trip of the last heartbeat");
  auto sent = counter("entente_link_sent_bytes_total", "Bytes of changes sent");
  auto received = counter("entente_link_received_bytes_total", "Bytes of changes received");
  auto duplicates = counter("entente_link_duplicates_total", "Transactions received again");
  for (const auto& link : links) {
    const Labels labels{{"peer", link.peer}};
    up.add(link.state == "up", labels);
    trip.add(link.round_trip_ms / 1000, labels);
    sent.add(static_cast<double>(link.traffic.sent_bytes), labels);
    received.add(static_cast<double>(link.traffic.received_bytes), labels);
    duplicates.add(static_cast<double>(link.traffic.duplicates), labels);
  }
  for (auto* family : {&up, &trip, &sent, &received, &duplicates}) out.push_back(family->take());
}

void add_origins(std::vector<MetricFamily>& out, const std::vector<Replica::OriginStatus>& all) {
  auto applied = gauge("entente_origin_applied", "Highest transaction applied, by origin");
  auto known = gauge("entente_origin_known", "Highest transaction any neighbour has, by origin");
  auto held = gauge("entente_origin_held_back", "Transactions that wait for their causes");
  for (const auto& origin : all) {
    const Labels labels{{"dc", origin.dc}, {"origin", to_hex(origin.origin)}};
    applied.add(static_cast<double>(origin.applied), labels);
    known.add(static_cast<double>(origin.known), labels);
    held.add(static_cast<double>(origin.held), labels);
  }
  for (auto* family : {&applied, &known, &held}) out.push_back(family->take());
}

void add_rest(std::vector<MetricFamily>& out, const Metrics::Now& now) {
  auto lag = gauge("entente_lag_seconds", "Age of what is here of a datacenter that has more");
  for (const auto& [dc, seconds] : now.lag_seconds) lag.add(seconds, {{"dc", dc}});
  out.push_back(lag.take());
  out.push_back(gauge("entente_held_back_bytes", "Changes that wait for their causes")
                    .add(static_cast<double>(now.peers.held_bytes))
                    .take());
  out.push_back(gauge("entente_client_connections", "Open client connections")
                    .add(static_cast<double>(now.connections))
                    .take());
  out.push_back(gauge("entente_sql_streams", "Open SQL streams")
                    .add(static_cast<double>(now.streams))
                    .take());
  out.push_back(counter("entente_schema_changes_forwarded_total",
                        "Schema statements of clients here, sent to the schema leader")
                    .add(static_cast<double>(now.schema_forwarded))
                    .take());
  out.push_back(gauge("entente_change_feeds", "Open change feeds")
                    .add(static_cast<double>(now.feeds.open))
                    .take());
  out.push_back(counter("entente_change_feed_transactions_total", "Transactions sent to readers")
                    .add(static_cast<double>(now.feeds.transactions))
                    .take());
  out.push_back(gauge("entente_open_conflicts", "Conflicts nobody decided, counted up to 1000")
                    .add(static_cast<double>(now.open_conflicts))
                    .take());
}

}  // namespace

Metrics::Metrics()
    : requests_(prometheus::BuildCounter()
                    .Name("entente_http_requests_total")
                    .Help("Requests answered, by kind and class of status")
                    .Register(registry_)),
      seconds_(prometheus::BuildHistogram()
                   .Name("entente_http_request_seconds")
                   .Help("From the whole request to its answer")
                   .Register(registry_)) {}

Metrics::Series& Metrics::series(std::string_view family) {
  const auto at = series_.find(family);
  if (at != series_.end()) return at->second;
  const std::string name(family);
  Series made;
  for (int status = 1; status < 6; ++status) {
    made.by_class[status] =
        &requests_.Add({{"route", name}, {"status", std::to_string(status) + "xx"}});
  }
  made.seconds = &seconds_.Add({{"route", name}}, prometheus::Histogram::BucketBoundaries(
                                                      std::begin(kBuckets), std::end(kBuckets)));
  return series_.emplace(name, made).first->second;
}

void Metrics::observe(std::string_view family, int status,
                      std::chrono::steady_clock::duration took) {
  auto& s = series(family);
  s.by_class[status / 100 % 6]->Increment();
  s.seconds->Observe(std::chrono::duration<double>(took).count());
}

std::string Metrics::render(const Now& now) {
  auto families = registry_.Collect();
  add_store(families, now.store);
  add_links(families, now.peers.links);
  add_origins(families, now.peers.origins);
  add_rest(families, now);
  return prometheus::TextSerializer().Serialize(families);
}

}  // namespace entente
