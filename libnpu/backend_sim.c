/* SPDX-License-Identifier: MIT */
/*
 * The in-process device: opening it with its properties, its clock, its
 * interrupt thread, closing it. sim.h has the picture.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "sim.h"

#define VA_START	0x10000ull	/* as npu.ko has it */

/* ---- Time and waiting ---- */

uint64_t sim_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static bool wait_until(pthread_cond_t *cond, pthread_mutex_t *lock, uint64_t deadline_ns)
{
	struct timespec until = {
		.tv_sec = (time_t)(deadline_ns / 1000000000),
		.tv_nsec = (long)(deadline_ns % 1000000000),
	};

	if (deadline_ns == UINT64_MAX)
		return !pthread_cond_wait(cond, lock);
	return pthread_cond_timedwait(cond, lock, &until) != ETIMEDOUT;
}

bool sim_wait_locked(struct sim_device *sim, uint64_t deadline_ns)
{
	return wait_until(&sim->changed, &sim->lock, deadline_ns);
}

void sim_wake_by(struct sim_device *sim, uint64_t deadline_ns)
{
	pthread_mutex_lock(&sim->irq_lock);
	if (deadline_ns < sim->deadline_ns) {
		sim->deadline_ns = deadline_ns;
		pthread_cond_signal(&sim->irq_cond);
	}
	pthread_mutex_unlock(&sim->irq_lock);
}

static void *run_thread(void *arg)
{
	struct sim_device *sim = arg;

	pthread_mutex_lock(&sim->irq_lock);
	while (!sim->quit) {
		uint64_t next_ns;

		if (!sim->irq && sim->deadline_ns > sim_now_ns()) {
			wait_until(&sim->irq_cond, &sim->irq_lock, sim->deadline_ns);
			continue;
		}
		sim->irq = false;
		/* What is asked for from here on counts for the next round. */
		sim->deadline_ns = UINT64_MAX;
		pthread_mutex_unlock(&sim->irq_lock);

		pthread_mutex_lock(&sim->lock);
		next_ns = sim_service_locked(sim);
		pthread_mutex_unlock(&sim->lock);

		pthread_mutex_lock(&sim->irq_lock);
		if (next_ns < sim->deadline_ns)
			sim->deadline_ns = next_ns;
	}
	pthread_mutex_unlock(&sim->irq_lock);
	return NULL;
}

/* ---- The core's callbacks ---- */

static void raise_irq(void *opaque, unsigned int vector)
{
	struct sim_device *sim = opaque;

	(void)vector;
	pthread_mutex_lock(&sim->irq_lock);
	sim->irq = true;
	pthread_cond_signal(&sim->irq_cond);
	pthread_mutex_unlock(&sim->irq_lock);
}

static uint64_t now(void *opaque)
{
	(void)opaque;
	return sim_now_ns();
}

static void log_nothing(void *opaque, enum npu_core_log level, const char *text)
{
	(void)opaque;
	(void)level;
	(void)text;
}

/* ---- Opening ---- */

static const struct {
	const char *name;
	size_t offset;
} number_property[] = {
	{ "array_rows", offsetof(struct npu_core_config, array_rows) },
	{ "array_cols", offsetof(struct npu_core_config, array_cols) },
	{ "spm_bytes", offsetof(struct npu_core_config, spm_bytes) },
	{ "acc_bytes", offsetof(struct npu_core_config, acc_bytes) },
	{ "threads", offsetof(struct npu_core_config, threads) },
};

static const struct {
	const char *name;
	enum npu_core_variant variant;
} variant_name[] = {
	{ "auto", NPU_CORE_VARIANT_AUTO },
	{ "scalar", NPU_CORE_VARIANT_SCALAR },
	{ "avx2", NPU_CORE_VARIANT_AVX2 },
	{ "avx512", NPU_CORE_VARIANT_AVX512 },
};

#define COUNT(array)	(sizeof(array) / sizeof((array)[0]))

