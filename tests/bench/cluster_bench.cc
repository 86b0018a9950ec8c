// Replication measured from outside, with real gateways: lag idle and under load over one, two and
// three hops, catch-up after an absence, joining by snapshot, bytes on the link and at rest,
// memory.
//
//   cluster_bench [--quick] [lag] [catch-up] [join]      default: all
//
// Lag: from the writer's reply to the answer of a read elsewhere that waits for the writer's
// session token, less what such a read costs when there is nothing to wait for.

#include <sqlite3.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <fstream>
#include <sstream>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "tests/support/cluster.h"
#include "tests/support/http_client.h"

namespace entente::testing {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

double ms_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

double percentile(std::vector<double> samples, double p) {
  if (samples.empty()) return 0;
  std::sort(samples.begin(), samples.end());
  return samples[std::min(samples.size() - 1, static_cast<size_t>(p * double(samples.size())))];
}

constexpr const char* kSchema =
    "CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT, amount INTEGER, price REAL, note "
    "TEXT);";

// About a hundred bytes of the kind that applications store.
std::string row_json(int64_t id) {
  return R"({"name":"customer )" + std::to_string(id % 5000) + R"(","amount":)" +
         std::to_string(id * 37 % 1000) + R"(,"price":)" + std::to_string(id * 13 % 9000) +
         R"(.5,"note":"shipped to warehouse )" + std::to_string(id * 7919 % 977) +
         R"(, paid by card, left at the door"})";
}

std::string put(HttpClient& client, int64_t id) {
  const auto response =
      client.request("PUT", "/v1/tables/items/rows/" + std::to_string(id),
                     "{\"row\":" + row_json(id) + "}", "Content-Type: application/json\r\n");
  if (response.status != 200) {
    std::fprintf(stderr, "PUT answered %d %s\n", response.status, response.body.c_str());
    std::exit(1);
  }
  return response.headers.at("entente-session");
}

double read_after(HttpClient& client, int64_t id, const std::string& token) {
  const auto start = Clock::now();
  const auto response = client.request("GET", "/v1/tables/items/rows/" + std::to_string(id), "",
                                       "Entente-Session: " + token + "\r\n");
  if (response.status != 200) {
    std::fprintf(stderr, "GET answered %d %s\n", response.status, response.body.c_str());
    std::exit(1);
  }
  return ms_since(start);
}

// Writes at the first site and reads at the one `hops` links further, `samples` times.
void lag(Cluster& cluster, size_t hops, int samples, int64_t& next_id, const char* label) {
  HttpClient writer(cluster.port(cluster.dcs()[0]));
  HttpClient reader(cluster.port(cluster.dcs()[hops]));
  std::vector<double> waits, costs;
  for (int i = 0; i < samples; ++i) {
    const int64_t id = next_id++;
    const std::string token = put(writer, id);
    waits.push_back(read_after(reader, id, token));
    costs.push_back(read_after(reader, id, token));
  }
  const double cost = percentile(costs, 0.5);
  std::printf("lag %s, %zu hop(s): p50 %.2f ms, p99 %.2f ms (a read costs %.2f ms)\n", label, hops,
              std::max(0.0, percentile(waits, 0.5) - cost),
              std::max(0.0, percentile(waits, 0.99) - cost), cost);
}

// Keeps up `rate` writes a second at the first site until told to stop.
class Load {
 public:
  Load(int port, int rate, int threads) {
    for (int t = 0; t < threads; ++t) {
      threads_.emplace_back([=, this] {
        HttpClient client(port);
        const auto pause = std::chrono::microseconds(1'000'000 * threads / rate);
        auto due = Clock::now() + pause * t / threads;
        for (int64_t id = 1'000'000'000 + t * 10'000'000; !stop_; ++id) {
          std::this_thread::sleep_until(due);
          due += pause;
          put(client, id);
          ++written_;
        }
      });
    }
  }
  ~Load() {
    stop_ = true;
    for (auto& thread : threads_) thread.join();
  }
  int written() const { return written_; }

 private:
  std::atomic<bool> stop_{false};
  std::atomic<int> written_{0};
  std::vector<std::thread> threads_;
};

