#include "gateway/membership/snapshot_api.h"

#include <spdlog/spdlog.h>
#include <xxhash.h>

#include <algorithm>
#include <fstream>

#include "conflict/hex.h"
#include "gateway/api/introduction.h"
#include "gateway/encoding/json.h"
#include "gateway/http/problem.h"
#include "gateway/membership/data_folder.h"

namespace entente {
namespace {

namespace fs = std::filesystem;

constexpr const char* kPrefix = "snapshot-";
constexpr size_t kPiece = 4 << 20;
constexpr std::chrono::minutes kKept{10};

void remove_leftovers(const fs::path& folder) {
  std::error_code ec;
  for (const auto& entry : fs::directory_iterator(folder, ec)) {
    std::error_code ignored;
    if (entry.path().filename().string().starts_with(kPrefix)) fs::remove(entry.path(), ignored);
  }
}

bool is_linked(const PeersView& view, const std::string& dc) {
  return std::any_of(view.links.begin(), view.links.end(),
                     [&](const LinkView& link) { return link.peer == dc && is_up(link.state); });
}

}  // namespace

SnapshotApi::SnapshotApi(const Site& site, fs::path folder, CopiedBy copied_by)
    : site_(site), folder_(std::move(folder)), copied_by_(std::move(copied_by)) {
  if (!folder_.empty()) remove_leftovers(folder_);
}

SnapshotApi::~SnapshotApi() {
  if (maker_.joinable()) maker_.join();
  forget();
}

Task<Response> SnapshotApi::answer(RoutedRequest routed) {
  if (folder_.empty()) co_return problem(404, "empty", "no copies are made here");
  const auto body = parse_json(routed.request.body);
  if (!body) co_return problem(body.error());
  const Json* runs = body->find("linked");
  const bool may_be_linked = runs != nullptr && runs->boolean() != nullptr && *runs->boolean();
  const std::string asker = introduced_dc(routed.request.gateway);
  if (!may_be_linked) {
    CallbackCall<PeersView> call(site_.loop, site_.view);
    const auto view = co_await call;
    if (is_linked(view, asker)) {
      co_return problem(409, kRunsAlready,
                        "another gateway runs as " + asker + " and is linked with " + site_.dc);
    }
  }
  const Json* from_json = body->find("from");
  const bool from_given = from_json != nullptr && from_json->integer() != nullptr;
  uint64_t from =
      from_given ? static_cast<uint64_t>(std::max<int64_t>(0, *from_json->integer())) : 0;
  if (!copy_ || copy_->id != text_of(*body, "id")) {
    if (making_) co_return problem(503, "busy", "a copy of the database is being made");
    std::function<void(CallbackCall<bool>::Done)> tell = [&](auto done) {
      copied_by_(asker, done);
    };
    CallbackCall<bool> told(site_.loop, std::move(tell));
    co_await told;
    if (!copy_) {
      Task<Result<void>> making = make();
      const auto made = co_await making;
      if (!made) co_return problem(made.error());
    }
    from = 0;
  }
  copy_->used = Clock::now();
  from = std::min(from, copy_->bytes);
  auto bytes = piece(*copy_, from);
  if (!bytes) co_return problem(bytes.error());
  // Who comes later gets a newer one; who has not all of it yet begins again.
  if (copy_->bytes - from <= kPiece) forget();
  Response response;
  response.content_type = "application/octet-stream";
  response.body = std::move(*bytes);
  co_return response;
}

Task<Result<void>> SnapshotApi::make() {
  const auto id = random_origin();
  if (!id) co_return tl::unexpected(id.error());
  making_ = true;
  if (maker_.joinable()) maker_.join();
  Copy copy{to_hex(*id), folder_ / (kPrefix + to_hex(*id)), 0, 0, {}};
  std::function<void(CallbackCall<Result<void>>::Done)> start = [&](auto done) {
    maker_ = std::thread([&database = site_.store.database(), path = copy.path, done] {
      done(database.snapshot(path));
    });
  };
  CallbackCall<Result<void>> call(site_.loop, std::move(start));
  const auto made = co_await call;
  making_ = false;
  if (!made) co_return made;
  Task<uint64_t> asking = latest_stamp_ms();
  copy.latest_ms = co_await asking;
  std::error_code ec;
  copy.bytes = fs::file_size(copy.path, ec);
  spdlog::info("snapshot_made dc={} bytes={}", site_.dc, copy.bytes);
  copy_ = std::move(copy);
  co_return Result<void>{};
}

Task<uint64_t> SnapshotApi::latest_stamp_ms() {
  CallbackCall<PeersView> call(site_.loop, site_.view);
  const auto view = co_await call;
  Hlc latest = site_.store.counters().last_stamp;
  for (const auto& origin : view.origins) latest = std::max(latest, origin.hlc);
  co_return latest.unix_ms();
}

Result<std::string> SnapshotApi::piece(const Copy& copy, uint64_t from) const {
  std::string bytes(std::min<uint64_t>(kPiece, copy.bytes - from), '\0');
  std::ifstream in(copy.path, std::ios::binary);
  in.seekg(static_cast<std::streamoff>(from));
  in.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  if (!in) return fail(Code::kBusy, "the copy of the database cannot be read");
  JsonWriter head;
  head.begin_object().member("id", copy.id).key("bytes").unsigned_integer(copy.bytes);
  head.key("from").unsigned_integer(from).key("latest_ms").unsigned_integer(copy.latest_ms);
  head.member("checksum", std::to_string(XXH3_64bits(bytes.data(), bytes.size()))).end_object();
  return head.take() + "\n" + bytes;
}

void SnapshotApi::tick() {
  if (copy_ && Clock::now() - copy_->used > kKept) forget();
}

void SnapshotApi::forget() {
  if (!copy_) return;
  std::error_code ignored;
  fs::remove(copy_->path, ignored);
  copy_.reset();
}

}  // namespace entente
