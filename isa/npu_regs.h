/* SPDX-License-Identifier: MIT */
/*
 * The register-level contract of the NPU: PCI identity, BARs, registers,
 * queue rings, page tables, fault codes. docs/hardware.md sections 2 to 6
 * describe behaviour; numbers live here and nowhere else.
 *
 * Everything in memory is little-endian. Included by the driver, the device
 * core, the QEMU glue and the library's in-process device; includes nothing
 * but fixed-width integers.
 */
#ifndef NPU_REGS_H
#define NPU_REGS_H

#ifdef __KERNEL__
#include <linux/types.h>
typedef __le32 npu_le32;
typedef __le64 npu_le64;
#else
#include <stdint.h>
typedef uint32_t npu_le32;
typedef uint64_t npu_le64;
#endif

/* ---- PCI (HW 2.1) ---- */
#define NPU_PCI_VENDOR_ID		0x1234
#define NPU_PCI_DEVICE_ID		0x4e50
#define NPU_PCI_CLASS			0x1200	/* processing accelerator */
#define NPU_PCI_BAR_REGS		0	/* registers and doorbells */
#define NPU_PCI_BAR_MSIX		4

#define NPU_BAR_REGS_BYTES		0x80000
#define NPU_DOORBELL_BASE		0x40000	/* + queue * page */
#define NPU_DOORBELL_PAGE_BYTES		0x1000
#define NPU_DOORBELL_TAIL		0x0	/* WO u32, the only register of a page */

#define NPU_QUEUES			64
#define NPU_CONTEXTS			64
#define NPU_VECTORS			17	/* 0: device events, 1..16: queues */
#define NPU_PRIORITIES			4

/* ---- Identity and capabilities, read-only (HW 2.3) ---- */
#define NPU_REG_ID			0x000
#define NPU_ID_VALUE			0x3055504e	/* "NPU0" */
#define NPU_REG_VERSION			0x004	/* [31:16] major [15:0] minor */
#define NPU_VERSION_MAJOR		0
#define NPU_VERSION_MINOR		4
#define NPU_REG_CAPS			0x008	/* u64, NPU_CAP_* */
#define NPU_REG_ARRAY			0x010	/* [15:0] rows [31:16] columns */
#define NPU_REG_SPM_BYTES		0x014
#define NPU_REG_ACC_BYTES		0x018
#define NPU_REG_LIMITS			0x01c	/* [7:0] queues [15:8] contexts [23:16] vectors */
#define NPU_REG_CLOCK_KHZ		0x020
#define NPU_REG_DMA_BW			0x024	/* bytes per 1000 cycles */
#define NPU_REG_DMA_LATENCY		0x028	/* [15:0] cycles [31:16] bursts in flight */
#define NPU_REG_VE_BW			0x02c	/* bytes per cycle */

/* A capability bit is set only when the feature works and has tests. */
#define NPU_CAP_FP32			(1ull << 0)	/* CONV, MATMUL, MAP, REDUCE, POOL in fp32 */
#define NPU_CAP_INT8			(1ull << 1)	/* CONV, MATMUL on int8; I8/U8 operands */
#define NPU_CAP_BF16			(1ull << 2)	/* bf16 operands */
#define NPU_CAP_CAST			(1ull << 3)	/* LOAD/STORE between element types */
#define NPU_CAP_WGRAD			(1ull << 4)
#define NPU_CAP_UNPOOL			(1ull << 5)	/* UNPOOL and POOL's index output */
#define NPU_CAP_GATHER			(1ull << 6)	/* GATHER, SCATTER */
#define NPU_CAP_SCATTER_ADD		(1ull << 7)
#define NPU_CAP_RNG			(1ull << 8)	/* micro-op RNG */
#define NPU_CAP_TRACE			(1ull << 9)	/* per-descriptor trace records */
#define NPU_CAP_STRICT			(1ull << 10)	/* DATA_RACE and UNINIT_READ are reported */
#define NPU_CAP_SLICE			(1ull << 11)	/* time slices inside a job */
#define NPU_CAP_TRAP			(1ull << 12)	/* integer overflow can fault */

