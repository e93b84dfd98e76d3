/* SPDX-License-Identifier: MIT */
/*
 * Inside the back half of the compiler: every type that two passes share, and
 * the passes, grouped under the files that define them. back.c lists them in
 * order; each says what it requires and what it establishes.
 */
#ifndef NPU_COMPILER_NC_H
#define NPU_COMPILER_NC_H

#include "back.h"
#include "npu_timing.h"

#define NC_LOOPS	4	/* loops of an operand of a descriptor */
#define NC_ALIGN_BYTES	64	/* of everything placed in SPM, ACC and memory */

/**
 * enum nc_pack - order of an operand's loops in SPM
 * @NC_PACK_MEMORY: as in memory, largest stride first: long DMA runs
 * @NC_PACK_INNER: likewise, but the last loop is innermost and contiguous
 * @NC_PACK_ROWS: loops in their own order, all contiguous
 */
enum nc_pack {
	NC_PACK_MEMORY,
	NC_PACK_INNER,
	NC_PACK_ROWS,
};

/* A descriptor of any kind, with room for the longest. */
union nc_desc {
	uint8_t bytes[NPU_DESC_BYTES_MAX];
	struct npu_desc_hdr hdr;
	struct npu_desc_dma dma;
	struct npu_desc_fill fill;
	struct npu_desc_gather gather;
	struct npu_desc_conv conv;
	struct npu_desc_wgrad wgrad;
	struct npu_desc_matmul matmul;
	struct npu_desc_map map;
	struct npu_desc_reduce reduce;
	struct npu_desc_pool pool;
	uint64_t align;
};

/**
 * struct nc_operand - what one descriptor reads or writes through one port
 * @tensor: kernel IR tensor, or KIR_NO_TENSOR: @buffer
 * @buffer: index into nc_back.buffer
 * @write: written, else read (accumulated ones are written)
 * @dtype: element type
 * @offset: element of the tensor, or of the buffer, at loop position 0
 * @dim: trip counts; 1 where the operand does not move
 * @stride: elements of the tensor per loop step
 * @spm_stride: elements of SPM (ACC) per loop step, set by nc_operand_*()
 * @spm_elems: elements that a packed copy takes; 0: used in place, at
 *	@offset of a resident tensor or of a buffer
 */
struct nc_operand {
	uint32_t tensor;
	uint32_t buffer;
	bool write;
	uint8_t dtype;
	int64_t offset;
	uint32_t dim[NC_LOOPS];
	int64_t stride[NC_LOOPS];
	int32_t spm_stride[NC_LOOPS];
	uint64_t spm_elems;
};

/* A piece of SPM or ACC that belongs to the tile operations between its uses. */
struct nc_buffer {
	uint8_t space;
	uint8_t dtype;
	uint32_t bytes;
	uint32_t first_tile;
	uint32_t last_tile;
};

/* Operands of GATHER and SCATTER */
enum {
	NC_GATHER_INDEX,
	NC_GATHER_DATA,
	NC_GATHER_TABLE,
	NC_GATHER_OPERANDS,
};

/* Not an instruction: DMA in, then DMA out of the same place. */
#define NC_COPY		0xff

/**
 * struct nc_tile - one descriptor of TE or VE (or FILL, COPY) with its data
 * @opcode: enum npu_opcode, or NC_COPY
 * @flags: NPU_F_*
 * @node: graph node
 * @dim: loop nest of MATMUL, MAP, REDUCE, FILL, COPY
 * @shape: loop nest of CONV, WGRAD, POOL, UNPOOL
 * @map: MAP: the program
 * @iota_base: MAP: number of the tile's first element
 * @rop: REDUCE
 * @axes: REDUCE
 * @index_row: POOL, UNPOOL with positions: columns of the whole plane
 * @index_base: likewise: position of the tile's first element
 * @value: FILL
 * @gather: GATHER, SCATTER
 * @first_row: GATHER, SCATTER: elements from the table's start to the tile's
 * @operands: number of operands
 * @operand: CONV: in, weights, acc, bias; WGRAD: in, dy, acc; MATMUL: a, b,
 *	acc, bias; MAP: as in the program; REDUCE, COPY: in, out; POOL,
 *	UNPOOL: in, out, index if there is one; FILL: out; GATHER, SCATTER: index, data, table
 */
