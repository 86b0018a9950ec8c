// What conflicts cost: applying two datacenters' writes to the same hot rows, neither of which had
// seen the other's, against applying as many of one datacenter, in one run. For every built-in
// policy, and for a table that has none of them next to it.

#include <unistd.h>
#include <chrono>
#include <cstdio>
#include <cstdlib>

#include <ctime>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "adapters/sqlite/sqlite_database.h"

namespace {

using namespace entente;

constexpr int64_t kHotRows = 200;
constexpr int64_t kGroup = 100;

[[noreturn]] void die(const std::string& why) {
  std::fprintf(stderr, "conflict_bench: %s\n", why.c_str());
  std::exit(1);
}

template <class T>
T must(Result<T> r) {
  if (!r) die(r.error().text);
  return std::move(*r);
}

uint64_t wall_ms() {
  return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(
                                   std::chrono::system_clock::now().time_since_epoch())
                                   .count());
}

struct Case {
  const char* name;
  Policy policy;
  const char* type;
  std::function<Value(int64_t)> value;
};

std::unique_ptr<Database> open(const std::filesystem::path& path, uint8_t origin,
                               const Policy& policy, Granularity granularity) {
  DatabaseOptions options;
  options.dc = std::string(1, static_cast<char>('a' + origin));
  options.fresh_origin.id.fill(static_cast<uint8_t>(origin + 1));
  options.wall_ms = wall_ms();
  options.rules.defaults.policy = policy;
  options.rules.defaults.granularity = granularity;
  options.rules.priorities = {{"a", 1}, {"b", 2}};
  return must(open_sqlite(path, options));
}

std::vector<LogChunk> run(Database& db, const std::vector<Statement>& statements) {
  std::vector<LogChunk> out;
  for (size_t i = 0; i < statements.size(); i += kGroup) {
    std::vector<ClientTransaction> group;
    for (size_t j = i; j < std::min(i + kGroup, statements.size()); ++j) {
      const Statement* s = &statements[j];
      group.emplace_back([s](WriteSession& session) -> Result<void> {
        auto done = session.execute(*s);
        if (!done) return tl::unexpected(done.error());
        return {};
      });
    }
    auto done = must(db.commit(group, wall_ms()));
    for (const auto& r : done.results) {
      if (!r) die(r.error().text);
    }
    out.push_back(std::move(*done.chunk));
  }
  return out;
}

void apply(Database& db, const LogChunk& chunk) {
  must(db.apply(std::span(&chunk.run, 1), wall_ms()));
}

// Ten groups at once: a gateway that has fallen behind takes far more.
void apply_in_batches(Database& db, const std::vector<const LogChunk*>& chunks) {
  std::vector<Run> batch;
  for (const auto* chunk : chunks) {
    batch.push_back(chunk->run);
    if (batch.size() < 10 && chunk != chunks.back()) continue;
    must(db.apply(batch, wall_ms()));
    batch.clear();
  }
}

double processor_seconds(const std::function<void()>& work) {
  const auto before = std::clock();
  work();
  return static_cast<double>(std::clock() - before) / CLOCKS_PER_SEC;
}

