# SPDX-License-Identifier: MIT
#
# One kernel source, compiled once for each instruction set; kernels.c picks one at run time. Only
# these files may use instructions beyond the base of the architecture.

if(TARGET compute)
        get_target_property(compute_type compute TYPE)
endif()
if(TARGET compute AND NOT compute_type STREQUAL "INTERFACE_LIBRARY")
        set(kernels compute/kernels)
        target_sources(compute PRIVATE ${kernels}/kernels.c ${kernels}/kernels_plain.c)
        set_source_files_properties(${kernels}/kernels_plain.c PROPERTIES COMPILE_OPTIONS
                                    "-O2;-fno-tree-vectorize;-ffp-contract=off")
        set(kernel_sources ${kernels}/kernels_plain.c)
        if(CMAKE_SYSTEM_PROCESSOR STREQUAL "x86_64")
                set(kernel_flags -O3 -ffp-contract=off -fno-math-errno -fno-trapping-math)
                foreach(level 2 3 4)
                        set(source ${kernels}/kernels_x86_64_v${level}.c)
                        target_sources(compute PRIVATE ${source})
                        set_source_files_properties(${source} PROPERTIES COMPILE_OPTIONS
                                                    "${kernel_flags};-march=x86-64-v${level}")
                        list(APPEND kernel_sources ${source})
                endforeach()
                target_link_libraries(compute PRIVATE mvec)
        endif()
        foreach(included kernels.inc kernels.def)
                set_property(SOURCE ${kernel_sources} APPEND PROPERTY OBJECT_DEPENDS
                             ${CMAKE_CURRENT_SOURCE_DIR}/${kernels}/${included})
        endforeach()
endif()
