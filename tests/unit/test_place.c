/* SPDX-License-Identifier: MIT */
/*
 * Where data lives: the allocator, the names of packed copies, the planner of
 * resident tensors and scratch memory, and what moves between memory and the
 * scratchpad in compiled programs.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "place/box.h"
#include "place/cache.h"
#include "npu_prog_read.h"

/* ---- allocator ---- */

struct fixture {
	struct nc_arena *arena;
	struct nc_diag diag;
	struct nc_back b;
	struct cache c;
};

static void setup(struct fixture *f, uint32_t from, uint32_t to)
{
	memset(f, 0, sizeof(*f));
	f->arena = nc_arena_create();
	f->b = (struct nc_back){ .arena = f->arena, .diag = &f->diag };
	assert_int_equal(cache_init(&f->c, &f->b, from, to), 0);
}

static uint32_t alloc(struct fixture *f, uint32_t bytes, uint32_t owner)
{
	struct slot *s = cache_alloc(&f->c, bytes);

	if (!s)
		return UINT32_MAX;
	s->owner = owner;
	return s->lo;
}

static void release(struct fixture *f, uint32_t owner)
{
	struct slot *s = cache_find(&f->c, owner);

	assert_non_null(s);
	cache_free(&f->c, (uint32_t)(s - f->c.slot));
}

/* Freed space is not taken again while there is other space ahead. */
static void test_rotation(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f, 0, 1024);
	assert_int_equal(alloc(&f, 256, 1), 0);
	release(&f, 1);
	assert_int_equal(alloc(&f, 200, 2), 256);
	release(&f, 2);
	assert_int_equal(alloc(&f, 512, 3), 512);
	assert_int_equal(alloc(&f, 256, 4), 0);
	assert_int_equal(alloc(&f, 512, 5), UINT32_MAX);
	assert_int_equal(alloc(&f, 1, 6), 256);
	assert_int_equal(f.c.top, 1024);
	nc_arena_destroy(f.arena);
}

/* Random use against a map of bytes: slots are in the memory and apart. */
static void test_allocator(void **state)
{
	static uint8_t used[4096];
	uint32_t owner[64], owners = 0, next = 1;
	struct fixture f;

	(void)state;
	setup(&f, 100, 4096);
	memset(used, 0, sizeof(used));
	srand(1);
	for (unsigned int round = 0; round < 20000; round++) {
		if (owners && (rand() % 2 || owners == 64)) {
			uint32_t i = (uint32_t)rand() % owners;
			struct slot *s = cache_find(&f.c, owner[i]);

			memset(used + s->lo, 0, s->hi - s->lo);
			release(&f, owner[i]);
			owner[i] = owner[--owners];
		} else {
			uint32_t bytes = 1 + (uint32_t)rand() % 700;
			uint32_t at = alloc(&f, bytes, next);

			if (at == UINT32_MAX)
				continue;
			assert_true(at >= 100 && at % 64 == 0 && at + bytes <= 4096);
			for (uint32_t i = at; i < at + bytes; i++)
				assert_false(used[i]);
			memset(used + at, 1, cache_find(&f.c, next)->hi - at);
			owner[owners++] = next++;
		}
	}
	nc_arena_destroy(f.arena);
}

/* ---- names ---- */

static struct nc_operand operand(uint32_t tensor, int64_t offset, uint32_t d2, int64_t s2,
				 int32_t p2, uint32_t d3, int64_t s3, int32_t p3)
{
	return (struct nc_operand){
		.tensor = tensor, .offset = offset,
		.dim = { 1, 1, d2, d3 }, .stride = { 0, 0, s2, s3 },
		.spm_stride = { 0, 0, p2, p3 },
	};
}

