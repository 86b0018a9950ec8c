#include "gateway/encoding/base64.h"

#include <array>
#include <cstdint>

namespace entente {
namespace {

constexpr char kAlphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr uint8_t kNoDigit = 64;

constexpr std::array<uint8_t, 256> kDigits = [] {
  std::array<uint8_t, 256> digits{};
  digits.fill(kNoDigit);
  for (uint8_t i = 0; i < 64; ++i) digits[static_cast<uint8_t>(kAlphabet[i])] = i;
  return digits;
}();

}  // namespace

void append_base64(std::string& out, std::string_view bytes, bool padded) {
  uint32_t bits = 0;
  int held = 0;
  for (const char c : bytes) {
    bits = bits << 8 | static_cast<uint8_t>(c);
    for (held += 8; held >= 6; held -= 6) out.push_back(kAlphabet[bits >> (held - 6) & 63]);
  }
  if (held > 0) out.push_back(kAlphabet[bits << (6 - held) & 63]);
  for (size_t i = bytes.size() % 3; padded && i % 3 != 0; ++i) out.push_back('=');
}

Result<std::string> parse_base64(std::string_view text) {
  for (int i = 0; i < 2 && text.ends_with('='); ++i) text.remove_suffix(1);
  if (text.size() % 4 == 1) return fail(Code::kInvalid, "this base64 is cut short");
  std::string bytes;
  bytes.reserve(text.size() * 3 / 4);
  uint32_t bits = 0;
  int held = 0;
  for (const char c : text) {
    const uint8_t digit = kDigits[static_cast<uint8_t>(c)];
    if (digit == kNoDigit) return fail(Code::kInvalid, "this is not base64");
    bits = bits << 6 | digit;
    if ((held += 6) >= 8) bytes.push_back(static_cast<char>(bits >> (held -= 8)));
  }
  return bytes;
}

void append_base64url(std::string& out, std::string_view bytes) {
  const size_t begin = out.size();
  append_base64(out, bytes, false);
  for (size_t i = begin; i < out.size(); ++i) {
    if (out[i] == '+') out[i] = '-';
    if (out[i] == '/') out[i] = '_';
  }
}

Result<std::string> parse_base64url(std::string_view text) {
  std::string standard(text);
  for (char& c : standard) {
    if (c == '+' || c == '/' || c == '=') return fail(Code::kInvalid, "this is not base64url");
    if (c == '-') c = '+';
    if (c == '_') c = '/';
  }
  auto bytes = parse_base64(standard);
  if (!bytes) return bytes;
  std::string again;  // the last digit may hold bits that no byte has
  append_base64(again, *bytes, false);
  if (again != standard) return fail(Code::kInvalid, "this base64url is not canonical");
  return bytes;
}

}  // namespace entente