void measure_lag(bool quick) {
  Cluster cluster({{"amber", "birch", "cedar", "delta"},
                   "{kind: circle, order: [amber, birch, cedar, delta]}",
                   kSchema,
                   ""});
  cluster.start_all();
  for (const auto& dc : cluster.dcs()) cluster.wait_ready(dc);
  cluster.wait_converged({}, 20);
  int64_t id = 1;
  const int samples = quick ? 100 : 1000;
  for (size_t hops = 1; hops <= 3; ++hops) lag(cluster, hops, samples, id, "idle");
  const Load load(cluster.port("amber"), 2000, 4);
  const auto start = Clock::now();
  std::this_thread::sleep_for(500ms);
  for (size_t hops = 1; hops <= 3; ++hops) lag(cluster, hops, samples, id, "at 2,000 writes/s");
  std::printf("  (the load reached %.0f writes/s)\n", load.written() * 1000.0 / ms_since(start));
}

long resident_kib(pid_t pid, std::string_view field) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(field)) return std::stol(line.substr(field.size() + 1));
  }
  return 0;
}

void write_rows(int port, int64_t from, int64_t count) {
  HttpClient client(port);
  for (int64_t id = from; id < from + count; id += 100) {
    std::string body = R"({"writes":[)";
    for (int64_t i = id; i < id + 100; ++i) {
      if (i > id) body += ',';
      body += R"({"op":"put","table":"items","key":)" + std::to_string(i) + R"(,"row":)" +
              row_json(i) + "}";
    }
    const auto response = client.request("POST", "/v1/transactions", body + "]}",
                                         "Content-Type: application/json\r\n");
    if (response.status != 200) {
      std::fprintf(stderr, "transaction: %d %s\n", response.status, response.body.c_str());
      std::exit(1);
    }
  }
}

// Wall time, and processor time: the latter says what the code costs when the disk or a busy
// machine hides it.
struct Seconds {
  double wall = 0, cpu = 0;
};

double cpu_now() { return double(std::clock()) / CLOCKS_PER_SEC; }

double cpu_of(pid_t pid) {
  std::ifstream stat("/proc/" + std::to_string(pid) + "/stat");
  std::string text;
  std::getline(stat, text);
  std::istringstream fields(text.substr(text.rfind(')') + 2));
  std::string skipped;
  for (int i = 0; i < 11; ++i) fields >> skipped;
  double user = 0, system = 0;
  fields >> user >> system;
  return (user + system) / double(::sysconf(_SC_CLK_TCK));
}

