#include <CLI/CLI.hpp>
#include <cstdlib>
#include <iostream>
#include <string_view>

#include "gateway/commands/adopt.h"
#include "gateway/commands/cert.h"
#include "gateway/commands/check.h"
#include "gateway/commands/conflicts.h"
#include "gateway/commands/handler_check.h"
#include "gateway/commands/http_call.h"
#include "gateway/commands/line_editor.h"
#include "gateway/commands/output.h"
#include "gateway/commands/serve.h"
#include "gateway/commands/snapshot.h"
#include "gateway/commands/sql_shell.h"
#include "gateway/commands/status.h"
#include "gateway/commands/topology.h"
#include "gateway/commands/verify.h"
#include "gateway/handlers/handler_host.h"

namespace {

void add_output_option(CLI::App* command, std::string& format) {
  command->add_option("-o,--output", format, "how to print: table or json")
      ->check(CLI::IsMember({"table", "json"}))
      ->type_name("table|json");
}

void add_url_option(CLI::App* command, std::string& url) {
  command->add_option("url", url, "where it serves its clients")
      ->capture_default_str()
      ->type_name("URL");
  command
      ->add_option_function<std::string>(
          "--ca", entente::trust_ca,
          "the CA that must vouch for an https:// URL [those that the system trusts]")
      ->envname("ENTENTE_CA")
      ->type_name("FILE");
}

void add_datacenter_options(CLI::App* command, entente::ServeOptions& options) {
  command->add_option("--config", options.config, "the topology file")
      ->required()
      ->type_name("FILE");
  command->add_option("--dc", options.dc, "which of its datacenters this is")
      ->required()
      ->type_name("NAME");
  command->add_option("--data", options.data, "its folder [./data/<dc>]")->type_name("DIR");
}

// `entente conflicts list|show|resolve`.
class Conflicts {
 public:
  Conflicts(CLI::App& app, std::string& url, std::string& format)
      : command_(app.add_subcommand("conflicts", "what a gateway's conflict log holds")) {
    command_->require_subcommand(1);
    list_ = command_->add_subcommand("list", "conflicts, oldest first");
    list_->add_option("--state", filter_.state, "open, resolved or any")
        ->check(CLI::IsMember({"open", "resolved", "any"}))
        ->capture_default_str()
        ->type_name("STATE");
    list_->add_option("--table", filter_.table, "of this table only")->type_name("NAME");
    list_->add_option("--limit", filter_.limit, "how many")
        ->check(CLI::Range(1, 1000))
        ->capture_default_str();
    list_->add_option("--since", filter_.since, "after this id")->type_name("ID");
    show_ = command_->add_subcommand("show", "every value of a conflict, side by side");
    resolve_ = command_->add_subcommand(
        "resolve", "decide an open conflict, or a decided one again; one of the options");
    for (CLI::App* one : {show_, resolve_}) {
      one->add_option("id", id_, "its number in the list")->required()->type_name("ID");
    }
    auto* choice = resolve_->add_option_group("choice");
    choice->add_option("--pick", choice_.pick, "this value")->type_name("DOT");
    choice->add_option("--row", choice_.row, "these columns")->type_name("JSON");
    choice->add_flag("--delete", choice_.erase, "no row");
    choice->require_option(1);
    for (CLI::App* one : {list_, show_, resolve_}) {
      add_url_option(one, url);
      add_output_option(one, format);
    }
  }

  explicit operator bool() const { return command_->parsed(); }

  int run(const std::string& url, entente::OutputFormat format) const {
    if (*list_) return entente::list_conflicts(url, filter_, format, std::cout, std::cerr);
    if (*show_) return entente::show_conflict(url, id_, format, std::cout, std::cerr);
    return entente::resolve_conflict(url, id_, choice_, format, std::cout, std::cerr);
  }

