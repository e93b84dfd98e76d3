/* SPDX-License-Identifier: MIT */
/* The kernel IR: text round trip, its invariants one by one, views as sets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kir_eval.h"
#include "kir/kir_view.h"

/* Tensors that the one-operation tests share. */
#define HEAD \
	"kir \"test\"\n" \
	"n0 \"node\" \"Op\"\n" \
	"t0 input f32 \"x\" [4,6]\n" \
	"t1 output f32 \"y\" [4,6]\n" \
	"t2 temp f32 \"\" 24\n" \
	"t3 const f32 \"w\" 4 { 1f 2f 3f 4f }\n" \
	"t4 temp i32 \"\" 24\n"
#define INDEX "copy n0 dim=[24] in=none out=t4+0(1) value=0\n"
#define WRITE_Y "map n0 map=[24] ld:t0+0(1) st:t1+0(1) { m0=LD o0; ST o1,m0 }\n"

static const char everything[] =
	HEAD
	"map n0 map=[4,6] ld:t0+0(6,1) st:t2+0(6,1) k=[0,-1.5f,0x7f800000] { m0=LD o0; m1=FMAX m0,k0; m2=FMA m1,k1,k2; ST o1,m2 }\n"
	"matmul n0 dim=[1,1,4,6,6] groups=2 a=t0+0(0,0,6,1) b=t0+0(0,0,0,1) bias=none map=[1,1,4,3] acc:0 acc:1 st:t1+0(0,0,6,1) st:t1+3(0,0,6,1) { m0=LD o0; m1=LD o1; ST o2,m0; ST o3,m1 }\n"
	"conv n0 n=1 h=4 w=6 c=1 oh=3 ow=5 k=1 kh=2 kw=2 stride=[1,1] dil=[1,1] pad=[0,0] up=[1,1] groups=1 in=t0+0(24,6,1,1) weights=t3+0(4,4,2,1) bias=t3+1(1) map=[1,3,5,1] acc:0 st:t2+0(15,5,1,1) { m0=LD o0; ST o1,m0 }\n"
	"conv n0 n=1 h=4 w=6 c=1 oh=4 ow=6 k=1 kh=1 kw=1 stride=[1,1] dil=[1,1] pad=[0,0] up=[1,1] groups=1 panel=4 in=t0+0(24,6,1,1) weights=t3+0(1) bias=none map=[1,4,6,1] acc:0 st:t2+0(24,6,1,1) { m0=LD o0; ST o1,m0 }\n"
	"wgrad n0 n=2 h=1 w=3 c=4 oh=1 ow=2 k=6 kh=1 kw=2 stride=[1,1] dil=[1,1] pad=[0,0] up=[1,1] groups=2 in=t0+0(12,12,4,1) dy=t0+0(12,12,6,1) map=[1,2,2,6] acc:0 st:t2+0(0,1,2,4) { m0=LD o0; ST o1,m0 }\n"
	"reduce n0 dim=[4,6] axes=0x2 rop=ARGMAX in=t0+0(6,1) out=t4+0(1,0)\n"
	"pool n0 n=1 h=4 w=6 c=1 oh=2 ow=3 k=1 kh=2 kw=2 stride=[2,2] dil=[1,1] pad=[0,0] up=[1,1] kind=average_pad in=t0+0(24,6,1,1) out=t2+0(6,3,1,1)\n"
	"pool n0 n=1 h=4 w=6 c=1 oh=2 ow=3 k=1 kh=2 kw=2 stride=[2,2] dil=[1,1] pad=[0,0] up=[1,1] kind=max index=t4+0(6,3,1,1) in=t0+0(24,6,1,1) out=t2+0(6,3,1,1)\n"
	"unpool n0 n=1 h=4 w=6 c=1 oh=2 ow=3 k=1 kh=2 kw=2 stride=[2,2] dil=[1,1] pad=[0,0] up=[1,1] in=t2+0(6,3,1,1) index=t4+0(6,3,1,1) out=t1+0(24,6,1,1)\n"
	"copy n0 dim=[24] in=none out=t2+0(1) value=1f\n"
	"copy n0 dim=[6,4] in=t0+0(1,6) out=t2+0(4,1) value=0\n"
	"gather n0 dim=[1,2,3,4] limit=[5,2] step=[4,0] row_step=[0,0,0] table=t0+2(1) index=t4+0(0,2,0,1) data=t2+0(24,12,4,1)\n"
	"scatter n0 dim=[1,1,3,1] limit=[24] step=[1] row_step=[0,0,0] table=t2+0(1) index=t4+0(0,0,1,0) data=t0+0(0,0,1,0)\n";