// Raw SQLite writing the same rows durably, a hundred at a time.
Seconds raw_write(const std::filesystem::path& folder, int64_t count) {
  for (const char* file : {"raw.db", "raw.db-wal", "raw.db-shm"}) {
    std::filesystem::remove(folder / file);
  }
  sqlite3* db = nullptr;
  sqlite3_open((folder / "raw.db").c_str(), &db);
  sqlite3_exec(db, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL", nullptr, nullptr, nullptr);
  sqlite3_exec(db, kSchema, nullptr, nullptr, nullptr);
  sqlite3_stmt* insert = nullptr;
  sqlite3_prepare_v2(db, "INSERT INTO items VALUES (?1, ?2, ?3, ?4, ?5)", -1, &insert, nullptr);
  const auto start = Clock::now();
  const double cpu = cpu_now();
  for (int64_t id = 0; id < count; ++id) {
    if (id % 100 == 0) sqlite3_exec(db, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr);
    const std::string name = "customer " + std::to_string(id % 5000);
    const std::string note = "shipped to warehouse " + std::to_string(id * 7919 % 977) +
                             ", paid by card, left at the door";
    sqlite3_bind_int64(insert, 1, id);
    sqlite3_bind_text(insert, 2, name.data(), int(name.size()), SQLITE_STATIC);
    sqlite3_bind_int64(insert, 3, id * 37 % 1000);
    sqlite3_bind_double(insert, 4, double(id * 13 % 9000) + 0.5);
    sqlite3_bind_text(insert, 5, note.data(), int(note.size()), SQLITE_STATIC);
    sqlite3_step(insert);
    sqlite3_reset(insert);
    if (id % 100 == 99) sqlite3_exec(db, "COMMIT", nullptr, nullptr, nullptr);
  }
  const Seconds took{ms_since(start) / 1000, cpu_now() - cpu};
  sqlite3_finalize(insert);
  sqlite3_close(db);
  return took;
}

double metadata_bytes_per_row(const std::filesystem::path& database, int64_t rows) {
  sqlite3* db = nullptr;
  sqlite3_open_v2(database.c_str(), &db, SQLITE_OPEN_READWRITE, nullptr);
  sqlite3_stmt* sum = nullptr;
  double bytes = 0;
  if (sqlite3_prepare_v2(
          db,
          "SELECT sum(pgsize - unused) FROM dbstat WHERE name LIKE '\\_entente\\_v%' "
          "ESCAPE '\\'",
          -1, &sum, nullptr) == SQLITE_OK &&
      sqlite3_step(sum) == SQLITE_ROW) {
    bytes = sqlite3_column_double(sum, 0);
  }
  sqlite3_finalize(sum);
  sqlite3_close(db);
  return bytes / double(rows);
}

// When a gateway says that its link with `peer` came up.
Clock::time_point linked(int port, const std::string& peer) {
  for (;; std::this_thread::sleep_for(1ms)) {
    const std::string body = HttpClient(port).request("GET", "/v1/links").body;
    const size_t at = body.find("\"peer\":\"" + peer + "\"");
    const size_t up = at == std::string::npos ? at : body.find("\"state\":\"", at);
    if (up == std::string::npos || body.compare(up + 9, 2, "up") != 0) continue;
    const size_t since = body.find("\"since_ms\":", up);
    const auto then = std::chrono::milliseconds(std::stoll(body.substr(since + 11)));
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    return Clock::now() - std::chrono::duration_cast<Clock::duration>(now - then);
  }
}

// One row a transaction.
void write_single_rows(int port, int64_t from, int64_t count) {
  constexpr int kThreads = 32;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([=] {
      HttpClient client(port);
      for (int64_t id = from + t; id < from + count; id += kThreads) put(client, id);
    });
  }
  for (auto& thread : threads) thread.join();
}

// `raw`: before and after.
void print_ratio(const std::string& what, int64_t rows, Seconds ours, Seconds before,
                 Seconds after) {
  const Seconds raw{(before.wall + after.wall) / 2, (before.cpu + after.cpu) / 2};
  std::printf(
      "%s of %ld rows: %.0f rows/s, %.2f x raw SQLite in groups of 100 (%.0f rows/s); processor "
      "%.2f us a row, %.2f x\n",
      what.c_str(), long(rows), double(rows) / ours.wall, raw.wall / ours.wall,
      double(rows) / raw.wall, ours.cpu / double(rows) * 1e6, raw.cpu / ours.cpu);
}

// Catches birch up with what amber wrote meanwhile. Counted from the moment that the two are
// linked: who was away is dialled again after a pause that does not depend on how much there is to
// catch up.
Seconds catch_up(Cluster& cluster, const std::string& what, int64_t rows,
                 void (*write)(int, int64_t)) {
  cluster.kill("birch");
  write(cluster.port("amber"), rows);
  const VersionVector target = cluster.applied("amber");
  const Seconds before = raw_write(cluster.folder(), rows);
  const auto started = Clock::now();
  cluster.start("birch");
  const auto start = linked(cluster.port("birch"), "amber");
  if (!cluster.wait_converged(target, 120)) std::exit(1);
  const Seconds ours{ms_since(start) / 1000, cpu_of(cluster.process("birch").pid())};
  const double since_started = ms_since(started) / 1000;
  print_ratio(what, rows, ours, before, raw_write(cluster.folder(), rows));
  std::printf("  (%.1f s after its process began)\n", since_started);
  return ours;
}