/* ---- Device control (HW 2.4) ---- */
#define NPU_REG_CONTROL			0x040
#define NPU_CONTROL_RESET		(1u << 0)	/* W1, reads 0 */
#define NPU_CONTROL_RUN			(1u << 1)	/* queues are served while set */
#define NPU_CONTROL_MASK		(NPU_CONTROL_RESET | NPU_CONTROL_RUN)
#define NPU_REG_STATUS			0x044
#define NPU_STATUS_READY		(1u << 0)	/* 0 while a reset is under way */
#define NPU_STATUS_BUSY			(1u << 1)	/* a job is running */
#define NPU_REG_CTX_TABLE		0x048	/* u64 bus address, 4 KiB aligned */

/* ---- TLB invalidation (HW 5.3) ---- */
#define NPU_REG_TLB_INV_VA		0x050	/* u64, page aligned */
#define NPU_REG_TLB_INV_PAGES		0x058	/* 4 KiB pages; 0: the whole context */
#define NPU_REG_TLB_INV			0x05c	/* WO trigger: context number or _ALL */
#define NPU_TLB_INV_ALL			0xffffffffu
#define NPU_REG_TLB_INV_SEQ		0x060	/* RO u32, requests accepted */
#define NPU_REG_TLB_ACK_SEQ		0x064	/* RO u32, requests acknowledged */

/* ---- Interrupts (HW 2.5) ---- */
#define NPU_REG_IRQ_STATUS		0x070	/* W1C, NPU_IRQ_* */
#define NPU_REG_IRQ_ENABLE		0x074
#define NPU_IRQ_FAULT			(1u << 0)	/* see FAULT_QUEUES */
#define NPU_IRQ_TLB_ACK			(1u << 1)
#define NPU_IRQ_STOPPED			(1u << 2)	/* a queue stop has finished */
#define NPU_IRQ_RESET_DONE		(1u << 3)
#define NPU_IRQ_ERROR			(1u << 4)	/* doorbell or register misuse, see HW 2.5 */
#define NPU_IRQ_MASK			0x1fu
#define NPU_REG_DONE_QUEUES		0x078	/* u64 W1C: queues with new completions */
#define NPU_REG_FAULT_QUEUES		0x080	/* u64 W1C: queues with a new fault record */

/* ---- Counters since reset, RO u64 (HW 2.6) ---- */
#define NPU_REG_COUNT_JOBS		0x100
#define NPU_REG_COUNT_DESCRIPTORS	0x108
#define NPU_REG_COUNT_MACS		0x110
#define NPU_REG_COUNT_READ_BYTES	0x118
#define NPU_REG_COUNT_WRITE_BYTES	0x120
#define NPU_REG_COUNT_CYCLES		0x128
#define NPU_REG_COUNT_FAULTS		0x130
#define NPU_REG_TIME_NS			0x138	/* device clock, monotonic over resets */