static struct kir *parse(struct nc_arena *arena, const char *text, struct nc_diag *diag)
{
	struct kir *k = kir_parse(arena, text, diag);

	if (!k)
		print_message("%s\n", diag->text);
	return k;
}

static void test_round_trip(void **state)
{
	struct nc_arena *arena = nc_arena_create();
	struct nc_diag diag = { "" };
	struct kir *k = parse(arena, everything, &diag);
	char *text = NULL;
	size_t bytes;
	FILE *out = open_memstream(&text, &bytes);

	(void)state;
	assert_non_null(k);
	assert_int_equal(kir_print(k, out), 0);
	fclose(out);
	assert_string_equal(text, everything);
	assert_int_equal(kir_verify(k, &diag), 0);
	free(text);
	nc_arena_destroy(arena);
}

static void test_names_are_quoted(void **state)
{
	static const char *const text = "kir \"a\\\"b\\\\c\\x0ad\"\n";
	struct nc_arena *arena = nc_arena_create();
	struct nc_diag diag = { "" };
	struct kir *k = parse(arena, text, &diag);
	char *printed = NULL;
	size_t bytes;
	FILE *out = open_memstream(&printed, &bytes);

	(void)state;
	assert_string_equal(k->name, "a\"b\\c\nd");
	kir_print(k, out);
	fclose(out);
	assert_string_equal(printed, text);
	free(printed);
	nc_arena_destroy(arena);
}

/* No prefix of a text crashes the parser, and none is taken for a whole one. */
static void test_truncated_text(void **state)
{
	size_t bytes = sizeof(everything) - 1;
	char *cut = malloc(bytes + 1);

	(void)state;
	for (size_t n = 0; n < bytes; n++) {
		struct nc_arena *arena = nc_arena_create();
		struct nc_diag diag = { "" };
		struct kir *k;

		memcpy(cut, everything, n);
		cut[n] = 0;
		k = kir_parse(arena, cut, &diag);
		if (k)
			assert_true(cut[n - 1] == '\n' || everything[n] == '\n' ||
				    strchr("0123456789f", everything[n]));
		else
			assert_string_not_equal(diag.text, "");
		nc_arena_destroy(arena);
	}
	free(cut);
}

