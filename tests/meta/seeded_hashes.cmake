# A table whose keys are texts gets them from a file, which could choose texts of one hash: it has to use TextHash.
#   cmake -DROOT=<source dir> -P seeded_hashes.cmake
cmake_minimum_required(VERSION 3.24)

set(mistakes "")
set(n_found 0)
file(GLOB_RECURSE files "${ROOT}/src/*.h" "${ROOT}/src/*.cpp")
foreach(path IN LISTS files)
  file(STRINGS "${path}" lines REGEX "unordered_(map|set)<std::string")
  foreach(line IN LISTS lines)
    math(EXPR n_found "${n_found} + 1")
    if(NOT line MATCHES "TextHash")
      string(APPEND mistakes "  ${path}: ${line}\n")
    endif()
  endforeach()
endforeach()

if(mistakes)
  message(FATAL_ERROR "hash tables of texts without TextHash:\n${mistakes}")
endif()
if(n_found LESS 3)
  message(FATAL_ERROR "only ${n_found} hash tables of texts were found")
endif()
message(STATUS "${n_found} hash tables of texts have a seed")
