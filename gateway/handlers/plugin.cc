#include "gateway/handlers/plugin.h"

#include <dlfcn.h>

#include <cmath>
#include <optional>
#include <string>
#include <vector>

namespace entente {
namespace {

constexpr size_t kLongestReason = 1000;  // bytes

entente_text text_of(std::string_view text) { return {text.data(), text.size()}; }
std::string_view view_of(entente_text text) {
  return text.bytes ? std::string_view(text.bytes, text.size) : std::string_view();
}

entente_value value_of(const Value& value) {
  entente_value out{};
  out.type = static_cast<uint32_t>(value.index());
  if (const auto* integer = std::get_if<int64_t>(&value)) out.integer = *integer;
  if (const auto* real = std::get_if<double>(&value)) out.real = *real;
  if (const auto* text = std::get_if<std::string>(&value)) out.text = text_of(*text);
  if (const auto* blob = std::get_if<Blob>(&value)) out.text = text_of(blob->bytes);
  return out;
}

std::optional<Value> value_of(const entente_value& value) {
  switch (value.type) {
    case ENTENTE_NULL:
      return Null();
    case ENTENTE_INTEGER:
      return value.integer;
    case ENTENTE_REAL:
      if (std::isnan(value.real)) return std::nullopt;
      return value.real;
    case ENTENTE_TEXT:
      return std::string(view_of(value.text));
    case ENTENTE_BLOB:
      return Blob{std::string(view_of(value.text))};
    default:
      return std::nullopt;
  }
}

// A row as plug-ins see it.
struct CRow {
  template <class Columns>
  explicit CRow(const Columns& columns) {
    for (const auto& [column, value] : columns) {
      names.push_back(text_of(column));
      values.push_back(value_of(value));
    }
    row = {sizeof(entente_row), names.size(), names.data(), values.data()};
  }
  CRow(const CRow&) = delete;

  std::vector<entente_text> names;
  std::vector<entente_value> values;
  entente_row row;
};

// A conflict as plug-ins see it.
struct CConflict {
  explicit CConflict(const Conflict& from) : key(from.key) {
    if (from.base) base.emplace(*from.base);
    siblings.reserve(from.siblings.size());
    for (const auto& sibling : from.siblings) add(sibling);
    conflict = {sizeof(entente_conflict), text_of(from.kind), text_of(from.table),
                text_of(from.group),      &key.row,           base ? &base->row : nullptr,
                pointers.size(),          pointers.data()};
  }

  void add(const Conflict::Value& sibling) {
    const entente_row* row = nullptr;
    if (sibling.row) row = &rows.emplace_back(std::make_unique<CRow>(*sibling.row))->row;
    siblings.push_back({sizeof(entente_sibling), text_of(sibling.dc), sibling.hlc.bits, row});
    pointers.push_back(&siblings.back());
  }

  CRow key;
  std::optional<CRow> base;
  std::vector<std::unique_ptr<CRow>> rows;
  std::vector<entente_sibling> siblings;
  std::vector<const entente_sibling*> pointers;
  entente_conflict conflict;
};

// What a plug-in says during one call.
struct Answer {
  std::optional<Decision> decision;
  std::string refusal;  // why it cannot
  std::string mistake;  // what it did wrong

  void say(Decision::Kind kind) {
    Decision out;
    out.kind = kind;
    decision = std::move(out);
  }
};

Answer& answer_of(void* call) { return *static_cast<Answer*>(call); }

void host_set(void* call, entente_text column, const entente_value* value) {
  Answer& answer = answer_of(call);
  const std::string name(view_of(column));
  const auto converted = value ? value_of(*value) : std::nullopt;
  if (!converted) {
    answer.mistake = "column " + name + " is NaN or of a type that does not exist";
    return;
  }
  if (!answer.decision || answer.decision->kind != Decision::Kind::kRow) {
    answer.say(Decision::Kind::kRow);
  }
  answer.decision->row.insert_or_assign(name, *converted);
}

void host_pick(void* call, size_t sibling) {
  answer_of(call).say(Decision::Kind::kPick);
  answer_of(call).decision->pick = sibling;
}

void host_erase(void* call) { answer_of(call).say(Decision::Kind::kDelete); }
void host_keep(void* call) { answer_of(call).say(Decision::Kind::kKeep); }
void host_hold(void* call) { answer_of(call).say(Decision::Kind::kHold); }

void host_fail(void* call, entente_text why) {
  answer_of(call).refusal = view_of(why).substr(0, kLongestReason);
}

tl::unexpected<Error> failed(std::string text) {
  return fail(Code::kInvalid, std::move(text), "failed");
}

tl::unexpected<Error> declined(const std::string& why, int returned) {
  if (why.empty()) return failed("it returned " + std::to_string(returned) + " without a reason");
  return fail(Code::kInvalid, why, "declined");
}

Result<void> check_handler(const entente_handler* handler) {
  if (!handler) return failed("entente_handler_v1() answered nothing");
  if (handler->abi > ENTENTE_HANDLER_ABI) {
    return failed("it was built for version " + std::to_string(handler->abi) +
                  " of entente_handler.h, and this gateway knows up to " +
                  std::to_string(ENTENTE_HANDLER_ABI) + ": update the gateway first");
  }
  if (handler->abi == 0 || handler->size < sizeof(entente_handler) || !handler->decide) {
    return failed("entente_handler_v1() answered a description that is not filled in");
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<Plugin>> Plugin::load(int fd) {
  const std::string path = "/proc/self/fd/" + std::to_string(fd);
  void* library = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    std::string why = ::dlerror();
    if (why.starts_with(path + ": ")) why.erase(0, path.size() + 2);
    return failed("it cannot be loaded: " + why);
  }
  std::unique_ptr<Plugin> out(new Plugin(library));
  out->entry_ =
      reinterpret_cast<const entente_handler* (*)()>(::dlsym(library, "entente_handler_v1"));
  if (!out->entry_) return failed("it does not export entente_handler_v1()");
  return out;
}

Plugin::~Plugin() {
  if (opened_ && handler_->close) handler_->close(self_);
  ::dlclose(library_);
}

Result<void> Plugin::open(std::string_view config) try {
  handler_ = entry_();
  if (auto checked = check_handler(handler_); !checked) return checked;
  Answer answer;
  const entente_opening opening{
      sizeof(entente_opening), ENTENTE_HANDLER_ABI, 0, text_of(config), &answer, host_fail};
  const int returned = handler_->open ? handler_->open(&opening, &self_) : 0;
  if (returned != 0) return declined(answer.refusal, returned);
  opened_ = true;
  return {};
} catch (...) {
  return failed("an exception left open()");
}

Result<Decision> Plugin::decide(const Conflict& conflict) const try {
  const CConflict converted(conflict);
  Answer answer;
  const entente_host host{
      sizeof(entente_host), ENTENTE_HANDLER_ABI, 0,         &answer,  host_set, host_pick,
      host_erase,           host_keep,           host_hold, host_fail};
  const int returned = handler_->decide(self_, &converted.conflict, &host);
  if (returned != 0 || !answer.refusal.empty()) return declined(answer.refusal, returned);
  if (!answer.mistake.empty()) return failed("its answer is wrong: " + answer.mistake);
  if (!answer.decision) return failed("it did not answer");
  return *answer.decision;
} catch (...) {
  return failed("an exception left decide()");
}

}  // namespace entente
