# Every C++ file looks as clang-format leaves it: cmake -DROOT=<source dir> -DCLANG_FORMAT=<path> -P format.cmake
cmake_minimum_required(VERSION 3.24)

set(files "")
foreach(folder include kernels src tools tests)
  file(GLOB_RECURSE found "${ROOT}/${folder}/*.h" "${ROOT}/${folder}/*.cpp")
  list(APPEND files ${found})
endforeach()
execute_process(COMMAND "${CLANG_FORMAT}" --dry-run --Werror ${files} ERROR_VARIABLE complaints RESULT_VARIABLE status)
if(NOT status EQUAL 0)
  string(REGEX MATCHALL "[^\n]*: error: [^\n]*" lines "${complaints}")
  list(JOIN lines "\n  " lines)
  message(FATAL_ERROR "not formatted (run clang-format 14 -i on them):\n  ${lines}")
endif()
