#include "conflict/key.h"

#include <gtest/gtest.h>
#include <sqlite3.h>

#include <map>
#include <memory>

#include "tests/unit/conflict/support.h"

namespace entente {
namespace {

using namespace std::string_literals;

// A real SQLite database in memory, the judge of what is one key.
class Sqlite {
 public:
  Sqlite() {
    sqlite3* db = nullptr;
    EXPECT_EQ(sqlite3_open(":memory:", &db), SQLITE_OK);
    db_.reset(db);
  }

  void run(const std::string& sql) {
    EXPECT_EQ(sqlite3_exec(db_.get(), sql.c_str(), nullptr, nullptr, nullptr), SQLITE_OK)
        << sql << ": " << sqlite3_errmsg(db_.get());
  }

  // Runs one statement with its arguments; the result code of its first step.
  int step(const std::string& sql, std::span<const Value> args, Value* first_column = nullptr) {
    sqlite3_stmt* s = prepared(sql);
    for (size_t i = 0; i < args.size(); ++i) bind(s, static_cast<int>(i + 1), args[i]);
    const int rc = sqlite3_step(s);
    if (rc == SQLITE_ROW && first_column) *first_column = column(s);
    sqlite3_reset(s);
    return rc;
  }

 private:
  using Prepared = std::unique_ptr<sqlite3_stmt, int (*)(sqlite3_stmt*)>;

  sqlite3_stmt* prepared(const std::string& sql) {
    const auto known = statements_.find(sql);
    if (known != statements_.end()) return known->second.get();
    sqlite3_stmt* s = nullptr;
    EXPECT_EQ(sqlite3_prepare_v2(db_.get(), sql.c_str(), -1, &s, nullptr), SQLITE_OK) << sql;
    return statements_.emplace(sql, Prepared(s, sqlite3_finalize)).first->second.get();
  }

  static void bind(sqlite3_stmt* s, int at, const Value& v) {
    switch (v.index()) {
      case 0:
        sqlite3_bind_null(s, at);
        break;
      case 1:
        sqlite3_bind_int64(s, at, std::get<int64_t>(v));
        break;
      case 2:
        sqlite3_bind_double(s, at, std::get<double>(v));
        break;
      case 3: {
        const auto& text = std::get<std::string>(v);
        sqlite3_bind_text64(s, at, text.data(), text.size(), SQLITE_STATIC, SQLITE_UTF8);
        break;
      }
      default: {
        const auto& bytes = std::get<Blob>(v).bytes;
        sqlite3_bind_blob64(s, at, bytes.data(), bytes.size(), SQLITE_STATIC);
      }
    }
  }

  static Value column(sqlite3_stmt* s) {
    const auto text = [&](const void* bytes) {
      return std::string(static_cast<const char*>(bytes),
                         static_cast<size_t>(sqlite3_column_bytes(s, 0)));
    };
    switch (sqlite3_column_type(s, 0)) {
      case SQLITE_NULL:
        return Null{};
      case SQLITE_INTEGER:
        return static_cast<int64_t>(sqlite3_column_int64(s, 0));
      case SQLITE_FLOAT:
        return sqlite3_column_double(s, 0);
      case SQLITE_TEXT:
        return text(sqlite3_column_text(s, 0));
      default:
        return Blob{text(sqlite3_column_blob(s, 0))};
    }
  }

