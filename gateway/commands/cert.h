#pragma once

#include <filesystem>
#include <iosfwd>
#include <string>
#include <vector>

#include "gateway/commands/output.h"

namespace entente {

// What all of `entente cert` needs to know.
struct CertOptions {
  std::filesystem::path file;                       // the topology file: it knows the names
  std::filesystem::path folder;                     // the CA's; "": ./<cluster>-ca
  std::vector<std::string> dcs;                     // which
  bool all = false;                                 // every datacenter of the file
  std::vector<std::string> hosts;                   // more names that clients reach it by
  int days = 0;                                     // how long it is valid; 0: as usual
  bool now = false;                                 // renew: also what is good for long
  std::filesystem::path to;                         // request: where the key and the request go
  std::filesystem::path request;                    // sign: what to sign
  std::vector<std::filesystem::path> certificates;  // show
};

// Each writes what it made, and prints where. Exit codes as everywhere.

// A CA: <folder>/ca.key and ca.crt; the folder is its owner's alone.
int cert_init(const CertOptions& options, OutputFormat format, std::ostream& out,
              std::ostream& err);
// Per datacenter <folder>/<dc>/: node.crt, node.key and ca.crt. `serve` takes them as they are.
int cert_issue(const CertOptions& options, OutputFormat format, std::ostream& out,
               std::ostream& err);
// On the gateway's host: a key that never leaves it, node.key, and node.csr for `cert sign`.
int cert_request(const CertOptions& options, OutputFormat format, std::ostream& out,
                 std::ostream& err);
// Where the CA is: <folder>/<dc>/: node.crt and ca.crt.
int cert_sign(const CertOptions& options, OutputFormat format, std::ostream& out,
              std::ostream& err);
// What issue or sign made, again, with the same names: once two thirds of its life are over, or
// `now`. Both files are swapped by rename. The key of a signed request stays what it was.
int cert_renew(const CertOptions& options, OutputFormat format, std::ostream& out,
               std::ostream& err);
// Who, until when, and what it is not good for.
int cert_show(const CertOptions& options, OutputFormat format, std::ostream& out,
              std::ostream& err);

}  // namespace entente
