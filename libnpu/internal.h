/* SPDX-License-Identifier: MIT */
/*
 * The library's objects and what its files offer each other. Objects form a
 * tree (device > buffer, space > queue > fence); each points to its parent
 * and the caller closes children first.
 */
#ifndef NPU_INTERNAL_H
#define NPU_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include "backend.h"
#include "npu.h"
#include "npu_graph.h"
#include "npu_prog_read.h"
#include "npu_regs.h"
#include "npu_train_graph.h"
#include "ranges.h"

/**
 * struct npu_device - what all backends share
 * @ops: the backend, which embeds this struct
 * @info: for the caller
 * @target: for the compiler
 * @va_start: first device address in use
 * @va_end: end of the device addresses
 */
struct npu_device {
	const struct npu_backend *ops;
	struct npu_device_info info;
	struct npu_target target;
	uint64_t va_start;
	uint64_t va_end;
};

/**
 * struct npu_buffer - memory that host and device share
 * @dev: its device
 * @bytes: size, a multiple of the page
 * @handle: the backend's name of it: GEM handle, or bus address
 * @map: mapping in this process, or NULL when there is none yet
 */
struct npu_buffer {
	struct npu_device *dev;
	uint64_t bytes;
	uint64_t handle;
	void *map;
};

/**
 * struct npu_space - an address space of the device
 * @dev: its device
 * @id: the backend's name of it
 * @used: addresses with a mapping
 */
struct npu_space {
	struct npu_device *dev;
	uint32_t id;
	struct npu_ranges used;
};

/**
 * struct npu_queue - where jobs of a space line up
 * @space: its space
 * @id: the backend's name of it
 * @priority: as asked for
 * @timeout_ms: running time allowed to a job; 0: the device's default
 * @private: the backend's
 * @refs: the caller's and one of each fence
 * @lock: protects @dead, and destroying against asking for the state
 * @dead: destroyed; only fences know it still
 */
struct npu_queue {
	struct npu_space *space;
	uint32_t id;
	enum npu_priority priority;
	uint32_t timeout_ms;
	void *private;
	atomic_uint refs;
	pthread_mutex_t lock;
	bool dead;
};

/**
 * struct npu_fence - the end of a job
 * @dev: its device
 * @queue: where the job ran; may be destroyed before the fence
 * @handle: the backend's: syncobj
 * @private: the backend's
 */
struct npu_fence {
	struct npu_device *dev;
	struct npu_queue *queue;
	uint32_t handle;
	void *private;
};

/**
 * struct npu_program - a program file, checked
 * @view: what is in it; points into @image
 * @image: the file without its constants if @fd is open, else all of it
 * @image_bytes: size of the mapping at @image
 * @fd: the file, from which constants are read; -1: they are in @image
 * @path: for messages
 */
struct npu_program {
	struct npu_prog_view view;
	void *image;
	size_t image_bytes;
	int fd;
	char *path;
};

/**
 * struct npu_model - a program, and which tensors go in and come out
 * @dev: where it runs
 * @prog: the program
 * @owned: @prog is closed with the model
 * @inputs: number of inputs
 * @outputs: number of outputs
 * @tensor: the inputs, then the outputs
 */
struct npu_model {
	struct npu_device *dev;
	struct npu_program *prog;
	bool owned;
	unsigned int inputs;
	unsigned int outputs;
	const struct npu_prog_tensor **tensor;
};

/* ---- error.c ---- */

/* Set this thread's message and errno = -@err; returns @err, which is negative. */
int npu_fail(int err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The same for functions that return a pointer. */
void *npu_fail_null(int err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* -ENOMEM with a message about @what. */
int npu_fail_memory(const char *what);

/* ---- device.c ---- */

void npu_device_describe(struct npu_device *dev, const struct drm_npu_device_info *hw);

/* ---- uring.c ---- */

/* Open a regular file for reading: the descriptor, and its size in *bytes. */
int npu_file_open(const char *path, uint64_t *bytes);

/*
 * Read @bytes at @file_offset of @fd to @dst. -ENODATA at an early end of the
 * file. No byte is written to @dst after it returns. @path is for messages.
 */
int npu_uring_read(int fd, const char *path, uint64_t file_offset, void *dst, uint64_t bytes);

/* ---- buffer.c ---- */

uint64_t npu_page_align(uint64_t bytes);
/* -EINVAL unless @offset + @bytes lie in the buffer. */
int npu_buffer_check_range(const struct npu_buffer *buf, uint64_t offset, uint64_t bytes);

/* ---- session.c ---- */

/*
 * Forget the last @runs (at most those that may be in flight), which have all been waited
 * for: the next run has their slots, whose inputs are as they were, and fed inputs as the
 * first of them had.
 */
void npu_session_rewind(struct npu_session *s, unsigned int runs);
/* A new address space and queue after a failure. None may be in flight. */
int npu_session_reopen(struct npu_session *s);
/* What the next run would read of an input, which the caller only reads. */
const void *npu_session_peek_input(struct npu_session *s, unsigned int index);
/* Memory of all that it has. */
uint64_t npu_session_memory_bytes(const struct npu_session *s);

/* ---- queue.c ---- */

void npu_queue_put(struct npu_queue *queue);
/* -ENOENT when the queue has been destroyed. */
int npu_queue_query(struct npu_queue *queue, struct drm_npu_queue_query *query);

/* ---- program.c ---- */

/* Whether @prog can run on @dev; -EOPNOTSUPP with the reason. */
int npu_program_check_device(const struct npu_program *prog, const struct npu_device *dev);
/* Copy or read the constants to @dst, which has room for them. */
int npu_program_read_consts(const struct npu_program *prog, void *dst);

#endif