  std::unique_ptr<sqlite3, int (*)(sqlite3*)> db_{nullptr, sqlite3_close};
  std::map<std::string, Prepared> statements_;
};

// Everything that could be spelled as a key.
std::vector<Value> spellings() {
  auto values = test::nasty_values();
  for (const auto* text : {"0",
                           "-0",
                           "+0",
                           "-0.0",
                           "0.0",
                           "1.",
                           ".5",
                           "0.5",
                           "5e-1",
                           "+.5",
                           ".",
                           "+",
                           "-",
                           "e5",
                           "5e",
                           "5e+",
                           "1e+2",
                           "1E2",
                           "100",
                           "100.0",
                           "+-5",
                           "-+5",
                           "--5",
                           "- 5",
                           "-5",
                           "5 5",
                           "0x1F",
                           "inf",
                           "Inf",
                           "nan",
                           "1e400",
                           "-1e400",
                           "1e-400",
                           "-1e-400",
                           "1e19",
                           "1e100",
                           "1.5",
                           "1.50",
                           " 1.5",
                           "1.5\v",
                           "9007199254740993",
                           "9007199254740993.0",
                           "9007199254740992",
                           "9223372036854775807",
                           "9223372036854775808",
                           "-9223372036854775808",
                           "-9223372036854775809",
                           "9223372036854775807.0",
                           "10000000000000000000",
                           "1_000",
                           "١",
                           "abc",
                           "ABC",
                           "aBc",
                           "abc ",
                           "abc  ",
                           " abc",
                           "abc\t",
                           "abc\xc2\xa0",
                           "ÄBC",
                           "äbc",
                           "straße",
                           "STRASSE",
                           "İ",
                           "I",
                           "i",
                           "[",
                           "{",
                           "@",
                           "`",
                           "1e100 ",
                           "1.0e+100",
                           "0.1",
                           "1.0e+15",
                           "1000000000000000.0",
                           "1.0e+19",
                           "Inf",
                           "-1.5",
                           "4.94065645841247e-324",
                           "0.0001",
                           "1.0e-05",
                           "000",
                           "0e999999999999999999999",
                           "0.0e-99999",
                           "1e99999999999999999999",
                           "1e-99999999999999999999",
                           "000000000000000000000000000000012"}) {
    values.push_back(std::string(text));
  }
  for (const int digits : {300, 400}) {
    const std::string zeros(static_cast<size_t>(digits), '0');
    for (const auto& text : {"1" + zeros, "1" + zeros + "e-9", "0." + zeros + "1",
                             "1" + zeros + "e-500", "0." + zeros + "1e9", "0." + zeros + "1e500"}) {
      values.push_back(text);
    }
  }
  values.push_back("12\0"s);
  values.push_back("1\0 2"s);
  values.push_back(0.0001);
  values.push_back(0.00001);
  values.push_back(123456789012345.0);
  values.push_back(1234567890123456.0);
  values.push_back(123456.789);
  return values;
}

struct KeyColumn {
  const char* name;
  const char* type;
  Collation collation;
  bool without_rowid = false;
};

void PrintTo(const KeyColumn& column, std::ostream* out) { *out << column.name; }

const char* sql_name(Collation c) {
  return c == Collation::kBinary ? "BINARY" : c == Collation::kNocase ? "NOCASE" : "RTRIM";
}

TableDef table_of(const KeyColumn& column) {
  return {"t", {{"k", column.type, affinity_of(column.type), column.collation, false, 1}}};
}

class KeyLaw : public testing::TestWithParam<KeyColumn> {
 protected:
  KeyLaw() {
    const auto& column = GetParam();
    db_.run("CREATE TABLE t (k " + std::string(column.type) + " COLLATE " +
            sql_name(column.collation) + " PRIMARY KEY NOT NULL)" +
            (column.without_rowid ? " WITHOUT ROWID" : ""));
  }

  // A NULL is no key for us; for SQLite's rowid alias it means the next free number.
  bool insert(const Value& v) {
    return !std::holds_alternative<Null>(v) &&
           db_.step("INSERT INTO t VALUES (?)", std::span(&v, 1)) == SQLITE_DONE;
  }
  void clear() { db_.step("DELETE FROM t", {}); }

