// What conflicts cost: applying two datacenters' writes to the same hot rows, neither of which had
// seen the other's, against applying as many of one datacenter, in one run. For every built-in
// policy, and for a table that has none of them next to it.

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "adapters/sqlite/sqlite_database.h"
#include "tests/bench/must.h"

namespace {

using namespace entente;
using namespace entente::bench;

constexpr int64_t kHotRows = 200;
constexpr int64_t kGroup = 100;
// How many of them are applied at once: ten, as when little waits; and a good hundred kilobytes,
// about half of what one frame of a link carries, as when changes come as fast as they can be
// applied.
constexpr size_t kFew = 10, kMany = 40;

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

// Applies some groups at once and says how much processor time it took.
double apply_at_once(Database& db, std::span<const LogChunk* const> chunks) {
  std::vector<Run> batch;
  for (const auto* chunk : chunks) batch.push_back(chunk->run);
  const auto before = std::clock();
  must(db.apply(batch, wall_ms()));
  return static_cast<double>(std::clock() - before) / CLOCKS_PER_SEC;
}

struct Seconds {
  double plain, contested;
};

Seconds measure(const std::filesystem::path& folder, const Case& c, int64_t writes,
                Granularity granularity, size_t groups_at_once) {
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
  const auto update = [&](int64_t i, int64_t value) {
    return Statement{
        "UPDATE t SET x = ?2 WHERE id = ?1", {1 + i % kHotRows, c.value(value)}, {}, false, true};
  };
  for (int64_t i = 0; i < writes; ++i) {
    one.push_back(update(i, 1 + i));
    if (i < writes / 2) other.push_back(update(i, 1 + writes + i));
  }
  const auto alone = run(*sites[0], one);
  for (const auto& chunk : must(sites[1]->read_log(0, 1 << 20))) {
    if (chunk.run.origin == sites[1]->state().self) {
      apply(*sites[2], chunk);
      apply(*sites[3], chunk);
    }
  }
  const auto beside = run(*sites[1], other);
  std::vector<const LogChunk*> plain_order, contested_order;
  for (const auto& chunk : alone) plain_order.push_back(&chunk);
  for (size_t i = 0; i < beside.size(); ++i) {
    contested_order.push_back(&alone[i]);
    contested_order.push_back(&beside[i]);
  }
  // In turns, so that a slow moment of the machine falls on both.
  Seconds out{0, 0};
  const std::span<const LogChunk*const> plain = plain_order, contested = contested_order;
  for (size_t i = 0; i < plain.size(); i += groups_at_once) {
    const size_t n = std::min(groups_at_once, plain.size() - i);
    out.plain += apply_at_once(*sites[2], plain.subspan(i, n));
    out.contested += apply_at_once(*sites[3], contested.subspan(i, n));
  }
  return out;
}

// A table under a policy next to one under lww, neither with a conflict: inserts, then updates,
// committed and applied elsewhere.
void report_without_conflicts(const std::filesystem::path& folder, const Case& c, int64_t writes) {
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  struct Side {
    std::unique_ptr<Database> writer, reader;
    double commits = 0, applies = 0;
  };
  const auto side = [&](const std::string& name, const Policy& policy) {
    return Side{open(folder / (name + "-a.db"), 0, policy, Granularity::kColumn),
                open(folder / (name + "-b.db"), 1, policy, Granularity::kColumn)};
  };
  Side sides[] = {side("lww", Policy{}), side("policy", c.policy)};
  const auto create = std::string("CREATE TABLE t (id INTEGER PRIMARY KEY, x ") + c.type + ")";
  for (auto& s : sides) {
    const auto before = must(s.writer->read_log(0, 1 << 20));
    for (const auto& chunk : before) apply(*s.reader, chunk);
    apply(*s.reader, run(*s.writer, {Statement{create, {}, {}, false, false}}).front());
  }
  for (int64_t i = 0; i < writes; i += kGroup) {
    std::vector<Statement> group;
    for (int64_t n = i; n < i + kGroup; ++n) {
      const bool fresh = n < writes / 2;
      const int64_t id = 1 + n % (writes / 2);
      group.push_back(
          {fresh ? "INSERT INTO t VALUES (?1, ?2)" : "UPDATE t SET x = ?2 WHERE id = ?1",
           {id, c.value(n)},
           {},
           false,
           true});
    }
    for (auto& s : sides) {
      const auto before = std::clock();
      const auto chunks = run(*s.writer, group);
      s.commits += static_cast<double>(std::clock() - before) / CLOCKS_PER_SEC;
      const LogChunk* const chunk = &chunks.front();
      s.applies += apply_at_once(*s.reader, std::span(&chunk, 1));
    }
  }
  std::printf("  %-14s commit %.2f, apply %.2f of lww\n", c.name,
              sides[0].commits / sides[1].commits, sides[0].applies / sides[1].applies);
}

void report(const std::filesystem::path& folder, const Case& c, int64_t writes,
            Granularity granularity) {
  const auto n = static_cast<double>(writes);
  std::printf("  %-14s %-6s", c.name, granularity == Granularity::kRow ? "row" : "column");
  for (const size_t at_once : {kFew, kMany}) {
    const auto [plain, contested] = measure(folder, c, writes, granularity, at_once);
    std::printf("   %7.0f %7.0f rows/s, %.2f", n / plain, n / contested, plain / contested);
  }
  std::printf("\n");
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
  const std::string only_case = argc > 2 ? argv[2] : "";
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
  std::printf("writes without a conflict, a table under a policy against one under lww\n");
  for (const auto& c : cases) {
    if (!only_case.empty() && c.name != only_case) continue;
    report_without_conflicts(folder, c, writes);
  }
  std::printf(
      "apply on %lld hot rows, by processor time: without a conflict, with a conflict in every "
      "write, "
      "ratio; %zu rows at once, %zu rows at once\n",
      static_cast<long long>(kHotRows), kFew * kGroup, kMany * kGroup);
  for (const auto& c : cases) {
    if (!only_case.empty() && c.name != only_case) continue;
    report(folder, c, writes, Granularity::kColumn);
    if (c.policy.kind == PolicyKind::kLww) report(folder, c, writes, Granularity::kRow);
  }
  std::filesystem::remove_all(folder);
}
