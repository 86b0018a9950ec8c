#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include <sys/types.h>

namespace entente::chaos {

// What must not grow: figures of gateways, over time.
class Samples {
 public:
  // What is looked at, and how much more of it is no growth: beside a quarter of what there was.
  struct Figure {
    const char* name;
    double slack;
  };
  static const std::vector<Figure>& figures();

  void add(const std::string& dc, const std::string& figure, double value) {
    series_[{dc, figure}].push_back(value);
  }
  // Of a process and its files.
  void look(const std::string& dc, pid_t pid, const std::filesystem::path& folder);
  // Of a gateway's /metrics.
  void look(const std::string& dc, const std::string& metrics);

  // The last quarter's median against the second's, when everything had warmed up.
  std::vector<std::string> growth() const;
  // A line for each datacenter and figure.
  std::string table() const;

 private:
  using Series = std::vector<double>;
  std::map<std::pair<std::string, std::string>, Series> series_;  // by datacenter and figure
};

}  // namespace entente::chaos