/* ---- Queues (HW 3) ---- */
#define NPU_QUEUE_BASE			0x1000	/* + queue * stride */
#define NPU_QUEUE_STRIDE		0x80
#define NPU_QUEUE_CTRL			0x00
#define NPU_QUEUE_CTRL_ENABLE		(1u << 0)
#define NPU_QUEUE_CTRL_STOP		(1u << 1)	/* W1, reads 0 */
#define NPU_QUEUE_CTRL_MASK		0x3u
#define NPU_QUEUE_CONFIG		0x04	/* writable while disabled */
#define NPU_QUEUE_CONFIG_CTX_MASK	0x000000ffu
#define NPU_QUEUE_CONFIG_PRIO_SHIFT	8
#define NPU_QUEUE_CONFIG_PRIO_MASK	0x00000300u	/* 0 low, 1 normal, 2 high, 3 realtime */
#define NPU_QUEUE_CONFIG_VECTOR_SHIFT	16
#define NPU_QUEUE_CONFIG_VECTOR_MASK	0x001f0000u
#define NPU_QUEUE_CONFIG_MASK		0x001f03ffu
#define NPU_QUEUE_RING			0x08	/* u64 bus address, 4 KiB aligned; while disabled */
#define NPU_QUEUE_RING_LOG2		0x10	/* log2(entries), 1..12; while disabled */
#define NPU_QUEUE_RING_LOG2_MAX		12
#define NPU_QUEUE_HEAD			0x14	/* RO, free-running count of entries taken */
#define NPU_QUEUE_TAIL			0x18	/* RO, last accepted doorbell value */
#define NPU_QUEUE_STATE			0x1c	/* RO, enum npu_queue_state */
#define NPU_QUEUE_RUN_NS		0x20	/* RO u64, time spent RUNNING */
#define NPU_QUEUE_PROGRESS		0x28	/* RO u64, descriptors retired */
#define NPU_QUEUE_CYCLES		0x30	/* RO u64, modelled cycles */
/* Fault record, RO, valid in state FAULTED (HW 6) */
#define NPU_QUEUE_FAULT_INFO		0x40	/* NPU_FAULT_INFO_* */
#define NPU_FAULT_INFO_CODE_MASK	0x000000ffu
#define NPU_FAULT_INFO_ENGINE_SHIFT	8
#define NPU_FAULT_INFO_ENGINE_MASK	0x00000f00u
#define NPU_FAULT_INFO_WRITE		(1u << 12)
#define NPU_FAULT_INFO_OPCODE_SHIFT	16
#define NPU_FAULT_INFO_OPCODE_MASK	0x00ff0000u
#define NPU_FAULT_INFO_CTX_SHIFT	24
#define NPU_FAULT_INFO_CTX_MASK		0xff000000u
#define NPU_QUEUE_FAULT_TAG		0x44	/* tag of the descriptor */
#define NPU_QUEUE_FAULT_VA		0x48	/* u64 address that faulted; INDEX: limit */
#define NPU_QUEUE_FAULT_DESC_VA		0x50	/* u64 address of the descriptor */
#define NPU_QUEUE_FAULT_SEQNO		0x58	/* u64 seqno of the job */
#define NPU_QUEUE_FAULT_CYCLE		0x60	/* u64 cycle within the job */
#define NPU_QUEUE_FAULT_AUX		0x68	/* u32, code-specific: HW 6 */

enum npu_queue_state {
	NPU_QUEUE_STATE_DISABLED = 0,	/* -> IDLE by ENABLE */
	NPU_QUEUE_STATE_IDLE = 1,	/* ring empty; -> RUNNABLE, STOPPED, DISABLED */
	NPU_QUEUE_STATE_RUNNABLE = 2,	/* jobs wait for their turn; -> RUNNING, STOPPED */
	NPU_QUEUE_STATE_RUNNING = 3,	/* -> IDLE, RUNNABLE, STOPPING, FAULTED */
	NPU_QUEUE_STATE_STOPPING = 4,	/* -> STOPPED, FAULTED never */
	NPU_QUEUE_STATE_STOPPED = 5,	/* -> DISABLED by clearing ENABLE */
	NPU_QUEUE_STATE_FAULTED = 6,	/* -> DISABLED by clearing ENABLE */
};

/**
 * struct npu_job_entry - one slot of a queue ring (HW 3.2)
 * @cmd_va: command buffer, context address, 64-byte aligned
 * @cmd_bytes: its size, a multiple of 64, 64 .. NPU_CMD_BYTES_MAX
 * @flags: must be 0
 * @bind_va: binding table (u64 per register), context address, 8-byte aligned
 * @bind_count: registers loaded from it, 0 .. NPU_REGS; the others start as 0
 * @rsvd0: must be 0
 * @done_addr: bus address of the completion record, 64-byte aligned; 0: none
 * @seqno: echoed in the completion and fault records
 * @rsvd1: must be 0
 */
struct npu_job_entry {
	npu_le64 cmd_va;
	npu_le32 cmd_bytes;
	npu_le32 flags;
	npu_le64 bind_va;
	npu_le32 bind_count;
	npu_le32 rsvd0;
	npu_le64 done_addr;
	npu_le64 seqno;
	npu_le64 rsvd1[2];
};

/**
 * struct npu_job_done - completion record (HW 3.4)
 * @status: enum npu_fault_code, 0 is success
 * @descriptors: descriptors retired
 * @start_ns: device clock when the job left the ring
 * @end_ns: device clock when all its engines had drained
 * @cycles: modelled cycles
 * @macs: multiply-accumulates done
 * @read_bytes: bytes read from memory by LOAD and GATHER
 * @write_bytes: bytes written by STORE and SCATTER
 * @seqno: written last, after everything else is visible
 */
