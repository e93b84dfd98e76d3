/* SPDX-License-Identifier: MIT */
/*
 * libnpu: the runtime library of the open NPU.
 *
 * Two levels. The upper one is enough for applications: open a device, open a
 * model (a compiled program or an ONNX file), set inputs, run, get outputs.
 * The lower one gives what it is made of: buffers, address spaces, queues,
 * jobs and fences.
 *
 * Functions return 0 or a non-negative result, or -errno; functions that
 * return a pointer return NULL. npu_error() has one line about the last
 * failure in the calling thread: what failed, why, what to do. The library
 * never prints, never exits, installs no signal handler and starts no thread,
 * except that the in-process device runs on threads of its own.
 *
 * Threads: objects of different devices are independent. One object may be
 * used by one thread at a time; several threads may use different buffers,
 * queues and sessions of one device at once. An object must be closed before
 * the one it was made from.
 */
#ifndef NPU_H
#define NPU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct npu_device;
struct npu_buffer;
struct npu_space;
struct npu_queue;
struct npu_fence;
struct npu_program;
struct npu_step;
struct npu_model;
struct npu_session;
struct npu_graph;	/* npu_graph.h */
struct npu_target;	/* npu_graph.h */

/* Library version, "MAJOR.MINOR.PATCH". */
const char *npu_version(void);

/* Message of the last failure in this thread; "" if none. Never NULL. */
const char *npu_error(void);
/* Make a message of the caller's own npu_error(), from a callback say. Returns @err. */
int npu_set_error(int err, const char *message);

/* ---- Device ---- */

/*
 * Open a device. @spec: NULL or "": the first accel node driven by npu.ko; a
 * path such as "/dev/accel/accel0"; or "sim[,PROPERTY=VALUE...]": the same
 * device core in this process, with properties array_rows, array_cols,
 * spm_bytes, acc_bytes, threads, variant (auto, scalar, avx2, avx512).
 */
struct npu_device *npu_device_open(const char *spec);
void npu_device_close(struct npu_device *dev);

/**
 * struct npu_device_info - what a device is
 * @name: "npu 0.1, 16x32, SPM 8 MiB ..." for people
 * @path: node, or "sim"
 * @hw_version: [31:16] major, [15:0] minor
 * @array_rows: multiplier rows
 * @array_cols: multiplier columns
 * @spm_bytes: scratchpad
 * @acc_bytes: accumulators
 * @clock_khz: clock of the timing model
 * @caps: NPU_CAP_* bits
 * @queues: hardware queues
 * @max_timeout_ms: largest job budget
 * @simulated: in this process, no kernel driver
 */
struct npu_device_info {
	char name[96];
	char path[64];
	uint32_t hw_version;
	uint32_t array_rows;
	uint32_t array_cols;
	uint32_t spm_bytes;
	uint32_t acc_bytes;
	uint32_t clock_khz;
	uint64_t caps;
	uint32_t queues;
	uint32_t max_timeout_ms;
	bool simulated;
};

int npu_device_get_info(struct npu_device *dev, struct npu_device_info *info);

/* Fill @target (npu_graph.h) with what the compiler needs to know of @dev. */
int npu_device_get_target(struct npu_device *dev, struct npu_target *target);

/**
 * struct npu_counters - the device's own counters, summed over completed jobs
 * @jobs: jobs completed
 * @descriptors: descriptors retired
 * @macs: multiply-accumulates
 * @read_bytes: bytes read from memory
 * @write_bytes: bytes written to memory
 * @cycles: modelled cycles
 * @run_ns: time on the engines, device clock
 * @faults: jobs ended by a fault
 */
struct npu_counters {
	uint64_t jobs;
	uint64_t descriptors;
	uint64_t macs;
	uint64_t read_bytes;
	uint64_t write_bytes;
	uint64_t cycles;
	uint64_t run_ns;
	uint64_t faults;
};

/* ---- Buffers: memory that host and device share ---- */

