/* SPDX-License-Identifier: MIT */
/*
 * Damaged and hostile files: a good program and a good ONNX model, changed at
 * random a few hundred times each. Whatever the library and npuc make of one,
 * it is a result or one line that names the file; never a crash, an endless run
 * or a file that is half there.
 *
 *	NPU_SEED=N NPU_ROUNDS=N test_libnpu_hostile NPUC
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libnpu_rig.h"
#include "npu_graph.h"
#include "npu_prog_read.h"

#define ROUNDS		300u
#define RUN_MS		2000	/* a changed program may have become a long one */
#define NPUC_S		20

static const char *npuc;
static unsigned int rounds = ROUNDS;
static uint64_t seed = 1;
static uint64_t state;

static uint32_t random_bits(void)
{
	state = state * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(state >> 33);
}

static size_t below(size_t n)
{
	return n ? random_bits() % n : 0;
}

/* ---- Files to damage ---- */

struct file {
	uint8_t *bytes;
	size_t size;
};

/* Convolution, pooling, LSTM and softmax, weights and names: something of everything. */
static struct npu_graph *make_graph(void)
{
	static const float weight[9 * 8 + 8 * 32 + 8 * 32 + 32] = { 0.5f, -1, 0.25f, 2 };
	static const struct npu_window_attr same = { .pad = NPU_PAD_SAME };
	static const struct npu_window_attr two = { .kernel = { 2, 2 }, .stride = { 2, 2 } };
	static const struct npu_lstm_attr lstm = {
		.activation = NPU_UNARY_TANH, .recurrent_activation = NPU_UNARY_SIGMOID,
	};
	struct npu_graph *g = npu_graph_create("good");
	int x = npu_graph_input(g, "x", NPU_GRAPH_F32, 4, (const int64_t[]){ 2, 8, 8, 1 });
	int k = npu_graph_const(g, "k", NPU_GRAPH_F32, 4, (const int64_t[]){ 3, 3, 1, 8 }, weight);
	int w = npu_graph_const(g, "w", NPU_GRAPH_F32, 2, (const int64_t[]){ 8, 32 }, weight + 72);
	int r = npu_graph_const(g, "r", NPU_GRAPH_F32, 2, (const int64_t[]){ 8, 32 }, weight + 328);
	int y = npu_graph_max_pool2d(g, npu_graph_conv2d(g, x, k, NPU_TENSOR_NONE, &same), &two);

	y = npu_graph_reshape(g, y, 3, (const int64_t[]){ 2, 16, 8 });
	y = npu_graph_lstm(g, y, w, r, NPU_TENSOR_NONE, &lstm);
	assert_int_equal(npu_graph_output(g, "y", npu_graph_softmax(g, y, -1)), 0);
	return g;
}

static struct file read_back(const char *path)
{
	FILE *f = fopen(path, "rb");
	struct stat st;
	struct file file;

	assert_non_null(f);
	assert_int_equal(fstat(fileno(f), &st), 0);
	file.size = (size_t)st.st_size;
	file.bytes = malloc(file.size);
	assert_int_equal(fread(file.bytes, 1, file.size, f), file.size);
	fclose(f);
	return file;
}

static void write_to(const char *path, const struct file *file)
{
	FILE *f = fopen(path, "wb");

	assert_non_null(f);
	assert_int_equal(fwrite(file->bytes, 1, file->size, f), file->size);
	assert_int_equal(fclose(f), 0);
}

static struct file make_model(bool onnx)
{
	struct npu_graph *g = make_graph();
	char *path = rig_file("", 0);
	struct file file = { NULL, 0 };
	void *image;

	if (onnx) {
		assert_int_equal(npu_graph_write_onnx(g, path), 0);
		file = read_back(path);
	} else {
		assert_int_equal(npu_graph_compile(g, NULL, NULL, NULL, &image, &file.size), 0);
		file.bytes = image;
	}
	npu_graph_destroy(g);
	unlink(path);
	free(path);
	return file;
}

/* ---- Damage ---- */

static void change_bytes(struct file *file)
{
	static const uint8_t value[] = { 0, 1, 0x7f, 0x80, 0xff };
	size_t at = below(file->size);
	size_t count = below(8) + 1;

	for (size_t i = 0; i < count && at + i < file->size; i++)
		file->bytes[at + i] = below(2) ? (uint8_t)random_bits() : value[below(5)];
}

/* Repeat, or drop, a piece. */
static void move_bytes(struct file *file, size_t room)
{
	size_t at = below(file->size);
	size_t count = below(64) + 1;
	size_t tail;

	if (below(2) && file->size + count <= room && at >= count) {
		memmove(file->bytes + at + count, file->bytes + at, file->size - at);
		memcpy(file->bytes + at, file->bytes + at - count, count);
		file->size += count;
		return;
	}
	tail = at + count < file->size ? file->size - at - count : 0;
	memmove(file->bytes + at, file->bytes + file->size - tail, tail);
	file->size = at + tail;
}

/* A copy of @good that is not as it was; programs often have a checksum that fits. */
static struct file damage(const struct file *good, bool onnx)
{
	size_t room = good->size + 1024;
	struct file bad = { .bytes = calloc(1, room + 1), .size = good->size };
	unsigned int changes = 1 + (unsigned int)below(4);

	assert_non_null(bad.bytes);
	memcpy(bad.bytes, good->bytes, good->size);
	for (unsigned int i = 0; i < changes && bad.size; i++) {
		switch (below(12)) {
		case 0: bad.size = below(bad.size); break;
		case 1: move_bytes(&bad, room); break;
		default: change_bytes(&bad); break;
		}
	}
	if (!onnx && bad.size >= sizeof(struct npu_prog_header) && below(8)) {
		struct npu_prog_header *h = (void *)bad.bytes;

		h->magic = NPU_PROG_MAGIC;
		h->file_bytes = bad.size;
		h->crc32 = npu_prog_crc32(bad.bytes, bad.size);
	}
	return bad;
}

