/* SPDX-License-Identifier: MIT */
/*
 * What tests of the library start from: a device, an address space with code
 * and data in it, a queue, and jobs made by prog_build. Any failure of the rig
 * itself fails the test. The device is $NPU_DEVICE, or the one that the
 * program was built for (NPU_TEST_DEVICE).
 */
#ifndef LIBNPU_RIG_H
#define LIBNPU_RIG_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "npu.h"
#include "prog_build.h"

#define RIG_JOB_SLOTS	16
#define RIG_DATA_BYTES	(1u << 20)

/**
 * struct rig - see the top of this file
 * @dev: device
 * @space: address space
 * @queue: queue of normal priority
 * @code: slots for commands and their binding table, read-only for the device
 * @code_va: where it is mapped
 * @data: memory that r0 points to
 * @data_va: where it is mapped
 * @word: @data in this process
 */
struct rig {
	struct npu_device *dev;
	struct npu_space *space;
	struct npu_queue *queue;
	struct npu_buffer *code;
	uint64_t code_va;
	struct npu_buffer *data;
	uint64_t data_va;
	uint32_t *word;
};

/* The device of this run; the test fails if it cannot be opened. */
struct npu_device *rig_open(void);
/* cmocka set-up and tear-down of a group: *state is the device. */
int rig_open_device(void **state);
int rig_close_device(void **state);
/* The same of a test: *state is a struct rig. */
int rig_setup(void **state);
int rig_teardown(void **state);
/* The same around a device that is open already. */
void rig_init(struct rig *rig, struct npu_device *dev, uint32_t timeout_ms);
void rig_exit(struct rig *rig);

/* Put the commands of @pb, which is freed, into a slot; r0 is data. */
struct npu_job rig_job(struct rig *rig, unsigned int slot, struct prog_build *pb);

/* Jobs: word[to] = value; word[to] = word[from]; the same after a while; never ending. */
struct npu_job rig_job_set(struct rig *rig, unsigned int slot, uint32_t to, uint32_t value);
struct npu_job rig_job_copy(struct rig *rig, unsigned int slot, uint32_t to, uint32_t from);
struct npu_job rig_job_slow_set(struct rig *rig, unsigned int slot, uint32_t to, uint32_t value);
struct npu_job rig_job_hang(struct rig *rig, unsigned int slot);
/* Reads @offset_bytes from data, with @tag. */
struct npu_job rig_job_read(struct rig *rig, unsigned int slot, int64_t offset_bytes,
			    uint32_t tag);
struct npu_job rig_job_write(struct rig *rig, unsigned int slot, int64_t offset_bytes);

/* Submit and wait: what the fence says. */
int rig_run(struct npu_queue *queue, struct npu_job job);
/* Whether the device is the in-process one. */
int rig_is_sim(void);

/* cmocka's runner; in the guest its output has to be TAP. */
void rig_set_output(void);
#define rig_run_tests(tests, setup, teardown) \
	(rig_set_output(), cmocka_run_group_tests(tests, setup, teardown))

/* A temporary file with these bytes; unlink() and free() the name. */
char *rig_file(const void *data, size_t bytes);
char *rig_file_in(const char *dir, const void *data, size_t bytes);

/* assert with the library's message */
#define assert_ok(expression) \
	do { \
		int _ret = (expression); \
		if (_ret) \
			fail_msg("%s: %d: %s", #expression, _ret, npu_error()); \
	} while (0)
#define assert_err(expression, err, word) \
	do { \
		int _ret = (expression); \
		if (_ret != (err) || !strstr(npu_error(), word)) \
			fail_msg("%s: %d: %s", #expression, _ret, npu_error()); \
	} while (0)
#define assert_some(pointer) \
	do { \
		if (!(pointer)) \
			fail_msg("%s: %s", #pointer, npu_error()); \
	} while (0)
/* A call that returns NULL, sets errno and a message with @word in it. */
#define assert_none(expression, err, word) \
	do { \
		errno = 0; \
		if ((expression) || errno != -(err) || !strstr(npu_error(), word)) \
			fail_msg("%s: errno %d: %s", #expression, errno, npu_error()); \
	} while (0)

#endif
