#include "gateway/handlers/handler_laws.h"

#include <algorithm>

#include "gateway/handlers/answer.h"

namespace entente {
namespace {

using Answer = Result<Decision>;

Answer ask(const Handler& handler, const Conflict& conflict) {
  auto decision = handler.decide(conflict);
  if (!decision) return decision;
  return check_answer(conflict, std::move(*decision));
}

bool on_purpose(const Answer& answer) { return !answer && answer.error().tag == "declined"; }

// What becomes of the row, whichever way it was said.
std::string effect(const OwnedConflict& conflict, const Answer& answer) {
  if (!answer) return "declined";
  Decision said = *answer;
  if (said.kind == Decision::Kind::kPick) {
    const auto& picked = conflict.siblings[said.pick].row;
    said.kind = picked ? Decision::Kind::kRow : Decision::Kind::kDelete;
    if (picked) said.row = *picked;
    said.pick = 0;
  }
  ByteWriter out;
  encode(out, said);
  return out.take();
}

class Check {
 public:
  Check(const Handler& one, const Handler& other) : one_(one), other_(other) {}

  // False: it failed, there is no use in going on.
  bool first_pass(const OwnedConflict& conflict) {
    ++report_.conflicts;
    const Answer answer = ask(one_, conflict.view());
    if (!answers(conflict, answer)) return false;
    if (on_purpose(answer)) ++report_.declined;
    compare(Law::kSameTwice, conflict, answer, ask(one_, conflict.view()));
    asked_.push_back({conflict, answer});
    return reordered(conflict, answer);
  }

  void second_pass() {
    for (auto at = asked_.rbegin(); at != asked_.rend(); ++at) {
      const Answer answer = ask(other_, at->conflict.view());
      compare(Law::kSameAfresh, at->conflict, at->answer, answer);
      if (!answer && !on_purpose(answer)) return;
    }
  }

  LawReport take() { return std::move(report_); }

 private:
  struct Asked {
    OwnedConflict conflict;
    Answer answer;
  };

  bool known(Law law) const {
    return std::ranges::any_of(report_.broken, [&](const auto& b) { return b.law == law; });
  }

  bool answers(const OwnedConflict& conflict, const Answer& answer) {
    if (answer || on_purpose(answer)) return true;
    report_.broken.push_back({Law::kAnswers, conflict, answer, std::nullopt, std::nullopt});
    return false;
  }

  void compare(Law law, const OwnedConflict& conflict, const Answer& a, const Answer& b) {
    const bool same = (b || on_purpose(b)) && effect(conflict, a) == effect(conflict, b);
    if (!same && !known(law)) report_.broken.push_back({law, conflict, a, std::nullopt, b});
  }

  bool reordered(const OwnedConflict& conflict, const Answer& answer) {
    OwnedConflict other = conflict;
    std::ranges::reverse(other.siblings);
    const Answer theirs = ask(one_, other.view());
    if (!answers(other, theirs)) return false;
    if (effect(conflict, answer) != effect(other, theirs) && !known(Law::kSameReordered)) {
      report_.broken.push_back({Law::kSameReordered, conflict, answer, other, theirs});
    }
    return true;
  }

  const Handler& one_;
  const Handler& other_;
  std::vector<Asked> asked_;
  LawReport report_;
};

}  // namespace

LawReport check_laws(const Handler& one, const Handler& other, ConflictMaker maker, size_t runs) {
  Check check(one, other);
  for (size_t i = 0; i < runs; ++i) {
    if (!check.first_pass(maker.next())) return check.take();
  }
  check.second_pass();
  return check.take();
}

}  // namespace entente
