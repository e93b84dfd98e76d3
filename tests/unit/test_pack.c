/* SPDX-License-Identifier: MIT */
/*
 * Weights in the array's order: a convolution with packed weights computes what
 * it did before, and what has been packed is shared as long as it holds.
 */
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "kir_eval.h"
#include "nc.h"

static uint32_t below(uint32_t n)
{
	return (uint32_t)rand() % n;
}

/* The value of element @i of tensor @t: small, and not that of its neighbours. */
static float value(uint32_t t, uint64_t i)
{
	return (float)((i * 37 + t * 11) % 101) - 50;
}

static struct kir *parse(struct nc_arena *arena, const char *text)
{
	struct nc_diag diag = { "" };
	struct kir *k = kir_parse(arena, text, &diag);

	if (!k || kir_verify(k, &diag))
		fail_msg("%s\n%s", diag.text, text);
	return k;
}

/* The last tensor's elements after all operations. */
static uint32_t *results(const struct kir *k, uint32_t tensor)
{
	struct kir_data *d = kir_data_create(k);
	uint64_t bytes = k->tensor[tensor].elems * sizeof(uint32_t);
	uint32_t *copy = malloc(bytes);

	assert_non_null(d);
	assert_non_null(copy);
	for (uint32_t t = 0; t < k->tensors; t++)
		for (uint64_t i = 0; k->tensor[t].kind == KIR_INPUT && i < k->tensor[t].elems; i++) {
			float f = value(t, i);

			memcpy(&d->word[t][i], &f, sizeof(f));
		}
	kir_eval(d);
	memcpy(copy, d->word[tensor], bytes);
	kir_data_destroy(d);
	return copy;
}

static void pack(struct kir *k, uint32_t columns)
{
	struct npu_target target = { .array_cols = columns };
	struct nc_diag diag = { "" };
	struct nc_back b = { .arena = k->arena, .diag = &diag, .k = k };

	assert_int_equal(nc_target_set(&b, &target), 0);
	if (nc_pack(&b) || kir_verify(k, &diag))
		fail_msg("%s", diag.text);
}

static uint32_t count(const struct kir *k, enum kir_kind kind)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < k->ops; i++)
		n += k->op[i]->kind == kind;
	return n;
}

/* What is printed of a packed list is read back as the same. */
static void reads_back(const struct kir *k)
{
	char *text[2] = { NULL };
	struct nc_arena *arena = nc_arena_create();
	struct nc_diag diag = { "" };

	for (unsigned int i = 0; i < 2; i++) {
		size_t bytes;
		FILE *f = open_memstream(&text[i], &bytes);

		assert_int_equal(kir_print(k, f), 0);
		fclose(f);
		k = kir_parse(arena, text[0], &diag);
		if (!k)
			fail_msg("%s", diag.text);
	}
	assert_string_equal(text[0], text[1]);
	free(text[0]);
	free(text[1]);
	nc_arena_destroy(arena);
}

/* ---- same results ---- */

/* Strides of [k, c, kh, kw] in a random order of dimensions, some backwards. */
static int64_t random_view(const uint32_t dim[4], int64_t stride[4])
{
	unsigned int order[4] = { 0, 1, 2, 3 };
	int64_t elems = 1, offset = 0;

	for (unsigned int i = 4; i-- > 0;) {
		unsigned int j = below(i + 1), d = order[j];

		order[j] = order[i];
		stride[d] = elems;
		elems *= dim[d];
		if (below(3) == 0) {
			offset += stride[d] * (dim[d] - 1);
			stride[d] = -stride[d];
		}
	}
	return offset;
}

