#include "tests/support/moody_handler.h"

namespace entente::test {
namespace {

class MoodyHandler final : public Handler {
 public:
  Result<Decision> decide(const Conflict& conflict) const override {
    int64_t sum = 0;
    for (const auto& s : conflict.siblings) {
      for (const auto& [name, value] : s.row != nullptr ? *s.row : Row{}) {
        if (const auto* n = std::get_if<int64_t>(&value)) sum += *n;
      }
    }
    Decision d;
    switch (sum % 7) {
      case 0:
        return fail(Code::kInvalid, "not in the mood");
      case 1:
        d.kind = Decision::Kind::kKeep;
        return d;
      case 2:
        d.kind = Decision::Kind::kDelete;
        return d;
      case 3:
        d.kind = Decision::Kind::kPick;
        d.pick = static_cast<size_t>(sum) % conflict.siblings.size();
        return d;
      case 4:
        d.kind = Decision::Kind::kHold;
        return d;
      default:
        d.kind = Decision::Kind::kRow;
        for (const auto& s : conflict.siblings) {
          for (const auto& [name, value] : s.row != nullptr ? *s.row : Row{}) d.row[name] = sum;
        }
        return d;
    }
  }
  const std::string& version() const override { return version_; }

 private:
  const std::string version_ = "test:moody";
};

}  // namespace

std::shared_ptr<const Handler> moody_handler() {
  static const auto kHandler = std::make_shared<MoodyHandler>();
  return kHandler;
}

}  // namespace entente::test
