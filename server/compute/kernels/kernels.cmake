# SPDX-License-Identifier: MIT
#
# Each family of kernels is one source, compiled once for each instruction set; kernels.c picks a
# set at run time. Only these files may use instructions beyond the base of the architecture.

set(kernels_dir ${CMAKE_CURRENT_SOURCE_DIR}/compute/kernels)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${kernels_dir}/families.def)
file(STRINGS ${kernels_dir}/families.def kernel_rows REGEX "^KERNEL_FAMILY")
set(kernel_sources ${kernels_dir}/set.c)
foreach(row ${kernel_rows})
        string(REGEX REPLACE "KERNEL_FAMILY\\((.*)\\)" "\\1" family ${row})
        list(APPEND kernel_sources ${kernels_dir}/${family}.c)
endforeach()
# GCC 12 contracts a * b + c where it vectorises a sum beside a difference, whatever -ffp-contract
# says
set_source_files_properties(${kernels_dir}/complex.c ${kernels_dir}/complex_math.c
                            PROPERTIES COMPILE_OPTIONS -fno-tree-vectorize)

# kernels(SET, name of the instruction set, bytes of a vector or 0, compiler options)
function(kernels set isa vec)
        add_library(kernels_${set} OBJECT ${kernel_sources})
        target_include_directories(kernels_${set} PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
        target_link_libraries(kernels_${set} PRIVATE contract)
        target_compile_definitions(kernels_${set} PRIVATE KERNELS_SET=${set} KERNELS_ISA="${isa}")
        if(vec)
                target_compile_definitions(kernels_${set} PRIVATE VEC=${vec})
        endif()
        target_compile_options(kernels_${set} PRIVATE -ffp-contract=off ${ARGN})
        target_sources(compute PRIVATE $<TARGET_OBJECTS:kernels_${set}>)
        set_property(SOURCE ${kernels_dir}/kernels.c
                     APPEND PROPERTY COMPILE_DEFINITIONS KERNELS_HAVE_${set})
endfunction()

# x86(SET, ...): as kernels, if the set is wanted
function(x86 set)
        if(set IN_LIST TENSORD_KERNEL_SETS)
                kernels(${set} ${ARGN} -O3 -fno-math-errno -fno-trapping-math)
        endif()
endfunction()

target_sources(compute PRIVATE ${kernels_dir}/kernels.c)
kernels(plain "plain" 0 -O2 -fno-tree-vectorize)
if(CMAKE_SYSTEM_PROCESSOR STREQUAL "x86_64")
        x86(v2 "x86-64-v2" 16 -march=x86-64-v2)
        x86(v3 "x86-64-v3" 32 -march=x86-64-v3)
        x86(v4 "x86-64-v4" 64 -march=x86-64-v4 -mprefer-vector-width=512)
        target_link_libraries(compute PRIVATE mvec)
endif()
