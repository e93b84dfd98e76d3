/* SPDX-License-Identifier: MIT */
/* Einsum against a loop over all values of all labels. */
#include <errno.h>
#include <string.h>

#include "net.h"
#include "ref_test.h"

#define LABELS	26

/* Each letter is a label; 'z' is what "..." of the model's equation stands for. */
struct equation {
	const char *text;
	const char *in[3];
	const char *out;
};

static const struct equation equations[] = {
	{ "ij,jk->ik", { "ij", "jk" }, "ik" },
	{ "ij,jk", { "ij", "jk" }, "ik" },
	{ "bij, bjk -> bik", { "bij", "bjk" }, "bik" },
	{ "ij->ji", { "ij" }, "ji" },
	{ "ba", { "ba" }, "ab" },
	{ "ij->", { "ij" }, "" },
	{ "ijk->j", { "ijk" }, "j" },
	{ "ii->i", { "ii" }, "i" },
	{ "ii", { "ii" }, "" },
	{ "iji->ij", { "iji" }, "ij" },
	{ "i,j->ij", { "i", "j" }, "ij" },
	{ "i,i->i", { "i", "i" }, "i" },
	{ "i,i", { "i", "i" }, "" },
	{ "bhid,bhjd->bhij", { "bhid", "bhjd" }, "bhij" },
	{ "ijk,jil->kl", { "ijk", "jil" }, "kl" },
	{ "ij,jk,kl->il", { "ij", "jk", "kl" }, "il" },
	{ "ij,ik,il->jkl", { "ij", "ik", "il" }, "jkl" },
	{ "ijm,jk->ki", { "ijm", "jk" }, "ki" },
	{ "...ij,...jk->...ik", { "zij", "zjk" }, "zik" },
	{ "...ii->...i", { "zii" }, "zi" },
	{ "i...,...->...i", { "iz", "z" }, "zi" },
};

static int64_t element(const char *labels, const int64_t *size, const int64_t *at)
{
	int64_t e = 0;

	for (; *labels; labels++)
		e = e * size[*labels - 'a'] + at[*labels - 'a'];
	return e;
}

static void shape(const char *labels, const int64_t *size, int64_t *dims)
{
	for (int i = 0; labels[i]; i++)
		dims[i] = size[labels[i] - 'a'];
}

static void einsum(const struct equation *q)
{
	int64_t size[LABELS], at[LABELS] = { 0 }, dims[REF_MAX_RANK] = { 0 };
	struct ref_tensor x[3], want;
	unsigned int count = 0, i;
	bool used[LABELS] = { false };
	struct nc_node *n;
	struct net net;
	int in[3];

	for (i = 0; i < LABELS; i++)
		size[i] = 1 + net_rand(4);
	net_begin(&net);
	for (; count < 3 && q->in[count]; count++) {
		for (const char *c = q->in[count]; *c; c++)
			used[*c - 'a'] = true;
		shape(q->in[count], size, dims);
		x[count] = net_values((int)strlen(q->in[count]), dims, -1, 1);
		in[count] = net_feed(&net, &x[count]);
	}
	shape(q->out, size, dims);
	assert_int_equal(ref_tensor_alloc(&want, (int)strlen(q->out), dims), 0);
	do {
		double product = 1;

		for (unsigned int k = 0; k < count; k++)
			product *= x[k].data[element(q->in[k], size, at)];
		want.data[element(q->out, size, at)] += (float)product;
		for (i = 0; i < LABELS; i++) {
			if (used[i] && ++at[i] < size[i])
				break;
			at[i] = 0;
		}
	} while (i < LABELS);
	n = net_node(&net, "Einsum", count, in, 1);
	nc_attr_set_string(net.g, n, "equation", q->text);
	net_add(&net, n);
	net_output(&net, net_out(n, 0));
	net_expect(&net, &want, 1e-4);
	while (count--)
		ref_tensor_free(&x[count]);
}

static void test_equations(void **state)
{
	(void)state;
	for (int round = 0; round < 6; round++)
		for (size_t i = 0; i < sizeof(equations) / sizeof(*equations); i++)
			einsum(&equations[i]);
}

static void test_refused(void **state)
{
	static const char *const wrong[] = {
		"ij", "ij,jk,kl->il", "ij,kj->iq", "ij,jk->ii", "ij,jk-", "i1,jk->ik", "ijk,jk->i",
		"ij,jk->ik,", "",
	};
	const int64_t dims[] = { 2, 3 };

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		struct npu_graph *g = npu_graph_create("refused");
		struct nc_node *n = nc_node_new(g, nc_op_find("Einsum"), "node", 2, 1);

		n->in[0] = (uint32_t)npu_graph_input(g, "a", NPU_GRAPH_F32, 2, dims);
		n->in[1] = (uint32_t)npu_graph_input(g, "b", NPU_GRAPH_F32, 2, dims);
		n->out[0] = (uint32_t)nc_graph_tensor(g, NULL);
		nc_attr_set_string(g, n, "equation", wrong[i]);
		assert_int_equal(nc_graph_node(g, n), -EINVAL);
		assert_non_null(strstr(npu_graph_error(g), "equation"));
		npu_graph_destroy(g);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_equations),
		cmocka_unit_test(test_refused),
	};

	net_seed();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
