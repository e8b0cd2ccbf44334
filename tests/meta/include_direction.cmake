# Which folder may include which: cmake -DROOT=<source dir> -P include_direction.cmake
# Arrows go down only. A line of this table is a folder and what its quoted includes may begin with.
cmake_minimum_required(VERSION 3.24)

set(rules
    "include/tern|tern/"
    "kernels|kernels/"
    "src/base|src/base/,tern/error.h"
    "src/format|src/format/,src/base/,tern/error.h"
    "src/weights|src/weights/,src/format/,src/base/,kernels/,tern/"
    "src/huggingface|src/huggingface/,src/weights/,src/format/,src/base/,tern/"
    "src/text|src/text/,src/format/,src/base/,tern/"
    "src/chat|src/chat/,src/text/utf8.h,src/base/,tern/"
    "src/sampling|src/sampling/,src/base/,tern/"
    "src/nn|src/nn/,src/weights/,src/format/,src/base/,kernels/,tern/"
    "src/architectures|src/architectures/,src/nn/,src/weights/,src/format/,src/base/,kernels/,tern/"
    "src/engine|src/,kernels/,tern/"
    "tools|tools/,tern/")

# These throw errors; they are compiled without the flags of any instruction set.
set(kernel_exceptions "kernels/choice.cpp|src/base/check.h" "kernels/dispatch.cpp|src/base/check.h")
set(n_checked 0)
set(mistakes "")
foreach(rule IN LISTS rules)
  string(REPLACE "|" ";" rule "${rule}")
  list(GET rule 0 folder)
  list(GET rule 1 allowed)
  string(REPLACE "," ";" allowed "${allowed}")
  file(GLOB_RECURSE files "${ROOT}/${folder}/*.h" "${ROOT}/${folder}/*.cpp" "${ROOT}/${folder}/*.in")
  if(NOT files)
    string(APPEND mistakes "  ${folder}: no files\n")
  endif()
  foreach(file IN LISTS files)
    file(RELATIVE_PATH name "${ROOT}" "${file}")
    if(name MATCHES "^tools/train/")
      continue()
    endif()
    file(STRINGS "${file}" lines REGEX "^ *#include \"")
    foreach(line IN LISTS lines)
      string(REGEX REPLACE "^ *#include \"([^\"]*)\".*" "\\1" included "${line}")
      math(EXPR n_checked "${n_checked} + 1")
      set(is_allowed FALSE)
      foreach(prefix IN LISTS allowed)
        string(FIND "${included}" "${prefix}" at)
        if(at EQUAL 0)
          set(is_allowed TRUE)
        endif()
      endforeach()
      if(NOT is_allowed AND NOT "${name}|${included}" IN_LIST kernel_exceptions)
        string(APPEND mistakes "  ${name} includes ${included}; ${folder} may include: ${allowed}\n")
      endif()
    endforeach()
  endforeach()
endforeach()

if(mistakes)
  message(FATAL_ERROR "includes that go the wrong way:\n${mistakes}")
endif()
if(n_checked LESS 100)
  message(FATAL_ERROR "only ${n_checked} includes were found: is ROOT the source directory?")
endif()
message(STATUS "${n_checked} includes, all downwards")
