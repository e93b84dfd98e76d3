/* SPDX-License-Identifier: MIT */
/* npu info: what a device is. */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include "npu_graph.h"
#include "tool.h"

static int print_info(struct npu_device *dev)
{
	struct npu_device_info info;
	struct npu_target target;

	if (npu_device_get_info(dev, &info) || npu_device_get_target(dev, &target))
		return tool_fail_npu();
	printf("device        %s%s\n", info.path, info.simulated ? " (in this process)" : "");
	printf("name          %s\n", info.name);
	printf("hardware      version %u.%u, %u queues\n", info.hw_version >> 16,
	       info.hw_version & 0xffff, info.queues);
	printf("array         %u rows x %u columns at %u kHz\n", info.array_rows, info.array_cols,
	       info.clock_khz);
	printf("memories      SPM %u bytes, ACC %u bytes\n", info.spm_bytes, info.acc_bytes);
	printf("DMA           %u bytes per 1000 cycles, latency %u cycles, %u bursts\n",
	       target.dma_bytes_per_kcycle, target.dma_latency_cycles, target.dma_bursts);
	printf("vector unit   %u bytes per cycle\n", target.ve_bytes_per_cycle);
	printf("job budget    at most %u ms\n", info.max_timeout_ms);
	printf("capabilities  ");
	tool_print_caps(info.caps);
	putchar('\n');
	return TOOL_OK;
}

int cmd_info(int argc, char **argv)
{
	static const struct option options[] = {
		{ "device", required_argument, NULL, 'd' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	const char *spec = NULL;
	struct npu_device *dev;
	int status;
	int c;

	while ((c = getopt_long(argc, argv, ":d:h", options, NULL)) != -1) {
		switch (c) {
		case 'd':
			spec = optarg;
			break;
		case 'h':
			puts("usage: npu info [--device SPEC]\n\n"
			     "Prints what a device is: sizes, rates, capabilities.");
			return TOOL_OK;
		default:
			return tool_bad_option("info", argv, c);
		}
	}
	if (optind < argc)
		return tool_usage("info", "info: \"%s\" is too much", argv[optind]);
	dev = npu_device_open(spec);
	if (!dev)
		return tool_fail_npu();
	status = print_info(dev);
	npu_device_close(dev);
	return status;
}
