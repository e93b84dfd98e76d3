// SPDX-License-Identifier: GPL-2.0-only
/* Makes the trace events of npu_trace.h. */

#define CREATE_TRACE_POINTS
#include "npu_trace.h"