 private:
  CLI::App *command_, *list_, *show_, *resolve_;
  entente::ConflictFilter filter_;
  entente::ConflictChoice choice_;
  uint64_t id_ = 0;
};

// `entente topology show|plan|apply|remove|submit`.
class Topology {
 public:
  Topology(CLI::App& app, std::string& url, std::string& format)
      : command_(
            app.add_subcommand("topology", "who is linked with whom, while the cluster runs")) {
    command_->require_subcommand(1);
    show_ = command_->add_subcommand("show", "what is in force");
    plan_ = command_->add_subcommand("plan", "what a topology file would change");
    apply_ = command_->add_subcommand("apply", "go over to a topology file");
    remove_ = command_->add_subcommand("remove", "go on without a datacenter");
    remove_->add_option("dc", step_.remove, "which one")->required()->type_name("NAME");
    for (CLI::App* one : {plan_, apply_, remove_}) {
      one->add_option("file", step_.file, "the topology file, as it shall be")
          ->required()
          ->type_name("FILE");
    }
    submit_ = command_->add_subcommand("submit", "take in what a removed datacenter has left");
    submit_->add_option("file", unshipped_, "its unshipped.ndjson")->required()->type_name("FILE");
    plan_->add_option("--remove", step_.remove, "it goes on without this one")->type_name("NAME");
    for (CLI::App* one : {show_, plan_, apply_, remove_, submit_}) {
      add_url_option(one, url);
      add_output_option(one, format);
    }
  }

  explicit operator bool() const { return command_->parsed(); }

  int run(const std::string& url, entente::OutputFormat format) {
    if (*show_) return entente::show_topology(url, format, std::cout, std::cerr);
    if (*submit_) {
      return entente::submit_unshipped(url, unshipped_, format, std::cout, std::cerr);
    }
    step_.plan = plan_->parsed();
    return entente::change_topology(url, step_, format, std::cout, std::cerr);
  }

 private:
  CLI::App *command_, *show_, *plan_, *apply_, *remove_, *submit_;
  entente::TopologyStep step_;
  std::filesystem::path unshipped_;
};

// `entente leader show|move`.
class Leader {
 public:
  Leader(CLI::App& app, std::string& url, std::string& format)
      : command_(app.add_subcommand("leader", "the datacenter where the schema is changed")) {
    command_->require_subcommand(1);
    show_ = command_->add_subcommand("show", "who it is");
    move_ = command_->add_subcommand("move", "another leads from now on, while the cluster runs");
    move_->add_option("dc", step_.leader, "which one")->required()->type_name("NAME");
    for (CLI::App* one : {show_, move_}) {
      add_url_option(one, url);
      add_output_option(one, format);
    }
  }

  explicit operator bool() const { return command_->parsed(); }

  int run(const std::string& url, entente::OutputFormat format) {
    if (*show_) return entente::show_leader(url, format, std::cout, std::cerr);
    return entente::change_topology(url, step_, format, std::cout, std::cerr);
  }

 private:
  CLI::App *command_, *show_, *move_;
  entente::TopologyStep step_{};
};

// `entente cert init|issue|request|sign|renew|show`.
class Cert {
 public:
  Cert(CLI::App& app, std::string& format)
      : command_(app.add_subcommand("cert", "who gateways are: a CA, and their certificates")) {
    command_->require_subcommand(1);
    init_ = command_->add_subcommand("init", "make a CA for the cluster");
    issue_ = command_->add_subcommand("issue", "make datacenters' keys and certificates");
    request_ = command_->add_subcommand("request", "on its host: make a key that stays there");
    sign_ = command_->add_subcommand("sign", "where the CA is: certify what was requested");
    renew_ = command_->add_subcommand(
        "renew", "the same again, for who has used two thirds of his time; for a timer");
    show_ = command_->add_subcommand("show", "who it is, until when, what it is not good for");
    for (CLI::App* one : {init_, issue_, request_, sign_, renew_}) {
      one->add_option("file", options_.file, "the topology file")->required()->type_name("FILE");
    }
    for (CLI::App* one : {issue_, renew_}) {
      one->add_option("dc", options_.dcs, "which datacenters")->type_name("NAME");
      one->add_flag("--all", options_.all, "every one of the file");
    }
    request_->add_option("--dc", options_.dcs, "which datacenter this is")
        ->required()
        ->expected(1)
        ->type_name("NAME");
    request_->add_option("--to", options_.to, "where to put it [.]")->type_name("DIR");
    sign_->add_option("request", options_.request, "its node.csr")->required()->type_name("CSR");
    renew_->add_flag("--now", options_.now, "also what is good for long");
    for (CLI::App* one : {init_, issue_, sign_, renew_}) {
      one->add_option("--folder", options_.folder, "where the CA is [./<cluster>-ca]")
          ->type_name("DIR");
      one->add_option("--days", options_.days, "how long it is valid [init 3653, others 90]")
          ->check(CLI::Range(1, 36500));
    }
    for (CLI::App* one : {issue_, sign_, renew_}) {
      one->add_option("--host", options_.hosts, "one more name that clients reach it by")
          ->type_name("HOST");
    }
    show_->add_option("certificate", options_.certificates, "files with certificates")
        ->required()
        ->type_name("FILE");
    for (CLI::App* one : {init_, issue_, request_, sign_, renew_, show_}) {
      add_output_option(one, format);
    }
  }

