#pragma once

/// CLI11 takes seconds to compile: only the files that declare options include it.
namespace CLI {
class App;
class Option;
}  // namespace CLI
