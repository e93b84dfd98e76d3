/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "onnx/onnx.h"
#include "onnx_read.h"
#include "ref_test.h"

static int read_model(struct ob *b, const char *bind, struct npu_graph **g)
{
	size_t bytes;
	const uint8_t *data = ob_pack(b, &bytes);

	*g = npu_graph_create("model");
	assert_non_null(*g);
	return nc_onnx_import(*g, data, bytes, bind);
}

void expect_read(struct ob *b, const char *bind, struct net *net)
{
	struct npu_graph *g;

	if (read_model(b, bind, &g))
		fail_msg("%s", npu_graph_error(g));
	net_take(net, g);
	ob_end(b);
}

void expect_refused(struct ob *b, const char *bind, const char *const *words)
{
	struct npu_graph *g;

	if (!read_model(b, bind, &g))
		fail_msg("was read");
	for (; *words; words++)
		if (!strstr(npu_graph_error(g), *words))
			fail_msg("no \"%s\" in: %s", *words, npu_graph_error(g));
	npu_graph_destroy(g);
	ob_end(b);
}
