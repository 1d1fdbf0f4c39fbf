# TRIBUTARY_SDK_SOURCES: what a device carries, for build systems other than this project's own. sdk/wire/vocabulary.c
# (tables of names) is for gateways and tools.
get_filename_component(TRIBUTARY_SDK_DIR ${CMAKE_CURRENT_LIST_DIR}/.. ABSOLUTE)
file(GLOB TRIBUTARY_SDK_SOURCES CONFIGURE_DEPENDS
  ${TRIBUTARY_SDK_DIR}/wire/*.c ${TRIBUTARY_SDK_DIR}/journal/*.c ${TRIBUTARY_SDK_DIR}/lane/*.c
  ${TRIBUTARY_SDK_DIR}/playback/*.c ${TRIBUTARY_SDK_DIR}/websocket/*.c ${TRIBUTARY_SDK_DIR}/uplink/*.c
  ${TRIBUTARY_SDK_DIR}/client/*.c)
list(FILTER TRIBUTARY_SDK_SOURCES EXCLUDE REGEX "/wire/vocabulary\\.c$")
set(TRIBUTARY_SDK_INCLUDES ${TRIBUTARY_SDK_DIR} ${TRIBUTARY_SDK_DIR}/include)

# Ports that need no platform: what of them an app does not call, the linker leaves out.
set(TRIBUTARY_PORTS_DIR ${TRIBUTARY_SDK_DIR}/../ports)
set(TRIBUTARY_NEUTRAL_SOURCES ${TRIBUTARY_PORTS_DIR}/nor/nor.c ${TRIBUTARY_PORTS_DIR}/nor/spi_nor.c
                              ${TRIBUTARY_PORTS_DIR}/proxy/net_proxy.c)
set(TRIBUTARY_NEUTRAL_INCLUDES ${TRIBUTARY_PORTS_DIR}/nor ${TRIBUTARY_PORTS_DIR}/proxy)
set(TRIBUTARY_MBEDTLS_SOURCES ${TRIBUTARY_PORTS_DIR}/mbedtls/digest.c ${TRIBUTARY_PORTS_DIR}/mbedtls/net_tls.c
                              ${TRIBUTARY_PORTS_DIR}/mbedtls/verify.c)