void measure(const std::filesystem::path& folder, const Case& c, int64_t writes,
             Granularity granularity) {
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  std::vector<std::unique_ptr<Database>> sites;
  for (uint8_t i = 0; i < 4; ++i) {
    sites.push_back(open(folder / (std::to_string(i) + ".db"), i, c.policy, granularity));
  }
  std::vector<Statement> setup(1), one, other;
  setup[0].sql = std::string("CREATE TABLE t (id INTEGER PRIMARY KEY, x ") + c.type + ")";
  for (int64_t id = 1; id <= kHotRows; ++id) {
    setup.push_back({"INSERT INTO t VALUES (?1, ?2)", {id, c.value(0)}, {}, false, true});
  }
  auto first = must(sites[0]->read_log(0, 1 << 20));
  for (auto& chunk : run(*sites[0], setup)) first.push_back(std::move(chunk));
  for (const auto& chunk : first) {
    for (size_t i = 1; i < sites.size(); ++i) apply(*sites[i], chunk);
  }
  for (int64_t i = 0; i < writes; ++i) {
    const int64_t id = 1 + i % kHotRows;
    auto& mine = i / kGroup % 2 == 0 ? one : other;
    mine.push_back({"UPDATE t SET x = ?2 WHERE id = ?1", {id, c.value(i + 1)}, {}, false, true});
  }
  std::vector<Statement> all = one;
  all.insert(all.end(), other.begin(), other.end());
  const auto alone = run(*sites[0], all);
  for (const auto& chunk : must(sites[1]->read_log(0, 1 << 20))) {
    if (chunk.run.origin == sites[1]->state().self) {
      apply(*sites[2], chunk);
      apply(*sites[3], chunk);
    }
  }
  std::vector<const LogChunk*> plain_order, contested_order;
  for (const auto& chunk : alone) plain_order.push_back(&chunk);
  const double plain = processor_seconds([&] { apply_in_batches(*sites[2], plain_order); });
  const auto beside = run(*sites[1], all);
  for (size_t i = 0; i < alone.size() / 2; ++i) {
    contested_order.push_back(&alone[i]);
    contested_order.push_back(&beside[i]);
  }
  const double contested = processor_seconds([&] { apply_in_batches(*sites[3], contested_order); });
  const auto n = static_cast<double>(writes);
  std::printf("  %-16s %-6s no conflict %8.0f rows/s   all conflict %8.0f rows/s   ratio %.2f\n",
              c.name, granularity == Granularity::kRow ? "row" : "column", n / plain, n / contested,
              plain / contested);
}

Policy merge(MergeKind kind) {
  Policy p;
  p.kind = PolicyKind::kMerge;
  p.merge = kind;
  return p;
}

Policy only(PolicyKind kind) {
  Policy p;
  p.kind = kind;
  return p;
}

}  // namespace

int main(int argc, char** argv) {
  const int64_t writes = (argc > 1 ? std::atoll(argv[1]) : 20'000) / (2 * kGroup) * 2 * kGroup;
  const auto number = [](int64_t i) { return Value{i}; };
  const auto text = [](int64_t i) { return Value{"value " + std::to_string(i)}; };
  const auto lines = [](int64_t i) {
    return Value{"one\ntwo\n" + std::to_string(i) + "\nfour\nfive\n"};
  };
  const auto array = [](int64_t i) { return Value{"[" + std::to_string(i % 7) + ",9]"}; };
  const auto object = [](int64_t i) { return Value{R"({"a":)" + std::to_string(i) + "}"}; };
  const Case cases[] = {
      {"lww", only(PolicyKind::kLww), "TEXT", text},
      {"priority", only(PolicyKind::kPriority), "TEXT", text},
      {"siblings", only(PolicyKind::kSiblings), "TEXT", text},
      {"merge: max", merge(MergeKind::kMax), "INTEGER", number},
      {"merge: concat", merge(MergeKind::kConcat), "TEXT", text},
      {"merge: union", merge(MergeKind::kUnion), "TEXT", array},
      {"merge: json", merge(MergeKind::kJson), "TEXT", object},
      {"merge: text", merge(MergeKind::kText), "TEXT", lines},
      {"counter", only(PolicyKind::kCounter), "INTEGER", number},
  };
  const auto folder = std::filesystem::temp_directory_path() /
                      ("entente_conflict_bench_" + std::to_string(::getpid()));
  std::printf("apply on %lld hot rows, in groups of %lld, ten at once, by processor time\n",
              static_cast<long long>(kHotRows), static_cast<long long>(kGroup));
  for (const auto& c : cases) {
    measure(folder, c, writes, Granularity::kColumn);
    if (c.policy.kind == PolicyKind::kLww) measure(folder, c, writes, Granularity::kRow);
  }
  std::filesystem::remove_all(folder);
}
