#include "tests/chaos/samples.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <fstream>

namespace entente::chaos {
namespace {

constexpr double kMiB = 1024.0 * 1024.0;
constexpr double kGrowth = 1.25;

// Of these, from which on and up to which, in quarters.
double median(std::vector<double> series, size_t from, size_t to) {
  std::vector<double> part(series.begin() + static_cast<int64_t>(series.size() * from / 4),
                           series.begin() + static_cast<int64_t>(series.size() * to / 4));
  if (part.empty()) return 0;
  std::nth_element(part.begin(), part.begin() + static_cast<int64_t>(part.size() / 2), part.end());
  return part[part.size() / 2];
}

// The sum of a metric over its labels.
double sum_of(const std::string& metrics, const std::string& name) {
  double sum = 0;
  for (size_t at = metrics.find("\n" + name); at != std::string::npos;
       at = metrics.find("\n" + name, at + 1)) {
    const size_t after = at + 1 + name.size();
    if (metrics[after] != ' ' && metrics[after] != '{') continue;
    const size_t end = metrics.find('\n', after);
    sum += std::stod(metrics.substr(metrics.rfind(' ', end) + 1));
  }
  return sum;
}

}  // namespace

const std::vector<Samples::Figure>& Samples::figures() {
  static const std::vector<Figure> all{
      {"memory MiB", 12},     {"files MiB", 12},      {"descriptors", 12}, {"queued requests", 64},
      {"held back KiB", 256}, {"log records", 2'000}, {"streams", 16},     {"feeds", 8},
  };
  return all;
}

void Samples::look(const std::string& dc, pid_t pid, const std::filesystem::path& folder) {
  const std::string process = "/proc/" + std::to_string(pid);
  size_t pages = 0, resident = 0;
  std::ifstream(process + "/statm") >> pages >> resident;
  if (resident == 0) return;  // it is dead
  add(dc, "memory MiB",
      static_cast<double>(resident) * static_cast<double>(::sysconf(_SC_PAGESIZE)) / kMiB);
  std::error_code gone;  // files may go while they are looked at
  double bytes = 0, descriptors = 0;
  for (const auto& file : std::filesystem::recursive_directory_iterator(folder, gone)) {
    const auto size = file.file_size(gone);
    if (!gone) bytes += static_cast<double>(size);
  }
  for (const auto& fd : std::filesystem::directory_iterator(process + "/fd", gone)) {
    descriptors += fd.path().empty() ? 0 : 1;
  }
  add(dc, "files MiB", bytes / kMiB);
  add(dc, "descriptors", descriptors);
}

void Samples::look(const std::string& dc, const std::string& metrics) {
  if (metrics.empty()) return;
  add(dc, "queued requests", sum_of(metrics, "entente_queued_requests"));
  add(dc, "held back KiB", sum_of(metrics, "entente_held_back_bytes") / 1024);
  add(dc, "log records", sum_of(metrics, "entente_log_needed_records"));
  add(dc, "streams", sum_of(metrics, "entente_sql_streams"));
  add(dc, "feeds", sum_of(metrics, "entente_change_feeds"));
}

std::vector<std::string> Samples::growth() const {
  std::vector<std::string> out;
  for (const auto& figure : figures()) {
    for (const auto& [name, series] : series_) {
      if (name.second != figure.name || series.size() < 8) continue;
      const double before = median(series, 1, 2), after = median(series, 3, 4);
      if (after <= before * kGrowth + figure.slack) continue;
      char line[160];
      std::snprintf(line, sizeof line, "%s of %s grew from %.1f to %.1f", figure.name,
                    name.first.c_str(), before, after);
      out.emplace_back(line);
    }
  }
  return out;
}

std::string Samples::table() const {
  std::string out =
      "figure            datacenter  2nd quarter  4th quarter      highest   samples\n";
  for (const auto& figure : figures()) {
    for (const auto& [name, series] : series_) {
      if (name.second != figure.name) continue;
      char line[160];
      std::snprintf(line, sizeof line, "%-17s %-10s %12.1f %12.1f %12.1f %9zu\n", figure.name,
                    name.first.c_str(), median(series, 1, 2), median(series, 3, 4),
                    *std::max_element(series.begin(), series.end()), series.size());
      out += line;
    }
  }
  return out;
}

}  // namespace entente::chaos
