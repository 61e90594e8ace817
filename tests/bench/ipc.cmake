# Not built unless asked for: cmake --build <dir> --target ipc_bench
find_package(benchmark QUIET)
if(benchmark_FOUND)
  add_executable(ipc_bench EXCLUDE_FROM_ALL ${CMAKE_CURRENT_LIST_DIR}/ipc_bench.cpp)
  target_link_libraries(ipc_bench PRIVATE tend_ipc benchmark::benchmark)
endif()
