/* SPDX-License-Identifier: MIT */
/* npuc: an ONNX model or kernel IR text in, a program file out. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "back.h"
#include "npu_prog_read.h"

static const char usage[] =
	"usage: npuc [options] MODEL.onnx -o MODEL.npu\n"
	"       npuc [options] TEXT.kir -o MODEL.npu\n"
	"       npuc --verify MODEL.npu\n"
	"  -o FILE          program file to write (whole or not at all)\n"
	"  -b, --bind B     values of symbolic dimensions, as N=1000,seq=28 (*=1: all others)\n"
	"  -t, --target T   array and memories, as rows=16,cols=32,spm=8388608,acc=262144,\n"
	"                   bandwidth=16000,latency=100,bursts=32,vector=64 (any of them)\n"
	"  -d LETTERS       print after passes: G import, C fold, D differentiate, E expand,\n"
	"                   K legalise, F fuse, S slice, W pack, P plan, T tile, A place, O order\n"
	"      --verify     prove the program sound\n"
	"      --report     print what the program needs\n";

struct options {
	const char *input;
	const char *output;
	const char *dump;
	const char *bind;
	struct npu_target target;
	bool verify;
	bool report;
};

static int complain(const char *what, const char *why)
{
	fprintf(stderr, "npuc: %s: %s\n", what, why);
	return 1;
}

/* ---- files ---- */

/* The whole file and a 0 behind it, malloc()ed; NULL and errno. */
static void *read_file(const char *path, size_t *bytes)
{
	FILE *f = fopen(path, "rb");
	size_t room = 1u << 16, used = 0;
	char *data = f ? malloc(room) : NULL;
	int err = 0;

	while (data && !feof(f) && !ferror(f)) {
		char *bigger;

		used += fread(data + used, 1, room - used - 1, f);
		if (used < room - 1)
			continue;
		bigger = realloc(data, room *= 2);
		if (!bigger) {
			free(data);
			errno = ENOMEM;
		}
		data = bigger;
	}
	if (data && ferror(f)) {
		err = errno;
		free(data);
		data = NULL;
	}
	if (f)
		fclose(f);
	if (err)
		errno = err;
	if (data) {
		data[used] = 0;
		*bytes = used;
	}
	return data;
}

static bool write_all(FILE *f, const void *data, size_t bytes)
{
	bool good = fwrite(data, 1, bytes, f) == bytes && !fflush(f);

	return !fclose(f) && good;
}

/* Beside the target, then renamed: readers see the old file or the new one. */
static int replace_file(const char *path, const void *data, size_t bytes)
{
	char *temp = NULL;
	FILE *f = NULL;
	int fd, err = 0;

	if (asprintf(&temp, "%s.XXXXXX", path) < 0)
		return ENOMEM;
	fd = mkstemp(temp);
	if (fd >= 0 && !fchmod(fd, 0644))
		f = fdopen(fd, "wb");
	if (!f || !write_all(f, data, bytes) || rename(temp, path))
		err = errno;
	if (fd >= 0 && !f)
		close(fd);
	if (fd >= 0 && err)
		unlink(temp);
	free(temp);
	return err;
}

static int write_file(const char *path, const void *data, size_t bytes)
{
	struct stat st;
	int err = 0;

	if (stat(path, &st) || S_ISREG(st.st_mode)) {
		err = replace_file(path, data, bytes);
	} else {
		FILE *f = fopen(path, "wb");

		if (!f || !write_all(f, data, bytes))
			err = errno;
	}
	if (!err)
		return 0;
	fprintf(stderr, "npuc: %s: cannot be written: %s\n", path, strerror(err));
	return 1;
}

/* Whether the output would take the place of the input. */
static bool overwrites(const struct options *o)
{
	struct stat in, out;

	return o->output && !stat(o->input, &in) && !stat(o->output, &out) &&
	       S_ISREG(in.st_mode) && in.st_dev == out.st_dev && in.st_ino == out.st_ino;
}

/* ---- options ---- */

static int parse_target(const char *text, struct npu_target *t)
{
	const struct {
		const char *name;
		uint32_t *value;
	} field[] = {
		{ "rows", &t->array_rows }, { "cols", &t->array_cols },
		{ "spm", &t->spm_bytes }, { "acc", &t->acc_bytes },
		{ "bandwidth", &t->dma_bytes_per_kcycle }, { "latency", &t->dma_latency_cycles },
		{ "bursts", &t->dma_bursts }, { "vector", &t->ve_bytes_per_cycle },
	};
	const size_t fields = sizeof(field) / sizeof(field[0]);

	while (*text) {
		size_t name = strcspn(text, "="), i = 0;
		unsigned long long v;
		char *end;

		while (i < fields && (strncmp(field[i].name, text, name) || field[i].name[name]))
			i++;
		if (i == fields || text[name] != '=')
			return complain("--target", "unknown field; see npuc --help");
		v = strtoull(text + name + 1, &end, 0);
		if (end == text + name + 1 || (*end && *end != ',') || !v || v > UINT32_MAX)
			return complain("--target", "a value is not a number");
		*field[i].value = (uint32_t)v;
		text = *end ? end + 1 : end;
	}
	return 0;
}

