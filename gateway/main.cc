#include <CLI/CLI.hpp>
#include <iostream>

#include "gateway/commands/check.h"
#include "gateway/commands/output.h"
#include "gateway/commands/serve.h"
#include "gateway/commands/status.h"

namespace {

void add_output_option(CLI::App* command, std::string& format) {
  command->add_option("-o,--output", format, "how to print: table or json")
      ->check(CLI::IsMember({"table", "json"}))
      ->type_name("table|json");
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Entente: datacenters that accept writes locally and replicate to each other."};
  app.name("entente");
  app.require_subcommand(1);
  app.footer("Exit codes: 0 fine, 1 degraded or refused, 2 usage.");

  entente::ServeOptions serve;
  CLI::App* serve_command = app.add_subcommand("serve", "run one datacenter's gateway");
  serve_command->add_option("--config", serve.config, "the topology file")
      ->required()
      ->type_name("FILE");
  serve_command->add_option("--dc", serve.dc, "which of its datacenters this is")
      ->required()
      ->type_name("NAME");
  serve_command->add_option("--data", serve.data, "its folder [./data/<dc>]")->type_name("DIR");

  std::filesystem::path file;
  std::string format_name = "table";
  CLI::App* check_command =
      app.add_subcommand("check", "validate a topology file and show what it means");
  check_command->add_option("file", file, "the topology file")->required()->type_name("FILE");
  add_output_option(check_command, format_name);

  std::string url = "http://127.0.0.1:8080";
  CLI::App* status_command = app.add_subcommand("status", "ask a gateway how its cluster is");
  status_command->add_option("url", url, "where it serves its clients")
      ->capture_default_str()
      ->type_name("URL");
  add_output_option(status_command, format_name);

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? entente::kFine : entente::kUsage;
  }
  const auto format =
      format_name == "json" ? entente::OutputFormat::kJson : entente::OutputFormat::kTable;
  if (*serve_command) return entente::serve(serve, std::cout, std::cerr);
  if (*check_command) {
    return entente::check(entente::read_topology_file(file), format, std::cout, std::cerr);
  }
  return entente::status(url, format, std::cout, std::cerr);
}
