# Installs the SDK: static libraries, headers, a CMake package (find_package(tributary)) and pkg-config files.
# The same target names, tributary::…, work inside this tree and outside.
include(CMakePackageConfigHelpers)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/tributary)
set(package_targets)
foreach(pair wire:tributary_wire tributary:tributary posix:tributary_posix mbedtls:tributary_mbedtls nor:tributary_nor proxy:tributary_proxy
             conformance:tributary_conformance)
  string(REPLACE ":" ";" pair ${pair})
  list(GET pair 0 short)
  list(GET pair 1 target)
  if(TARGET ${target})
    add_library(tributary::${short} ALIAS ${target})
    set_target_properties(${target} PROPERTIES EXPORT_NAME ${short})
    list(APPEND package_targets ${target})
  endif()
endforeach()

install(TARGETS ${package_targets} EXPORT tributary-targets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT sdk)
install(EXPORT tributary-targets NAMESPACE tributary:: DESTINATION ${package_dir} COMPONENT sdk)

# Public headers, each where its #include says. What they do not need stays in the tree.
install(DIRECTORY sdk/include/tributary DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT sdk FILES_MATCHING PATTERN "*.h")
foreach(header cbor.h crc32c.h error.h message.h vocabulary.h vocabulary.def)
  install(FILES sdk/wire/${header} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/tributary/wire COMPONENT sdk)
endforeach()
foreach(module uplink websocket)
  install(FILES sdk/${module}/${module}.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/tributary/${module} COMPONENT sdk)
endforeach()
file(GLOB posix_headers CONFIGURE_DEPENDS ports/posix/*.h)
list(FILTER posix_headers EXCLUDE REGEX "/resolve\\.h$")
install(FILES ${posix_headers} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/tributary/posix COMPONENT sdk)
install(FILES ports/nor/nor.h ports/nor/spi_nor.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/tributary/nor COMPONENT sdk)
install(FILES ports/proxy/net_proxy.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/tributary/proxy COMPONENT sdk)
install(FILES ports/conformance/conformance.h ports/conformance/peer.h
        DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/tributary/conformance COMPONENT sdk)
install(TARGETS tributary-conformance-peer RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT sdk)
install(FILES ports/mbedtls/net_tls.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/tributary/mbedtls COMPONENT sdk)
install(DIRECTORY ports/template ports/freertos ports/lwip DESTINATION ${CMAKE_INSTALL_DATADIR}/tributary COMPONENT sdk)

configure_package_config_file(cmake/tributary-config.cmake.in ${CMAKE_CURRENT_BINARY_DIR}/tributary-config.cmake
                              INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(${CMAKE_CURRENT_BINARY_DIR}/tributary-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/tributary-config.cmake ${CMAKE_CURRENT_BINARY_DIR}/tributary-config-version.cmake
        DESTINATION ${package_dir} COMPONENT sdk)

# pkg-config: the prefix is relative to the file, so that an installed tree can be moved.
file(RELATIVE_PATH pc_prefix ${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
string(REGEX REPLACE "/$" "" pc_prefix "${pc_prefix}")
list(TRANSFORM TRIBUTARY_SDK_DEFINITIONS PREPEND " -D" OUTPUT_VARIABLE pc_definitions)
string(JOIN "" pc_definitions ${pc_definitions})
foreach(file tributary tributary-posix tributary-mbedtls)
  configure_file(cmake/${file}.pc.in ${CMAKE_CURRENT_BINARY_DIR}/${file}.pc @ONLY)
  install(FILES ${CMAKE_CURRENT_BINARY_DIR}/${file}.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT sdk)
endforeach()
