#pragma once

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "tern/error.h"

namespace tern::kernels {

/// The message of the Error(kInvalidArgument) that `call` must throw.
template <typename Call>
[[nodiscard]] std::string message_of(Call call) {
  try {
    call();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInvalidArgument);
    return error.what();
  }
  ADD_FAILURE() << "no Error was thrown";
  return "";
}

[[nodiscard]] inline bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

}  // namespace tern::kernels