/* Zeroed memory of at least @bytes, > 0. */
struct npu_buffer *npu_buffer_create(struct npu_device *dev, uint64_t bytes);
void npu_buffer_destroy(struct npu_buffer *buf);
/* Its mapping in this process, valid until it is destroyed; or NULL. */
void *npu_buffer_map(struct npu_buffer *buf);
uint64_t npu_buffer_bytes(const struct npu_buffer *buf);
/*
 * Read @bytes of file @path from @file_offset into the buffer at
 * @buffer_offset, by io_uring straight into the mapping. -ENODATA if the file
 * is shorter.
 */
int npu_buffer_read_file(struct npu_buffer *buf, uint64_t buffer_offset,
			 const char *path, uint64_t file_offset, uint64_t bytes);

/* ---- Address spaces ---- */

#define NPU_MAP_READONLY	(1u << 0)	/* the device may not write */

struct npu_space *npu_space_create(struct npu_device *dev);
/* -EBUSY while queues use it; the space stays valid then. */
int npu_space_destroy(struct npu_space *space);
/* Map the whole buffer at an address that the library picks; *va receives it. */
int npu_space_map(struct npu_space *space, struct npu_buffer *buf, unsigned int flags,
		  uint64_t *va);
/* Map part of a buffer at @va; everything page aligned. */
int npu_space_map_at(struct npu_space *space, struct npu_buffer *buf, uint64_t buffer_offset,
		     uint64_t bytes, uint64_t va, unsigned int flags);
int npu_space_unmap(struct npu_space *space, uint64_t va, uint64_t bytes);

/* ---- Queues, jobs, fences ---- */

enum npu_priority {
	NPU_PRIORITY_LOW,
	NPU_PRIORITY_NORMAL,
	NPU_PRIORITY_HIGH,	/* needs CAP_SYS_NICE */
	NPU_PRIORITY_REALTIME,	/* needs CAP_SYS_NICE */
};

/* @timeout_ms: running time allowed to a job; 0: the device's default. */
struct npu_queue *npu_queue_create(struct npu_space *space, enum npu_priority priority,
				   uint32_t timeout_ms);
void npu_queue_destroy(struct npu_queue *queue);
int npu_queue_get_counters(struct npu_queue *queue, struct npu_counters *counters);

/**
 * struct npu_queue_fault - why a queue takes no more jobs
 * @banned: it does not
 * @hung: a job exceeded its budget
 * @code: enum npu_fault_code, 0 when no fault was recorded
 * @tag: tag of the descriptor
 * @va: address that faulted
 * @text: all of it for people
 */
struct npu_queue_fault {
	bool banned;
	bool hung;
	uint32_t code;
	uint32_t tag;
	uint64_t va;
	char text[160];
};

int npu_queue_get_fault(struct npu_queue *queue, struct npu_queue_fault *fault);

/**
 * struct npu_job - what to run
 * @cmd_va: command buffer, 64-byte aligned
 * @cmd_bytes: its size
 * @bind_va: table of uint64_t for the registers
 * @bind_count: registers to load
 */
struct npu_job {
	uint64_t cmd_va;
	uint32_t cmd_bytes;
	uint64_t bind_va;
	uint32_t bind_count;
};

/*
 * Run @job after the @waits fences; *done (may be NULL) becomes a fence that
 * the caller destroys. One ioctl.
 */
int npu_queue_submit(struct npu_queue *queue, const struct npu_job *job,
		     struct npu_fence *const *wait, unsigned int waits,
		     struct npu_fence **done);

/*
 * Sleep until the fence is signalled; @timeout_ms < 0: for ever. 0; -ETIME
 * when the time is over; the job's error: -EFAULT fault, -EDEADLK hang,
 * -ECANCELED banned or destroyed, -ENODEV device gone, -EIO device reset.
 */
int npu_fence_wait(struct npu_fence *fence, int timeout_ms);
void npu_fence_destroy(struct npu_fence *fence);

/* ---- Programs ---- */

/* Check and load a program file, or an image in memory (copied). */
struct npu_program *npu_program_open(const char *path);
struct npu_program *npu_program_from_image(const void *image, size_t bytes);
void npu_program_close(struct npu_program *prog);

enum npu_dtype_public {
	NPU_TYPE_F32 = 0,
	NPU_TYPE_I32 = 1,
	NPU_TYPE_BF16 = 2,
	NPU_TYPE_F16 = 3,
	NPU_TYPE_I8 = 4,
	NPU_TYPE_U8 = 5,
	NPU_TYPE_I16 = 6,
	NPU_TYPE_BOOL = 7,	/* one byte, 0 or 1 */
	NPU_TYPE_I64 = 8,
};

