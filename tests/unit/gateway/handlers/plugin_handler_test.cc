#include "gateway/handlers/plugin_handler.h"

#include <gtest/gtest.h>

#include "tests/unit/gateway/handlers/support.h"

namespace entente {
namespace {

using namespace std::chrono_literals;
using testing::compile;
using testing::failure;
using testing::plugin;
using testing::two_bids;
using Kind = Decision::Kind;

Result<std::shared_ptr<Handler>> isolated(const std::filesystem::path& path,
                                          PluginOptions options = {}) {
  auto file = PluginFile::read(path, "");
  if (!file) return tl::unexpected(file.error());
  options.host = testing::host_program();
  return isolated_plugin(std::move(*file), std::move(options));
}

Result<std::shared_ptr<Handler>> trusted(const std::filesystem::path& path,
                                         const PluginOptions& options = {}) {
  auto file = PluginFile::read(path, "");
  if (!file) return tl::unexpected(file.error());
  return trusted_plugin(std::move(*file), options);
}

PluginOptions within(std::chrono::milliseconds time) {
  PluginOptions out;
  out.time = time;
  return out;
}

Result<Decision> decide(const Result<std::shared_ptr<Handler>>& handler,
                        const OwnedConflict& conflict = two_bids()) {
  if (!handler) return fail(Code::kInvalid, handler.error().text, "load");
  return (*handler)->decide(conflict.view());
}

class PluginHandler : public ::testing::Test {
 protected:
  testing::TemporaryFolder folder_;
};

constexpr const char* kSetColumn = R"(
  entente_value value;
  entente_text name = {"bid", 3};
  memset(&value, 0, sizeof value);
)";

TEST_F(PluginHandler, DecidesEachKindInAProcessOfItsOwnAndInThisOne) {
  const std::vector<std::pair<std::string, Kind>> bodies{
      {"host->pick(host->call, 1); return 0;", Kind::kPick},
      {"host->erase(host->call); return 0;", Kind::kDelete},
      {"host->keep(host->call); return 0;", Kind::kKeep},
      {"host->hold(host->call); return 0;", Kind::kHold},
      {std::string(kSetColumn) + "value.type = 1; value.integer = 9; "
                                 "host->set(host->call, name, &value); return 0;",
       Kind::kRow}};
  for (const auto& [body, kind] : bodies) {
    const auto path = plugin(folder_, body);
    for (const auto& decision : {decide(isolated(path)), decide(trusted(path))}) {
      ASSERT_TRUE(decision) << failure(decision);
      EXPECT_EQ(decision->kind, kind);
      EXPECT_EQ(decision->pick, kind == Kind::kPick ? 1u : 0u);
      const Row row{{"bid", int64_t{9}}};
      EXPECT_TRUE(identical(decision->row, kind == Kind::kRow ? row : Row()));
    }
  }
}

// Answers what it sees, so that what it sees can be compared.
TEST_F(PluginHandler, SeesEverythingAboutTheConflict) {
  const auto path = plugin(folder_, R"(
    const entente_sibling* first = conflict->siblings[0];
    int good = conflict->size == sizeof *conflict && conflict->count == 3 &&
        conflict->kind.size == 13 && conflict->table.size == 8 && conflict->column.size == 3 &&
        conflict->key->count == 1 && conflict->key->values[0].integer == 1 &&
        conflict->base->count == 2 && !conflict->siblings[2]->row &&
        first->hlc == 1000ull << 16 && memcmp(first->dc.bytes, "frankfurt", 9) == 0 &&
        first->row->values[0].type == ENTENTE_INTEGER && first->row->values[0].integer == 5 &&
        memcmp(first->row->names[1].bytes, "bidder", 6) == 0 &&
        memcmp(first->row->values[1].text.bytes, "ann", 3) == 0;
    if (good) host->keep(host->call); else host->hold(host->call);
    return 0;)");
  auto conflict = two_bids();
  conflict.group = "bid";
  conflict.siblings.push_back({"tokyo", Hlc::at(1002), std::nullopt});
  const auto decision = decide(isolated(path), conflict);
  ASSERT_TRUE(decision) << failure(decision);
  EXPECT_EQ(decision->kind, Kind::kKeep);
}

TEST_F(PluginHandler, ValuesComeBackExactlyAsTheyWent) {
  const auto path = plugin(folder_, R"(
    const entente_row* row = conflict->siblings[0]->row;
    for (size_t i = 0; i < row->count; ++i) host->set(host->call, row->names[i], &row->values[i]);
    return 0;)");
  auto conflict = two_bids();
  conflict.siblings[0].row = Row{{"a", Null()},
                                 {"b", INT64_MIN},
                                 {"c", -0.0},
                                 {"d", std::string("x\0y", 3)},
                                 {"e", Blob{std::string("\0\xff", 2)}},
                                 {"f", std::string(1 << 20, 'x')}};
  const auto decision = decide(isolated(path), conflict);
  ASSERT_TRUE(decision) << failure(decision);
  EXPECT_TRUE(identical(decision->row, *conflict.siblings[0].row));
}

// Long enough for a busy machine to notice a crash.
constexpr auto kTime = 2000ms;

// Sanitizers end a process in ways of their own.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif

struct Misdeed {
  const char* name;
  const char* body;
  const char* says;
};

class Misdeeds : public PluginHandler, public ::testing::WithParamInterface<Misdeed> {};

TEST_P(Misdeeds, HurtNobody) {
  const auto handler = isolated(plugin(folder_, GetParam().body, R"(
    #include <fcntl.h>
    #include <math.h>
    #include <pthread.h>
    #include <signal.h>
    #include <sys/mman.h>
    #include <sys/socket.h>
    #include <sys/un.h>
    static void* nothing(void* x) { return x; }
  )"),
                                within(kTime));
  const auto decision = decide(handler);
  ASSERT_FALSE(decision);
  EXPECT_EQ(decision.error().tag, "failed");
  if (!kSanitized) {
    EXPECT_EQ(decision.error().text, GetParam().says);
  }

  const auto good = isolated(plugin(folder_, "host->pick(host->call, 0); return 0;"));
  EXPECT_TRUE(decide(good));
}

constexpr const char* kCrashed = "its process crashed: Segmentation fault";
constexpr const char* kEscaped =
    "its process was killed because it asked for a file, a socket, a thread or a process";
constexpr const char* kLate = "it did not answer within 2000 ms and was killed";

const Misdeed kMisdeeds[] = {
    {"crash", "*(volatile int*)0 = 1; return 0;", kCrashed},
    {"stack_overflow", "char x[1 << 24]; memset(x, 1, sizeof x); return x[(size_t)self];",
     kCrashed},
    {"abort", "abort();", "its process crashed: Aborted"},
    {"exit", "exit(0);", "its process ended"},
    {"kill_itself", "raise(SIGKILL); return 0;", "its process crashed: Killed"},
    {"endless_loop", "for (;;) {}", kLate},
    {"sleep_for_ever",
     "pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER; pthread_mutex_lock(&m); "
     "pthread_mutex_lock(&m); return 0;",
     kLate},
    {"ten_gigabytes",
     "char* p = malloc(10ull << 30); for (size_t i = 0; i < 10ull << 30; i += 4096) p[i] = 1; "
     "host->keep(host->call); return 0;",
     kCrashed},
    {"many_small_blocks",
     "for (;;) { char* p = malloc(1 << 16); memset(p, 1, 1 << 16); } return 0;", kCrashed},
    {"socket", "socket(AF_INET, SOCK_STREAM, 0); host->keep(host->call); return 0;", kEscaped},
    {"unix_socket", "int s[2]; socketpair(AF_UNIX, SOCK_STREAM, 0, s); return 0;", kEscaped},
    {"open", "open(\"/etc/passwd\", O_RDONLY); host->keep(host->call); return 0;", kEscaped},
    {"create", "open(\"/tmp/out\", O_WRONLY | O_CREAT, 0644); return 0;", kEscaped},
    {"fork", "fork(); host->keep(host->call); return 0;", kEscaped},
    {"thread", "pthread_t t; pthread_create(&t, NULL, nothing, NULL); return 0;", kEscaped},
    {"exec", "char* a[] = {\"/bin/true\", NULL}; execv(a[0], a); return 0;", kEscaped},
    {"system", "system(\"true\"); return 0;", kEscaped},
    {"new_code",
     "if (mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) "
     "== MAP_FAILED) abort(); return 0;",
     "its process crashed: Aborted"},
    {"kill_the_gateway", "if (kill(getppid(), SIGKILL) != 0) abort(); return 0;",
     "its process crashed: Aborted"},
    {"forged_reply",
     "const char reply[] = {0, 0, 0, 3, 1, 99, 99}; send(3, reply, 7, 0); for (;;) {}",
     "the bytes are no decision"},
    {"endless_reply", "const char reply[] = {127, 0, 0, 0}; send(3, reply, 4, 0); for (;;) {}",
     "it sent more than a frame may hold"},
    {"half_a_reply", "const char reply[] = {0, 0, 1, 0}; send(3, reply, 4, 0); for (;;) {}", kLate},
    {"no_answer", "return 0;", "it did not answer"},
    {"refusal_without_a_reason", "return 7;", "it returned 7 without a reason"},
    {"not_a_number",
     "entente_value v = {ENTENTE_REAL, 0, 0, NAN, {0, 0}}; entente_text n = {\"bid\", 3}; "
     "host->set(host->call, n, &v); return 0;",
     "its answer is wrong: column bid is NaN or of a type that does not exist"},
    {"no_such_type",
     "entente_value v = {9, 0, 0, 0, {0, 0}}; entente_text n = {\"bid\", 3}; "
     "host->set(host->call, n, &v); return 0;",
     "its answer is wrong: column bid is NaN or of a type that does not exist"},
};

INSTANTIATE_TEST_SUITE_P(Plugins, Misdeeds, ::testing::ValuesIn(kMisdeeds),
                         [](const auto& named) { return named.param.name; });

TEST_F(PluginHandler, ExceptionsStopAtTheHost) {
  const auto path = plugin(folder_, "throw 7;", "", true);
  EXPECT_EQ(failure(decide(isolated(path))), "failed an exception left decide()");
  EXPECT_EQ(failure(decide(trusted(path))), "failed an exception left decide()");
}

TEST_F(PluginHandler, FailingOnPurposeIsToldApart) {
  const auto path =
      plugin(folder_, "entente_text why = {\"no bid\", 6}; host->fail(host->call, why); return 1;");
  EXPECT_EQ(failure(decide(isolated(path))), "declined no bid");
  EXPECT_EQ(failure(decide(trusted(path))), "declined no bid");
}

TEST_F(PluginHandler, IsStartedAgainAfterPausesThatDouble) {
  testing::SetClock clock;
  PluginOptions options;
  options.now = clock.now();
  const auto handler = isolated(plugin(folder_, R"(
    if (conflict->siblings[0]->row->values[0].integer == 5) abort();
    host->pick(host->call, 0);
    return 0;)"),
                                options);
  const auto bad = two_bids(5), good = two_bids(6);
  for (const auto pause : {100ms, 200ms, 400ms, 800ms}) {
    EXPECT_EQ(failure(decide(handler, bad)), "failed its process crashed: Aborted");
    clock.time += pause - 1ms;
    EXPECT_EQ(failure(decide(handler, good)),
              "stopped it failed and is started again in 1 ms: its process crashed: Aborted");
    clock.time += 1ms;
  }
  EXPECT_TRUE(decide(handler, good));
  EXPECT_FALSE(decide(handler, bad));
  clock.time += 100ms;  // a reply made it begin anew
  EXPECT_TRUE(decide(handler, good));
}

TEST_F(PluginHandler, NoPauseIsLongerThanHalfAMinute) {
  testing::SetClock clock;
  PluginOptions options;
  options.now = clock.now();
  const auto handler = isolated(plugin(folder_, "abort();"), options);
  for (int i = 0; i < 12; ++i) {
    EXPECT_EQ(failure(decide(handler)), "failed its process crashed: Aborted");
    clock.time += 30s;
  }
}

TEST_F(PluginHandler, RefusesWhatItCannotLoad) {
  const auto newer = plugin(folder_, "return 0;", "", false, 2);
  constexpr const char* kTooNew =
      "it was built for version 2 of entente_handler.h, and this gateway knows up to 1: update the "
      "gateway first";
  EXPECT_EQ(isolated(newer).error().text, kTooNew);
  EXPECT_EQ(trusted(newer).error().text, kTooNew);
  const auto other = compile(testing::write(folder_.path() / "other.c", "int x;"), folder_.path());
  EXPECT_EQ(isolated(other).error().text, "it does not export entente_handler_v1()");
  const auto text = testing::write(folder_.path() / "text.so", "not a shared object");
  EXPECT_NE(isolated(text).error().text.find("cannot be loaded"), std::string::npos);
  EXPECT_EQ(isolated(folder_.path() / "nowhere.so").error().text, "No such file or directory");
}

TEST_F(PluginHandler, ConstructorsAreConfinedToo) {
  const auto path =
      plugin(folder_, "return 0;",
             "#include <sys/socket.h>\n__attribute__((constructor)) static void f(void)"
             " { socket(AF_INET, SOCK_STREAM, 0); }");
  EXPECT_EQ(isolated(path).error().text, kEscaped);
  const auto writer = plugin(folder_, "host->keep(host->call); return 0;",
                             "#include <fcntl.h>\n__attribute__((constructor)) static void f(void) "
                             "{ if (open(\"" +
                                 (folder_.path() / "made").string() +
                                 "\", O_WRONLY | O_CREAT, 0644) >= 0) abort(); }");
  EXPECT_TRUE(decide(isolated(writer)));
  EXPECT_FALSE(std::filesystem::exists(folder_.path() / "made"));
}

TEST_F(PluginHandler, GivesTheConfigurationToOpen) {
  const auto path = compile(testing::kSource / "conf/handlers/highest_bid.cc", folder_.path());
  PluginOptions options;
  options.config = R"({"column":"price"})";
  EXPECT_EQ(failure(decide(isolated(path, options))), "declined the table has no column price");
  options.config = R"({"column":7})";
  EXPECT_EQ(isolated(path, options).error().text, "config: column is not text");
  EXPECT_EQ(decide(isolated(path))->pick, 1u);
}

TEST_F(PluginHandler, VersionNamesFileAndConfiguration) {
  const auto path = plugin(folder_, "return 0;");
  PluginOptions other;
  other.config = "{}";
  const auto version = (*isolated(path))->version();
  EXPECT_TRUE(version.starts_with("plugin:")) << version;
  EXPECT_EQ(version, (*trusted(path))->version());
  EXPECT_NE(version, (*isolated(path, other))->version());
}

TEST_F(PluginHandler, StaysWhatItWasWhenItsFileChanges) {
  const auto path = plugin(folder_, "host->pick(host->call, 0); return 0;");
  testing::SetClock clock;
  PluginOptions options;
  options.now = clock.now();
  options.time = 1000ms;
  const auto handler = isolated(path, options);
  plugin(folder_, "host->pick(host->call, 1); return 0;");
  EXPECT_EQ(decide(handler)->pick, 0u);
}

TEST(PluginFile, RefusesAHashThatIsNotTheFiles) {
  testing::TemporaryFolder folder;
  const auto path = testing::write(folder.path() / "a.so", "abc");
  constexpr const char* kSha = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
  const auto file = PluginFile::read(path, kSha);
  ASSERT_TRUE(file);
  EXPECT_EQ(file->sha256(), kSha);
  const auto bad = PluginFile::read(path, std::string(64, '0'));
  ASSERT_FALSE(bad);
  EXPECT_NE(bad.error().text.find("its sha256 is " + std::string(kSha)), std::string::npos);
}

}  // namespace
}  // namespace entente