static void test_names(void **state)
{
	struct nc_operand rows = operand(1, 0, 4, 8, 8, 8, 1, 1);
	struct nc_operand flat = operand(1, 0, 1, 0, 0, 32, 1, 1);
	struct nc_operand swapped = operand(1, 0, 8, 1, 1, 4, 8, 8);
	struct nc_operand columns = operand(1, 0, 4, 8, 1, 8, 1, 4);
	struct nc_operand narrow = operand(1, 0, 4, 8, 7, 7, 1, 1);
	struct nc_operand other = operand(2, 0, 4, 8, 8, 8, 1, 1);
	struct nc_operand moved = operand(1, 1, 4, 8, 8, 8, 1, 1);
	struct box_table t = { 0 };
	struct fixture f;
	uint32_t name;

	(void)state;
	setup(&f, 0, 64);
	name = box_name(&t, &f.b, &rows);
	assert_int_equal(box_name(&t, &f.b, &flat), name);
	assert_int_equal(box_name(&t, &f.b, &swapped), name);
	assert_int_not_equal(box_name(&t, &f.b, &columns), name);
	assert_int_not_equal(box_name(&t, &f.b, &narrow), name);
	assert_int_not_equal(box_name(&t, &f.b, &other), name);
	assert_int_not_equal(box_name(&t, &f.b, &moved), name);
	/* The table grows and still knows. */
	for (uint32_t i = 0; i < 5000; i++) {
		moved.offset = i;
		box_name(&t, &f.b, &moved);
	}
	assert_int_equal(box_name(&t, &f.b, &rows), name);
	nc_arena_destroy(f.arena);
}

/* ---- compiled programs ---- */

struct traffic {
	unsigned int loads;
	unsigned int stores;
	uint64_t load_elems;
	uint64_t store_elems;
	uint64_t scratch_bytes;
	uint64_t const_bytes;
};

static struct traffic compile(const char *text, uint32_t spm_bytes)
{
	const struct npu_target target = {
		.array_rows = 8, .array_cols = 8, .spm_bytes = spm_bytes, .acc_bytes = 4096,
	};
	struct nc_arena *arena = nc_arena_create();
	struct nc_diag diag = { "" };
	struct kir *k = kir_parse(arena, text, &diag);
	struct npu_prog_view v;
	struct traffic t = { 0 };
	const char *error;
	size_t bytes;
	void *image;

	if (!k || nc_back(k, &target, NULL, NULL, &image, &bytes, &diag) ||
	    nc_verify_image(image, bytes, &diag))
		fail_msg("%s", diag.text);
	assert_int_equal(npu_prog_read(image, bytes, &v, &error), 0);
	for (uint32_t at = 0; at < v.cmd_bytes;) {
		const struct npu_desc_dma *d = (const void *)((const char *)v.cmds + at);
		uint64_t elems = npu_dims_elems(d->dim, 5);

		at += d->hdr.lines * NPU_LINE_BYTES;
		if (d->hdr.opcode == NPU_OP_LOAD) {
			t.loads++;
			t.load_elems += elems;
		} else if (d->hdr.opcode == NPU_OP_STORE) {
			t.stores++;
			t.store_elems += elems;
		}
	}
	t.scratch_bytes = v.header->scratch_bytes;
	t.const_bytes = v.const_bytes;
	free(image);
	nc_arena_destroy(arena);
	return t;
}

#define COPY(in, out) "copy n0 dim=[1000] in=" in "+0(1) out=" out "+0(1) value=0\n"
#define SQRT(in, out) "map n0 map=[1000] ld:" in "+0(1) st:" out "+0(1) { m0=LD o0; m0=FSQRT m0; ST o1,m0 }\n"
/* Reversal keeps maps from being fused. */
#define TURN(in, out) "map n0 map=[1000] ld:" in "+999(-1) st:" out "+0(1) { m0=LD o0; m0=FSQRT m0; ST o1,m0 }\n"
#define TENSORS \
	"kir \"place\"\nn0 \"n\" \"Op\"\nt0 input f32 \"x\" [1000]\nt1 output f32 \"y\" [1000]\n" \
	"t2 temp f32 \"\" 1000\nt3 temp f32 \"\" 1000\nt4 temp f32 \"\" 1000\nt5 temp f32 \"\" 1000\n"

/* Between operations that fit together, nothing goes to memory. */
static void test_resident_chain(void **state)
{
	struct traffic t = compile(TENSORS TURN("t0", "t2") TURN("t2", "t3") TURN("t3", "t4")
				   TURN("t4", "t5") TURN("t5", "t1"), 65536);

	(void)state;
	assert_int_equal(t.load_elems, 1000);
	assert_int_equal(t.store_elems, 1000);
	assert_int_equal(t.scratch_bytes, 0);
}

