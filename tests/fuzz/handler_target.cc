// What a gateway and a plug-in's process say to each other, and the check of a handler's answer.

#include "gateway/handlers/answer.h"
#include "gateway/handlers/frames.h"
#include "gateway/handlers/owned_conflict.h"
#include "tests/fuzz/samples.h"
#include "tests/fuzz/target.h"

namespace entente::fuzz {
namespace {

std::string encoded(const Conflict& conflict) {
  ByteWriter out;
  encode(out, conflict);
  return out.take();
}

std::string encoded(const Decision& decision) {
  ByteWriter out;
  encode(out, decision);
  return out.take();
}

OwnedConflict sample_conflict() {
  OwnedConflict conflict{"update-update",        "carts", "", {{"id", int64_t{1}}},
                         Row{{"n", int64_t{1}}}, {}};
  conflict.siblings.push_back({"eu", Hlc::at(5), Row{{"n", int64_t{2}}, {"s", std::string("x")}}});
  conflict.siblings.push_back({"us", Hlc::at(6), std::nullopt});
  return conflict;
}

void check(const Decision& decision) {
  const std::string once = encoded(decision);
  const auto again = decode_decision(once);
  MUST(again && encoded(*again) == once);
  const OwnedConflict conflict = sample_conflict();
  const auto checked = check_answer(conflict.view(), decision);
  if (checked && checked->kind == Decision::Kind::kPick) {
    MUST(checked->pick < conflict.siblings.size());
  }
}

void run(std::string_view bytes) {
  if (const auto conflict = decode_conflict(bytes)) {
    const std::string once = encoded(conflict->view());
    const auto again = decode_conflict(once);
    MUST(again && encoded(again->view()) == once);
  }
  if (const auto decision = decode_decision(bytes)) check(*decision);
  if (const auto reply = decode_reply(bytes)) {
    const auto again = decode_reply(encode_reply(*reply));
    MUST(again && again->has_value() == reply->has_value());
    if (*reply) check(**reply);
  }
  if (const auto beginning = decode_beginning(bytes)) MUST(encode_beginning(*beginning) == bytes);
}

std::vector<std::string> seeds() {
  const Decision row{Decision::Kind::kRow, {{"n", int64_t{3}}}, 0};
  const Decision pick{Decision::Kind::kPick, {}, 1};
  return {encoded(sample_conflict().view()),
          encoded(row),
          encoded(pick),
          encode_reply(row),
          encode_reply(fail(Code::kInvalid, "no", "declined")),
          encode_beginning({1 << 20, "{}"})};
}

const Registration registered({"handler", run, seeds});

}  // namespace
}  // namespace entente::fuzz
