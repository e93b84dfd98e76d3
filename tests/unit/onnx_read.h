/* SPDX-License-Identifier: MIT */
/* Models put together by onnx_build.h, read by the importer: as a net, or refused. */
#ifndef ONNX_READ_H
#define ONNX_READ_H

#include "net.h"
#include "onnx_build.h"

#define WORDS(...)	((const char *const[]){ __VA_ARGS__, NULL })

/* Read what was built and end it; the test fails if that is refused. */
void expect_read(struct ob *b, const char *bind, struct net *net);
/* The same, refused with all of these words; only that is right. */
void expect_refused(struct ob *b, const char *bind, const char *const *words);

#endif
