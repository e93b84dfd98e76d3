/* SPDX-License-Identifier: MIT */
/*
 * Host threads that share the parts of one descriptor. A worker takes parts
 * from a counter until none is left; between descriptors it spins for a few
 * microseconds, then sleeps on a condition variable.
 */
#include <fenv.h>
#include <stdlib.h>
#include "core.h"

#define SPIN_ROUNDS	100u	/* of a pause each: 1 to 5 microseconds */

/**
 * struct npu_pool - threads and the work they share
 * @lock: protects everything but @epoch and @next
 * @wake: workers sleep here
 * @done: the caller sleeps here
 * @epoch: counts calls; changed under lock, polled without
 * @next: next part to take
 * @active: workers inside the current call
 */
struct npu_pool {
	const struct npu_core_ops *ops;
	void *opaque;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	pthread_cond_t done;
	atomic_uint epoch;
	_Atomic uint64_t next;
	void (*fn)(void *arg, uint32_t part);
	void *arg;
	uint32_t parts;
	unsigned int active;
	bool exiting;
	unsigned int workers;
	pthread_t thread[];
};

static void take_parts(struct npu_pool *pool, void (*fn)(void *, uint32_t), void *arg,
		       uint32_t parts)
{
	for (;;) {
		uint64_t part = atomic_fetch_add(&pool->next, 1);

		if (part >= parts)
			return;
		fn(arg, (uint32_t)part);
	}
}

static void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#endif
}

static void *worker_main(void *data)
{
	struct npu_pool *pool = data;
	unsigned int seen = 0;

	if (pool->ops->thread_enter)
		pool->ops->thread_enter(pool->opaque);
	fesetenv(FE_DFL_ENV);
	pthread_mutex_lock(&pool->lock);
	while (!pool->exiting) {
		void (*fn)(void *, uint32_t) = pool->fn;
		void *arg = pool->arg;
		uint32_t parts = pool->parts;

		if (atomic_load(&pool->epoch) == seen || !fn) {
			seen = atomic_load(&pool->epoch);
			pthread_mutex_unlock(&pool->lock);
			for (unsigned int i = 0; i < SPIN_ROUNDS; i++) {
				if (atomic_load_explicit(&pool->epoch, memory_order_relaxed) != seen)
					break;
				relax();
			}
			pthread_mutex_lock(&pool->lock);
			if (atomic_load(&pool->epoch) == seen && !pool->exiting)
				pthread_cond_wait(&pool->wake, &pool->lock);
			continue;
		}
		seen = atomic_load(&pool->epoch);
		pool->active++;
		pthread_mutex_unlock(&pool->lock);
		take_parts(pool, fn, arg, parts);
		pthread_mutex_lock(&pool->lock);
		if (--pool->active == 0)
			pthread_cond_signal(&pool->done);
	}
	pthread_mutex_unlock(&pool->lock);
	if (pool->ops->thread_exit)
		pool->ops->thread_exit(pool->opaque);
	return NULL;
}

struct npu_pool *npu_pool_create(unsigned int threads, const struct npu_core_ops *ops,
				 void *opaque)
{
	unsigned int workers = threads > 1 ? threads - 1 : 0;
	struct npu_pool *pool = calloc(1, sizeof(*pool) + workers * sizeof(pool->thread[0]));

	if (!pool)
		return NULL;
	pool->ops = ops;
	pool->opaque = opaque;
	pthread_mutex_init(&pool->lock, NULL);
	pthread_cond_init(&pool->wake, NULL);
	pthread_cond_init(&pool->done, NULL);
	for (; pool->workers < workers; pool->workers++) {
		if (pthread_create(&pool->thread[pool->workers], NULL, worker_main, pool)) {
			npu_pool_destroy(pool);
			return NULL;
		}
	}
	return pool;
}

void npu_pool_destroy(struct npu_pool *pool)
{
	if (!pool)
		return;
	pthread_mutex_lock(&pool->lock);
	pool->exiting = true;
	pthread_cond_broadcast(&pool->wake);
	pthread_mutex_unlock(&pool->lock);
	for (unsigned int i = 0; i < pool->workers; i++)
		pthread_join(pool->thread[i], NULL);
	pthread_mutex_destroy(&pool->lock);
	pthread_cond_destroy(&pool->wake);
	pthread_cond_destroy(&pool->done);
	free(pool);
}

unsigned int npu_pool_threads(const struct npu_pool *pool)
{
	return pool->workers + 1;
}

void npu_pool_run(struct npu_pool *pool, void (*fn)(void *arg, uint32_t part), void *arg,
		  uint32_t parts)
{
	if (!pool->workers || parts < 2) {
		for (uint32_t part = 0; part < parts; part++)
			fn(arg, part);
		return;
	}
	pthread_mutex_lock(&pool->lock);
	pool->fn = fn;
	pool->arg = arg;
	pool->parts = parts;
	atomic_store(&pool->next, 0);
	atomic_fetch_add(&pool->epoch, 1);
	pthread_cond_broadcast(&pool->wake);
	pthread_mutex_unlock(&pool->lock);
	take_parts(pool, fn, arg, parts);
	pthread_mutex_lock(&pool->lock);
	/* A worker that comes later finds no work and does not touch @arg. */
	pool->fn = NULL;
	while (pool->active)
		pthread_cond_wait(&pool->done, &pool->lock);
	pthread_mutex_unlock(&pool->lock);
}
