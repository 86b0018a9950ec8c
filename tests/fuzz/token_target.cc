// What clients carry back: session tokens, row contexts, cursors of the change feed, dots.

#include "conflict/context.h"
#include "gateway/api/row_json.h"
#include "tests/fuzz/samples.h"
#include "tests/fuzz/target.h"

namespace entente::fuzz {
namespace {

void run(std::string_view text) {
  if (const auto seen = parse_session_token(text)) MUST(session_token(*seen) == text);
  if (const auto had = parse_feed_cursor(text)) MUST(feed_cursor(*had) == text);
  if (const auto context = parse_context_token(text)) {
    for (const auto& d : context->also) MUST(context->covers(d) && !context->seen.covers(d));
    const std::string token = context_token(*context);
    const auto again = parse_context_token(token);
    MUST(again && context_token(*again) == token);
    MUST(again->ceiling() == context->ceiling());
    MUST(context->ceiling().covers(context->seen));
  }
  if (const auto dot = parse_dot(text)) {
    const auto again = parse_dot(to_string(*dot));
    MUST(again && *again == *dot);
  }
}

std::vector<std::string> seeds() {
  const RowContext context{sample_vector(), {{origin_of(1), 6}, {origin_of(3), 2}}};
  return {session_token(sample_vector()), feed_cursor(sample_vector()), context_token(context),
          session_token({}), to_string(Dot{origin_of(7), 42})};
}

const Registration registered({"token", run, seeds});

}  // namespace
}  // namespace entente::fuzz
