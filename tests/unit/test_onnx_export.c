/* SPDX-License-Identifier: MIT */
/* The ONNX writer: what is read back computes the same. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "front.h"
#include "net.h"
#include "npu_models.h"
#include "onnx.pb-c.h"
#include "ref_test.h"

static char dir[] = "/tmp/npu_onnx_XXXXXX";
static char path[64];

static int make_dir(void **state)
{
	(void)state;
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof(path), "%s/model.onnx", dir);
	return 0;
}

static int remove_dir(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(dir);
}

/* Write @net's graph, read it, run both on the same inputs; ends @net. */
static void round_trip(struct net *net, double rtol)
{
	char error[NC_DIAG_BYTES];
	struct ref_tensor want[8], got;
	uint32_t outputs = net->g->outputs;
	struct net again;

	net_run(net);
	for (uint32_t i = 0; i < outputs; i++)
		want[i] = net_result(net, i);
	if (npu_graph_write_onnx(net->g, path))
		fail_msg("%s", npu_graph_error(net->g));
	net_take(&again, npu_graph_create("unused"));
	npu_graph_destroy(again.g);
	again.g = npu_graph_read_onnx(path, NULL, error, sizeof(error));
	if (!again.g)
		fail_msg("%s", error);
	assert_int_equal(again.g->inputs, net->g->inputs);
	assert_int_equal(again.g->outputs, outputs);
	for (uint32_t i = 0; i < net->g->inputs; i++) {
		assert_string_equal(again.g->tensor[again.g->input[i]]->name,
				    net->g->tensor[net->g->input[i]]->name);
		net_bind(&again, i, net->input[i]);
	}
	memcpy(again.twisted, net->twisted, sizeof(again.twisted));
	net_run(&again);
	for (uint32_t i = 0; i < outputs; i++) {
		assert_string_equal(again.g->output[i].name, net->g->output[i].name);
		got = net_result(&again, i);
		expect_within(&got, &want[i], rtol);
		ref_tensor_free(&want[i]);
	}
	net_end(&again);
	net_end(net);
}

/* The file is what it says: opset 17, weights as initialisers, standard operators. */
static void check_file(size_t most_nodes)
{
	FILE *f = fopen(path, "rb");
	uint8_t *data = malloc(8 << 20);
	size_t bytes = fread(data, 1, 8 << 20, f);
	Onnx__ModelProto *m = onnx__model_proto__unpack(NULL, bytes, data);

	assert_non_null(m);
	assert_int_equal(m->ir_version, 8);
	assert_int_equal(m->opset_import[0]->version, 17);
	assert_true(m->graph->n_node <= most_nodes);
	for (size_t i = 0; i < m->graph->n_node; i++)
		assert_true(strlen(m->graph->node[i]->op_type) > 0);
	onnx__model_proto__free_unpacked(m, NULL);
	free(data);
	fclose(f);
}

static void test_networks(void **state)
{
	static const size_t nodes[] = { 20, 10, 20 };
	float *room = malloc(NPU_NET_PARAMS_MAX * (1 << 20));
	struct ref_tensor x = net_values(SHAPE(2, 784), 0, 1);

	(void)state;
	for (enum npu_net which = 0; which < NPU_NETS; which++) {
		float *param[NPU_NET_PARAMS_MAX];
		struct npu_net_param p;
		struct net net;

		for (unsigned int i = 0; !npu_net_param(which, i, &p); i++)
			param[i] = room + (size_t)i * (1 << 18);
		assert_int_equal(npu_net_init(which, 3, param), 0);
		net_take(&net, npu_net_build(which, 2, (const float *const *)param));
		net_bind(&net, 0, x.data);
		round_trip(&net, 1e-6);
		check_file(nodes[which]);
	}
	ref_tensor_free(&x);
	free(room);
}

static struct nc_node *add(struct net *net, const char *op, uint32_t ins, const int *in)
{
	return net_node(net, op, ins, in, 1);
}

static void finish(struct net *net, struct nc_node *n)
{
	net_add(net, n);
	net_output(net, net_out(n, 0));
	round_trip(net, 1e-5);
}