void measure_catch_up(bool quick) {
  const int64_t rows = quick ? 20'000 : 200'000;
  Cluster cluster({{"amber", "birch"}, "{kind: all-to-all}", kSchema, ""});
  TcpProxy& link = cluster.proxy("amber", "birch");
  cluster.start_all();
  for (const auto& dc : cluster.dcs()) cluster.wait_ready(dc);
  cluster.wait_converged({}, 20);
  const uint64_t bytes = link.bytes();
  catch_up(cluster, "catch-up", rows, [](int port, int64_t n) { write_rows(port, 0, n); });
  std::printf("on the link: %.1f bytes per row change of about 100 bytes\n",
              double(link.bytes() - bytes) / double(rows));
  std::printf("resident: sender %ld MiB, receiver %ld MiB, peak %ld MiB\n",
              resident_kib(cluster.process("amber").pid(), "VmRSS:") / 1024,
              resident_kib(cluster.process("birch").pid(), "VmRSS:") / 1024,
              resident_kib(cluster.process("birch").pid(), "VmHWM:") / 1024);
  catch_up(cluster, "catch-up, one row a transaction,", rows / 4,
           [](int port, int64_t n) { write_single_rows(port, 1'000'000, n); });
  cluster.stop("amber");
  cluster.stop("birch");
  std::printf("metadata at rest: %.1f bytes a row\n",
              metadata_bytes_per_row(cluster.folder() / "birch" / "birch.db", rows + rows / 4));
}

// The same with TLS and without, in turns.
void measure_tls(bool quick) {
  const int64_t rows = quick ? 20'000 : 200'000;
  Cluster::Options options{{"amber", "birch"}, "{kind: all-to-all}", kSchema, ""};
  Cluster plain(options);
  options.tls = true;
  Cluster secure(options);
  Seconds all[2];
  for (auto* cluster : {&plain, &secure}) {
    cluster->start_all();
    for (const auto& dc : cluster->dcs()) cluster->wait_ready(dc);
    cluster->wait_converged({}, 20);
  }
  for (const int64_t round : {0, 1}) {
    for (auto* cluster : {&plain, &secure}) {
      const auto took = catch_up(
          *cluster, cluster == &secure ? "catch-up with TLS" : "catch-up without TLS", rows,
          round == 0 ? [](int port, int64_t n) { write_rows(port, 0, n); }
                     : [](int port, int64_t n) { write_rows(port, 10'000'000, n); });
      all[cluster == &secure].wall += took.wall;
      all[cluster == &secure].cpu += took.cpu;
    }
  }
  std::printf("catch-up with TLS: %.2f x without; processor %.2f x\n", all[0].wall / all[1].wall,
              all[0].cpu / all[1].cpu);
}

// A datacenter without a database: from the start of its process until it serves.
void measure_join(bool quick) {
  const int64_t rows = quick ? 20'000 : 1'000'000;
  Cluster cluster({{"amber", "birch"}, "{kind: all-to-all}", kSchema, ""});
  cluster.start("amber");
  cluster.wait_ready("amber");
  write_rows(cluster.port("amber"), 0, rows);
  const Seconds before = raw_write(cluster.folder(), rows);
  const auto start = Clock::now();
  cluster.start("birch");
  if (!cluster.wait_ready("birch", 120)) std::exit(1);
  const Seconds ours{ms_since(start) / 1000, cpu_of(cluster.process("birch").pid())};
  if (cluster.output("birch").find("joined dc=birch") == std::string::npos) std::exit(1);
  print_ratio("join by snapshot", rows, ours, before, raw_write(cluster.folder(), rows));
}

}  // namespace
}  // namespace entente::testing

int main(int argc, char** argv) {
  const std::vector<std::string_view> words(argv + 1, argv + argc);
  const auto said = [&](std::string_view word) {
    return std::find(words.begin(), words.end(), word) != words.end();
  };
  const bool quick = said("--quick");
  const bool all = words.size() == (quick ? 1 : 0);
  if (all || said("lag")) entente::testing::measure_lag(quick);
  if (all || said("catch-up")) entente::testing::measure_catch_up(quick);
  if (all || said("tls")) entente::testing::measure_tls(quick);
  if (all || said("join")) entente::testing::measure_join(quick);
}
