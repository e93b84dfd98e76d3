/* SPDX-License-Identifier: MIT */
/*
 * Program files. A file is read once as a whole and judged in private memory,
 * which nobody can change or cut off meanwhile; its constants are given back
 * and read again, straight to where the device wants them.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "internal.h"

static struct npu_program *alloc_program(const char *path, size_t bytes)
{
	struct npu_program *prog = calloc(1, sizeof(*prog));

	if (!prog)
		return npu_fail_null(-ENOMEM, "%s: out of memory", path);
	prog->fd = -1;
	prog->path = strdup(path);
	prog->image = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			   -1, 0);
	if (prog->image == MAP_FAILED)
		prog->image = NULL;
	if (!prog->path || !prog->image) {
		npu_program_close(prog);
		return npu_fail_null(-ENOMEM, "%s: no memory for a program of %zu bytes", path,
				     bytes);
	}
	prog->image_bytes = bytes;
	return prog;
}

static int judge(struct npu_program *prog)
{
	const char *error;
	int ret = npu_prog_read(prog->image, prog->image_bytes, &prog->view, &error);

	return ret ? npu_fail(ret, "%s: %s", prog->path, error) : 0;
}

/* Whole pages of constants; the rest of their first and last page stays. */
static void drop_consts(struct npu_program *prog)
{
	uint64_t start = npu_page_align(prog->view.const_offset_bytes);
	uint64_t end = (prog->view.const_offset_bytes + prog->view.const_bytes) &
		       ~(uint64_t)(NPU_PAGE_BYTES - 1);

	if (end > start)
		madvise((char *)prog->image + start, end - start, MADV_DONTNEED);
	prog->view.consts = NULL;
}

struct npu_program *npu_program_open(const char *path)
{
	struct npu_program *prog;
	uint64_t bytes;
	int fd = npu_file_open(path, &bytes);

	if (fd < 0)
		return NULL;
	if (bytes < sizeof(struct npu_prog_header) || bytes > NPU_PROG_BYTES_MAX) {
		close(fd);
		return npu_fail_null(-EINVAL, "%s: not a program file: %llu bytes", path,
				     (unsigned long long)bytes);
	}
	prog = alloc_program(path, bytes);
	if (!prog) {
		close(fd);
		return NULL;
	}
	prog->fd = fd;
	if (npu_uring_read(fd, path, 0, prog->image, bytes) || judge(prog)) {
		npu_program_close(prog);
		return NULL;
	}
	drop_consts(prog);
	return prog;
}

struct npu_program *npu_program_from_image(const void *image, size_t bytes)
{
	struct npu_program *prog;

	if (!bytes)
		return npu_fail_null(-EINVAL, "program image: empty");
	prog = alloc_program("program image", bytes);
	if (!prog)
		return NULL;
	memcpy(prog->image, image, bytes);
	if (judge(prog)) {
		npu_program_close(prog);
		return NULL;
	}
	return prog;
}

void npu_program_close(struct npu_program *prog)
{
	int err = errno;

	if (!prog)
		return;
	if (prog->image)
		munmap(prog->image, prog->image_bytes);
	if (prog->fd >= 0)
		close(prog->fd);
	free(prog->path);
	free(prog);
	/* It also undoes what failed, and the caller wants to know why. */
	errno = err;
}

int npu_program_check_device(const struct npu_program *prog, const struct npu_device *dev)
{
	const struct npu_prog_header *h = prog->view.header;
	const struct npu_device_info *info = &dev->info;

	if (h->isa_version >> 16 != info->hw_version >> 16 ||
	    (h->isa_version & 0xffff) > (info->hw_version & 0xffff))
		return npu_fail(-EOPNOTSUPP, "%s: made for hardware version %u.%u, the device has "
				"%u.%u; compile the model for this device", prog->path,
				h->isa_version >> 16, h->isa_version & 0xffff,
				info->hw_version >> 16, info->hw_version & 0xffff);
	if (h->array >> 16 != info->array_cols)
		return npu_fail(-EOPNOTSUPP, "%s: weights are packed for %u array columns, the "
				"device has %u; compile the model for this device", prog->path,
				h->array >> 16, info->array_cols);
	if (h->spm_bytes > info->spm_bytes || h->acc_bytes > info->acc_bytes)
		return npu_fail(-EOPNOTSUPP, "%s: needs %u bytes of SPM and %u of ACC, the device "
				"has %u and %u; compile the model for this device", prog->path,
				h->spm_bytes, h->acc_bytes, info->spm_bytes, info->acc_bytes);
	if (h->caps & ~info->caps)
		return npu_fail(-EOPNOTSUPP, "%s: needs capabilities %#llx that the device lacks",
				prog->path, (unsigned long long)(h->caps & ~info->caps));
	return 0;
}

int npu_program_read_consts(const struct npu_program *prog, void *dst)
{
	const struct npu_prog_view *view = &prog->view;

	if (prog->fd >= 0)
		return npu_uring_read(prog->fd, prog->path, view->const_offset_bytes, dst,
				      view->const_bytes);
	memcpy(dst, view->consts, view->const_bytes);
	return 0;
}