/* Operators whose newest form is younger than the opset that is written. */
static void test_younger_operators(void **state)
{
	struct ref_tensor x = net_values(SHAPE(3, 7), -3, 3);
	static const char *const younger[] = { "Gelu", "Gelu", "Mish", "Swish", "HardSwish" };
	struct nc_node *n;
	struct net net;
	int in[4], x_in;

	(void)state;
	for (int i = 0; i < 5; i++) {
		net_begin(&net);
		in[0] = net_input(&net, &x);
		n = add(&net, younger[i], 1, in);
		if (i == 1)
			nc_attr_set_string(net.g, n, "approximate", "tanh");
		if (i == 3)
			nc_attr_set_float(net.g, n, "alpha", 1.5f);
		finish(&net, n);
	}
	for (int i = 0; i < 3; i++) {
		net_begin(&net);
		in[0] = net_input(&net, &x);
		in[1] = net_ints(&net, INTS(i - 1), 1);
		n = add(&net, i ? "ReduceL2" : "ReduceMean", 2, in);
		nc_attr_set_int(net.g, n, "keepdims", i & 1);
		finish(&net, n);
	}
	net_begin(&net);
	in[0] = net_input(&net, &x);
	in[1] = net_ints(&net, INTS(1, -2), 2);
	in[2] = NPU_TENSOR_NONE;
	in[3] = net_ints(&net, INTS(1), 1);
	finish(&net, add(&net, "Pad", 4, in));

	net_begin(&net);
	x_in = net_input(&net, &x);
	n = net_node(&net, "Split", 1, &x_in, 3);
	nc_attr_set_int(net.g, n, "axis", 1);
	nc_attr_set_int(net.g, n, "num_outputs", 3);
	net_add(&net, n);
	for (uint32_t i = 0; i < 3; i++)
		net_output(&net, net_out(n, i));
	round_trip(&net, 0);
	ref_tensor_free(&x);
}

/* Names that clash, are missing, or are not free. */
static void test_names(void **state)
{
	struct ref_tensor x = net_values(SHAPE(3), -1, 1);
	const float one = 1;
	struct net net;
	int y, c, d;

	(void)state;
	net_begin(&net);
	y = net_input(&net, &x);
	c = npu_graph_const(net.g, "y", NPU_GRAPH_F32, 0, NULL, &one);
	d = npu_graph_const(net.g, "y", NPU_GRAPH_F32, 0, NULL, &one);
	npu_graph_output(net.g, "same", y);
	y = npu_graph_binary(net.g, NPU_BINARY_ADD, y, c);
	npu_graph_output(net.g, "z", y);
	y = npu_graph_binary(net.g, NPU_BINARY_MUL, y, d);
	npu_graph_output(net.g, "y", y);
	npu_graph_output(net.g, "y again", y);
	npu_graph_output(net.g, "constant", c);
	round_trip(&net, 0);

	net_begin(&net);
	y = net_input(&net, &x);
	npu_graph_output(net.g, "x0", npu_graph_unary(net.g, NPU_UNARY_RELU, y, 0, 0));
	assert_int_equal(npu_graph_write_onnx(net.g, path), -EINVAL);
	assert_non_null(strstr(npu_graph_error(net.g), "\"x0\""));
	net_end(&net);
	ref_tensor_free(&x);
}

/* A file appears whole or not at all. */
static void test_failures(void **state)
{
	struct ref_tensor x = net_values(SHAPE(3), -1, 1);
	char missing[80];
	struct stat st;
	struct net net;
	int in;

	(void)state;
	net_begin(&net);
	in = net_input(&net, &x);
	npu_graph_output(net.g, "y", npu_graph_unary(net.g, NPU_UNARY_RELU, in, 0, 0));
	snprintf(missing, sizeof(missing), "%s/missing/model.onnx", dir);
	assert_int_equal(npu_graph_write_onnx(net.g, missing), -ENOENT);
	assert_non_null(strstr(npu_graph_error(net.g), "missing/model.onnx"));
	/* A directory in the place: nothing is left beside it. */
	snprintf(missing, sizeof(missing), "%s/sub", dir);
	assert_int_equal(mkdir(missing, 0700), 0);
	assert_int_equal(npu_graph_write_onnx(net.g, missing), -EISDIR);
	assert_int_equal(rmdir(missing), 0);
	assert_int_equal(npu_graph_write_onnx(net.g, path), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0644);
	net_end(&net);

	/* What opset 17 cannot say is refused and leaves the old file alone. */
	net_begin(&net);
	in = net_input(&net, &x);
	{
		struct nc_node *n = add(&net, "ReduceMax", 1, &in);

		nc_attr_set_int(net.g, n, "noop_with_empty_axes", 1);
		net_add(&net, n);
		npu_graph_output(net.g, "y", net_out(n, 0));
	}
	assert_int_equal(npu_graph_write_onnx(net.g, path), -ENOTSUP);
	assert_non_null(strstr(npu_graph_error(net.g), "opset 17"));
	assert_int_equal(stat(path, &st), 0);
	assert_true(st.st_size > 0);
	net_end(&net);
	ref_tensor_free(&x);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_networks),
		cmocka_unit_test(test_younger_operators),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_failures),
	};

	net_seed();
	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
