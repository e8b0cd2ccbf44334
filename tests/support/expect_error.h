#pragma once

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "tern/error.h"

namespace tern::test {

/// Fails the test unless `action` throws a tern::Error of this kind whose one-line message holds `part`.
template <typename Action>
void expect_error(ErrorKind kind, std::string_view part, const Action& action) {
  try {
    action();
  } catch (const Error& error) {
    const std::string message = error.what();
    EXPECT_EQ(error.kind(), kind) << message;
    EXPECT_NE(message.find(part), std::string::npos) << "expected '" << part << "' in: " << message;
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
    return;
  }
  ADD_FAILURE() << "expected an error with '" << part << "', found none";
}

}  // namespace tern::test
