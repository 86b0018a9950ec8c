// Records as logs hold them and links carry them: head, changes, and the reader of plain changes
// that the SQLite adapter takes its short way with.

#include "tests/fuzz/samples.h"
#include "tests/fuzz/target.h"

namespace entente::fuzz {
namespace {

std::string encoded(const Change& change) {
  ByteWriter out;
  append_change(out, change);
  return out.take();
}

// What is read is what would be written, and is read back alike.
void check_again(const Change& change) {
  const std::string once = encoded(change);
  ByteReader in(once);
  const auto again = decode_change(in);
  MUST(again && in.done());
  MUST(encoded(*again) == once);
}

// The short reader takes nothing that the general one refuses, reads as far, and says the same.
void check_plain(const PlainRowChange& plain, std::string_view after, ByteReader in) {
  const auto change = decode_change(in);
  MUST(change);
  MUST(in.rest().size() == after.size());
  const auto* row = std::get_if<RowChange>(&*change);
  MUST(row != nullptr);
  MUST(row->erase == plain.erase && row->inserted == plain.inserted && row->key == plain.key);
  MUST(!row->context && row->kept.empty() && row->base.empty() && row->floors.empty());
  MUST(row->decider == Decider::kWriter);
  MUST(decode_keys_set(plain.keys_set) == row->keys_set);
}

void read_changes(std::string_view bytes) {
  ByteReader in(bytes);
  while (in.ok() && in.left() > 0) {
    ByteReader before = in, plainly = in;
    const auto plain = next_plain_change(plainly);
    if (plain) check_plain(*plain, plainly.rest(), before);
    const auto change = decode_change(in);
    if (!change) return;
    check_again(*change);
    // One encoding each. (Deciders of later versions are read as the nearest known.)
    const auto* row = std::get_if<RowChange>(&*change);
    const bool decided = row != nullptr && row->decider == Decider::kOperator;
    const auto read = before.rest().substr(0, before.left() - in.left());
    if (!decided) MUST(encoded(*change) == read);
  }
}

StreamState later_state() {
  StreamState before;
  before.seq = 7;
  before.hlc = Hlc::at(1'700'000'000'000);
  before.context = sample_vector();
  return before;
}

void read_record(std::string_view bytes, const StreamState& before) {
  const Origin origin = origin_of(9);
  const auto t = decode_record(origin, bytes, before);
  if (!t) return;
  const std::string once = encode_record(*t, before);
  const auto again = decode_record(origin, once, before);
  MUST(again);
  MUST(again->dot == t->dot && again->hlc == t->hlc && again->context == t->context);
  MUST(again->epoch == t->epoch && again->declares_dc == t->declares_dc);
  MUST(again->changes.size() == t->changes.size());
  MUST(encode_record(*again, before) == once);
  MUST(t->context.at(origin) == before.seq);
}

void read_run(std::string_view bytes) {
  Choices choices(bytes);
  Run run{origin_of(9), 1 + choices.below(4), choices.byte(), std::string(choices.rest())};
  const uint64_t after = choices.byte();
  const auto rest = slice_after(run, after);
  if (!rest || rest->count == 0) return;
  MUST(rest->last() == run.last());
  const auto whole = slice_after(*rest, 0);
  MUST(whole && whole->records == rest->records);
}

void run(std::string_view bytes) {
  if (bytes.empty()) return;
  const char kind = bytes.front();
  bytes.remove_prefix(1);
  if (kind == 0) read_changes(bytes);
  if (kind == 1) read_record(bytes, {});
  if (kind == 2) read_record(bytes, later_state());
  if (kind == 3) read_run(bytes);
}

std::vector<std::string> seeds() {
  const auto changes = sample_changes();
  std::string all(1, '\0');
  std::vector<std::string> out;
  for (const auto& change : changes) {
    all += encoded(change);
    out.push_back(std::string(1, '\0') + encoded(change));
  }
  out.push_back(all);
  const Hlc later = Hlc::at(1'700'000'000'001);
  const std::string first = encode_record({{origin_of(9), 1}, later, {}, 0, "dc9", {}}, {});
  out.push_back("\1" + first);
  VersionVector context = sample_vector();
  context.set(origin_of(2), 301);
  out.push_back("\2" +
                encode_record({{origin_of(9), 8}, later, context, 3, "", changes}, later_state()));
  ByteWriter records;
  records.string(first), records.string("x");
  out.push_back(std::string("\3\0\2", 3) + records.take());
  return out;
}

const Registration registered({"record", run, seeds});

}  // namespace
}  // namespace entente::fuzz
