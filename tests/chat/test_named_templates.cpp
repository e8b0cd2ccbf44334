#include <gtest/gtest.h>

#include <vector>

#include "tern/chat.h"
#include "tests/support/expect_error.h"

namespace tern {
namespace {

const std::vector<ChatMessage> kMessages = {{"system", "Be brief."}, {"user", " hi "}};

TEST(NamedTemplates, RenderAsTheirModelsWereTrained) {
  const auto render = [](std::string_view name) {
    return ChatTemplate::named(name).render(kMessages, {.bos_token = "<s>"});
  };
  EXPECT_EQ(render("bitnet"), "System: Be brief.<|eot_id|>User: hi<|eot_id|>Assistant: ");
  EXPECT_EQ(render("chatml"),
            "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\n hi <|im_end|>\n<|im_start|>assistant\n");
  EXPECT_EQ(render("llama3"),
            "<s><|start_header_id|>system<|end_header_id|>\n\nBe brief.<|eot_id|><|start_header_id|>user"
            "<|end_header_id|>\n\nhi<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n");
  EXPECT_EQ(render("plain"), "System: Be brief.\n\nUser: hi\n\nAssistant:");
}

TEST(NamedTemplates, EveryNameHasOne) {
  for (const std::string_view name : ChatTemplate::names()) {
    EXPECT_NE(ChatTemplate::named(name).render(kMessages).find("hi"), std::string::npos) << name;
  }
  test::expect_error(ErrorKind::kInvalidArgument, "'nobody'", [] { static_cast<void>(ChatTemplate::named("nobody")); });
}

}  // namespace
}  // namespace tern
