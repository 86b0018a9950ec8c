// What a database file holds beside users' rows: files are copied, restored and edited by others.

#include "adapters/sqlite/conflict_log.h"
#include "adapters/sqlite/versions.h"
#include "tests/fuzz/samples.h"
#include "tests/fuzz/target.h"

namespace entente::fuzz {
namespace {

void run(std::string_view bytes) {
  sqlite::RowMeta meta;
  meta.row = {1, 7, 1'700'000'000'000};
  if (sqlite::decode_extras(bytes, meta)) {
    const std::string once = sqlite::encode_extras(meta);
    sqlite::RowMeta again;
    again.row = meta.row;
    MUST(sqlite::decode_extras(once, again));
    MUST(sqlite::encode_extras(again) == once);
  }
  if (const auto row = sqlite::decode_row(bytes)) {
    const std::string once = sqlite::encode_row(*row);
    const auto again = sqlite::decode_row(once);
    MUST(again && identical(*again, *row));
  }
}

std::vector<std::string> seeds() {
  sqlite::RowMeta meta;
  meta.row = {1, 7, 1'700'000'000'000};
  meta.rest = {2, 9, 1'700'000'000'001};
  meta.tombstone = meta.siblings = true;
  meta.exceptions = {{1, meta.row}, {2, std::nullopt}, {3, sqlite::Stamp{3, 1, 5}}};
  meta.retained = {{4, std::string("x")}, {5, Blob{"y"}}};
  return {sqlite::encode_extras(meta),
          sqlite::encode_row({{"a", std::string("x")}, {"b", int64_t{-1}}})};
}

const Registration registered({"stored", run, seeds});

}  // namespace
}  // namespace entente::fuzz
