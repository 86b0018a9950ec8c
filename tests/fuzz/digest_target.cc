// What gateways ask each other to compare tables, answered by real databases.

#include "gateway/api/verify/digest_answer.h"
#include "tests/fuzz/peers_world.h"
#include "tests/fuzz/samples.h"
#include "tests/fuzz/target.h"

namespace entente::fuzz {
namespace {

using Which = PeersWorld::Which;

void answer(const DigestQuestion& question) {
  auto& world = PeersWorld::instance();
  for (const Which which : {Which::kFast, Which::kMemory}) {
    const auto answer = answer_digests(world.reader(which), question);
    if (!answer) {
      MUST(answer.error().code == Code::kInvalid || answer.error().code == Code::kNotFound);
      continue;
    }
    MUST(question.keys.empty() || answer->seen.size() == question.keys.size());
    const std::string once = encode(*answer);
    const auto again = decode_digest_answer(once);
    MUST(again && encode(*again) == once);
  }
}

void run(std::string_view bytes) {
  if (const auto question = decode_digest_question(bytes)) {
    const std::string once = encode(*question);
    const auto again = decode_digest_question(once);
    MUST(again && encode(*again) == once);
    answer(*question);
  }
  if (const auto answer = decode_digest_answer(bytes)) {
    const std::string once = encode(*answer);
    const auto again = decode_digest_answer(once);
    MUST(again && encode(*again) == once);
  }
}

std::vector<std::string> seeds() {
  ByteWriter one, pair;
  one.value(int64_t{1});
  pair.value(std::string("eu")), pair.value(int64_t{1});
  DigestQuestion range{"t", {}, {Key(one.view())}, true, 100, true, {}};
  DigestQuestion named{"pair", {}, {}, false, 100, false, {Key(pair.view())}};
  DigestQuestion after{"pair", Key(pair.view()), {}, true, 1, false, {}};
  std::vector<std::string> out = {encode(range), encode(named), encode(after)};
  for (const auto& question : {range, named}) {
    const auto answer = answer_digests(PeersWorld::instance().reader(Which::kFast), question);
    MUST(answer);
    out.push_back(encode(*answer));
  }
  return out;
}

const Registration registered({"digest", run, seeds});

}  // namespace
}  // namespace entente::fuzz
