# Power cuts under the shim of tests/support. Each rule that must hold has a mutant here: the gateway built without it.

find_package(Threads REQUIRED)
if(TARGET tributary_gateway)
  gw_library(gateway_nosync GW_MUTANT_NOSYNC)
  gw_library(gateway_no_contiguity GW_MUTANT_NO_CONTIGUITY)

  add_executable(gateway_journal_cut_test gateway_journal_cut_test.c)
  target_link_libraries(gateway_journal_cut_test PRIVATE tributary_gateway powercut_rebuild)

  function(journal_cut_test name library)
    add_executable(gateway-journal-load-${name} gateway_journal_load.c)
    target_link_libraries(gateway-journal-load-${name} PRIVATE ${library})
    add_test(NAME powercut.gateway_journal_${name}
             COMMAND gateway_journal_cut_test $<TARGET_FILE:gateway-journal-load-${name}> $<TARGET_FILE:powercut> ${ARGN})
    set_tests_properties(powercut.gateway_journal_${name} PROPERTIES TIMEOUT 300 LABELS quick)
  endfunction()

  journal_cut_test(sound tributary_gateway --cuts 100)
  journal_cut_test(nosync gateway_nosync --cuts 100 --mutant)
  journal_cut_test(no_contiguity gateway_no_contiguity --cuts 20 --mutant)
endif()