  explicit operator bool() const { return command_->parsed(); }

  int run(entente::OutputFormat format) const {
    const auto with = [&](auto command) { return command(options_, format, std::cout, std::cerr); };
    if (*init_) return with(entente::cert_init);
    if (*issue_) return with(entente::cert_issue);
    if (*request_) return with(entente::cert_request);
    if (*sign_) return with(entente::cert_sign);
    return *renew_ ? with(entente::cert_renew) : with(entente::cert_show);
  }

 private:
  CLI::App *command_, *init_, *issue_, *request_, *sign_, *renew_, *show_;
  entente::CertOptions options_;
};

// `entente handler check`.
class HandlerCheck {
 public:
  HandlerCheck(CLI::App& app, std::string& format) {
    CLI::App* handler = app.add_subcommand("handler", "the code under `handlers`");
    handler->require_subcommand(1);
    command_ = handler->add_subcommand(
        "check", "run a handler on made-up conflicts and say what it does wrong");
    command_->add_option("file", options_.file, "a .lua script, or a .so plug-in")
        ->required()
        ->type_name("FILE");
    command_->add_option("--config", options_.config, "what a plug-in is given to start")
        ->type_name("JSON");
    command_
        ->add_option("--columns", options_.columns,
                     "the table's columns, each with what it holds: integer, real, text, blob, "
                     "json, array or any")
        ->type_name("NAME:TYPE,…")
        ->capture_default_str();
    command_->add_option("--runs", options_.runs, "how many conflicts")
        ->check(CLI::Range(1, 1'000'000))
        ->capture_default_str()
        ->type_name("COUNT");
    command_->add_option("--seed", options_.seed, "which conflicts")
        ->capture_default_str()
        ->type_name("NUMBER");
    command_->add_option("--instructions", options_.instructions, "a script's budget for each")
        ->capture_default_str()
        ->type_name("COUNT");
    command_->add_option("--memory", options_.memory, "a script's memory for each")
        ->capture_default_str()
        ->type_name("BYTES");
    add_output_option(command_, format);
  }

  explicit operator bool() const { return command_->parsed(); }

  int run(entente::OutputFormat format) const {
    return entente::handler_check(options_, format, std::cout, std::cerr);
  }

 private:
  CLI::App* command_;
  entente::HandlerCheckOptions options_;
};

std::filesystem::path sql_history() {
  const char* home = std::getenv("HOME");
  return std::filesystem::path(home != nullptr ? home : ".") / ".entente_sql_history";
}

int run_sql_shell(const entente::SqlShellOptions& options) {
  entente::LineEditor editor(sql_history());
  const entente::LineSource source{[&](const std::string& prompt) { return editor.line(prompt); },
                                   editor.interactive()};
  return entente::sql_shell(options, source, std::cout, std::cerr);
}

}  // namespace

