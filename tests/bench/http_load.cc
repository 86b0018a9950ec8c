// A load generator for HTTP/1.1 servers: N keep-alive connections, each with one request in flight,
// in one thread. Prints requests a second and the latency's percentiles.
//
//   http_load PORT METHOD PATH BODY CONNECTIONS REQUESTS [HEADER]...
//
// `{}` in PATH and BODY becomes a number that grows by one with each request. An answer that is not
// 2xx is counted and makes the exit code 1. With HTTP_LOAD_TLS=1 in the environment it speaks TLS,
// and takes any certificate.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

struct Job {
  uint16_t port = 0;
  std::string method, path, body, headers;
  size_t connections = 1, requests = 0;
};

struct Connection {
  int fd = -1;
  SSL* ssl = nullptr;  // null: plain
  std::string in;
  Clock::time_point sent;
};

struct Tally {
  size_t started = 0, done = 0, failed = 0;
  std::vector<float> latencies_us;
};

[[noreturn]] void die(const char* what) {
  std::perror(what);
  std::exit(2);
}

std::string numbered(const std::string& pattern, size_t n) {
  const size_t at = pattern.find("{}");
  if (at == std::string::npos) return pattern;
  return pattern.substr(0, at) + std::to_string(n) + pattern.substr(at + 2);
}

int connect_to(uint16_t port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_port = htons(port);
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(fd, reinterpret_cast<sockaddr*>(&at), sizeof at) != 0) die("connect");
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return fd;
}

SSL* secure(int fd) {
  static SSL_CTX* const context =
      std::getenv("HTTP_LOAD_TLS") ? SSL_CTX_new(TLS_client_method()) : nullptr;
  if (context == nullptr) return nullptr;
  SSL* const ssl = SSL_new(context);
  SSL_set_fd(ssl, fd);
  if (SSL_connect(ssl) != 1) die("TLS");
  return ssl;
}

void send_next(const Job& job, Connection& connection, Tally& tally) {
  const size_t n = ++tally.started;
  const std::string body = numbered(job.body, n);
  const std::string request = job.method + " " + numbered(job.path, n) +
                              " HTTP/1.1\r\nHost: localhost\r\n" + job.headers +
                              "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
  connection.sent = Clock::now();
  const ssize_t sent =
      connection.ssl ? SSL_write(connection.ssl, request.data(), static_cast<int>(request.size()))
                     : ::send(connection.fd, request.data(), request.size(), MSG_NOSIGNAL);
  if (sent != static_cast<ssize_t>(request.size())) {
    die("send");
  }
}

// The length of the first whole answer in `in`; 0 if it is not whole yet.
size_t whole_answer(std::string_view in) {
  const size_t head = in.find("\r\n\r\n");
  if (head == std::string_view::npos) return 0;
  constexpr std::string_view kLength = "Content-Length: ";
  const size_t at = in.substr(0, head).find(kLength);
  const size_t body =
      at == std::string_view::npos ? 0 : std::strtoul(in.data() + at + kLength.size(), nullptr, 10);
  return in.size() >= head + 4 + body ? head + 4 + body : 0;
}

void receive(const Job& job, Connection& connection, Tally& tally) {
  char buffer[65536];
  const ssize_t n = connection.ssl ? SSL_read(connection.ssl, buffer, sizeof buffer)
                                   : ::recv(connection.fd, buffer, sizeof buffer, 0);
  if (n <= 0) die("the server closed a connection");
  connection.in.append(buffer, static_cast<size_t>(n));
  const size_t length = whole_answer(connection.in);
  if (length == 0) return;
  const std::chrono::duration<float, std::micro> took = Clock::now() - connection.sent;
  tally.latencies_us.push_back(took.count());
  ++tally.done;
  if (connection.in.compare(9, 1, "2") != 0 && tally.failed++ == 0) {
    std::fprintf(stderr, "%.*s\n", static_cast<int>(length), connection.in.data());
  }
  connection.in.erase(0, length);
  if (tally.started < job.requests) send_next(job, connection, tally);
}

Tally run(const Job& job) {
  Tally tally;
  tally.latencies_us.reserve(job.requests);
  const int poll = ::epoll_create1(0);
  std::vector<Connection> connections(job.connections);
  for (auto& connection : connections) {
    connection.fd = connect_to(job.port);
    connection.ssl = secure(connection.fd);
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.ptr = &connection;
    if (::epoll_ctl(poll, EPOLL_CTL_ADD, connection.fd, &event) != 0) die("epoll_ctl");
  }
  for (auto& connection : connections) send_next(job, connection, tally);
  while (tally.done < tally.started) {
    epoll_event events[256];
    const int n = ::epoll_wait(poll, events, 256, -1);
    for (int i = 0; i < n; ++i) receive(job, *static_cast<Connection*>(events[i].data.ptr), tally);
  }
  for (const auto& connection : connections) {
    SSL_free(connection.ssl);
    ::close(connection.fd);
  }
  ::close(poll);
  return tally;
}

float percentile(const std::vector<float>& sorted, double p) {
  return sorted[static_cast<size_t>(p * static_cast<double>(sorted.size() - 1))];
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 7) {
    std::fprintf(stderr,
                 "usage: http_load PORT METHOD PATH BODY CONNECTIONS REQUESTS [HEADER]...\n");
    return 2;
  }
  Job job;
  job.port = static_cast<uint16_t>(std::atoi(argv[1]));
  job.method = argv[2], job.path = argv[3], job.body = argv[4];
  job.connections = std::strtoul(argv[5], nullptr, 10);
  job.requests = std::max(job.connections, std::strtoul(argv[6], nullptr, 10));
  for (int i = 7; i < argc; ++i) job.headers += std::string(argv[i]) + "\r\n";
  const auto began = Clock::now();
  auto tally = run(job);
  const double seconds = std::chrono::duration<double>(Clock::now() - began).count();
  std::sort(tally.latencies_us.begin(), tally.latencies_us.end());
  std::printf("%zu connections: %.0f requests/s, p50 %.0f us, p99 %.0f us, failed %zu\n",
              job.connections, static_cast<double>(tally.done) / seconds,
              percentile(tally.latencies_us, 0.5), percentile(tally.latencies_us, 0.99),
              tally.failed);
  return tally.failed == 0 ? 0 : 1;
}