/* ---- The library ---- */

static bool is_one_line(const char *text)
{
	const char *c = text;

	while ((unsigned char)*c >= ' ' && *c != 0x7f)
		c++;
	return *text && !*c;
}

/* Open, and run what opens. Returns whether it did. */
static bool try_model(struct npu_device *dev, const char *path)
{
	struct npu_model *model = npu_model_open(dev, path, NULL);
	struct npu_session *s = model ? npu_session_create(model) : NULL;
	bool opened = model;

	if (!model && (!is_one_line(npu_error()) || !strstr(npu_error(), path)))
		fail_msg("%s: message \"%s\"", path, npu_error());
	if (!s && !is_one_line(npu_error()))
		fail_msg("%s: message \"%s\"", path, npu_error());
	if (s && !npu_session_start(s) && npu_session_wait(s, RUN_MS) &&
	    !is_one_line(npu_error()))
		fail_msg("%s: message \"%s\"", path, npu_error());
	npu_session_destroy(s);
	npu_model_close(model);
	return opened;
}

static void try_library(bool onnx)
{
	struct npu_device *dev = npu_device_open("sim");
	struct file good = make_model(onnx);
	char *path = rig_file("", 0);
	unsigned int opened = 0;

	assert_some(dev);
	state = seed;
	write_to(path, &good);
	assert_true(try_model(dev, path));
	for (unsigned int i = 0; i < rounds; i++) {
		struct file bad = damage(&good, onnx);

		write_to(path, &bad);
		opened += try_model(dev, path);
		free(bad.bytes);
	}
	print_message("seed %llu: %u of %u open\n", (unsigned long long)seed, opened, rounds);
	assert_true(opened > 0 && opened < rounds);
	unlink(path);
	free(path);
	free(good.bytes);
	npu_device_close(dev);
}

static void test_programs(void **unused)
{
	(void)unused;
	try_library(false);
}

static void test_models(void **unused)
{
	(void)unused;
	try_library(true);
}

/* ---- npuc ---- */

static void exec_npuc(const char *in, const char *out, int err, bool verify)
{
	const char *const compile[] = { "npuc", in, "-o", out, NULL };
	const char *const check[] = { "npuc", "--verify", in, NULL };

	dup2(err, STDERR_FILENO);
	dup2(open("/dev/null", O_WRONLY), STDOUT_FILENO);
	alarm(NPUC_S);
	execv(npuc, (char *const *)(verify ? check : compile));
	_exit(127);
}

/* Returns whether npuc takes it. */
static bool try_npuc(const char *in, const char *out, bool verify)
{
	FILE *err = tmpfile();
	char line[1024] = "";
	bool whole;
	int status;
	pid_t pid;

	assert_non_null(err);
	pid = fork();
	if (!pid)
		exec_npuc(in, out, fileno(err), verify);
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	rewind(err);
	whole = !fgets(line, sizeof(line), err) || (strchr(line, '\n') && fgetc(err) == EOF);
	fclose(err);
	if (!WIFEXITED(status) || WEXITSTATUS(status) > 1)
		fail_msg("npuc ends with %#x: %s", status, line);
	if (!whole || !!WEXITSTATUS(status) != !!*line)
		fail_msg("npuc ends with %#x and says \"%s\"", status, line);
	if (!verify && (access(out, F_OK) == 0) != (WEXITSTATUS(status) == 0))
		fail_msg("npuc ends with %#x; its file is there or not", status);
	unlink(out);
	return !WEXITSTATUS(status);
}

static void try_compiler(bool onnx)
{
	struct file good = make_model(onnx);
	char dir[] = "/tmp/npu-hostile-XXXXXX";
	unsigned int taken = 0;
	char in[64], out[64];

	if (!npuc) {
		free(good.bytes);
		skip();
	}
	assert_non_null(mkdtemp(dir));
	snprintf(in, sizeof(in), "%s/in.%s", dir, onnx ? "onnx" : "npu");
	snprintf(out, sizeof(out), "%s/out.npu", dir);
	state = seed;
	write_to(in, &good);
	assert_true(try_npuc(in, out, !onnx));
	for (unsigned int i = 0; i < rounds; i++) {
		struct file bad = damage(&good, onnx);

		write_to(in, &bad);
		taken += try_npuc(in, out, !onnx);
		free(bad.bytes);
	}
	print_message("seed %llu: %u of %u taken\n", (unsigned long long)seed, taken, rounds);
	assert_true(taken < rounds);
	unlink(in);
	/* Nothing but the file that was put there. */
	assert_int_equal(rmdir(dir), 0);
	free(good.bytes);
}

static void test_npuc_programs(void **unused)
{
	(void)unused;
	try_compiler(false);
}

static void test_npuc_models(void **unused)
{
	(void)unused;
	try_compiler(true);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_programs),
		cmocka_unit_test(test_models),
		cmocka_unit_test(test_npuc_programs),
		cmocka_unit_test(test_npuc_models),
	};

	npuc = argc > 1 ? argv[1] : NULL;
	if (getenv("NPU_SEED"))
		seed = strtoull(getenv("NPU_SEED"), NULL, 0);
	if (getenv("NPU_ROUNDS"))
		rounds = (unsigned int)strtoul(getenv("NPU_ROUNDS"), NULL, 0);
	return rig_run_tests(tests, NULL, NULL);
}
