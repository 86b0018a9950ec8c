#include <git2.h>

#include <algorithm>

#include "conflict/merge.h"

namespace entente {
namespace {

// What keeps the longest merge to a tenth of a second or so: comparing costs the number of lines
// to the power of 1.5 where nearly all of them differ.
constexpr size_t kBytesMax = size_t{1} << 20;
constexpr ptrdiff_t kLinesMax = 1 << 14;

// Set up once, from whichever thread comes first, and never taken down: threads may still merge.
bool library_ready() {
  static const bool kReady = git_libgit2_init() > 0;
  return kReady;
}

const std::string* fitting(const Value& v) {
  const auto* text = std::get_if<std::string>(&v);
  if (!text || text->size() > kBytesMax) return nullptr;
  if (std::ranges::count(*text, '\n') > kLinesMax) return nullptr;
  // The library takes text with a NUL for binary, if it sees it.
  return text->find('\0') == std::string::npos ? text : nullptr;
}

git_merge_file_input input(const std::string& text) {
  git_merge_file_input in{};
  in.version = GIT_MERGE_FILE_INPUT_VERSION;
  in.ptr = text.data();
  in.size = text.size();
  return in;
}

git_merge_file_options options(bool markers) {
  git_merge_file_options chosen{};
  chosen.version = GIT_MERGE_FILE_OPTIONS_VERSION;
  chosen.our_label = "earlier";
  chosen.their_label = "later";
  chosen.favor = markers ? GIT_MERGE_FILE_FAVOR_NORMAL : GIT_MERGE_FILE_FAVOR_THEIRS;
  chosen.flags = GIT_MERGE_FILE_STYLE_MERGE;
  return chosen;
}

std::optional<std::string> merge_lines(const std::string& base, const std::string& earlier,
                                       const std::string& later, bool markers) {
  if (!library_ready()) return std::nullopt;
  const auto ancestor = input(base);
  const auto ours = input(earlier);
  const auto theirs = input(later);
  const auto how = options(markers);
  git_merge_file_result merged{};
  if (git_merge_file(&merged, &ancestor, &ours, &theirs, &how) != 0) return std::nullopt;
  std::string text(merged.ptr ? merged.ptr : "", merged.len);
  git_merge_file_result_free(&merged);
  return text;
}

}  // namespace

Value merge_text(const Value* base, const Value& earlier, const Value& later, bool markers) {
  const Value was = base ? *base : Null{};
  if (identical(earlier, later) || identical(earlier, was)) return later;
  if (identical(later, was)) return earlier;
  const auto* mine = fitting(earlier);
  const auto* theirs = fitting(later);
  if (!mine || !theirs) return later;
  const auto* ancestor = fitting(was);
  auto merged = merge_lines(ancestor ? *ancestor : std::string(), *mine, *theirs, markers);
  return merged ? Value(std::move(*merged)) : later;
}

}  // namespace entente