static void test_bad_text(void **state)
{
	static const struct {
		const char *text;
		const char *says;
	} bad[] = {
		{ "hello", "'kir' expected" },
		{ "kir \"x\"\nfoo n0\n", "line 2: unknown operation" },
		{ "kir \"x\"\nt1 temp f32 \"\" 4\n", "not the next tensor" },
		{ "kir \"x\"\nt0 temp f99 \"\" 4\n", "unknown element type" },
		{ "kir \"x\"\nt0 const f32 \"\" 40 { hash 0x1 }\n", "this is a dump" },
		{ "kir \"x\"\ncopy n0 dim=[1,1,1,1,1,1,1] in=none out=none value=0\n",
		  "too many dimensions" },
		{ HEAD "map n0 map=[4] ld:t0+0(1) { m0=FROB m0 }\n", "unknown micro-op" },
		{ HEAD "map n0 map=[4] ld:t0+0(1) { m32=MOV m0 }\n", "number expected" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct nc_arena *arena = nc_arena_create();
		struct nc_diag diag = { "" };

		assert_null(kir_parse(arena, bad[i].text, &diag));
		if (!strstr(diag.text, bad[i].says))
			fail_msg("'%s' does not say '%s'", diag.text, bad[i].says);
		nc_arena_destroy(arena);
	}
}

static void test_invariants(void **state)
{
	static const struct {
		const char *ops;
		const char *says;
	} bad[] = {
		{ "", "output 'y' is not written whole" },
		{ "map n0 map=[23] ld:t0+0(1) st:t1+0(1) { m0=LD o0; ST o1,m0 }\n",
		  "not written whole" },
		{ "map n7 map=[24] ld:t0+0(1) st:t1+0(1) { m0=LD o0; ST o1,m0 }\n",
		  "node is not there" },
		{ "map n0 map=[25] ld:t0+0(1) st:t1+0(1) { m0=LD o0; ST o1,m0 }\n",
		  "view leaves its tensor" },
		{ "map n0 map=[24] ld:t0+0(-1) st:t1+0(1) { m0=LD o0; ST o1,m0 }\n",
		  "view leaves its tensor" },
		{ "map n0 map=[24] ld:t9+0(1) st:t1+0(1) { m0=LD o0; ST o1,m0 }\n",
		  "tensor is not there" },
		{ "map n0 map=[24] ld:t2+0(1) st:t1+0(1) { m0=LD o0; ST o1,m0 }\n",
		  "no operation has written" },
		{ "map n0 map=[24] ld:t0+0(1) st:t0+0(1) { m0=LD o0; ST o1,m0 }\n",
		  "writes an input or a constant" },
		{ "map n0 map=[24] ld:t0+0(1) st:t1+0(0) { m0=LD o0; ST o1,m0 }\n",
		  "writes one element more than once" },
		{ "map n0 map=[4,6] ld:t0+0(6,1) st:t1+0(3,1) { m0=LD o0; ST o1,m0 }\n",
		  "writes one element more than once" },
		{ WRITE_Y "map n0 map=[23] ld:t1+0(1) st:t1+1(1) { m0=LD o0; ST o1,m0 }\n",
		  "writes what another operand uses" },
		{ "map n0 map=[24] ld:t0+0(1) st:t1+0(1) { ST o1,m0 }\n",
		  "register read before it is written" },
		{ "map n0 map=[24] ld:t0+0(1) st:t1+0(1) { m0=LD o0; m1=LD o0; ST o1,m0 }\n",
		  "each operand has one LD or one ST" },
		{ "map n0 map=[24] ld:t0+0(1) st:t1+0(1) { m0=LD o1; ST o1,m0 }\n",
		  "LD of something that is not a loaded operand" },
		{ "map n0 map=[24] ld:t0+0(1) { m0=LD o0 }\n", "map writes nothing" },
		{ "map n0 map=[24] ld:t0+0(1) st:t1+0(1) { m0=LD o0; m1=FADD m0,k3; ST o1,m0 }\n",
		  "source out of range" },
		{ "map n0 map=[0] ld:t0+0(1) st:t1+0(1) { m0=LD o0; ST o1,m0 }\n",
		  "dimension is 0" },
		{ "copy n0 dim=[24] in=t0+0(1) out=t4+0(1) value=0\n", "element types" },
		{ "reduce n0 dim=[4,6] axes=0x2 rop=SUM in=t0+0(6,1) out=t4+0(1,0)\n",
		  "element types" },
		{ INDEX "gather n0 dim=[1,1,3,1] limit=[25] step=[1] row_step=[0,0,0] table=t0+0(1) index=t4+0(0,0,1,0) data=t2+0(0,0,1,0)\n",
		  "leaves its tensor" },
		{ INDEX "gather n0 dim=[1,1,3,1] limit=[24] step=[1] row_step=[0,0,0] table=t0+0(1) index=t3+0(0,0,1,0) data=t2+0(0,0,1,0)\n",
		  "element types" },
		{ INDEX "gather n0 dim=[1,1,3,1] limit=[4] step=[5000000000] row_step=[0,0,0] table=t0+0(1) index=t4+0(0,0,1,0) data=t2+0(0,0,1,0)\n",
		  "2^32 elements" },
		{ INDEX "gather n0 dim=[1,1,3,1] limit=[0] step=[1] row_step=[0,0,0] table=t0+0(1) index=t4+0(0,0,1,0) data=t2+0(0,0,1,0)\n",
		  "limit out of range" },
		{ INDEX "scatter n0 dim=[1,1,3,1] limit=[24] step=[1] row_step=[0,0,0] table=t2+0(1) index=t4+0(0,0,1,0) data=t0+0(0,0,1,0)\n",
		  "no operation has written" },
		{ WRITE_Y INDEX "scatter n0 dim=[1,1,3,1] limit=[24] step=[1] row_step=[0,0,0] table=t1+0(1) index=t4+0(0,0,1,0) data=t1+0(0,0,1,0)\n",
		  "writes what another operand uses" },
		{ "reduce n0 dim=[4,6] axes=0x4 rop=SUM in=t0+0(6,1) out=t2+0(1,0)\n",
		  "axes out of range" },
		{ "reduce n0 dim=[4,6] axes=0x2 rop=SUM in=t0+0(6,1) out=t2+0(1,1)\n",
		  "moves along a reduced dimension" },
		{ "matmul n0 dim=[1,1,4,6,6] groups=1 a=t0+0(0,0,6,1) b=t0+0(0,0,0,1) bias=none map=[1,1,4,6] ld:t0+0(0,0,6,1) st:t1+0(0,0,6,1) { m0=LD o0; ST o1,m0 }\n",
		  "an epilogue reads no accumulator" },
		{ "matmul n0 dim=[1,1,4,6,6] groups=1 a=t0+0(0,0,6,1) b=t0+0(0,0,0,1) bias=none map=[1,1,4,6] acc:1 st:t1+0(0,0,6,1) { m0=LD o0; ST o1,m0 }\n",
		  "group is not there" },
		{ "matmul n0 dim=[1,1,4,6,6] groups=1 a=t0+0(0,0,6,1) b=t0+0(0,0,0,1) bias=none map=[1,4,1,6] acc:0 st:t1+0(0,6,0,1) { m0=LD o0; ST o1,m0 }\n",
		  "epilogue's dimensions" },
		{ "matmul n0 dim=[1,1,4,6,6] groups=4 a=t0+0(0,0,6,1) b=t0+0(0,0,0,1) bias=none map=[1,1,4,1] acc:0 st:t1+0(0,0,6,1) { m0=LD o0; ST o1,m0 }\n",
		  "multiple of groups" },
		{ WRITE_Y "matmul n0 dim=[1,1,4,6,6] groups=1 a=t1+0(0,0,6,1) b=t0+0(0,0,0,1) bias=none map=[1,1,4,6] acc:0 st:t1+0(0,0,6,1) { m0=LD o0; ST o1,m0 }\n",
		  "writes what another operand uses" },
		{ "conv n0 n=1 h=4 w=6 c=1 oh=4 ow=6 k=1 kh=1 kw=1 stride=[1,1] dil=[1,1] pad=[0,0] up=[1,1] groups=1 in=t0+0(24,6,1,1) weights=t2+0(1,1,1,1) bias=none map=[1,4,6,1] acc:0 st:t1+0(24,6,1,1) { m0=LD o0; ST o1,m0 }\n",
		  "no operation has written" },
		{ "conv n0 n=1 h=4 w=6 c=1 oh=4 ow=6 k=1 kh=1 kw=1 stride=[1,1] dil=[1,1] pad=[0,0] up=[1,1] groups=1 panel=8 in=t0+0(24,6,1,1) weights=t0+0(2) bias=none map=[1,4,6,1] acc:0 st:t1+0(24,6,1,1) { m0=LD o0; ST o1,m0 }\n",
		  "packed weights are not one run" },
		{ "conv n0 n=1 h=4 w=6 c=1 oh=4 ow=6 k=1 kh=1 kw=1 stride=[1,1] dil=[1,1] pad=[0,0] up=[1,1] groups=1 panel=25 in=t0+0(24,6,1,1) weights=t0+0(1) bias=none map=[1,4,6,1] acc:0 st:t1+0(24,6,1,1) { m0=LD o0; ST o1,m0 }\n",
		  "view leaves its tensor" },
		{ "wgrad n0 n=1 h=4 w=6 c=1 oh=4 ow=6 k=1 kh=1 kw=1 stride=[1,1] dil=[1,1] pad=[0,0] up=[1,1] groups=1 in=t0+0(24,6,1,1) dy=t0+0(24,6,1,1) map=[1,4,6,1] acc:0 st:t1+0(24,6,1,1) { m0=LD o0; ST o1,m0 }\n",
		  "epilogue's dimensions are not kh" },
		{ "wgrad n0 n=1 h=4 w=6 c=1 oh=4 ow=6 k=1 kh=1 kw=1 stride=[1,1] dil=[1,1] pad=[0,0] up=[1,1] groups=2 in=t0+0(24,6,1,1) dy=t0+0(24,6,1,1) map=[1,1,1,1] acc:0 st:t1+0(24,6,1,1) { m0=LD o0; ST o1,m0 }\n",
		  "multiple of groups" },
		{ "wgrad n0 n=1 h=4 w=6 c=1 oh=4 ow=6 k=1 kh=1 kw=1 stride=[1,1] dil=[1,1] pad=[0,0] up=[1,1] groups=1 in=t0+0(24,6,1,1) dy=t2+0(24,6,1,1) map=[1,1,1,1] acc:0 st:t1+0(24,6,1,1) { m0=LD o0; ST o1,m0 }\n",
		  "no operation has written" },
		{ "wgrad n0 n=1 h=4 w=6 c=1 oh=4 ow=6 k=1 kh=1 kw=1 stride=[1,1] dil=[1,1] pad=[0,0] up=[1,1] groups=1 in=t0+0(24,6,1,1) dy=t4+0(24,6,1,1) map=[1,1,1,1] acc:0 st:t1+0(24,6,1,1) { m0=LD o0; ST o1,m0 }\n",
		  "element type is not f32" },
		{ "pool n0 n=1 h=4 w=6 c=1 oh=4 ow=6 k=1 kh=1 kw=1 stride=[1,1] dil=[1,1] pad=[0,0] up=[1,1] kind=average index=t4+0(24,6,1,1) in=t0+0(24,6,1,1) out=t1+0(24,6,1,1)\n",
		  "an average has no positions" },
		{ "pool n0 n=1 h=4 w=6 c=1 oh=4 ow=6 k=1 kh=1 kw=1 stride=[1,1] dil=[1,1] pad=[0,0] up=[1,1] kind=max index=t2+0(24,6,1,1) in=t0+0(24,6,1,1) out=t1+0(24,6,1,1)\n",
		  "positions are not i32" },
		{ "pool n0 n=1 h=4 w=6 c=1 oh=4 ow=6 k=1 kh=1 kw=1 stride=[1,1] dil=[1,1] pad=[0,0] up=[1,1] kind=max index=t4+0(24,5,1,1) in=t0+0(24,6,1,1) out=t1+0(24,6,1,1)\n",
		  "have other steps" },
		{ "pool n0 n=1 h=4 w=6 c=1 oh=4 ow=6 k=1 kh=1 kw=0 stride=[1,1] dil=[1,1] pad=[0,0] up=[1,1] kind=max in=t0+0(24,6,1,1) out=t1+0(24,6,1,1)\n",
		  "window field out of range" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct nc_arena *arena = nc_arena_create();
		struct nc_diag diag = { "" };
		char *text = nc_printf(arena, "%s%s", HEAD, bad[i].ops);
		struct kir *k = parse(arena, text, &diag);

		assert_non_null(k);
		assert_true(kir_verify(k, &diag) < 0);
		if (!strstr(diag.text, bad[i].says))
			fail_msg("case %zu: '%s' does not say '%s'", i, diag.text, bad[i].says);
		nc_arena_destroy(arena);
	}
}

/* Slices of an output may be read while others are written. */
static void test_interleaved_slices(void **state)
{
	struct nc_arena *arena = nc_arena_create();
	struct nc_diag diag = { "" };
	struct kir *k = parse(arena, HEAD
		"map n0 map=[4,2] ld:t0+0(6,1) st:t1+0(6,1) { m0=LD o0; ST o1,m0 }\n"
		"map n0 map=[4,2] ld:t1+0(6,1) st:t1+2(6,1) { m0=LD o0; ST o1,m0 }\n"
		"map n0 map=[4,2] ld:t1+2(6,1) st:t1+4(6,1) { m0=LD o0; ST o1,m0 }\n", &diag);

	(void)state;
	assert_int_equal(kir_verify(k, &diag), 0);
	nc_arena_destroy(arena);
}

/* Sets of elements by brute force. */
static void mark(const struct kir_view *v, const uint32_t dim[3], unsigned int *count)
{
	for (uint32_t a = 0; a < dim[0]; a++)
		for (uint32_t b = 0; b < dim[1]; b++)
			for (uint32_t c = 0; c < dim[2]; c++)
				count[v->offset + a * v->stride[0] + b * v->stride[1] +
				      c * v->stride[2]]++;
}

static uint32_t rnd(uint64_t *state, uint32_t below)
{
	*state = *state * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(*state >> 33) % below;
}

static void random_view(uint64_t *seed, struct kir_view *v, uint32_t dim[3])
{
	*v = (struct kir_view){ .offset = 100 + rnd(seed, 10) };
	for (unsigned int i = 0; i < 3; i++) {
		dim[i] = 1 + rnd(seed, 3);
		v->stride[i] = (int64_t)rnd(seed, 21) - 7;
	}
}

static void test_spans(void **state)
{
	uint64_t seed = 42;

	(void)state;
	for (unsigned int round = 0; round < 20000; round++) {
		unsigned int count[2][256] = { 0 };
		struct kir_view v[2];
		struct kir_span s[2];
		uint32_t dim[2][3];
		bool meet = false;

		for (unsigned int i = 0; i < 2; i++) {
			int64_t lo = 256, hi = 0;
			bool twice = false, broadcast = false;

			random_view(&seed, &v[i], dim[i]);
			mark(&v[i], dim[i], count[i]);
			assert_int_equal(kir_span(&v[i], 3, dim[i], &s[i]), 0);
			for (int64_t e = 0; e < 256; e++) {
				if (!count[i][e])
					continue;
				lo = e < lo ? e : lo;
				hi = e + 1;
				twice = twice || count[i][e] > 1;
			}
			for (unsigned int d = 0; d < 3; d++)
				broadcast = broadcast || (dim[i][d] > 1 && !v[i].stride[d]);
			assert_int_equal(s[i].lo, lo);
			assert_int_equal(s[i].hi, hi);
			if (kir_span_injective(&s[i]) && !broadcast)
				assert_false(twice);
			if (kir_span_dense(&s[i]))
				for (int64_t e = lo; e < hi; e++)
					assert_true(count[i][e]);
		}
		for (unsigned int e = 0; e < 256; e++)
			meet = meet || (count[0][e] && count[1][e]);
		if (kir_span_disjoint(&s[0], &s[1]))
			assert_false(meet);
	}
}

static void test_eval(void **state)
{
	struct nc_arena *arena = nc_arena_create();
	struct nc_diag diag = { "" };
	struct kir *k = parse(arena, HEAD
		"conv n0 n=1 h=4 w=6 c=1 oh=4 ow=6 k=1 kh=2 kw=2 stride=[1,1] dil=[1,1] pad=[0,0] up=[1,1] groups=1 in=t0+0(24,6,1,1) weights=t3+0(4,4,2,1) bias=t3+1(1) map=[1,4,6,1] acc:0 st:t1+0(24,6,1,1) { m0=LD o0; ST o1,m0 }\n",
		&diag);
	struct kir_data *d = kir_data_create(k);
	float x[24], y[24];

	(void)state;
	for (unsigned int i = 0; i < 24; i++)
		x[i] = (float)i;
	memcpy(d->word[0], x, sizeof(x));
	kir_eval(d);
	memcpy(y, d->word[1], sizeof(y));
	/* 2 + 1 * 0 + 2 * 1 + 3 * 6 + 4 * 7, and the last corner: 2 + 1 * 23. */
	assert_true(y[0] == 50.0f);
	assert_true(y[23] == 25.0f);
	kir_data_destroy(d);
	nc_arena_destroy(arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_names_are_quoted),
		cmocka_unit_test(test_truncated_text),
		cmocka_unit_test(test_bad_text),
		cmocka_unit_test(test_invariants),
		cmocka_unit_test(test_interleaved_slices),
		cmocka_unit_test(test_spans),
		cmocka_unit_test(test_eval),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
