# Power cuts under the shim of tests/support. Each rule that must hold has a mutant here: the gateway built without it.

find_package(Threads REQUIRED)
add_executable(shim_test shim_test.c)
target_compile_definitions(shim_test PRIVATE _GNU_SOURCE)
target_link_libraries(shim_test PRIVATE powercut_rebuild cmocka)
add_test(NAME powercut.shim COMMAND shim_test $<TARGET_FILE:powercut>)
set_tests_properties(powercut.shim PROPERTIES TIMEOUT 120 LABELS quick)

if(TARGET tributary_gateway)

  add_executable(gateway_journal_cut_test gateway_journal_cut_test.c gateway_cut_phases.c)
  target_link_libraries(gateway_journal_cut_test PRIVATE tributary_gateway powercut_rebuild)

  add_executable(scratch_test scratch_test.c)
  target_compile_definitions(scratch_test PRIVATE _GNU_SOURCE)
  target_include_directories(scratch_test PRIVATE ${PROJECT_SOURCE_DIR}/tests/support)
  target_link_libraries(scratch_test PRIVATE cmocka)
  add_test(NAME powercut.scratch COMMAND scratch_test $<TARGET_FILE:gateway_journal_cut_test> $<TARGET_FILE:powercut>)
  set_tests_properties(powercut.scratch PROPERTIES TIMEOUT 60 LABELS quick)

  function(journal_cut_test name library)
    add_executable(gateway-journal-load-${name} gateway_journal_load.c)
    target_include_directories(gateway-journal-load-${name} PRIVATE ${PROJECT_SOURCE_DIR}/tests)
    target_link_libraries(gateway-journal-load-${name} PRIVATE ${library})
    add_test(NAME powercut.gateway_journal_${name}
             COMMAND gateway_journal_cut_test $<TARGET_FILE:gateway-journal-load-${name}> $<TARGET_FILE:powercut> ${ARGN})
    set_tests_properties(powercut.gateway_journal_${name} PROPERTIES TIMEOUT 300 LABELS quick)
  endfunction()

  journal_cut_test(sound tributary_gateway --cuts 60)
  journal_cut_test(nosync tributary_gateway_nosync --cuts 100 --mutant)
  journal_cut_test(no_contiguity tributary_gateway_no_contiguity --cuts 20 --mutant)

  foreach(name sound nosync)
    add_executable(gateway-schema-cut-${name} gateway_schema_cut_test.c)
  endforeach()
  target_link_libraries(gateway-schema-cut-sound PRIVATE tributary_gateway powercut_rebuild)
  target_link_libraries(gateway-schema-cut-nosync PRIVATE tributary_gateway_nosync powercut_rebuild)
  set(schema_cut gateway-schema-cut-sound $<TARGET_FILE:powercut>)
  add_test(NAME powercut.gateway_schema_sound COMMAND ${schema_cut} $<TARGET_FILE:gateway-schema-cut-sound>)
  add_test(NAME powercut.gateway_schema_nosync COMMAND ${schema_cut} $<TARGET_FILE:gateway-schema-cut-nosync> --mutant)
  set_tests_properties(powercut.gateway_schema_sound powercut.gateway_schema_nosync PROPERTIES TIMEOUT 300 LABELS quick)

  # The real gateway over TLS, with the shim under it.
  add_executable(gateway-cut-check gateway_cut_check.c gateway_cut_finish.c)
  target_link_libraries(gateway-cut-check PRIVATE tributary_gateway powercut_rebuild)
  set(cut_command /usr/bin/python3 ${CMAKE_CURRENT_SOURCE_DIR}/gateway_cut.py --bin ${CMAKE_RUNTIME_OUTPUT_DIRECTORY})
  add_test(NAME powercut.gateway COMMAND ${cut_command} --cuts 100)
  set_tests_properties(powercut.gateway PROPERTIES TIMEOUT 600 LABELS full)
  foreach(mutant nosync ack_before_commit no_contiguity)
    gw_program(tributaryd-${mutant} tributary_gateway_${mutant})
    add_test(NAME powercut.gateway_${mutant}
             COMMAND ${cut_command} --cuts 60 --events 600 --mutant --gateway $<TARGET_FILE:tributaryd-${mutant}>)
    set_tests_properties(powercut.gateway_${mutant} PROPERTIES TIMEOUT 600 LABELS full)
  endforeach()
endif()