int main(int argc, char** argv) {
  // What this program starts itself with, for each isolated plug-in.
  if (argc == 2 && std::string_view(argv[1]) == "handler-host") return entente::run_handler_host();

  CLI::App app{"Entente: datacenters that accept writes locally and replicate to each other."};
  app.name("entente");
  app.require_subcommand(1);
  app.footer("Exit codes: 0 fine, 1 degraded or refused, 2 usage.");

  entente::ServeOptions serve;
  CLI::App* serve_command = app.add_subcommand("serve", "run one datacenter's gateway");
  add_datacenter_options(serve_command, serve);
  serve_command->add_flag("--first", serve.first,
                          "a cluster begins here: with an empty database, if there is none and no "
                          "neighbour to copy one from");

  std::filesystem::path file;
  std::string format_name = "table";
  CLI::App* check_command =
      app.add_subcommand("check", "validate a topology file and show what it means");
  check_command->add_option("file", file, "the topology file")->required()->type_name("FILE");
  add_output_option(check_command, format_name);

  std::string url = "http://127.0.0.1:8080";
  CLI::App* status_command = app.add_subcommand("status", "ask a gateway how its cluster is");
  add_url_option(status_command, url);
  add_output_option(status_command, format_name);
  entente::StatusParts status_parts;
  status_command->add_flag("--origins", status_parts.origins,
                           "the table has a row per origin: its route, its lag, what waits");
  status_command->add_flag("--links", status_parts.links,
                           "and per link: round trip, clock offset, bytes and changes a second");

  entente::SqlShellOptions sql;
  CLI::App* sql_command = app.add_subcommand("sql", "a shell: SQL at a datacenter");
  sql_command->add_option("-c,--command", sql.command, "run this and end")->type_name("SQL");
  add_url_option(sql_command, url);
  add_output_option(sql_command, format_name);

  std::filesystem::path source;
  CLI::App* adopt_command =
      app.add_subcommand("adopt", "make a SQLite file the first state of a datacenter's database");
  add_datacenter_options(adopt_command, serve);
  adopt_command->add_option("file", source, "the application's database; it is only read")
      ->required()
      ->type_name("FILE");
  add_output_option(adopt_command, format_name);

  CLI::App* snapshot_command =
      app.add_subcommand("snapshot", "copy a datacenter's database, also while it is served");
  add_datacenter_options(snapshot_command, serve);
  snapshot_command->add_option("file", source, "where to; it must not be there")
      ->required()
      ->type_name("FILE");
  add_output_option(snapshot_command, format_name);

  bool alone = false;
  CLI::App* restore_command =
      app.add_subcommand("restore", "make such a copy the database of a datacenter without one");
  add_datacenter_options(restore_command, serve);
  restore_command->add_option("file", source, "the copy; it is only read")
      ->required()
      ->type_name("FILE");
  restore_command->add_flag("--alone", alone,
                            "serve at once: every other datacenter is lost, or their writes since "
                            "the copy do not matter");
  add_output_option(restore_command, format_name);

  entente::VerifyOptions verify;
  CLI::App* verify_command =
      app.add_subcommand("verify", "compare all rows with every other datacenter's, now");
  CLI::App* repair_command =
      app.add_subcommand("repair", "the same, and make all alike where they differ");
  repair_command->add_option("--from", verify.from, "whose rows are the right ones")
      ->type_name("NAME");
  for (CLI::App* command : {verify_command, repair_command}) {
    add_url_option(command, url);
    add_output_option(command, format_name);
  }

  const Conflicts conflicts(app, url, format_name);
  const HandlerCheck handler_check(app, format_name);
  const Cert cert(app, format_name);
  Topology topology_command(app, url, format_name);
  Leader leader_command(app, url, format_name);

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? entente::kFine : entente::kUsage;
  }
  const auto format =
      format_name == "json" ? entente::OutputFormat::kJson : entente::OutputFormat::kTable;
  if (*serve_command) return entente::serve(serve, std::cout, std::cerr);
  if (*adopt_command) return entente::adopt(serve, source, format, std::cout, std::cerr);
  if (*snapshot_command) return entente::snapshot(serve, source, format, std::cout, std::cerr);
  if (*restore_command) {
    return entente::restore(serve, source, alone, format, std::cout, std::cerr);
  }
  if (*check_command) {
    auto topology = entente::read_topology_file(file);
    entente::load_handlers(topology);
    return entente::check(topology, format, std::cout, std::cerr);
  }
  if (*sql_command) {
    sql.url = url;
    sql.format = format;
    return run_sql_shell(sql);
  }
  if (*verify_command || *repair_command) {
    verify.url = url;
    verify.repair = repair_command->parsed();
    return entente::verify(verify, format, std::cout, std::cerr);
  }
  if (conflicts) return conflicts.run(url, format);
  if (cert) return cert.run(format);
  if (handler_check) return handler_check.run(format);
  if (topology_command) return topology_command.run(url, format);
  if (leader_command) return leader_command.run(url, format);
  return entente::status(url, format, status_parts, std::cout, std::cerr);
}
