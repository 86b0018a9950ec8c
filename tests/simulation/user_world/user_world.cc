#include "tests/simulation/user_world/user_world.h"

#include <algorithm>
#include <iostream>
#include <memory>
#include <utility>
#include <vector>

#include "tests/simulation/user_world/checks.h"
#include "tests/simulation/user_world/client.h"
#include "tests/simulation/user_world/site.h"
#include "tests/simulation/user_world/tool.h"
#include "tests/simulation/user_world/twin.h"

namespace entente::simulation::user_world {
namespace {

constexpr size_t kRounds = 2;
constexpr size_t kEverything = SIZE_MAX;

// A statement failed for a reason that no client gave.
bool is_a_fault(const Error& e) {
  switch (e.code) {
    case Code::kConstraint:
    case Code::kNotFound:
    case Code::kPrecondition:
    case Code::kContextNeeded:
    case Code::kNotReached:
    case Code::kInvalid:
      return false;
    default:
      return true;
  }
}

class World {
 public:
  World(uint64_t seed, const Changes& changes, bool print)
      : draws_(seed, changes),
        random_(seed, "order"),
        client_(draws_, Random(seed, "client")),
        tool_(draws_, Random(seed, "tool")),
        print_(print) {
    Random shapes(seed, "shapes"), size(seed, "size");
    tables_ = draw_shapes(draws_, shapes);
    const size_t sites = draws_.has(Draw::kAlone) ? 1 : static_cast<size_t>(size.between(2, 4));
    operations_ = static_cast<size_t>(size.between(15, 45));
    if (changes.operations) operations_ = *changes.operations;
    std::vector<std::string> names;
    for (size_t i = 0; i < sites; ++i) names.emplace_back(1, static_cast<char>('a' + i));
    const ConflictRules rules = rules_of(tables_, names);
    oracle_ = std::make_unique<UserOracle>(tables_, rules);
    for (size_t i = 0; i < sites; ++i) sites_.push_back(std::make_unique<Site>(i, seed, rules));
    reached_.drew(draws_);
  }

  Outcome run();

 private:
  using Results = std::vector<Result<StatementResult>>;

  void create_tables();
  void act();
  void write(Site& site);
  Result<void> run_actions(WriteSession& session, const std::vector<Action>& actions,
                           bool stubborn);
  Result<void> run_action(WriteSession& session, const Action& action);
  Result<Committed> commit(Site& site, const ClientTransaction& work);
  void read_context(Site& site);
  void migrate();
  Result<Committed> run_migration(const Migration& migration);
  void exchange(Site& to);
  void apply(Site& to, std::vector<Site::Piece> pieces);
  void reopen(Site& site);
  void quiesce();
  void collect();
  void check_all();
  void compare_with_twin();

  Site& any_site() { return *sites_[random_.below(sites_.size())]; }
  const Shapes& shapes_of(Site& site) const { return oracle_->shapes_at(site.epoch()); }
  void trace(const std::string& what) const {
    if (print_) std::cout << what << "\n";
  }
  // The first failure is the one that counts.
  void fail(std::string reason) {
    if (!failure_) failure_ = std::move(reason);
  }
  void fail(const Complaint& complaint) {
    if (complaint) fail(*complaint);
  }