static int set_variant(struct npu_core_config *config, const char *value)
{
	for (size_t i = 0; i < COUNT(variant_name); i++) {
		if (!strcmp(value, variant_name[i].name)) {
			config->variant = variant_name[i].variant;
			return 0;
		}
	}
	return npu_fail(-EINVAL, "device sim: variant \"%s\" is not auto, scalar, avx2 or avx512",
			value);
}

/* A number, or one with K or M behind it. 0 is not one: it would be the default. */
static int set_number(uint32_t *number, const char *name, const char *value)
{
	unsigned long long parsed;
	char *end;

	errno = 0;
	parsed = strtoull(value, &end, 0);
	if (*end == 'K' || *end == 'M')
		parsed *= *end++ == 'K' ? 1024 : 1024 * 1024;
	if (errno || *end || end == value || !parsed || parsed > UINT32_MAX || *value == '-')
		return npu_fail(-EINVAL, "device sim: %s=%s is not a positive number", name, value);
	*number = (uint32_t)parsed;
	return 0;
}

static int set_property(struct npu_core_config *config, char *text)
{
	char *value = strchr(text, '=');

	if (!value)
		return npu_fail(-EINVAL, "device sim: \"%s\" is not PROPERTY=VALUE", text);
	*value++ = '\0';
	if (!strcmp(text, "variant"))
		return set_variant(config, value);
	for (size_t i = 0; i < COUNT(number_property); i++)
		if (!strcmp(text, number_property[i].name))
			return set_number((uint32_t *)(void *)((char *)config +
							       number_property[i].offset),
					  text, value);
	return npu_fail(-EINVAL, "device sim: there is no property \"%s\"; there are array_rows, "
			"array_cols, spm_bytes, acc_bytes, threads, variant", text);
}

static int parse_properties(struct npu_core_config *config, const char *properties)
{
	char *text;
	char *rest;
	int ret = 0;

	if (!*properties)
		return 0;
	text = strdup(properties);
	if (!text)
		return npu_fail_memory("device sim");
	rest = text;
	while (!ret && rest)
		ret = set_property(config, strsep(&rest, ","));
	free(text);
	return ret;
}

static uint32_t reg32(struct sim_device *sim, uint32_t reg)
{
	return (uint32_t)npu_core_mmio_read(sim->core, reg, 4);
}

static void describe(struct sim_device *sim)
{
	uint32_t array = reg32(sim, NPU_REG_ARRAY);
	uint32_t latency = reg32(sim, NPU_REG_DMA_LATENCY);
	const struct drm_npu_device_info hw = {
		.version = reg32(sim, NPU_REG_VERSION),
		.array_rows = (uint16_t)array,
		.array_cols = (uint16_t)(array >> 16),
		.spm_bytes = reg32(sim, NPU_REG_SPM_BYTES),
		.acc_bytes = reg32(sim, NPU_REG_ACC_BYTES),
		.clock_khz = reg32(sim, NPU_REG_CLOCK_KHZ),
		.page_bytes = NPU_PAGE_BYTES,
		.caps = npu_core_mmio_read(sim->core, NPU_REG_CAPS, 8),
		.va_start = VA_START,
		.va_end = 1ull << NPU_VA_BITS,
		.queues = NPU_QUEUES,
		.contexts = NPU_CONTEXTS,
		.default_timeout_ms = SIM_DEFAULT_TIMEOUT_MS,
		.max_timeout_ms = SIM_MAX_TIMEOUT_MS,
		.dma_bytes_per_kcycle = reg32(sim, NPU_REG_DMA_BW),
		.dma_latency_cycles = latency & 0xffff,
		.dma_bursts = latency >> 16,
		.ve_bytes_per_cycle = reg32(sim, NPU_REG_VE_BW),
	};

	npu_device_describe(&sim->base, &hw);
	strcpy(sim->base.info.path, "sim");
	sim->base.info.simulated = true;
}

