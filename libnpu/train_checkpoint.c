/* SPDX-License-Identifier: MIT */
/*
 * Checkpoints: all that the next step depends on, in one file that is written beside the
 * old one and then takes its place. Read as hostile: nothing changes before all is right.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "train.h"

#define MAGIC		0x304b43455055504eull	/* "NPUPECK0" */
#define VERSION		1

/**
 * struct header - the start of the file; parameters and slots follow, f32 each
 * @magic: MAGIC
 * @version: VERSION
 * @optimizer: enum npu_optimizer
 * @loss: enum npu_loss
 * @batch: samples of a step
 * @params: number of parameters
 * @elems: of each vector
 * @vectors: 1 + slots
 * @steps: that have ended
 * @seed: of dropout and order
 * @epoch_loss: sum over the samples of the epoch
 * @epoch_correct: @epoch_samples: likewise
 * @network: hash of the parameters' names and shapes
 * @hash: of all that follows the header, and of the header with 0 here
 */
struct header {
	uint64_t magic;
	uint32_t version, optimizer, loss, batch;
	uint64_t params, elems, vectors;
	uint64_t steps, seed;
	double epoch_loss;
	uint64_t epoch_correct, epoch_samples;
	uint64_t network, hash;
};

#define HASH_START	0xcbf29ce484222325u

/* FNV-1a over 64-bit words; the rest byte by byte. */
static uint64_t hash(uint64_t h, const void *data, size_t bytes)
{
	const unsigned char *p = data;
	uint64_t word;

	for (; bytes >= sizeof(word); p += sizeof(word), bytes -= sizeof(word)) {
		memcpy(&word, p, sizeof(word));
		h = (h ^ word) * 0x100000001b3u;
		h ^= h >> 29;
	}
	for (; bytes; p++, bytes--)
		h = (h ^ *p) * 0x100000001b3u;
	return h;
}

static uint64_t network_hash(const struct npu_train *t)
{
	uint64_t h = HASH_START, first;

	for (unsigned int i = 0; i < t->params; i++) {
		int64_t dim[NPU_GRAPH_RANK_MAX] = { 0 };
		const char *name = "";
		int rank = npu_graph_param_info(t->graph, i, &name, dim, &first);

		h = hash(h, name, strlen(name) + 1);
		h = hash(h, dim, (size_t)rank * sizeof(*dim));
	}
	return h;
}

static uint64_t file_hash(const struct header *header, const void *const *vector, size_t bytes)
{
	struct header h = *header;

	h.hash = 0;
	h.hash = hash(HASH_START, &h, sizeof(h));
	for (uint64_t i = 0; i < header->vectors; i++)
		h.hash = hash(h.hash, vector[i], bytes);
	return h.hash;
}

static struct header make_header(const struct npu_train *t)
{
	return (struct header){
		.magic = MAGIC, .version = VERSION,
		.optimizer = t->options.optimizer, .loss = t->options.loss, .batch = t->batch,
		.params = t->params, .elems = t->elems, .vectors = 1 + t->slots,
		.steps = t->steps, .seed = t->options.seed,
		.epoch_loss = t->epoch.loss, .epoch_correct = t->epoch.correct,
		.epoch_samples = t->epoch.samples,
		.network = network_hash(t),
	};
}

static int write_all(FILE *f, const struct header *h, const void *const *vector, size_t bytes)
{
	if (fwrite(h, sizeof(*h), 1, f) != 1)
		return -EIO;
	for (uint64_t i = 0; i < h->vectors; i++)
		if (fwrite(vector[i], 1, bytes, f) != bytes)
			return -EIO;
	return fflush(f) || fsync(fileno(f)) ? -EIO : 0;
}

/* The name is only safe when the folder is. */
static void sync_folder(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *folder = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
	int fd = folder ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

	if (fd >= 0) {
		fsync(fd);
		close(fd);
	}
	free(folder);
}