struct nc_tile {
	uint8_t opcode;
	uint16_t flags;
	uint32_t node;
	union {
		uint32_t dim[5];
		struct npu_conv_shape shape;
	};
	union {
		struct {
			const struct kir_map *map;
			uint32_t iota_base;
		};
		struct {
			uint8_t rop;
			uint8_t axes;
		};
		struct {
			int32_t index_row;
			int32_t index_base;
		};
		uint32_t value;
		struct {
			const struct kir_gather *gather;
			int64_t first_row;
		};
	};
	uint32_t operands;
	struct nc_operand operand[];
};

/**
 * struct nc_home - where a tensor lives
 * @reg: base register
 * @offset_bytes: from the register
 * @in_memory: it has memory at all
 * @in_consts: its data is written to the file at @offset_bytes
 * @resident: it lives in SPM as a whole, at @spm_bytes
 * @spm_bytes: address of element 0
 */
struct nc_home {
	uint8_t reg;
	bool in_memory;
	bool in_consts;
	bool resident;
	uint32_t spm_bytes;
	uint64_t offset_bytes;
};

/**
 * struct nc_code - descriptors, one after the other
 * @data: lines of 64 bytes
 * @bytes: in use
 * @room_bytes: allocated
 * @start: offset of each descriptor in lines
 * @count: descriptors
 * @room: allocated entries of @start
 */
struct nc_code {
	uint8_t *data;
	size_t bytes;
	size_t room_bytes;
	uint32_t *start;
	uint32_t count;
	uint32_t room;
};

/**
 * struct nc_back - one compilation
 * @arena: of everything
 * @diag: first error
 * @k: kernel IR, changed by fuse, slice and pack, extended by tile
 * @target: defaults filled in
 * @timing: its cost model
 * @limits: what descriptors are checked against
 * @cache_from: SPM from this byte on is for tiles (set by plan)
 * @home: per tensor (plan: SPM; place: memory)
 * @homes: entries in @home
 * @tile: tile operations in execution order
 * @tiles: their number
 * @tile_room: allocated
 * @buffer: their buffers
 * @buffers: their number
 * @buffer_room: allocated
 * @scratch_bytes: memory for TEMP tensors
 * @consts_bytes: memory for CONST tensors
 * @spm_bytes: SPM in use
 * @acc_bytes: ACC in use
 * @code: the stream
 */
struct nc_back {
	struct nc_arena *arena;
	struct nc_diag *diag;
	struct kir *k;
	struct npu_target target;
	struct npu_timing timing;
	struct npu_limits limits;
	uint32_t cache_from;
	struct nc_home *home;
	uint32_t homes;
	struct nc_tile **tile;
	uint32_t tiles;
	uint32_t tile_room;
	struct nc_buffer *buffer;
	uint32_t buffers;
	uint32_t buffer_room;
	uint64_t scratch_bytes;
	uint64_t consts_bytes;
	uint64_t spm_bytes;
	uint64_t acc_bytes;
	struct nc_code code;
};

/* Descriptor @i of the stream. */
static inline struct npu_desc_hdr *nc_code_at(const struct nc_code *c, uint32_t i)
{
	return (struct npu_desc_hdr *)(void *)(c->data + (size_t)c->start[i] * NPU_LINE_BYTES);
}

/* Tensors that tiling adds have no home yet: they are not resident. */
static inline bool nc_resident(const struct nc_back *b, uint32_t tensor)
{
	return tensor < b->homes && b->home[tensor].resident;
}

