# A distribution's package if there is one; else, with TERN_FETCH_DEPENDENCIES only, the source at a pinned commit.
include(FetchContent)
set(CMAKE_FIND_PACKAGE_TARGETS_GLOBAL ON)
set(FMT_INSTALL ON) # an installed libtern.a needs it, so a fetched one is installed beside it
set(CMAKE_POLICY_DEFAULT_CMP0077 NEW) # so that the options set here reach a fetched project
set(BUILD_GMOCK OFF)
set(INSTALL_GTEST OFF)

# Releases by commit: a tag can be moved.
set(TERN_PIN_fmt https://github.com/fmtlib/fmt.git a33701196adfad74917046096bf5a2aa0ab0bb50) # 9.1.0
set(TERN_PIN_xsimd https://github.com/xtensor-stack/xsimd.git 1577b02d549cca52aa5e943c16f2600950480289) # 8.1.0
set(TERN_PIN_CLI11 https://github.com/CLIUtils/CLI11.git 70f8072f9dd2292fd0b9f9e5f58e279f60483ed3) # 2.1.2
set(TERN_PIN_nlohmann_json https://github.com/nlohmann/json.git bc889afb4c5bf1c0d8ee29ef35eaaf4c8bef8a5d) # 3.11.2
set(TERN_PIN_GTest https://github.com/google/googletest.git 58d77fa8070e8cec2dc1ed015d66b454c8d78850) # 1.12.1

# tern_dependency(<package> <version> <target>...): makes the targets available, or says what is missing.
function(tern_dependency package version)
  if(NOT TERN_FETCH_DEPENDENCIES)
    find_package(${package} ${version} CONFIG QUIET)
    if(NOT ${package}_FOUND)
      message(FATAL_ERROR "${package} ${version} was not found. tools/setup.sh installs what is missing; "
                          "-DTERN_FETCH_DEPENDENCIES=ON downloads it.")
    endif()
  else()
    list(GET TERN_PIN_${package} 0 repository)
    list(GET TERN_PIN_${package} 1 commit)
    FetchContent_Declare(${package} GIT_REPOSITORY ${repository} GIT_TAG ${commit}
                         FIND_PACKAGE_ARGS ${version} CONFIG)
    FetchContent_MakeAvailable(${package})
  endif()
  foreach(target IN LISTS ARGN)
    if(NOT TARGET ${target})
      message(FATAL_ERROR "${package} was found but does not define the target ${target}")
    endif()
  endforeach()
endfunction()

find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(PCRE2 REQUIRED IMPORTED_TARGET GLOBAL libpcre2-8)
tern_dependency(fmt 9 fmt::fmt)
tern_dependency(xsimd 8 xsimd)
tern_dependency(nlohmann_json 3.11 nlohmann_json::nlohmann_json)