/* One convolution; its last convolution's output is t2. */
static void one(bool known)
{
	const uint32_t columns[] = { 4, 8, 32 };
	uint32_t groups = below(2) ? 1 : 1 + below(4), cg = below(3) ? 1 + below(9) : 60 + below(80);
	uint32_t kg = below(2) ? 1 + below(8) : 1 + below(70);
	uint32_t dim[4] = { kg * groups, cg, 1 + below(3), 1 + below(3) };
	uint32_t oh = 4 - dim[2], ow = 4 - dim[3];
	struct nc_arena *arena = nc_arena_create();
	uint32_t *want, *got;
	int64_t stride[4], offset;
	struct kir *k;

	if (below(4) == 0) {
		groups = dim[0] = 2 + below(40);
		dim[1] = cg = 1;
	}
	offset = random_view(dim, stride);
	k = parse(arena, nc_printf(arena,
		"kir \"pack\"\nn0 \"node\" \"Op\"\n"
		"t0 input f32 \"x\" [%u]\n"
		"t1 %s\n"
		"t2 output f32 \"y\" [%u]\n"
		"conv n0 n=1 h=3 w=3 c=%u oh=%u ow=%u k=%u kh=%u kw=%u stride=[1,1] dil=[1,1] pad=[0,0] up=[1,1] groups=%u in=t0+0(0,%u,%u,1) weights=t1+%" PRId64 "(%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64 ") bias=none map=[1,%u,%u,%u] acc:0 st:t2+0(0,%u,%u,1) { m0=LD o0; ST o1,m0 }\n",
		9 * cg * groups,
		nc_printf(arena, known ? "const f32 \"w\" %u { rand 7 }" : "input f32 \"w\" [%u]",
			  dim[0] * dim[1] * dim[2] * dim[3]),
		oh * ow * dim[0], cg * groups, oh, ow, dim[0], dim[2], dim[3], groups,
		3 * cg * groups, cg * groups, offset, stride[0], stride[1], stride[2], stride[3],
		oh, ow, dim[0], ow * dim[0], dim[0]));
	want = results(k, 2);
	pack(k, columns[below(3)]);
	assert_int_equal(count(k, KIR_CONV), 1);
	assert_true(k->op[k->ops - 1]->conv.panel > 0);
	assert_int_equal(known, k->ops == 1);
	reads_back(k);
	got = results(k, 2);
	assert_memory_equal(want, got, k->tensor[2].elems * sizeof(*got));
	free(want);
	free(got);
	nc_arena_destroy(arena);
}

static void test_same_results(void **state)
{
	(void)state;
	for (int i = 0; i < 300; i++) {
		one(false);
		one(true);
	}
}

/* ---- sharing ---- */

#define CONV(weights, out) \
	"conv n0 n=1 h=1 w=1 c=8 oh=1 ow=1 k=8 kh=1 kw=1 stride=[1,1] dil=[1,1] pad=[0,0] " \
	"up=[1,1] groups=1 in=t0+0(8,8,8,1) weights=" weights " bias=none map=[1,1,1,8] acc:0 " \
	"st:" out "+0(8,8,8,1) { m0=LD o0; ST o1,m0 }\n"
#define HEAD \
	"kir \"share\"\nn0 \"node\" \"Op\"\nt0 input f32 \"x\" [8]\nt1 input f32 \"w\" [64]\n" \
	"t2 output f32 \"y\" [8]\nt3 output f32 \"z\" [8]\nt4 temp f32 \"v\" 64\n"

/* Equal views are packed once, others are not taken for them. */
static void test_shared(void **state)
{
	struct nc_arena *arena = nc_arena_create();
	struct kir *k = parse(arena, HEAD CONV("t1+0(8,1,64,64)", "t2")
			      CONV("t1+0(8,1,0,0)", "t3"));

	(void)state;
	pack(k, 8);
	assert_int_equal(count(k, KIR_MAP), 1);
	assert_int_equal(k->op[1]->conv.weights.tensor, k->op[2]->conv.weights.tensor);
	k = parse(arena, HEAD CONV("t1+0(8,1,64,64)", "t2") CONV("t1+0(1,8,0,0)", "t3"));
	pack(k, 8);
	assert_int_equal(count(k, KIR_MAP), 2);
	nc_arena_destroy(arena);
}

/* Weights that change between two uses are packed again. */
static void test_changed(void **state)
{
	struct nc_arena *arena = nc_arena_create();
	struct kir *k = parse(arena, HEAD "copy n0 dim=[64] in=t1+0(1) out=t4+0(1) value=0\n"
			      CONV("t4+0(8,1,0,0)", "t2")
			      "copy n0 dim=[1] in=none out=t4+9(1) value=1f\n"
			      CONV("t4+0(8,1,0,0)", "t3"));
	uint32_t *want = results(k, 3), *got;

	(void)state;
	pack(k, 8);
	assert_int_equal(count(k, KIR_MAP), 2);
	got = results(k, 3);
	assert_memory_equal(want, got, 8 * sizeof(*got));
	free(want);
	free(got);
	nc_arena_destroy(arena);
}

int main(void)
{
	const char *seed = getenv("NPU_TEST_SEED");
	unsigned int n = seed ? (unsigned int)strtoul(seed, NULL, 0) : (unsigned int)time(NULL);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_same_results),
		cmocka_unit_test(test_shared),
		cmocka_unit_test(test_changed),
	};

	printf("# NPU_TEST_SEED=%u\n", n);
	srand(n);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