/* nc.c */
/* Target, timing and limits; what @given leaves 0 is the default device's. */
int nc_target_set(struct nc_back *b, const struct npu_target *given);
/* Most SPM that resident tensors should take. */
uint32_t nc_resident_limit(const struct nc_back *b);
/* "-ENOMEM and a message", for every allocation of the passes. */
int nc_no_memory(struct nc_back *b);
/* A message that names the graph node of an operation. */
int nc_op_error(struct nc_back *b, uint32_t node, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* opt/fuse.c */
int nc_fuse(struct nc_back *b);

/* opt/slice.c */
int nc_slice(struct nc_back *b);

/* opt/pack.c */
int nc_pack(struct nc_back *b);

/* place/plan.c */
int nc_plan(struct nc_back *b, uint32_t limit_bytes);
int nc_plan_dump(const struct nc_back *b, FILE *out);

/* tile/tile.c */
int nc_tile(struct nc_back *b);
int nc_tile_dump(const struct nc_back *b, FILE *out);
/* A zeroed tile operation at the end of the list, or NULL with a message. */
struct nc_tile *nc_add_tile(struct nc_back *b, unsigned int opcode, uint32_t node,
			    unsigned int operands);
/* A new buffer, or UINT32_MAX with a message. */
uint32_t nc_add_buffer(struct nc_back *b, uint8_t space, uint8_t dtype, uint64_t elems);

/* tile/operand.c */
/* Operand of a kernel IR view: loops @dim, @view moved to loop position @at (may be NULL). */
void nc_operand_view(struct nc_back *b, struct nc_operand *o, const struct kir_view *view,
		     const int64_t at[NC_LOOPS], const uint32_t dim[NC_LOOPS], enum nc_pack pack);
/* Operand in a buffer, row-major strides over @dim unless @spm_stride is given. */
void nc_operand_buffer(struct nc_back *b, struct nc_operand *o, uint32_t buffer, int64_t offset,
		       const uint32_t dim[NC_LOOPS], const int32_t spm_stride[NC_LOOPS]);
/* Bytes that the operand takes in the cache. */
uint64_t nc_operand_bytes(const struct nc_operand *o);

/* emit/desc.c */
/* The descriptor of @t with operand i at byte address @addr[i]; its size. */
size_t nc_desc_build(const struct nc_back *b, const struct nc_tile *t, const uint32_t *addr,
		     union nc_desc *desc);
/* LOAD or STORE of @o at SPM address @addr, its memory relative to the tensor. */
size_t nc_desc_dma(const struct nc_back *b, const struct nc_operand *o, unsigned int opcode,
		   uint32_t node, uint32_t addr, union nc_desc *desc);

/* tile/search.c */
#define NC_SEARCH_DIMS	8

/**
 * struct nc_cost - how good a tiling is
 * @pressure: largest share of SPM or ACC in use, in 1/1024; legal up to 1024
 * @cycles: modelled time of the operation
 */
struct nc_cost {
	uint64_t pressure;
	uint64_t cycles;
};

/**
 * struct nc_search - a space of tile sizes
 * @dims: number of dimensions
 * @full: whole trip counts
 * @granule: tiles are multiples of it, or whole
 * @tile: result
 * @cost: model; must fall in pressure as tiles get smaller
 * @arg: for @cost
 */
struct nc_search {
	unsigned int dims;
	uint32_t full[NC_SEARCH_DIMS];
	uint32_t granule[NC_SEARCH_DIMS];
	uint32_t tile[NC_SEARCH_DIMS];
	struct nc_cost (*cost)(const void *arg, const uint32_t *tile);
	const void *arg;
};

/* False when no tile size is legal. */
bool nc_search(struct nc_search *s);

/* tile/cost.c */
/**
 * struct nc_model - modelled time of one operation, summed per engine
 * @te: cycles of TE
 * @ve: of VE
 * @di: of DI, latencies included
 * @dout: of DO, latencies included
 * @mem: data phases of both, which share the memory
 * @tiles: number of steps that follow each other through the engines
 * @bytes: of the cache that a step needs
 * @acc_bytes: of ACC that a step needs
 */
struct nc_model {
	uint64_t te;
	uint64_t ve;
	uint64_t di;
	uint64_t dout;
	uint64_t mem;
	uint64_t tiles;
	uint64_t bytes;
	uint64_t acc_bytes;
};

/* SPM that tiles can use. */
static inline uint32_t nc_cache_bytes(const struct nc_back *b)
{
	return b->limits.spm_bytes - b->cache_from;
}

/* @o is loaded (stored, if written) @times times; adds its bytes to the step. */
void nc_model_dma(const struct nc_back *b, struct nc_model *m, const struct nc_operand *o,
		  uint64_t times);
struct nc_cost nc_model_cost(const struct nc_back *b, const struct nc_model *m);

/**
 * struct nc_nest - loops around the tiles of an operation
 * @dims: number of loops, outermost first
 * @full: trip counts
 * @tile: tile sizes
 * @at: first element of the current tile
 * @size: size of the current tile
 */
struct nc_nest {
	unsigned int dims;
	uint32_t full[NC_SEARCH_DIMS];
	uint32_t tile[NC_SEARCH_DIMS];
	uint32_t at[NC_SEARCH_DIMS];
	uint32_t size[NC_SEARCH_DIMS];
};

/* Loop i is over dimension @order[i] of @full and @tile; @dims of them. */
void nc_nest_order(struct nc_nest *n, unsigned int dims, const uint8_t *order,
		   const uint32_t *full, const uint32_t *tile);
/* The loops over the dimensions in @bits, as bits. */
unsigned int nc_nest_loops(unsigned int dims, const uint8_t *order, unsigned int bits);
/* The current tile by dimension. */
void nc_nest_piece(const struct nc_nest *n, const uint8_t *order, uint32_t *at, uint32_t *size);
void nc_nest_first(struct nc_nest *n);
/* False after the last tile. */
bool nc_nest_next(struct nc_nest *n);
uint64_t nc_nest_tiles(const struct nc_nest *n);
/*
 * How often pieces of an operand that depends on the loops in @depends (bits)
 * are fetched: once each, if all its @elems fit a quarter of the cache; else
 * again whenever one of those loops moves.
 */
uint64_t nc_nest_fetches(const struct nc_back *b, const struct nc_nest *n, unsigned int depends,
			 uint64_t elems);

/* tile/window.c */
/* One spatial axis of a window; terms as in struct npu_conv_shape. */
struct nc_axis {
	uint32_t in;
	uint32_t stride;
	uint32_t dil;
	uint32_t up;
	int32_t pad;
};

/**
 * struct nc_axis_tile - what a tile sees of an axis
 * @first: first input row
 * @count: input rows, at least 1 (none of them may be touched)
 * @pad: padding of the tile
 */
struct nc_axis_tile {
	uint32_t first;
	uint32_t count;
	int64_t pad;
};

struct nc_axis nc_window_rows(const struct kir_window *w);
struct nc_axis nc_window_columns(const struct kir_window *w);
/* Outputs @out_at .. + @outs seen through taps @tap_at .. + @taps. */
struct nc_axis_tile nc_axis_tile(const struct nc_axis *a, uint32_t out_at, uint32_t outs,
				 uint32_t tap_at, uint32_t taps);
/* Most input rows that a tile of @outs outputs and @taps taps sees. */
uint32_t nc_axis_rows(const struct nc_axis *a, uint32_t outs, uint32_t taps);
/* Fields that no tiling makes smaller fit a descriptor. */
int nc_window_check(struct nc_back *b, uint32_t node, const struct kir_window *w);
/* The spatial fields of @s. */
int nc_window_shape(struct nc_back *b, uint32_t node, const struct kir_window *w,
		    const struct nc_axis_tile *rows, const struct nc_axis_tile *columns,
		    struct npu_conv_shape *s);

/* tile/tile_map.c */
/**
 * struct nc_acc - accumulators that an epilogue reads
 * @buffer: the buffer
 * @offset: element at loop position 0
 * @stride: per loop of the epilogue
 * @group: elements between accumulator groups
 */
struct nc_acc {
	uint32_t buffer;
	int64_t offset;
	int32_t stride[NC_LOOPS];
	int32_t group;
};

/* The same nest with as few dimensions as the views allow, four at least; IOTA stays. */
void nc_map_collapse(struct kir_map *m);
/* The last four dimensions of a collapsed map. */
struct kir_map nc_map_inner(const struct kir_map *m);
int nc_tile_map(struct nc_back *b, const struct kir_op *op);
/* MAP over a tile of a 4-D @map; @acc may be NULL. */
int nc_add_map(struct nc_back *b, uint32_t node, const struct kir_map *map,
	       const int64_t at[NC_LOOPS], const uint32_t dim[NC_LOOPS],
	       const struct nc_acc *acc, uint32_t iota_base);
/* Descriptor of the tile that is all of @map, for its cost; -errno. */
int nc_map_template(struct nc_back *b, const struct kir_map *map, union nc_desc *desc);
/* Add VE and DMA of an epilogue over tiles of @dim, @times times. */
void nc_model_map(struct nc_back *b, struct nc_model *m, const struct kir_map *map,
		  union nc_desc *desc, const uint32_t dim[NC_LOOPS], uint64_t times);

/* tile_matmul.c, tile_conv.c, tile_wgrad.c, tile_pool.c, tile_reduce.c, tile_copy.c, tile_gather.c */
int nc_tile_matmul(struct nc_back *b, const struct kir_op *op);
int nc_tile_conv(struct nc_back *b, const struct kir_op *op);
int nc_tile_wgrad(struct nc_back *b, const struct kir_op *op);
int nc_tile_pool(struct nc_back *b, const struct kir_op *op);
int nc_tile_unpool(struct nc_back *b, const struct kir_op *op);
int nc_tile_reduce(struct nc_back *b, const struct kir_op *op);
int nc_tile_copy(struct nc_back *b, const struct kir_op *op);
int nc_tile_gather(struct nc_back *b, const struct kir_op *op);

/* place/place.c */
int nc_place(struct nc_back *b);

/* emit/order.c */
int nc_order(struct nc_back *b);

/* emit/code.c */
void *nc_code_add(struct nc_back *b, const void *desc, size_t bytes);
int nc_code_dump(const struct nc_back *b, FILE *out);

/* emit/emit.c */
int nc_emit(struct nc_back *b, void **image, size_t *image_bytes);

#endif