/* 0: go on, 1: failed, 2: done. */
static int parse_options(int argc, char **argv, struct options *o)
{
	static const struct option longs[] = {
		{ "bind", required_argument, NULL, 'b' },
		{ "target", required_argument, NULL, 't' },
		{ "verify", no_argument, NULL, 'v' },
		{ "report", no_argument, NULL, 'r' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "o:b:t:d:h", longs, NULL)) != -1) {
		switch (c) {
		case 'o':
			o->output = optarg;
			break;
		case 'b':
			o->bind = optarg;
			break;
		case 't':
			if (parse_target(optarg, &o->target))
				return 1;
			break;
		case 'd':
			o->dump = optarg;
			break;
		case 'v':
			o->verify = true;
			break;
		case 'r':
			o->report = true;
			break;
		case 'h':
			fputs(usage, stdout);
			return 2;
		default:
			/* getopt_long() has said what is wrong. */
			return 1;
		}
	}
	if (optind + 1 != argc)
		return complain("one model is needed", "see npuc --help");
	o->input = argv[optind];
	return 0;
}

/* ---- work ---- */

static bool has_suffix(const char *path, const char *suffix)
{
	size_t n = strlen(path), m = strlen(suffix);

	return n > m && !strcmp(path + n - m, suffix);
}

static int compile_kir(const struct options *o, void **image, size_t *image_bytes)
{
	struct nc_arena *arena = nc_arena_create();
	struct nc_diag diag = { "" };
	struct kir *k = NULL;
	size_t bytes;
	char *text = read_file(o->input, &bytes);
	int ret = 0;

	if (!text)
		ret = complain(o->input, strerror(errno));
	else if (!arena)
		ret = complain(o->input, "out of memory");
	if (!ret)
		k = kir_parse(arena, text, &diag);
	if (!ret && (!k || nc_back(k, &o->target, o->dump, stdout, image, image_bytes, &diag)))
		ret = complain(o->input, diag.text);
	free(text);
	nc_arena_destroy(arena);
	return ret;
}

static int compile_onnx(const struct options *o, void **image, size_t *image_bytes)
{
	char error[NC_DIAG_BYTES] = "";
	struct npu_graph *g = npu_graph_read_onnx(o->input, o->bind, error, sizeof(error));
	int ret = 0;

	/* The reader's message starts with the path. */
	if (!g) {
		fprintf(stderr, "npuc: %s\n", error);
		return 1;
	}
	if (npu_graph_compile(g, &o->target, o->dump, stdout, image, image_bytes))
		ret = complain(o->input, npu_graph_error(g));
	npu_graph_destroy(g);
	return ret;
}

static int report(const void *image, size_t bytes)
{
	struct npu_prog_view v;
	const char *error;

	if (npu_prog_read(image, bytes, &v, &error))
		return complain("program", error);
	printf("commands %u bytes, constants %llu, scratch %llu; SPM %u, ACC %u; %llu MACs\n",
	       v.cmd_bytes, (unsigned long long)v.const_bytes,
	       (unsigned long long)v.header->scratch_bytes, v.header->spm_bytes,
	       v.header->acc_bytes, (unsigned long long)v.header->macs);
	return 0;
}

int main(int argc, char **argv)
{
	struct options o = { 0 };
	struct nc_diag diag = { "" };
	void *image = NULL;
	size_t bytes = 0;
	int ret = parse_options(argc, argv, &o);

	if (ret)
		return ret & 1;
	/* A file that may not grow is an error of write(), with a message. */
	signal(SIGXFSZ, SIG_IGN);
	if (overwrites(&o))
		return complain(o.output, "is the input; give the program another file");
	if (has_suffix(o.input, ".npu")) {
		image = read_file(o.input, &bytes);
		if (!image)
			return complain(o.input, strerror(errno));
	} else if (has_suffix(o.input, ".kir")) {
		ret = compile_kir(&o, &image, &bytes);
	} else {
		ret = compile_onnx(&o, &image, &bytes);
	}
	if (!ret && o.verify && nc_verify_image(image, bytes, &diag))
		ret = complain(o.input, diag.text);
	if (!ret && o.output)
		ret = write_file(o.output, image, bytes);
	if (!ret && o.report)
		ret = report(image, bytes);
	free(image);
	return ret;
}