/* Without room to live in SPM they share memory: two at a time are alive. */
static void test_scratch_is_shared(void **state)
{
	struct traffic t = compile(TENSORS TURN("t0", "t2") TURN("t2", "t3") TURN("t3", "t4")
				   TURN("t4", "t5") TURN("t5", "t1"), 4096);

	(void)state;
	assert_int_equal(t.store_elems, 5000);
	assert_int_equal(t.scratch_bytes, 2 * 4032);
}

/* A tensor that nobody reads is computed, but not stored. */
static void test_dead_store(void **state)
{
	struct traffic t = compile(TENSORS COPY("t0", "t1") SQRT("t0", "t2"), 4096);

	(void)state;
	assert_int_equal(t.store_elems, 1000);
	assert_int_equal(t.scratch_bytes, 0);
}

/* Weights are loaded once, however many steps use them. */
static void test_weights_stay(void **state)
{
	static const char *const text =
		"kir \"steps\"\nn0 \"n\" \"Op\"\nt0 input f32 \"x\" [16,64]\nt1 const f32 \"w\" 4096 { rand 1 }\n"
		"t2 temp f32 \"\" 1024\nt3 temp f32 \"\" 1024\nt4 output f32 \"y\" [16,64]\nt5 temp f32 \"\" 1024\n"
		"map n0 map=[1024] ld:t0+0(1) st:t5+0(1) { m0=LD o0; m0=FABS m0; ST o1,m0 }\n"
		"matmul n0 dim=[1,1,16,64,64] groups=1 a=t5+0(0,0,64,1) b=t1+0(0,0,64,1) bias=none map=[1,1,16,64] acc:0 st:t2+0(0,0,64,1) { m0=LD o0; ST o1,m0 }\n"
		"matmul n0 dim=[1,1,16,64,64] groups=1 a=t2+0(0,0,64,1) b=t1+0(0,0,64,1) bias=none map=[1,1,16,64] acc:0 st:t3+0(0,0,64,1) { m0=LD o0; ST o1,m0 }\n"
		"matmul n0 dim=[1,1,16,64,64] groups=1 a=t3+0(0,0,64,1) b=t1+0(0,0,64,1) bias=none map=[1,1,16,64] acc:0 st:t4+0(0,0,64,1) { m0=LD o0; ST o1,m0 }\n";
	struct traffic t = compile(text, 65536);

	(void)state;
	assert_int_equal(t.load_elems, 16 * 64 + 64 * 64);
	assert_int_equal(t.store_elems, 16 * 64);
	assert_int_equal(t.const_bytes, 4096 * 4);
}

/* A box that was written is read again from the scratchpad, where it still is. */
static void test_written_box_is_cached(void **state)
{
	struct traffic t = compile(TENSORS "t6 output f32 \"z\" [1000]\n" COPY("t0", "t6")
				   "map n0 map=[1000] ld:t6+0(1) st:t1+0(1) { m0=LD o0; m0=FSQRT m0; ST o1,m0 }\n",
				   65536);

	(void)state;
	assert_int_equal(t.load_elems, 1000 + 1000);
	t = compile(TENSORS "t6 output f32 \"z\" [1000]\n" SQRT("t0", "t6") TURN("t6", "t1"),
		    65536);
	assert_int_equal(t.load_elems, 2000);
}

/* What is overwritten in place is not taken from an old copy. */
static void test_in_place(void **state)
{
	struct traffic t = compile(TENSORS
		"t6 output f32 \"z\" [1000]\n"
		"map n0 map=[1000] ld:t0+0(1) st:t6+0(1) { m0=LD o0; ST o1,m0 }\n"
		"reduce n0 dim=[1000] axes=0x1 rop=SUM in=t6+0(1) out=t2+0(0)\n"
		"map n0 map=[1000] ld:t6+0(1) ld:t2+0(0) st:t6+0(1) { m0=LD o0; m1=LD o1; m0=FDIV m0,m1; ST o2,m0 }\n"
		"map n0 map=[1000] ld:t6+999(-1) st:t1+0(1) { m0=LD o0; ST o1,m0 }\n", 65536);

	(void)state;
	assert_int_equal(t.store_elems, 3000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rotation),
		cmocka_unit_test(test_allocator),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_resident_chain),
		cmocka_unit_test(test_scratch_is_shared),
		cmocka_unit_test(test_dead_store),
		cmocka_unit_test(test_weights_stay),
		cmocka_unit_test(test_written_box_is_cached),
		cmocka_unit_test(test_in_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
