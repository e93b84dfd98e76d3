// SPDX-License-Identifier: MIT
/*
 * Register-level tests of the NPU in QEMU: no guest runs, the test is the
 * processor. Prints TAP with --tap.
 */

#include "qemu/osdep.h"
#include "libqtest.h"

/* The device can be created and its machine answers. */
static void test_present(void)
{
	QTestState *qts;

	if (!qtest_has_device("npu")) {
		g_test_skip("this QEMU has no npu device");
		return;
	}
	qts = qtest_init("-M q35 -device npu");
	qtest_quit(qts);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	qtest_add_func("/npu/present", test_present);
	return g_test_run();
}
