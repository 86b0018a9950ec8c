#include "gateway/api/verify/digest_peer.h"

#include "gateway/api/introduction.h"
#include "gateway/async/socket_calls.h"
#include "gateway/encoding/base64.h"
#include "gateway/encoding/json.h"

namespace entente {
namespace {

constexpr size_t kAnswerBytes = 64 << 20;
constexpr int kTries = 4;
constexpr std::chrono::milliseconds kPause{50};

Code code_of(unsigned status) {
  if (status == 404) return Code::kNotFound;
  return status == 503 ? Code::kBusy : Code::kNotReached;
}

// A refusal is a problem document.
Error refusal(const std::string& dc, HttpAnswer answer) {
  const auto json = parse_json(answer.body);
  const std::string why = json ? text_of(*json, "detail") : "";
  return {code_of(answer.status),
          dc + ": " + (why.empty() ? "HTTP status " + std::to_string(answer.status) : why),
          json ? text_of(*json, "code") : ""};
}

}  // namespace

DigestPeer::DigestPeer(const Site& site, std::string dc) : site_(site), dc_(std::move(dc)) {}

Task<Result<DigestAnswer>> DigestPeer::ask(const DigestQuestion& question) {
  std::string bytes;
  append_base64(bytes, encode(question), true);
  JsonWriter body;
  const std::string text = body.begin_object().member("question", bytes).end_object().take();
  for (int tries = 1;; ++tries) {
    Task<Result<DigestAnswer>> asking = ask_once(text);
    auto answer = co_await asking;
    const bool passing =
        !answer && (answer.error().code == Code::kBusy || answer.error().code == Code::kTimeout);
    if (!passing || tries == kTries || given_up_) co_return answer;
    Pause pause(site_.executor, kPause * tries);
    co_await pause;
  }
}

Task<Result<DigestAnswer>> DigestPeer::ask_once(std::string body) {
  std::function<void(Done)> start = [&](Done done) { send(std::move(body), std::move(done)); };
  CallbackCall<Result<HttpAnswer>> call(site_.loop, std::move(start));
  auto answer = co_await call;
  if (!answer) {
    caller_.reset();
    co_return fail(answer.error().code, dc_ + " cannot be reached: " + answer.error().text);
  }
  if (answer->status != 200) co_return tl::unexpected(refusal(dc_, std::move(*answer)));
  co_return decode_digest_answer(answer->body);
}

void DigestPeer::send(std::string body, Done done) {
  if (!caller_) {
    caller_.emplace(site_.executor, to_gateway(site_.config, *site_.config.find(dc_)),
                    kAnswerBytes);
  }
  const auto& limits = site_.config.limits;
  const HttpCaller::Patience patience{limits.link_timeout, 2 * limits.statement_time};
  HttpQuestion question{"/v1/digest", std::move(body), {}};
  question.headers.emplace_back("Entente-Gateway", introduction_of(site_.config, site_.dc));
  waiting_ = std::move(done);
  caller_->ask(std::move(question), patience, [this](Result<HttpAnswer> answer) {
    if (waiting_) std::exchange(waiting_, nullptr)(std::move(answer));
  });
}

void DigestPeer::give_up() {
  given_up_ = true;
  if (waiting_) std::exchange(waiting_, nullptr)(fail(Code::kTimeout, "this gateway stops"));
}

}  // namespace entente