struct npu_job_done {
	npu_le32 status;
	npu_le32 descriptors;
	npu_le64 start_ns;
	npu_le64 end_ns;
	npu_le64 cycles;
	npu_le64 macs;
	npu_le64 read_bytes;
	npu_le64 write_bytes;
	npu_le64 seqno;
};

/* ---- Contexts and page tables (HW 5) ---- */
/* Context table: NPU_CONTEXTS entries of 16 bytes: {root, reserved 0}. */
#define NPU_CTX_ENTRY_BYTES		16
#define NPU_CTX_VALID			(1ull << 0)
#define NPU_CTX_ROOT_MASK		0x000ffffffffff000ull

#define NPU_VA_BITS			48
#define NPU_PAGE_SHIFT			12
#define NPU_PAGE_BYTES			(1u << NPU_PAGE_SHIFT)
#define NPU_LARGE_PAGE_SHIFT		21
#define NPU_LARGE_PAGE_BYTES		(1u << NPU_LARGE_PAGE_SHIFT)
#define NPU_PT_LEVELS			4	/* level 3 is the root, level 0 holds 4 KiB pages */
#define NPU_PT_ENTRIES			512
#define NPU_PT_INDEX_BITS		9
#define NPU_PTE_VALID			(1ull << 0)
#define NPU_PTE_LEAF			(1ull << 1)	/* levels 0 (always) and 1 (2 MiB) */
#define NPU_PTE_READ			(1ull << 2)	/* leaves only */
#define NPU_PTE_WRITE			(1ull << 3)	/* leaves only */
#define NPU_PTE_ADDR_MASK		0x000ffffffffff000ull
#define NPU_PTE_RSVD_MASK		(~(NPU_PTE_ADDR_MASK | 0xfull))

/* ---- Faults (HW 6) ---- */
enum npu_fault_code {
	NPU_FAULT_NONE = 0,
	NPU_FAULT_JOB = 1,		/* ring entry malformed */
	NPU_FAULT_CONTEXT = 2,		/* context entry not valid */
	NPU_FAULT_CMD_END = 3,		/* stream ends without END, or truncated descriptor */
	NPU_FAULT_OPCODE = 4,		/* unknown opcode or micro-op */
	NPU_FAULT_UNSUPPORTED = 5,	/* its capability bit is 0 */
	NPU_FAULT_RESERVED = 6,		/* reserved field or flag not 0 */
	NPU_FAULT_OPERAND = 7,		/* shape, type, register or count out of range */
	NPU_FAULT_SPM_BOUNDS = 8,
	NPU_FAULT_ACC_BOUNDS = 9,
	NPU_FAULT_ALIGN = 10,		/* address not a multiple of the element size */
	NPU_FAULT_SEMAPHORE = 11,	/* overflow, or a second producer or consumer engine */
	NPU_FAULT_LOOP = 12,		/* nesting, or ENDL without LOOP */
	NPU_FAULT_MMU_UNMAPPED = 13,
	NPU_FAULT_MMU_PERM = 14,
	NPU_FAULT_MMU_PTE = 15,		/* reserved bits or a leaf at a wrong level */
	NPU_FAULT_BUS = 16,		/* the bus refused: not RAM, or bus mastering off */
	NPU_FAULT_CAST = 17,		/* a value does not fit the target type */
	NPU_FAULT_WATCHDOG = 18,	/* the device's own limit on running time */
	NPU_FAULT_DATA_RACE = 19,	/* strict mode */
	NPU_FAULT_UNINIT_READ = 20,	/* strict mode */
	NPU_FAULT_INDEX = 21,		/* an index outside of its limit */
	NPU_FAULT_OVERFLOW = 22,	/* 32 bits cannot hold a result that must be exact */
	NPU_FAULT_CODES = 23,
};

enum npu_engine {
	NPU_ENGINE_CP = 0,	/* command processor */
	NPU_ENGINE_DI = 1,	/* DMA in */
	NPU_ENGINE_TE = 2,	/* tensor engine */
	NPU_ENGINE_VE = 3,	/* vector engine */
	NPU_ENGINE_DO = 4,	/* DMA out */
	NPU_ENGINES = 5,
};

#define NPU_REGS			32	/* CP registers, 64 bits each */
#define NPU_CMD_BYTES_MAX		(1u << 30)

#endif
