/* fault.h - fault points for tests: RANQ_FAULT=point:probability:seed[,...] kills the process or breaks the connection
 * there. Compiled in with the CMake option RANQ_FAULTS only. */
#ifndef RANQ_BRIDGE_FAULT_H
#define RANQ_BRIDGE_FAULT_H

#include <stdbool.h>

#ifdef RANQ_FAULTS
/* True with the given probability when the point is switched on. */
bool ranq_fault(const char *point);
/* Ends the process as kill -9 does, if the point strikes. */
void ranq_fault_kill(const char *point);
#else
#define ranq_fault(point) ((void)(point), false)
#define ranq_fault_kill(point) ((void)(point))
#endif

#endif