static int start_core(struct sim_device *sim, const struct npu_core_config *config)
{
	static const struct npu_core_ops ops = {
		.dma_read = sim_bus_read,
		.dma_write = sim_bus_write,
		.irq = raise_irq,
		.now_ns = now,
		.log = log_nothing,
	};
	const char *error;
	int ret = 0;

	sim->core = npu_core_create(config, &ops, sim, &error);
	if (!sim->core)
		return npu_fail(-EINVAL, "device sim: %s", error);
	pthread_mutex_lock(&sim->lock);
	sim->ctx_table_bus = sim_chunk_create_locked(sim, NPU_PAGE_BYTES, true);
	if (sim->ctx_table_bus) {
		sim->ctx_table = sim_bus_to_host(sim, sim->ctx_table_bus);
		npu_core_mmio_write(sim->core, NPU_REG_CTX_TABLE, sim->ctx_table_bus, 8);
		npu_core_mmio_write(sim->core, NPU_REG_IRQ_ENABLE,
				    NPU_IRQ_FAULT | NPU_IRQ_TLB_ACK | NPU_IRQ_STOPPED, 4);
		npu_core_mmio_write(sim->core, NPU_REG_CONTROL, NPU_CONTROL_RUN, 4);
	} else {
		ret = -errno;
	}
	pthread_mutex_unlock(&sim->lock);
	return ret;
}

static void init_locks(struct sim_device *sim)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_mutex_init(&sim->lock, NULL);
	pthread_cond_init(&sim->changed, &attr);
	pthread_rwlock_init(&sim->bus_lock, NULL);
	pthread_mutex_init(&sim->irq_lock, NULL);
	pthread_cond_init(&sim->irq_cond, &attr);
	pthread_condattr_destroy(&attr);
	sim->deadline_ns = UINT64_MAX;
}

/* All but the thread, which is not running. */
static void destroy(struct sim_device *sim)
{
	if (sim->core)
		npu_core_destroy(sim->core);
	if (sim->ctx_table_bus)
		sim_chunk_put_locked(sim, sim->ctx_table_bus);
	pthread_cond_destroy(&sim->irq_cond);
	pthread_mutex_destroy(&sim->irq_lock);
	pthread_rwlock_destroy(&sim->bus_lock);
	pthread_cond_destroy(&sim->changed);
	pthread_mutex_destroy(&sim->lock);
	free(sim);
}

static void sim_close(struct npu_device *dev)
{
	struct sim_device *sim = to_sim(dev);

	pthread_mutex_lock(&sim->irq_lock);
	sim->quit = true;
	pthread_cond_signal(&sim->irq_cond);
	pthread_mutex_unlock(&sim->irq_lock);
	pthread_join(sim->thread, NULL);
	destroy(sim);
}

static const struct npu_backend sim_backend = {
	.close = sim_close,
	.buffer_create = sim_buffer_create,
	.buffer_destroy = sim_buffer_destroy,
	.buffer_map = sim_buffer_map,
	.space_create = sim_space_create,
	.space_destroy = sim_space_destroy,
	.space_bind = sim_space_bind,
	.queue_create = sim_queue_create,
	.queue_destroy = sim_queue_destroy,
	.queue_query = sim_queue_query,
	.submit = sim_submit,
	.fence_wait = sim_fence_wait,
	.fence_destroy = sim_fence_destroy,
};

struct npu_device *npu_sim_open(const char *properties)
{
	struct npu_core_config config = { .array_rows = 0 };
	struct sim_device *sim;
	int ret = parse_properties(&config, properties);

	if (ret)
		return NULL;
	sim = calloc(1, sizeof(*sim));
	if (!sim)
		return npu_fail_null(-ENOMEM, "device sim: out of memory");
	sim->base.ops = &sim_backend;
	init_locks(sim);
	ret = start_core(sim, &config);
	if (!ret) {
		ret = -pthread_create(&sim->thread, NULL, run_thread, sim);
		if (ret)
			npu_fail(ret, "device sim: no thread: %s", strerror(-ret));
	}
	if (ret) {
		destroy(sim);
		return NULL;
	}
	describe(sim);
	return &sim->base;
}