static int write_file(const char *path, const struct header *h, const void *const *vector,
		      size_t bytes)
{
	size_t room = strlen(path) + sizeof(".XXXXXX");
	char *temp = malloc(room);
	FILE *f = NULL;
	int fd, err = 0;

	if (!temp)
		return npu_fail_memory(path);
	snprintf(temp, room, "%s.XXXXXX", path);
	errno = 0;
	fd = mkstemp(temp);
	f = fd < 0 ? NULL : fdopen(fd, "wb");
	if (!f)
		err = errno ? errno : EIO;
	else if (write_all(f, h, vector, bytes) || fchmod(fd, 0644))
		err = errno ? errno : EIO;
	if (f && fclose(f) && !err)
		err = errno;
	else if (!f && fd >= 0)
		close(fd);
	if (!err && rename(temp, path))
		err = errno;
	if (err && fd >= 0)
		unlink(temp);
	free(temp);
	if (!err)
		sync_folder(path);
	return err ? npu_fail(-err, "%s: cannot write the checkpoint: %s; the one before is as it was",
			      path, strerror(err)) : 0;
}

int npu_train_save_checkpoint(struct npu_train *t, const char *path)
{
	const void *vector[1 + TRAIN_SLOTS_MAX];
	size_t bytes = t->elems * sizeof(float);
	struct header h = make_header(t);

	if (t->steps != t->started)
		return npu_fail(-EBUSY, "train: steps are in flight; wait for them first");
	for (unsigned int i = 0; i < h.vectors; i++) {
		vector[i] = npu_session_peek_input(t->step.session, t->step.params + i);
		if (!vector[i])
			return -errno;
	}
	h.hash = file_hash(&h, vector, bytes);
	return write_file(path, &h, vector, bytes);
}

/* Why this is no checkpoint of @t, or NULL. */
static const char *mismatch(const struct npu_train *t, const struct header *h, uint64_t bytes)
{
	struct header want = make_header(t);

	if (h->magic != MAGIC)
		return "it is no checkpoint";
	if (h->version != VERSION)
		return "it has another version";
	if (h->network != want.network || h->elems != want.elems || h->params != want.params)
		return "it is of a network with other parameters";
	if (h->optimizer != want.optimizer || h->loss != want.loss || h->vectors != want.vectors)
		return "it was made with another optimizer or loss";
	if (h->batch != want.batch)
		return "it was made with another batch size";
	if (h->seed != want.seed)
		return "it was made with another seed";
	if (bytes != sizeof(*h) + h->vectors * h->elems * sizeof(float))
		return "it is cut off";
	return NULL;
}

static int load(struct npu_train *t, const struct header *h, const char *data, const char *path)
{
	size_t bytes = t->elems * sizeof(float);
	const void *vector[1 + TRAIN_SLOTS_MAX];
	int ret = 0;

	for (unsigned int i = 0; i < h->vectors; i++)
		vector[i] = data + sizeof(*h) + i * bytes;
	if (file_hash(h, vector, bytes) != h->hash)
		return npu_fail(-EINVAL, "%s: cannot go on from it: it is damaged", path);
	for (unsigned int i = 0; !ret && i < h->vectors; i++)
		ret = npu_session_set_input(t->step.session, t->step.params + i, vector[i], bytes);
	if (ret)
		return ret;
	t->steps = t->started = h->steps;
	t->epoch = (struct npu_train_metrics){
		.loss = h->epoch_loss, .correct = h->epoch_correct, .samples = h->epoch_samples,
	};
	return 0;
}

int npu_train_load_checkpoint(struct npu_train *t, const char *path)
{
	const char *why;
	struct header h = { 0 };
	uint64_t bytes;
	char *data;
	int fd, ret;

	if (t->steps != t->started)
		return npu_fail(-EBUSY, "train: steps are in flight; wait for them first");
	fd = npu_file_open(path, &bytes);
	if (fd < 0)
		return fd;
	ret = bytes < sizeof(h) ? 0 : npu_uring_read(fd, path, 0, &h, sizeof(h));
	why = mismatch(t, &h, bytes);
	data = !ret && !why ? malloc(bytes) : NULL;
	if (!ret && why)
		ret = npu_fail(-EINVAL, "%s: cannot go on from it: %s", path, why);
	else if (!ret && !data)
		ret = npu_fail_memory(path);
	ret = ret ? ret : npu_uring_read(fd, path, 0, data, bytes);
	close(fd);
	if (!ret) {
		/* The file may have changed meanwhile; what was judged counts. */
		memcpy(data, &h, sizeof(h));
		ret = load(t, &h, data, path);
	}
	free(data);
	return ret;
}
