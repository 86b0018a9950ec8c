#include "gateway/api/operations/metrics.h"

#include <algorithm>

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

double number(uint64_t n) { return static_cast<double>(n); }

void add_store(std::vector<MetricFamily>& out, const Store::Counters& c) {
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
  out.push_back(gauge("entente_schema_changes_left_out",
                      "The leader's schema changes that could not be made here")
                    .add(number(c.left_out.size()))
                    .take());
  out.push_back(
      gauge("entente_disk_full", "1 while writes fail for want of space").add(c.disk_full).take());
}

void add_links(std::vector<MetricFamily>& out, const std::vector<LinkView>& links) {
  auto up = gauge("entente_link_up", "1 while the link to this datacenter is up");
  auto losses = counter("entente_link_losses_total", "How often the link was up and then lost");
  auto trip = gauge("entente_link_round_trip_seconds", "Round trip of the last heartbeat");
  auto clock = gauge("entente_link_clock_offset_seconds",
                     "The peer's wall clock less this one's, when last heard");
  auto sent = counter("entente_link_sent_bytes_total", "Bytes of changes sent");
  auto received = counter("entente_link_received_bytes_total", "Bytes of changes received");
  auto sent_changes = counter("entente_link_sent_transactions_total", "Transactions sent");
  auto received_changes =
      counter("entente_link_received_transactions_total", "Transactions received");
  auto duplicates = counter("entente_link_duplicates_total", "Transactions received again");
  auto unsent = gauge("entente_link_unsent_log_records",
                      "Records of the log that were not looked at for this peer yet");
  auto held = gauge("entente_link_held_back", "Transactions that came over it and wait");
  auto held_bytes = gauge("entente_link_held_back_bytes", "Bytes that came over it and wait");
  for (const auto& link : links) {
    const auto& t = link.traffic;
    const Labels labels{{"peer", link.peer}};
    up.add(link.state == LinkState::kUp, labels);
    losses.add(number(link.losses), labels);
    trip.add(link.round_trip_ms / 1'000, labels);
    clock.add(link.clock_offset_ms / 1'000, labels);
    sent.add(number(t.sent_bytes), labels);
    received.add(number(t.received_bytes), labels);
    sent_changes.add(number(t.sent_transactions), labels);
    received_changes.add(number(t.received_transactions), labels);
    duplicates.add(number(t.duplicates), labels);
    unsent.add(number(t.log_head - std::min(t.log_head, t.unsent_after)), labels);
    held.add(number(t.held), labels);
    held_bytes.add(number(t.held_bytes), labels);
  }
  for (auto* family : {&up, &losses, &trip, &clock, &sent, &received, &sent_changes,
                       &received_changes, &duplicates, &unsent, &held, &held_bytes}) {
    out.push_back(family->take());
  }
}

void add_origins(std::vector<MetricFamily>& out, const Sight& sight) {
  auto applied = gauge("entente_origin_applied", "Highest transaction applied, by origin");
  auto known = gauge("entente_origin_known", "Highest transaction any neighbour has, by origin");
  auto lag = gauge("entente_origin_lag_seconds", "Age of the oldest known of and not here");
  auto held = gauge("entente_origin_held_back", "Transactions that wait for their causes");
  auto held_bytes = gauge("entente_origin_held_back_bytes", "Bytes that wait for their causes");
  auto rerouted = gauge("entente_origin_rerouted",
                        "1 while its changes do not come from whom the topology names");
  for (const auto& origin : sight.peers.origins) {
    const Labels labels{{"dc", origin.dc}, {"origin", to_hex(origin.origin)}};
    applied.add(number(origin.applied), labels);
    known.add(number(origin.known), labels);
    lag.add(lag_seconds(sight, origin), labels);
    held.add(number(origin.held), labels);
    held_bytes.add(number(origin.held_bytes), labels);
    rerouted.add(origin.detour != Replica::Detour::kNone, labels);
  }
  for (auto* family : {&applied, &known, &lag, &held, &held_bytes, &rerouted}) {
    out.push_back(family->take());
  }
}

void add_datacenters(std::vector<MetricFamily>& out, const Sight& sight) {
  auto lag = gauge("entente_lag_seconds", "Age of what is here of a datacenter that has more");
  auto behind = gauge("entente_behind", "Transactions of a datacenter known of and not here");
  auto unacknowledged =
      gauge("entente_unacknowledged", "Our transactions that a datacenter has not said it applied");
  for (const auto& datacenter : sight.config.datacenters) {
    if (datacenter.name == sight.dc) continue;
    const Labels labels{{"dc", datacenter.name}};
    const Standing standing = standing_of(sight, datacenter.name);
    lag.add(standing.lag_seconds, labels);
    behind.add(number(standing.behind), labels);
    if (standing.unacknowledged) unacknowledged.add(number(*standing.unacknowledged), labels);
  }
  for (auto* family : {&lag, &behind, &unacknowledged}) out.push_back(family->take());
}

void add_log_and_clock(std::vector<MetricFamily>& out, const Sight& sight) {
  auto holders = gauge("entente_log_kept_for",
                       "Transactions here that a datacenter has not applied: the log keeps them");
  for (const auto& holder : log_holders(sight)) {
    holders.add(number(holder.behind), {{"dc", holder.dc}});
  }
  out.push_back(holders.take());
  const auto& peers = sight.peers;
  out.push_back(gauge("entente_log_needed_records", "Records of the log somebody may still need")
                    .add(number(peers.log_head - peers.log_needed_after))
                    .take());
  const auto ahead = clock_ahead(sight);
  out.push_back(gauge("entente_clock_ahead_seconds",
                      "How far our stamps are ahead of our clock, if peers refuse them for it")
                    .add(ahead ? ahead->seconds : 0)
                    .take());
  out.push_back(gauge("entente_reroute_enabled", "0 if topology.reroute is off")
                    .add(sight.config.topology.reroute)
                    .take());
}

void add_rest(std::vector<MetricFamily>& out, const Metrics::Now& now) {
  out.push_back(gauge("entente_held_back_bytes", "Changes that wait for their causes")
                    .add(static_cast<double>(now.sight->peers.held_bytes))
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

void add_verified(std::vector<MetricFamily>& out, const VerifyApi::Counts& c) {
  const auto number = [](uint64_t n) { return static_cast<double>(n); };
  out.push_back(
      counter("entente_verify_runs_total", "Comparisons with other datacenters that ended")
          .add(number(c.runs))
          .take());
  out.push_back(counter("entente_verify_rows_total", "Rows compared").add(number(c.rows)).take());
  out.push_back(
      counter("entente_verify_repaired_rows_total", "Rows that differed and were repaired")
          .add(number(c.repaired))
          .take());
  out.push_back(gauge("entente_verify_different_rows",
                      "Rows that differed in the last comparison, less those repaired")
                    .add(number(c.different))
                    .take());
  out.push_back(gauge("entente_verify_busy_rows",
                      "Rows that changed whenever the last comparison looked at them")
                    .add(number(c.busy))
                    .take());
  out.push_back(gauge("entente_verify_last_end_timestamp_seconds",
                      "When the last comparison ended; 0: none has")
                    .add(c.ended_at)
                    .take());
}

void add_tls(std::vector<MetricFamily>& out, const GatewayTls* tls) {
  if (tls == nullptr) return;
  const auto files = tls->current();
  out.push_back(
      gauge("entente_certificate_expiry_timestamp_seconds",
            "When the gateway's certificate ends, and the first of the CAs it takes")
          .add(static_cast<double>(files->certificate().valid_until()), {{"use", "gateway"}})
          .add(static_cast<double>(files->ca_until()), {{"use", "ca"}})
          .take());
  out.push_back(counter("entente_certificate_reload_failures_total",
                        "Times that the certificate's files held something that is no good")
                    .add(number(tls->reload_failures()))
                    .take());
  const TlsCounts& counts = *tls->counts();
  out.push_back(counter("entente_tls_handshakes_total",
                        "TLS handshakes, with clients and gateways, by what came of them")
                    .add(number(counts.done), {{"outcome", "done"}})
                    .add(number(counts.failed), {{"outcome", "failed"}})
                    .add(number(counts.abandoned), {{"outcome", "abandoned"}})
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
  add_links(families, now.sight->peers.links);
  add_origins(families, *now.sight);
  add_datacenters(families, *now.sight);
  add_log_and_clock(families, *now.sight);
  add_rest(families, now);
  add_verified(families, now.verified);
  add_tls(families, now.tls);
  return prometheus::TextSerializer().Serialize(families);
}

}  // namespace entente