  Sqlite db_;
  TableDef table_ = table_of(GetParam());
};

TEST_P(KeyLaw, TwoValuesAreOneKeyExactlyWhenSqliteSaysSo) {
  std::vector<Value> values;
  for (const auto& v : spellings()) {
    if (insert(v)) values.push_back(v);
    clear();
  }
  ASSERT_GT(values.size(), 15u);
  for (const auto& a : values) {
    insert(a);
    for (const auto& b : values) {
      const bool same_row = !insert(b);
      if (!same_row) {
        clear();
        insert(a);
      }
      const auto ka = canonical_key(table_, std::span(&a, 1));
      const auto kb = canonical_key(table_, std::span(&b, 1));
      ASSERT_TRUE(ka && kb);
      EXPECT_EQ(*ka == *kb, same_row) << describe(a) << " and " << describe(b);
    }
    clear();
  }
}

TEST_P(KeyLaw, TheCanonicalPartsFindTheRowInSqlite) {
  for (const auto& v : spellings()) {
    clear();
    if (!insert(v)) continue;
    const auto key = canonical_key(table_, std::span(&v, 1));
    ASSERT_TRUE(key) << describe(v);
    const auto parts = key_parts(*key);
    ASSERT_TRUE(parts);
    ASSERT_EQ(parts->size(), 1u);
    EXPECT_EQ(db_.step("SELECT 1 FROM t WHERE k = ?", *parts), SQLITE_ROW) << describe(v);
  }
}

TEST_P(KeyLaw, TheCanonicalPartsHaveTheSameKey) {
  for (const auto& v : spellings()) {
    const auto key = canonical_key(table_, std::span(&v, 1));
    if (!key) continue;
    EXPECT_EQ(*canonical_key(table_, *key_parts(*key)), *key) << describe(v);
  }
}

TEST_P(KeyLaw, AffinityStoresWhatSqliteStores) {
  for (const auto& v : spellings()) {
    clear();
    if (!insert(v)) continue;
    Value stored;
    ASSERT_EQ(db_.step("SELECT k FROM t", {}, &stored), SQLITE_ROW);
    EXPECT_TRUE(identical(apply_affinity(affinity_of(GetParam().type), v), stored))
        << describe(v) << " is stored as " << describe(stored) << ", not "
        << describe(apply_affinity(affinity_of(GetParam().type), v));
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, KeyLaw,
    testing::Values(KeyColumn{"RowidAlias", "INTEGER", Collation::kBinary},
                    KeyColumn{"Integer", "INT", Collation::kBinary},
                    KeyColumn{"IntegerNocase", "BIGINT", Collation::kNocase},
                    KeyColumn{"Numeric", "DECIMAL(10,5)", Collation::kBinary},
                    KeyColumn{"NumericRtrim", "NUMERIC", Collation::kRtrim},
                    KeyColumn{"Real", "REAL", Collation::kBinary},
                    KeyColumn{"RealNocase", "DOUBLE", Collation::kNocase},
                    KeyColumn{"Text", "TEXT", Collation::kBinary},
                    KeyColumn{"TextNocase", "TEXT", Collation::kNocase},
                    KeyColumn{"TextRtrim", "VARCHAR(9)", Collation::kRtrim},
                    KeyColumn{"Blob", "BLOB", Collation::kBinary},
                    KeyColumn{"NoTypeNocase", "", Collation::kNocase},
                    KeyColumn{"NoTypeRtrim", "", Collation::kRtrim},
                    KeyColumn{"WithoutRowidInteger", "INTEGER", Collation::kBinary, true},
                    KeyColumn{"WithoutRowidText", "TEXT", Collation::kBinary, true},
                    KeyColumn{"WithoutRowidTextNocase", "TEXT", Collation::kNocase, true},
                    KeyColumn{"WithoutRowidReal", "REAL", Collation::kBinary, true},
                    KeyColumn{"WithoutRowidBlob", "BLOB", Collation::kBinary, true}),
    [](const auto& param) { return param.param.name; });

TEST(Key, DoublesInTextColumnsAreSpelledAsSqliteSpellsThem) {
  Sqlite db;
  db.run("CREATE TABLE t (k TEXT)");
  test::Random random(1);
  for (int i = 0; i < 20000; ++i) {
    const double digits = static_cast<double>(random.below(1'000'000'000));
    const Value v = digits * std::pow(10.0, static_cast<double>(random.below(40)) - 20.0);
    Value stored;
    db.run("DELETE FROM t");
    db.step("INSERT INTO t VALUES (?)", std::span(&v, 1));
    ASSERT_EQ(db.step("SELECT k FROM t", {}, &stored), SQLITE_ROW);
    ASSERT_TRUE(identical(apply_affinity(Affinity::kText, v), stored))
        << describe(v) << " " << describe(stored);
  }
}

const TableDef kPair{"pair",
                     {{"b", "TEXT", Affinity::kText, Collation::kBinary, false, 2},
                      {"v", "", Affinity::kBlob, Collation::kBinary, false, 0},
                      {"a", "INTEGER", Affinity::kInteger, Collation::kBinary, false, 1}}};

TEST(Key, PartsAreInKeyOrderNotColumnOrder) {
  const std::vector<Value> parts{int64_t{7}, "x"s};
  const auto key = canonical_key(kPair, parts);
  ASSERT_TRUE(key);
  EXPECT_EQ(*key, "\x17\x03\x01x");
  EXPECT_FALSE(spelled_otherwise(parts, *key));
}

TEST(Key, PartsDoNotRunIntoEachOther) {
  const TableDef texts{"texts",
                       {{"a", "TEXT", Affinity::kText, Collation::kBinary, false, 1},
                        {"b", "TEXT", Affinity::kText, Collation::kBinary, false, 2}}};
  EXPECT_NE(*canonical_key(texts, std::vector<Value>{"ab"s, "c"s}),
            *canonical_key(texts, std::vector<Value>{"a"s, "bc"s}));
}

TEST(Key, NullInAKeyIsRefusedWithTheColumnsName) {
  const auto key = canonical_key(kPair, std::vector<Value>{int64_t{7}, Null{}});
  ASSERT_FALSE(key);
  EXPECT_EQ(key.error().tag, "null_key");
  EXPECT_NE(key.error().text.find("column b"), std::string::npos);
}

TEST(Key, TheWrongNumberOfPartsIsRefused) {
  for (const size_t n : {0u, 1u, 3u}) {
    const auto key = canonical_key(kPair, std::vector<Value>(n, int64_t{1}));
    ASSERT_FALSE(key);
    EXPECT_EQ(key.error().tag, "key_shape");
  }
}

TEST(Key, IntegersPastTwoToThe53KeepTheirLastBit) {
  const TableDef ids{"ids", {{"id", "INTEGER", Affinity::kInteger, Collation::kBinary, true, 1}}};
  const Value a = (int64_t{1} << 53) + 1, b = int64_t{1} << 53;
  EXPECT_NE(*canonical_key(ids, std::span(&a, 1)), *canonical_key(ids, std::span(&b, 1)));
  EXPECT_TRUE(identical(key_parts(*canonical_key(ids, std::span(&a, 1)))->front(), a));
}

TEST(Key, AnotherSpellingOfTheSameKeyIsNoticed) {
  const TableDef names{"names", {{"n", "TEXT", Affinity::kText, Collation::kNocase, true, 1}}};
  const Value upper = "Abc"s, lower = "abc"s;
  const auto key = canonical_key(names, std::span(&upper, 1));
  EXPECT_TRUE(spelled_otherwise(std::span(&upper, 1), *key));
  EXPECT_FALSE(spelled_otherwise(std::span(&lower, 1), *key));
}

TEST(Key, BytesThatAreNoKeyAreRefused) {
  EXPECT_FALSE(
      key_parts("\x03\x05"
                "ab"));
  EXPECT_FALSE(key_parts("\x09"));
}

// ---- Affinity of declared types -----------------------------------------------------------------

// What SQLite itself makes of a declared type, seen from outside.
Affinity affinity_in_sqlite(const std::string& type) {
  Sqlite db;
  db.run("CREATE TABLE t (c " + type + ")");
  const auto stored = [&](const Value& v) {
    Value out;
    db.run("DELETE FROM t");
    db.step("INSERT INTO t VALUES (?)", std::span(&v, 1));
    db.step("SELECT c FROM t", {}, &out);
    return out;
  };
  if (std::holds_alternative<std::string>(stored(int64_t{1}))) return Affinity::kText;
  if (std::holds_alternative<double>(stored(int64_t{1}))) return Affinity::kReal;
  if (std::holds_alternative<std::string>(stored("1"s))) return Affinity::kBlob;
  Value cast;
  db.step("SELECT CAST('1.5' AS " + type + ")", {}, &cast);
  return std::holds_alternative<int64_t>(cast) ? Affinity::kInteger : Affinity::kNumeric;
}

TEST(Affinity, OfCommonTypesIsSqlites) {
  for (const auto* type : {"",
                           "INT",
                           "INTEGER",
                           "int",
                           "Tinyint",
                           "UNSIGNED BIG INT",
                           "INT8",
                           "CHARACTER(20)",
                           "VARCHAR(255)",
                           "NATIVE CHARACTER(70)",
                           "TEXT",
                           "CLOB",
                           "BLOB",
                           "blob",
                           "REAL",
                           "DOUBLE",
                           "DOUBLE PRECISION",
                           "FLOAT",
                           "NUMERIC",
                           "DECIMAL(10,5)",
                           "BOOLEAN",
                           "DATE",
                           "DATETIME",
                           "FLOATING POINT",
                           "STRING",
                           "ANY",
                           "JSON",
                           "CHARINT",
                           "BLOBTEXT",
                           "REALBLOB",
                           "POINT"}) {
    EXPECT_EQ(affinity_of(type), affinity_in_sqlite(type)) << type;
  }
}

TEST(Affinity, OfAnyMixtureOfTheWordsIsSqlites) {
  const std::vector<std::string> words{"INT",  "CHAR", "CLOB", "TEXT", "BLOB", "REAL",
                                       "FLOA", "DOUB", "X",    "in",   "te",   "XT"};
  test::Random random(2);
  for (int i = 0; i < 500; ++i) {
    std::string type;
    for (size_t n = 1 + random.below(4); n > 0; --n) {
      type += words[random.below(words.size())] + (random.one_in(3) ? " " : "");
    }
    EXPECT_EQ(affinity_of(type), affinity_in_sqlite("\"" + type + "\"")) << type;
  }
}

}  // namespace
}  // namespace entente