#define NPU_RANK_MAX	8

/**
 * struct npu_tensor_info - an input or output
 * @name: valid as long as what it came from
 * @type: element type
 * @rank: dimensions
 * @dim: outermost first
 * @bytes: dense, row-major
 */
struct npu_tensor_info {
	const char *name;
	enum npu_dtype_public type;
	unsigned int rank;
	int64_t dim[NPU_RANK_MAX];
	uint64_t bytes;
};

/* ---- Models and sessions ---- */

/*
 * Open a program (.npu) or an ONNX model (.onnx, compiled for @dev). @bind
 * gives symbolic dimensions, see npu_graph_read_onnx(); NULL for none, and for
 * programs, which have none.
 */
struct npu_model *npu_model_open(struct npu_device *dev, const char *path, const char *bind);
/* The same for a program that is open; it must stay open as long as the model. */
struct npu_model *npu_model_from_program(struct npu_device *dev, struct npu_program *prog);
/* Compile a graph for @dev. */
struct npu_model *npu_model_from_graph(struct npu_device *dev, struct npu_graph *graph);
/* Compile a training step or an evaluation of it, see npu_graph_compile_step(). */
struct npu_model *npu_model_from_step(struct npu_device *dev, struct npu_graph *graph,
				      const struct npu_step *step);
void npu_model_close(struct npu_model *model);

const char *npu_model_name(const struct npu_model *model);
unsigned int npu_model_inputs(const struct npu_model *model);
unsigned int npu_model_outputs(const struct npu_model *model);
int npu_model_input_info(const struct npu_model *model, unsigned int index,
			 struct npu_tensor_info *info);
int npu_model_output_info(const struct npu_model *model, unsigned int index,
			  struct npu_tensor_info *info);

/* Memory, address space and queue for running a model. */
struct npu_session *npu_session_create(struct npu_model *model);
/*
 * The same for up to @runs (1 .. NPU_SESSION_RUNS_MAX) in flight. Each of them has its own
 * inputs and outputs, in turn: the functions below are about the inputs of the next run to
 * be started, which hold what the run @runs before had, and the outputs of the last one
 * that was waited for. An input that npu_session_feed() connects can be set when no run is
 * in flight.
 */
#define NPU_SESSION_RUNS_MAX	8
struct npu_session *npu_session_create_ahead(struct npu_model *model, unsigned int runs);
void npu_session_destroy(struct npu_session *s);

/* Copy @bytes (the input's whole size) in; or map and write in place. */
int npu_session_set_input(struct npu_session *s, unsigned int index, const void *data,
			  uint64_t bytes);
void *npu_session_map_input(struct npu_session *s, unsigned int index);
/* Read the input from a file, by io_uring straight into device memory. */
int npu_session_read_input(struct npu_session *s, unsigned int index, const char *path,
			   uint64_t file_offset);
/*
 * From now on, what output @output holds after a run is input @input of the next one,
 * unless the input is set in between. Nothing is copied: the two exchange their memory
 * when the next run starts, so pointers from npu_session_map_*() hold only until then.
 * Both must have the same element type and size, and neither be fed already.
 */
int npu_session_feed(struct npu_session *s, unsigned int output, unsigned int input);
/* One submit for the whole batch; sleeps until it is done. */
int npu_session_run(struct npu_session *s);
/*
 * The two halves of npu_session_run(). As many runs may be in flight as the session was
 * made for; they are waited for in the order in which they were started. When one fails,
 * so do those after it (and starting another: -ECANCELED), and inputs that outputs feed are what the failed run had.
 */
int npu_session_start(struct npu_session *s);
int npu_session_wait(struct npu_session *s, int timeout_ms);
int npu_session_get_output(struct npu_session *s, unsigned int index, void *data,
			   uint64_t bytes);
const void *npu_session_map_output(struct npu_session *s, unsigned int index);
int npu_session_get_counters(struct npu_session *s, struct npu_counters *counters);

#ifdef __cplusplus
}
#endif

#endif