  const Draws draws_;
  Random random_;
  Client client_;
  Tool tool_;
  const bool print_;
  Shapes tables_;
  size_t operations_ = 0;
  std::unique_ptr<UserOracle> oracle_;
  std::vector<std::unique_ptr<Site>> sites_;
  std::unique_ptr<Twin> twin_;
  Reached reached_;
  uint64_t acknowledged_ = 0;
  std::optional<std::string> failure_;
};

Outcome World::run() {
  create_tables();
  for (size_t round = 0; round < kRounds && !failure_; ++round) {
    for (size_t i = 0; i < operations_ && !failure_; ++i) act();
    if (!failure_) quiesce();
    if (!failure_) check_all();
    if (draws_.has(Draw::kCollect) && !failure_) collect();
  }
  for (auto& site : sites_) {
    if (!failure_) reopen(*site);
  }
  if (!failure_) check_all();
  return {failure_, acknowledged_, reached_};
}

void World::create_tables() {
  std::vector<std::string> schema;
  for (const auto& shape : tables_) {
    for (auto& sql : statements_of(shape, tables_)) schema.push_back(std::move(sql));
  }
  if (draws_.has(Draw::kAlone)) twin_ = std::make_unique<Twin>(schema);
  for (auto& site : sites_) {  // each has declared itself
    const auto log = site->database().read_log(0, kEverything);
    for (const auto& chunk : *log) fail(oracle_->committed(chunk.run, {}));
  }
  for (const auto& sql : schema) {
    const auto done = run_migration({{sql}, tables_});
    if (!done) return fail("the schema is refused: " + sql + ": " + done.error().text);
  }
  for (auto& site : sites_) exchange(*site);
  quiesce();
}

void World::act() {
  for (auto& site : sites_) site->tick(random_.below(20));
  Site& site = any_site();
  const auto drawn = random_.below(100);
  if (drawn < 45) return write(site);
  if (drawn < 80) return exchange(site);
  if (drawn < 86) return read_context(site);
  if (drawn < 90) return migrate();
  if (drawn < 93 && draws_.has(Draw::kReopen)) return reopen(site);
  fail(check_contents(site, *oracle_, reached_));
  compare_with_twin();
}

// ---- Clients -----------------------------------------------------------------------------------

Result<Committed> World::commit(Site& site, const ClientTransaction& work) {
  const VersionVector had = site.applied();
  auto group = site.database().commit(std::span(&work, 1), site.tick(1));
  if (!group) return tl::unexpected(group.error());
  if (group->chunk) fail(oracle_->committed(group->chunk->run, had));
  return std::move(group->results.front());
}

void World::write(Site& site) {
  const auto actions = client_.draw_transaction(shapes_of(site));
  const bool stubborn = random_.chance(0.5);
  if (twin_) twin_->begin();
  bool began = false;
  const auto done = commit(site, [&](WriteSession& session) {
    began = true;
    return run_actions(session, actions, stubborn);
  });
  trace(site.name() + ": " + (done ? "committed" : "not committed: " + done.error().text));
  if (done) ++acknowledged_;
  if (!done) reached_.met(Path::kTransactionGivenUp);
  if (!done && is_a_fault(done.error()))
    fail(site.name() + " refuses a transaction: " + done.error().text);
  if (!twin_ || !began) return;
  if (!done && !stubborn) return twin_->rollback();
  const bool commits = twin_->commit().has_value();
  if (commits != done.has_value()) {
    fail("the end of a transaction: plain SQLite " + std::string(commits ? "commits" : "refuses") +
         " it");
  }
}

Result<void> World::run_actions(WriteSession& session, const std::vector<Action>& actions,
                                bool stubborn) {
  for (const auto& action : actions) {
    auto done = run_action(session, action);
    if (!done && is_a_fault(done.error()))
      fail("refused: " + describe(action) + ": " + done.error().text);
    if (!done && !stubborn) return done;
  }
  return {};
}

Result<void> World::run_action(WriteSession& session, const Action& action) {
  trace("  " + describe(action));
  if (action.row) {
    const auto done = session.write(*action.row);
    if (action.row->context) reached_.met(Path::kContextPresented);
    if (!done) reached_.met(Path::kRowRequestRefused);
    if (!done && done.error().code == Code::kNotReached) reached_.met(Path::kContextAhead);
    if (!done && done.error().tag == "context_expired") reached_.met(Path::kContextExpired);
    return done.map([](const auto&) {});
  }
  const auto ours = session.execute(*action.sql);
  if (!ours) trace("    " + ours.error().text);
  if (!ours) reached_.met(Path::kStatementRefused);
  if (twin_) {
    const auto theirs = twin_->execute(*action.sql);
    const std::string other = difference(theirs, ours);
    if (!other.empty()) fail(describe(action) + ": " + other);
    reached_.met(Path::kComparedWithSqlite);
    if (!theirs) reached_.met(Path::kErrorAsSqlite);
  }
  return ours.map([](const auto&) {});
}

// Somebody reads a row, and keeps its context.
void World::read_context(Site& site) {
  auto seen = client_.draw_read(shapes_of(site));
  if (!seen) return;
  const std::string& name = find(shapes_of(site), seen->table)->name;
  auto read = site.reader().row(name, seen->key, false);
  if (!read) return fail(site.name() + ": a row cannot be read: " + read.error().text);
  seen->context = read->context;
  client_.remember(std::move(*seen));
}

// ---- Tools -------------------------------------------------------------------------------------

Result<Committed> World::run_migration(const Migration& migration) {
  return commit(*sites_[0], [&](WriteSession& session) -> Result<void> {
    for (const auto& sql : migration.statements) {
      trace("  " + sql);
      Statement statement;
      statement.sql = sql;
      statement.enforce_foreign_keys = false;
      auto done = session.execute(statement);
      if (!done) return tl::unexpected(done.error());
    }
    return {};
  });
}

void World::migrate() {
  const auto migrations = tool_.draw(shapes_of(*sites_[0]));
  for (const auto& migration : migrations) {
    trace("a, a tool:");
    const uint64_t before = sites_[0]->epoch();
    // Its own records name tables as they are afterwards.
    oracle_->changes(before + 1, migration.after);
    const auto done = run_migration(migration);
    Result<void> theirs = twin_ ? twin_->migrate(migration.statements) : Result<void>();
    if (twin_ && theirs.has_value() != done.has_value()) {
      return fail("a migration: plain SQLite says " + (theirs ? "yes" : theirs.error().text) +
                  "; here: " + (done ? "yes" : done.error().text));
    }
    if (!done) {
      trace("  refused: " + done.error().text);
      oracle_->does_not_change(before + 1);
      reached_.met(Path::kSchemaRefused);
      if (done.error().code != Code::kConstraint)
        fail("a migration is refused: " + done.error().text);
      return;
    }
    reached_.met(Path::kSchemaChanged);
  }
}

// ---- Exchange ----------------------------------------------------------------------------------

void World::exchange(Site& to) {
  std::vector<Site::Piece> pieces;
  const size_t senders = random_.chance(0.3) ? 2 : 1;
  for (size_t i = 0; i < senders && i + 1 < sites_.size(); ++i) {
    Site& from = any_site();
    const bool again = !pieces.empty() && pieces.front().from == from.index();
    if (&from == &to || again) continue;
    if (draws_.has(Draw::kDuplicates) && random_.chance(0.1)) {
      to.start_over(from);
      reached_.met(Path::kAppliedTwice);
    }
    const bool small = draws_.has(Draw::kSmallBatches) && random_.chance(0.7);
    auto piece = to.next_of(from, small ? random_.below(3) + 1 : kEverything);
    if (!piece) return fail(from.name() + ": its log cannot be read: " + piece.error().text);
    if (!piece->runs.empty() && from.epoch() < to.epoch()) reached_.met(Path::kSchemaMetOldWrites);
    pieces.push_back(std::move(*piece));
  }
  apply(to, std::move(pieces));
}

void World::apply(Site& to, std::vector<Site::Piece> pieces) {
  for (const auto& piece : pieces) {
    if (!piece.runs.empty()) {
      trace(to.name() + ": applies " + std::to_string(piece.runs.size()) + " runs of " +
            sites_[piece.from]->name() + "'s log");
    }
  }
  const auto done = to.apply(pieces);
  if (!done) fail(to.name() + " cannot apply: " + done.error().text + " (P11)");
}

void World::reopen(Site& site) {
  trace(site.name() + ": opened again");
  site.reopen();
  reached_.met(Path::kReopened);
}

void World::quiesce() {
  for (int round = 0; round < 2; ++round) {
    for (auto& to : sites_) {
      for (auto& from : sites_) {
        if (to == from || failure_) continue;
        auto piece = to->next_of(*from, kEverything);
        if (!piece) return fail(from->name() + ": its log cannot be read: " + piece.error().text);
        apply(*to, {std::move(*piece)});
      }
    }
  }
  for (auto& site : sites_) {
    if (!failure_ && site->applied() != oracle_->everything())
      fail(site->name() + " does not have everything");
  }
}

// Everybody has everything: tombstones and settled siblings may go, and older contexts are refused.
void World::collect() {
  const VersionVector everything = oracle_->everything();
  for (auto& site : sites_) {
    const auto promised = site->database().promise(everything);
    if (!promised) return fail(site->name() + " cannot promise: " + promised.error().text);
  }
  for (auto& site : sites_) {
    fail(oracle_->collected(everything, everything));
    bool over = false;
    while (!over && !failure_) {
      const auto done = site->database().collect(everything, 1'000);
      if (!done) return fail(site->name() + " cannot collect: " + done.error().text);
      over = done->round_over;
    }
  }
  reached_.met(Path::kCollected);
  check_all();
}

// ---- Checks ------------------------------------------------------------------------------------

void World::check_all() {
  trace("everybody has everything");
  for (auto& site : sites_) {
    if (!failure_) fail(check_contents(*site, *oracle_, reached_));
    if (!failure_) fail(check_row_api(*site, *oracle_));
    if (!failure_) fail(check_losers(*site, *oracle_, reached_));
    if (!failure_) fail(check_file(*site, *oracle_));
  }
  const std::string first = shown_by(*sites_[0], *oracle_);
  for (auto& site : sites_) {
    const std::string here = shown_by(*site, *oracle_);
    if (here != first) fail(site->name() + " shows\n" + here + "and a shows\n" + first + "(P1)");
  }
  compare_with_twin();
}

void World::compare_with_twin() {
  if (!twin_ || failure_) return;
  for (const auto& shape : shapes_of(*sites_[0])) {
    if (!shape.there) continue;
    Statement all;
    all.sql = "SELECT * FROM " + shape.name;
    const std::string other = difference(twin_->execute(all), sites_[0]->reader().execute(all));
    if (!other.empty()) fail(all.sql + ": " + other);
  }
}

}  // namespace

Outcome run(uint64_t seed, const Changes& changes, bool print_trace) {
  return World(seed, changes, print_trace).run();
}

// Whatever it can be left without, it is.
Changes shrink(uint64_t seed, Changes changes) {
  const auto fails = [&](const Changes& with) {
    return run(seed, with, false).failure.has_value();
  };
  for (size_t i = 0; i < kDraws; ++i) {
    if (!Draws(seed, changes).all().test(i)) continue;
    Changes less = changes;
    less.without.set(i), less.with.reset(i);
    if (fails(less)) changes = less;
  }
  for (size_t operations = changes.operations.value_or(45); operations > 0; --operations) {
    Changes less = changes;
    less.operations = operations - 1;
    if (fails(less)) changes = less;
  }
  return changes;
}

std::string options_of(uint64_t seed, const Changes& changes) {
  std::string out = "--user-seed=" + std::to_string(seed);
  const auto list = [&](const char* option, const std::bitset<kDraws>& draws) {
    std::string names;
    for (size_t i = 0; i < kDraws; ++i) {
      if (draws.test(i))
        names += (names.empty() ? "" : ",") + std::string(to_string(static_cast<Draw>(i)));
    }
    if (!names.empty()) out += std::string(" ") + option + names;
  };
  list("--user-with=", changes.with);
  list("--user-without=", changes.without);
  if (changes.operations) out += " --operations=" + std::to_string(*changes.operations);
  return out;
}

}  // namespace entente::simulation::user_world
