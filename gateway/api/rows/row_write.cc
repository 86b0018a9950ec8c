#include "gateway/api/rows/row_write.h"

#include "gateway/api/row_json.h"
#include "gateway/api/session.h"
#include "gateway/http/problem.h"
#include "gateway/store/store_calls.h"

namespace entente {
namespace {

Response render(const Committed& committed, RowOutcome outcome) {
  JsonWriter out;
  out.begin_object();
  write_stamp(out, committed);
  if (committed.dot) outcome.context.add(*committed.dot);
  out.member("context", context_token(outcome.context));
  out.member("conflict", to_string(outcome.conflict));
  Response response;
  response.session = session_token(committed.applied);
  out.member("session", response.session);
  response.body = out.end_object().take();
  return response;
}

}  // namespace

Task<Response> commit_row_write(const Site& site, RowRequest write) {
  if (write.context) {
    Task<std::optional<Response>> waiting = wait_for(site, write.context->ceiling());
    auto refusal = co_await waiting;
    if (refusal) co_return std::move(*refusal);
  }
  RowOutcome outcome;
  ClientTransaction work = [&](WriteSession& session) -> Result<void> {
    auto done = session.write(write);
    if (!done) return tl::unexpected(done.error());
    outcome = std::move(*done);
    return {};
  };
  SubmitCall call(site.store, site.loop, std::move(work));
  auto committed = co_await call;
  if (!committed) co_return problem(committed.error());
  co_return render(*committed, std::move(outcome));
}

}  // namespace entente
