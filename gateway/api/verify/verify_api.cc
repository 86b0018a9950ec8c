#include "gateway/api/verify/verify_api.h"

#include <spdlog/spdlog.h>

#include <algorithm>

#include "gateway/api/row_json.h"
#include "gateway/async/wall_clock.h"
#include "gateway/encoding/base64.h"
#include "gateway/encoding/json.h"
#include "gateway/http/problem.h"
#include "gateway/store/store_calls.h"

namespace entente {
namespace {

constexpr uint64_t kRowsMax = 100'000;  // that one question makes this gateway look at
constexpr size_t kNamedMax = 1'000;
constexpr size_t kListedMax = 100;  // differences in an answer

void log_throw(std::exception_ptr thrown) {
  try {
    std::rethrow_exception(thrown);
  } catch (const std::exception& e) {
    spdlog::error("verification_failed reason=\"{}\"", e.what());
  }
}

Result<DigestQuestion> question_of(std::string& body) {
  const auto json = parse_json(body);
  if (!json) return tl::unexpected(json.error());
  const auto bytes = parse_base64(text_of(*json, "question"));
  if (!bytes) return tl::unexpected(bytes.error());
  auto question = decode_digest_question(*bytes);
  if (question && question->keys.size() > kNamedMax) {
    return fail(Code::kTooLarge, "too many rows are named in one question");
  }
  if (question) question->rows_max = std::min(question->rows_max, kRowsMax);
  return question;
}

Result<VerificationReport> report_of(std::string& body) {
  VerificationReport report;
  if (body.empty()) return report;
  const auto json = parse_json(body);
  if (!json) return tl::unexpected(json.error());
  static constexpr std::string_view kMembers[] = {"repair", "from"};
  if (auto ok = only_members(*json, kMembers); !ok) return tl::unexpected(ok.error());
  const Json* repair = json->find("repair");
  if (repair != nullptr && repair->boolean() == nullptr) {
    return fail(Code::kInvalid, "\"repair\" must be true or false", "member");
  }
  if (const Json* from = json->find("from"); from != nullptr && from->string() == nullptr) {
    return fail(Code::kInvalid, "\"from\" must be the name of a datacenter", "member");
  }
  report.repair = repair != nullptr && *repair->boolean();
  report.from = text_of(*json, "from");
  return report;
}

// ---- The report --------------------------------------------------------------------------------

void write_seen(JsonWriter& out, const std::string& dc, const SeenRow& seen) {
  out.begin_object().member("dc", dc).key("row");
  if (seen.row) {
    write_row(out, *seen.row, BigIntegers::kNumber);
  } else {
    out.null();
    if (seen.left_out()) out.key("left_out").boolean(true);
  }
  out.key("dot");
  if (seen.newest.dot.seq > 0) {
    out.string(to_string(seen.newest.dot));
  } else {
    out.null();
  }
  out.end_object();
}

void write_difference(JsonWriter& out, const std::string& dc, const DifferingRow& row) {
  out.begin_object().member("table", row.table).key("key");
  write_key_parts(out, row.key, BigIntegers::kNumber);
  out.member("kind", to_string(row.kind)).key("values").begin_array();
  write_seen(out, dc, row.mine);
  write_seen(out, row.dc, row.theirs);
  out.end_array().key("repaired").boolean(row.repaired);
  out.member("note", row.note).end_object();
}

std::string render(const std::string& dc, const VerificationReport& report) {
  JsonWriter out;
  out.begin_object().member("state", report.running ? "running" : "done").member("dc", dc);
  out.key("repair").boolean(report.repair).member("from", report.from);
  out.member("started_at", iso_time(report.started_ms)).key("seconds").real(report.seconds);
  out.key("datacenters").begin_array();
  for (const auto& peer : report.peers) {
    out.begin_object().member("dc", peer.dc).key("compared").boolean(peer.compared);
    out.member("reason", peer.reason).end_object();
  }
  out.end_array().key("rows").unsigned_integer(report.rows);
  out.key("different").unsigned_integer(report.different);
  out.key("busy").unsigned_integer(report.busy);
  out.key("repaired").unsigned_integer(report.repaired).key("differences").begin_array();
  const size_t listed = std::min(report.differences.size(), kListedMax);
  for (size_t i = 0; i < listed; ++i) write_difference(out, dc, report.differences[i]);
  return out.end_array().end_object().take();
}

}  // namespace

VerifyApi::VerifyApi(const Site& site)
    : site_(site),
      tasks_(log_throw),
      verify_due_(Clock::now() + site.config.limits.verify_every),
      repair_due_(Clock::now() + site.config.limits.repair_every) {}

void VerifyApi::add_to(Router& router) {
  router.add(Method::kGet, "/v1/verify", "operations", Right::kOperate,
             [this](RoutedRequest) { return look(); });
  router.add(Method::kPost, "/v1/verify", "operations", Right::kOperate,
             [this](RoutedRequest r) { return start(std::move(r)); });
}

// ---- For gateways ------------------------------------------------------------------------------

Task<Response> VerifyApi::digest(RoutedRequest routed) {
  const auto question = question_of(routed.request.body);
  if (!question) co_return problem(question.error());
  Result<DigestAnswer> answer = tl::unexpected(too_busy());
  std::function<void(Reader&)> job = [&](Reader& r) { answer = answer_digests(r, *question); };
  ReadCall call(site_.store, site_.loop, std::move(job));
  co_await call;
  if (!answer) co_return problem(answer.error());
  Response response;
  response.content_type = "application/octet-stream";
  response.body = encode(*answer);
  co_return response;
}

// ---- For operators -----------------------------------------------------------------------------

Task<Response> VerifyApi::look() {
  Response response;
  response.body = run_ ? render(site_.dc, run_->report()) : R"({"state":"none"})";
  co_return response;
}

Task<Response> VerifyApi::start(RoutedRequest routed) {
  auto report = report_of(routed.request.body);
  if (!report) co_return problem(report.error());
  if (!report->from.empty() && site_.config.find(report->from) == nullptr) {
    co_return problem(400, "from", "the file names no datacenter " + report->from);
  }
  if (stopping_ || working_) {
    co_return problem(503, "busy", "a comparison is under way: GET /v1/verify tells how it goes");
  }
  report->peers = everybody();
  begin(std::move(*report));
  Task<Response> looking = look();
  Response response = co_await looking;
  response.status = 202;
  co_return response;
}

std::vector<VerificationReport::Peer> VerifyApi::everybody() const {
  std::vector<VerificationReport::Peer> peers;
  for (const auto& dc : site_.config.datacenters) {
    if (dc.name != site_.dc) peers.push_back({dc.name, false, ""});
  }
  return peers;
}

std::vector<VerificationReport::Peer> VerifyApi::later_neighbours() const {
  std::vector<VerificationReport::Peer> peers;
  for (const auto& dc : site_.graph.neighbours(site_.dc)) {
    if (site_.dc < dc) peers.push_back({dc, false, ""});
  }
  return peers;
}

void VerifyApi::begin(VerificationReport report) {
  report.started_ms = wall_ms();
  run_ = std::make_unique<VerificationRun>(site_, std::move(report));
  working_.emplace(site_.executor);
  tasks_.spawn(run());
}

Task<void> VerifyApi::run() {
  Task<void> running = run_->run();
  co_await running;
  const auto& report = run_->report();
  ++counts_.runs;
  counts_.rows += report.rows;
  counts_.repaired += report.repaired;
  counts_.different = report.different - report.repaired;
  counts_.busy = report.busy;
  counts_.ended_at = static_cast<double>(wall_ms()) / 1000;
  working_.reset();
}

bool VerifyApi::is_due(std::chrono::milliseconds every, Clock::time_point& due) {
  if (every.count() == 0 || Clock::now() < due) return false;
  due = Clock::now() + every;
  return true;
}

void VerifyApi::tick() {
  if (stopping_ || working_) return;
  const auto& limits = site_.config.limits;
  const bool repairs = is_due(limits.repair_every, repair_due_);
  if (!is_due(limits.verify_every, verify_due_) && !repairs) return;
  VerificationReport report;
  report.repair = repairs;
  report.peers = later_neighbours();
  if (!report.peers.empty()) begin(std::move(report));
}

void VerifyApi::stop() {
  stopping_ = true;
  if (working_) run_->stop();
}

}  // namespace entente
