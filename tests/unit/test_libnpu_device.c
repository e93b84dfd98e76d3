/* SPDX-License-Identifier: MIT */
/* Opening devices: what is there, what is asked for wrongly, and what is said then. */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libnpu_rig.h"
#include "npu_graph.h"

static void test_info(void **state)
{
	struct npu_device *dev = rig_open();
	struct npu_device_info info;
	struct npu_target target;

	(void)state;
	assert_ok(npu_device_get_info(dev, &info));
	assert_int_equal(info.simulated, rig_is_sim());
	assert_true(info.array_rows >= 4 && info.array_cols >= 4);
	assert_true(info.spm_bytes >= 64 << 10 && info.acc_bytes >= 16 << 10);
	assert_true(info.caps & 1);
	assert_true(info.queues >= 1 && info.max_timeout_ms >= 1000 && info.clock_khz);
	assert_non_null(strstr(info.name, "npu 0."));
	assert_true(strlen(info.path) > 2);
	assert_ok(npu_device_get_target(dev, &target));
	assert_int_equal(target.array_rows, info.array_rows);
	assert_int_equal(target.array_cols, info.array_cols);
	assert_int_equal(target.spm_bytes, info.spm_bytes);
	assert_int_equal(target.acc_bytes, info.acc_bytes);
	assert_int_equal(target.caps, info.caps);
	assert_true(target.dma_bytes_per_kcycle && target.dma_latency_cycles &&
		    target.dma_bursts && target.ve_bytes_per_cycle);
	npu_device_close(dev);
	npu_device_close(NULL);
}

static void test_bad_paths(void **state)
{
	char *file = rig_file("x", 1);

	(void)state;
	assert_none(npu_device_open("/dev/accel/accel99"), -ENOENT, "modprobe npu");
	assert_none(npu_device_open("/dev/null"), -ENODEV, "not an NPU");
	assert_none(npu_device_open(file), -ENODEV, "not an NPU");
	assert_none(npu_device_open("/"), -EISDIR, "directory");
	assert_none(npu_device_open("accel0"), -EINVAL, "neither a path");
	assert_none(npu_device_open("simulator"), -EINVAL, "neither a path");
	unlink(file);
	free(file);
}

static void test_properties(void **state)
{
	struct npu_device *dev = npu_device_open("sim,array_rows=8,array_cols=8,spm_bytes=128K,"
						 "acc_bytes=0x8000,threads=1,variant=scalar");
	struct npu_device_info info;

	(void)state;
	assert_some(dev);
	assert_ok(npu_device_get_info(dev, &info));
	assert_int_equal(info.array_rows, 8);
	assert_int_equal(info.array_cols, 8);
	assert_int_equal(info.spm_bytes, 128 << 10);
	assert_int_equal(info.acc_bytes, 32 << 10);
	assert_string_equal(info.path, "sim");
	npu_device_close(dev);
}

static void test_bad_properties(void **state)
{
	static const struct {
		const char *spec;
		const char *word;
	} bad[] = {
		{ "sim,array_rows", "PROPERTY=VALUE" },
		{ "sim,rows=8", "there is no property \"rows\"" },
		{ "sim,array_rows=", "array_rows= is not" },
		{ "sim,array_rows=0", "positive" },
		{ "sim,array_rows=-8", "positive" },
		{ "sim,array_rows=8x", "positive" },
		{ "sim,spm_bytes=5000M", "positive" },
		{ "sim,spm_bytes=99999999999999999999999", "positive" },
		{ "sim,variant=mmx", "mmx" },
		{ "sim,array_rows=8,", "PROPERTY=VALUE" },
		{ "sim,array_rows=3", "sim:" },
		{ "sim,array_cols=257", "sim:" },
		{ "sim,spm_bytes=100000", "sim:" },
		{ "sim,acc_bytes=2M", "sim:" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_none(npu_device_open(bad[i].spec), -EINVAL, bad[i].word);
}

static void *fail_elsewhere(void *arg)
{
	(void)arg;
	assert_string_equal(npu_error(), "");
	assert_null(npu_device_open("nonsense"));
	assert_non_null(strstr(npu_error(), "nonsense"));
	return NULL;
}

/* Messages are per thread. */
static void test_error_text(void **state)
{
	pthread_t thread;

	(void)state;
	assert_string_equal(npu_version(), "0.1.0");
	assert_null(npu_device_open("gibberish"));
	assert_int_equal(pthread_create(&thread, NULL, fail_elsewhere, NULL), 0);
	pthread_join(thread, NULL);
	assert_non_null(strstr(npu_error(), "gibberish"));
}

static void *open_and_close(void *arg)
{
	(void)arg;
	for (int i = 0; i < 10; i++) {
		struct npu_device *dev = rig_open();

		npu_device_close(dev);
	}
	return NULL;
}

static void test_many(void **state)
{
	pthread_t thread[3];

	(void)state;
	for (int i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, open_and_close, NULL), 0);
	for (int i = 0; i < 3; i++)
		pthread_join(thread[i], NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_info),
		cmocka_unit_test(test_bad_paths),
		cmocka_unit_test(test_properties),
		cmocka_unit_test(test_bad_properties),
		cmocka_unit_test(test_error_text),
		cmocka_unit_test(test_many),
	};

	return rig_run_tests(tests, NULL, NULL);
}
