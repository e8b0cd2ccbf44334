#pragma once

#include <cstddef>
#include <cstdint>

namespace tern::chat {

// A template comes out of a model file and is a program: without bounds it could loop, recurse or grow without end.
// The longest published one has some 30 000 bytes and renders in a few thousand steps.

inline constexpr std::size_t kMaxTemplateBytes = std::size_t{1} << 20;
/// Characters of a name in a template.
inline constexpr std::size_t kMaxName = 256;
/// Statements, brackets and operators within each other, as written.
inline constexpr std::size_t kMaxNesting = 100;
/// Statements, expressions and macro calls within each other, while rendering.
inline constexpr std::size_t kMaxDepth = 500;
/// Lists within lists, and so on.
inline constexpr std::size_t kMaxValueDepth = 100;
/// Statements and expressions evaluated, elements looked at, characters read (64 a step, see Run::step_through()); some
/// seconds at most.
inline constexpr std::size_t kMaxSteps = 5'000'000;
/// Characters whose case is looked up, which takes longer than to read them, in one step.
inline constexpr std::size_t kLettersPerStep = 16;
/// Steps that a variable counts as: many are slow to make and to find.
inline constexpr std::size_t kVariableSteps = 4;
/// Characters (of 4 bytes) of all texts made while rendering, those that are gone included.
inline constexpr std::size_t kMaxCharacters = std::size_t{1} << 26;
/// Elements of one list or dict.
inline constexpr std::size_t kMaxElements = std::size_t{1} << 20;
/// Numbers that range() gives; as in Jinja's sandbox.
inline constexpr std::int64_t kMaxRange = 100'000;
/// Characters of a format for strftime_now().
inline constexpr std::size_t kMaxDateFormat = 256;

}  // namespace tern::chat
