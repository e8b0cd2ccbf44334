# Installs the library, its headers, a package for find_package(tern), the command and the bundled models.
include(CMakePackageConfigHelpers)

install(TARGETS tern EXPORT ternTargets)
install(DIRECTORY "${PROJECT_SOURCE_DIR}/include/tern" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}"
        FILES_MATCHING PATTERN "*.h")
install(FILES "${PROJECT_BINARY_DIR}/include/tern/version.h" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}/tern")
install(DIRECTORY "${PROJECT_SOURCE_DIR}/models/" DESTINATION "${CMAKE_INSTALL_DATADIR}/tern"
        FILES_MATCHING PATTERN "*.gguf")
if(TERN_BUILD_TOOLS)
  install(TARGETS tern_cli)
endif()

set(package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/tern")
install(EXPORT ternTargets NAMESPACE tern:: DESTINATION "${package_dir}")
configure_package_config_file("${PROJECT_SOURCE_DIR}/cmake/ternConfig.cmake.in"
                              "${PROJECT_BINARY_DIR}/ternConfig.cmake" INSTALL_DESTINATION "${package_dir}")
write_basic_package_version_file("${PROJECT_BINARY_DIR}/ternConfigVersion.cmake" COMPATIBILITY SameMinorVersion)
install(FILES "${PROJECT_BINARY_DIR}/ternConfig.cmake" "${PROJECT_BINARY_DIR}/ternConfigVersion.cmake"
        DESTINATION "${package_dir}")
