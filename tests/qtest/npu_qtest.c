// SPDX-License-Identifier: MIT
/*
 * Register-level tests of the NPU in QEMU: no guest runs, the test is the
 * processor. Prints TAP with --tap. What is checked is what docs/hardware.md
 * promises; section numbers below are its.
 */

#include "qemu/osdep.h"
#include "libqtest.h"
#include "libqos/pci.h"
#include "libqos/pci-pc.h"
#include "qobject/qdict.h"
#include "hw/pci/pci_regs.h"
#include "npu_isa.h"

/* Guest RAM used by the tests; context address = offset from RAM_BASE. */
#define RAM_BASE	0x1000000ull
#define CTX_TABLE	(RAM_BASE + 0x0000)
#define PT_ROOT		(RAM_BASE + 0x1000)	/* levels 3, 2, 1, 0, one page each */
#define RING		(RAM_BASE + 0x6000)
#define DONE		(RAM_BASE + 0x7000)
#define CMD_VA		0x10000ull
#define BIND_VA		0x20000ull
#define DATA_VA		0x40000ull
#define CONTEXT		5
#define VECTOR		3
#define WAIT_MS		10000

struct fixture {
	QTestState *qts;
	QPCIBus *bus;
	QPCIDevice *dev;
	QPCIBar regs;
	unsigned int slot;	/* of the ring, next */
	uint8_t cmds[4096];
	size_t cmd_bytes;
};

static uint32_t rd(struct fixture *f, uint64_t offset)
{
	return qpci_io_readl(f->dev, f->regs, offset);
}

static uint64_t rd64(struct fixture *f, uint64_t offset)
{
	return qpci_io_readq(f->dev, f->regs, offset);
}

static void wr(struct fixture *f, uint64_t offset, uint32_t value)
{
	qpci_io_writel(f->dev, f->regs, offset, value);
}

static void wr64(struct fixture *f, uint64_t offset, uint64_t value)
{
	qpci_io_writeq(f->dev, f->regs, offset, value);
}

static uint64_t queue_reg(unsigned int queue, uint64_t reg)
{
	return NPU_QUEUE_BASE + queue * NPU_QUEUE_STRIDE + reg;
}

static void wait_reg(struct fixture *f, uint64_t offset, uint32_t mask, uint32_t want)
{
	for (int i = 0; i < WAIT_MS; i++) {
		if ((rd(f, offset) & mask) == want)
			return;
		g_usleep(1000);
	}
	g_assert_cmphex(rd(f, offset) & mask, ==, want);
}

static void setup(struct fixture *f, const char *args)
{
	memset(f, 0, sizeof(*f));
	f->qts = qtest_initf("-M q35 -m 64 -nodefaults -device npu,addr=05.0%s", args);
	f->bus = qpci_new_pc(f->qts, NULL);
	f->dev = qpci_device_find(f->bus, QPCI_DEVFN(5, 0));
	g_assert(f->dev);
	qpci_device_enable(f->dev);
	f->regs = qpci_iomap(f->dev, NPU_PCI_BAR_REGS, NULL);
	qpci_msix_enable(f->dev);
}

static void teardown(struct fixture *f)
{
	qpci_msix_disable(f->dev);
	g_free(f->dev);
	qpci_free_pc(f->bus);
	qtest_quit(f->qts);
}

/* Map the first 2 MiB of context addresses to RAM_BASE, 4 KiB pages. */
static void map_ram(struct fixture *f)
{
	for (unsigned int level = 0; level < 3; level++)
		qtest_writeq(f->qts, PT_ROOT + level * 0x1000,
			     (PT_ROOT + (level + 1) * 0x1000) | NPU_PTE_VALID);
	for (unsigned int i = 0; i < NPU_PT_ENTRIES; i++)
		qtest_writeq(f->qts, PT_ROOT + 0x3000 + i * 8,
			     (RAM_BASE + i * 0x1000) | NPU_PTE_VALID | NPU_PTE_LEAF |
			     NPU_PTE_READ | NPU_PTE_WRITE);
	qtest_writeq(f->qts, CTX_TABLE + CONTEXT * NPU_CTX_ENTRY_BYTES, PT_ROOT | NPU_CTX_VALID);
	qtest_writeq(f->qts, CTX_TABLE + CONTEXT * NPU_CTX_ENTRY_BYTES + 8, 0);
}

static void start_queue(struct fixture *f, unsigned int queue)
{
	map_ram(f);
	wr64(f, NPU_REG_CTX_TABLE, CTX_TABLE);
	wr(f, NPU_REG_IRQ_ENABLE, NPU_IRQ_MASK);
	wr(f, NPU_REG_CONTROL, NPU_CONTROL_RUN);
	wr64(f, queue_reg(queue, NPU_QUEUE_RING), RING);
	wr(f, queue_reg(queue, NPU_QUEUE_RING_LOG2), 4);
	wr(f, queue_reg(queue, NPU_QUEUE_CONFIG),
	   CONTEXT | 1 << NPU_QUEUE_CONFIG_PRIO_SHIFT | VECTOR << NPU_QUEUE_CONFIG_VECTOR_SHIFT);
	wr(f, queue_reg(queue, NPU_QUEUE_CTRL), NPU_QUEUE_CTRL_ENABLE);
	g_assert_cmpuint(rd(f, queue_reg(queue, NPU_QUEUE_STATE)), ==, NPU_QUEUE_STATE_IDLE);
	f->slot = 0;
}

static void *add_desc(struct fixture *f, enum npu_opcode op, size_t bytes)
{
	size_t lines = DIV_ROUND_UP(bytes, NPU_LINE_BYTES);
	struct npu_desc_hdr *hdr = (void *)(f->cmds + f->cmd_bytes);

	g_assert(f->cmd_bytes + lines * NPU_LINE_BYTES <= sizeof(f->cmds));
	memset(hdr, 0, lines * NPU_LINE_BYTES);
	hdr->opcode = op;
	hdr->lines = lines;
	f->cmd_bytes += lines * NPU_LINE_BYTES;
	return hdr;
}

static void add_fill(struct fixture *f, uint32_t elems, uint32_t value)
{
	struct npu_desc_fill *d = add_desc(f, NPU_OP_FILL, sizeof(*d));

	d->dim[0] = d->dim[1] = d->dim[2] = d->dim[3] = 1;
	d->dim[4] = elems;
	d->value = value;
	d->spm.reg = NPU_REG_NONE;
	d->spm_stride[4] = 1;
	d->hdr.signal[0] = (struct npu_sem_ref) { .sem = 1, .count = 1 };
}

/* SPM 0 .. elems-1 to r0 (STORE) or from it (LOAD). */
static void add_dma(struct fixture *f, enum npu_opcode op, uint32_t elems, bool wait)
{
	struct npu_desc_dma *d = add_desc(f, op, sizeof(*d));

	d->dim[0] = d->dim[1] = d->dim[2] = d->dim[3] = 1;
	d->dim[4] = elems;
	d->mem.stride_bytes[4] = 4;
	d->spm.reg = NPU_REG_NONE;
	d->spm_stride[4] = 1;
	if (wait)
		d->hdr.wait[0] = (struct npu_sem_ref) { .sem = 1, .count = 1 };
}

static void add_end(struct fixture *f)
{
	add_desc(f, NPU_OP_END, sizeof(struct npu_desc_ctrl));
}

/* A wait that nothing covers: the job makes no progress for ever (7.3). */
static void add_stall(struct fixture *f)
{
	struct npu_desc_ctrl *d = add_desc(f, NPU_OP_NOP, sizeof(*d));

	d->hdr.wait[0] = (struct npu_sem_ref) { .sem = 9, .count = 1 };
}

static void submit_entry(struct fixture *f, unsigned int queue, const struct npu_job_entry *e)
{
	struct npu_job_done none = { 0 };

	qtest_memwrite(f->qts, DONE, &none, sizeof(none));
	qtest_memwrite(f->qts, RING + (f->slot % 16) * sizeof(*e), e, sizeof(*e));
	f->slot++;
	wr(f, NPU_DOORBELL_BASE + queue * NPU_DOORBELL_PAGE_BYTES + NPU_DOORBELL_TAIL, f->slot);
}

/* Submit the collected descriptors with r0 = @r0; the seqno is 100 + slot. */
static void submit(struct fixture *f, unsigned int queue, uint64_t r0)
{
	struct npu_job_entry e = {
		.cmd_va = CMD_VA,
		.cmd_bytes = f->cmd_bytes,
		.bind_va = BIND_VA,
		.bind_count = 1,
		.done_addr = DONE,
		.seqno = 100 + f->slot,
	};

	qtest_memwrite(f->qts, RAM_BASE + CMD_VA, f->cmds, f->cmd_bytes);
	qtest_writeq(f->qts, RAM_BASE + BIND_VA, r0);
	f->cmd_bytes = 0;
	submit_entry(f, queue, &e);
}

static struct npu_job_done wait_done(struct fixture *f, uint64_t seqno)
{
	struct npu_job_done done;

	for (int i = 0; i < WAIT_MS; i++) {
		qtest_memread(f->qts, DONE, &done, sizeof(done));
		if (done.seqno == seqno)
			return done;
		g_usleep(1000);
	}
	g_assert_cmpuint(done.seqno, ==, seqno);
	return done;
}

/* 2.1, 2.3: identity and reset values. */
static void test_reset_values(void)
{
	static const struct { uint32_t offset, value; } want[] = {
		{ NPU_REG_ID, NPU_ID_VALUE },
		{ NPU_REG_VERSION, NPU_VERSION_MAJOR << 16 | NPU_VERSION_MINOR },
		{ NPU_REG_ARRAY, 32 << 16 | 16 },
		{ NPU_REG_SPM_BYTES, 8 << 20 },
		{ NPU_REG_ACC_BYTES, 256 << 10 },
		{ NPU_REG_LIMITS, 0x00114040 },
		{ NPU_REG_CLOCK_KHZ, 1000000 },
		{ NPU_REG_DMA_BW, 16000 },
		{ NPU_REG_DMA_LATENCY, 32 << 16 | 100 },
		{ NPU_REG_VE_BW, 64 },
		{ NPU_REG_CONTROL, 0 },
		{ NPU_REG_STATUS, NPU_STATUS_READY },
		{ NPU_REG_TLB_INV_SEQ, 0 },
		{ NPU_REG_TLB_ACK_SEQ, 0 },
		{ NPU_REG_IRQ_STATUS, 0 },
		{ NPU_REG_IRQ_ENABLE, 0 },
	};
	struct fixture f;

	setup(&f, "");
	g_assert_cmphex(qpci_config_readw(f.dev, PCI_VENDOR_ID), ==, NPU_PCI_VENDOR_ID);
	g_assert_cmphex(qpci_config_readw(f.dev, PCI_DEVICE_ID), ==, NPU_PCI_DEVICE_ID);
	g_assert_cmphex(qpci_config_readw(f.dev, PCI_CLASS_DEVICE), ==, NPU_PCI_CLASS);
	g_assert_cmpuint(qpci_msix_table_size(f.dev), ==, NPU_VECTORS);
	for (size_t i = 0; i < ARRAY_SIZE(want); i++)
		g_assert_cmphex(rd(&f, want[i].offset), ==, want[i].value);
	g_assert_cmphex(rd64(&f, NPU_REG_CAPS) & NPU_CAP_FP32, ==, NPU_CAP_FP32);
	for (unsigned int q = 0; q < NPU_QUEUES; q++)
		for (unsigned int reg = 0; reg < NPU_QUEUE_STRIDE; reg += 4)
			g_assert_cmphex(rd(&f, queue_reg(q, reg)), ==, 0);
	teardown(&f);
}

static void test_properties(void)
{
	struct fixture f;

	setup(&f, ",array_rows=8,array_cols=8,spm_bytes=131072,acc_bytes=16384");
	g_assert_cmphex(rd(&f, NPU_REG_ARRAY), ==, 8 << 16 | 8);
	g_assert_cmphex(rd(&f, NPU_REG_SPM_BYTES), ==, 131072);
	g_assert_cmphex(rd(&f, NPU_REG_ACC_BYTES), ==, 16384);
	teardown(&f);
}

/* 2.2: odd accesses read 0 and change nothing; RO registers stay. */
static void test_access_rules(void)
{
	struct fixture f;

	setup(&f, "");
	g_assert_cmphex(qpci_io_readb(f.dev, f.regs, NPU_REG_ID), ==, 0);
	g_assert_cmphex(qpci_io_readw(f.dev, f.regs, NPU_REG_ID), ==, 0);
	g_assert_cmphex(rd(&f, 0xff0), ==, 0);
	g_assert_cmphex(rd(&f, NPU_DOORBELL_BASE), ==, 0);
	g_assert_cmphex(rd(&f, NPU_BAR_REGS_BYTES - 4), ==, 0);
	qpci_io_writew(f.dev, f.regs, NPU_REG_IRQ_ENABLE, 0x1f);
	g_assert_cmphex(rd(&f, NPU_REG_IRQ_ENABLE), ==, 0);
	wr(&f, NPU_REG_ID, 0);
	g_assert_cmphex(rd(&f, NPU_REG_ID), ==, NPU_ID_VALUE);
	wr(&f, NPU_REG_IRQ_ENABLE, 0xffffffff);
	g_assert_cmphex(rd(&f, NPU_REG_IRQ_ENABLE), ==, NPU_IRQ_MASK);
	wr64(&f, NPU_REG_CTX_TABLE, 0x123456789000);
	g_assert_cmphex(rd(&f, NPU_REG_CTX_TABLE), ==, 0x56789000);
	g_assert_cmphex(rd(&f, NPU_REG_CTX_TABLE + 4), ==, 0x1234);
	wr(&f, NPU_REG_CTX_TABLE + 4, 0x77);
	g_assert_cmphex(rd64(&f, NPU_REG_CTX_TABLE), ==, 0x7756789000);
	teardown(&f);
}

/* A masked vector: what would be a message stays in the pending bits. */
static void wait_pending(struct fixture *f)
{
	for (int i = 0; i < WAIT_MS && !qpci_msix_pending(f->dev, VECTOR); i++)
		g_usleep(1000);
	g_assert(qpci_msix_pending(f->dev, VECTOR));
}

/* 3.4: a job runs, its record is written, the queue's vector is raised. */
static void test_job(void)
{
	struct fixture f;
	struct npu_job_done done;

	setup(&f, "");
	start_queue(&f, 2);
	add_fill(&f, 1000, 0x12345678);
	add_dma(&f, NPU_OP_STORE, 1000, true);
	add_end(&f);
	submit(&f, 2, DATA_VA);
	done = wait_done(&f, 100);
	g_assert_cmpuint(done.status, ==, NPU_FAULT_NONE);
	g_assert_cmpuint(done.descriptors, ==, 3);
	g_assert_cmpuint(done.write_bytes, ==, 4000);
	g_assert_cmpuint(done.cycles, >, 100);
	for (unsigned int i = 0; i < 1000; i++)
		g_assert_cmphex(qtest_readl(f.qts, RAM_BASE + DATA_VA + i * 4), ==, 0x12345678);
	g_assert_cmphex(qtest_readl(f.qts, RAM_BASE + DATA_VA + 4000), ==, 0);
	wait_reg(&f, NPU_REG_DONE_QUEUES, 1u << 2, 1u << 2);
	wait_pending(&f);
	g_assert_cmpuint(rd(&f, queue_reg(2, NPU_QUEUE_HEAD)), ==, 1);
	wr(&f, NPU_REG_DONE_QUEUES, 1u << 2);
	g_assert_cmphex(rd(&f, NPU_REG_DONE_QUEUES), ==, 0);
	teardown(&f);
}

/* One job that faults; checks code, address and that others are unharmed. */
static void check_fault(struct fixture *f, uint64_t r0, enum npu_fault_code code, uint64_t va)
{
	struct npu_job_done done;
	uint32_t info;

	add_dma(f, NPU_OP_LOAD, 16, false);
	add_end(f);
	submit(f, 7, r0);
	done = wait_done(f, 100 + f->slot - 1);
	g_assert_cmpuint(done.status, ==, code);
	wait_reg(f, queue_reg(7, NPU_QUEUE_STATE), ~0u, NPU_QUEUE_STATE_FAULTED);
	info = rd(f, queue_reg(7, NPU_QUEUE_FAULT_INFO));
	g_assert_cmpuint(info & NPU_FAULT_INFO_CODE_MASK, ==, code);
	g_assert_cmpuint((info & NPU_FAULT_INFO_CTX_MASK) >> NPU_FAULT_INFO_CTX_SHIFT, ==, CONTEXT);
	g_assert_cmphex(rd64(f, queue_reg(7, NPU_QUEUE_FAULT_VA)), ==, va);
	g_assert_cmphex(rd64(f, queue_reg(7, NPU_QUEUE_FAULT_DESC_VA)), ==, CMD_VA);
	g_assert_cmphex(rd64(f, NPU_REG_FAULT_QUEUES), ==, 1ull << 7);
	g_assert_cmphex(rd(f, NPU_REG_IRQ_STATUS) & NPU_IRQ_FAULT, ==, NPU_IRQ_FAULT);
	wr64(f, NPU_REG_FAULT_QUEUES, 1ull << 7);
	g_assert_cmphex(rd64(f, NPU_REG_FAULT_QUEUES), ==, 0);
	wr(f, NPU_REG_IRQ_STATUS, NPU_IRQ_FAULT);
	g_assert_cmphex(rd(f, NPU_REG_IRQ_STATUS) & NPU_IRQ_FAULT, ==, 0);
	wr(f, queue_reg(7, NPU_QUEUE_CTRL), 0);
	g_assert_cmpuint(rd(f, queue_reg(7, NPU_QUEUE_STATE)), ==, NPU_QUEUE_STATE_DISABLED);
}

static void set_pte(struct fixture *f, unsigned int page, uint64_t pte)
{
	qtest_writeq(f->qts, PT_ROOT + 0x3000 + page * 8, pte);
	wr(f, NPU_REG_TLB_INV, CONTEXT);
	wait_reg(f, NPU_REG_TLB_ACK_SEQ, ~0u, rd(f, NPU_REG_TLB_INV_SEQ));
}

/* 2.1, 5.2, 6: addresses that may not be reached, each with its code. */
static void test_bad_addresses(void)
{
	const uint64_t rights = NPU_PTE_VALID | NPU_PTE_LEAF | NPU_PTE_READ | NPU_PTE_WRITE;
	struct fixture f;

	setup(&f, "");
	start_queue(&f, 7);
	check_fault(&f, 0x200000, NPU_FAULT_MMU_UNMAPPED, 0x200000);
	start_queue(&f, 7);
	check_fault(&f, 0x1fffe0, NPU_FAULT_MMU_UNMAPPED, 0x200000);
	start_queue(&f, 7);
	set_pte(&f, 0x80, 0);
	check_fault(&f, 0x80000, NPU_FAULT_MMU_UNMAPPED, 0x80000);
	start_queue(&f, 7);
	set_pte(&f, 0x80, (RAM_BASE + 0x80000) | (rights & ~NPU_PTE_READ));
	check_fault(&f, 0x80000, NPU_FAULT_MMU_PERM, 0x80000);
	start_queue(&f, 7);
	set_pte(&f, 0x80, (RAM_BASE + 0x80000) | rights | 1ull << 60);
	check_fault(&f, 0x80000, NPU_FAULT_MMU_PTE, 0x80000);
	start_queue(&f, 7);
	set_pte(&f, 0x80, f.regs.addr | rights);	/* its own registers */
	check_fault(&f, 0x80000, NPU_FAULT_BUS, 0x80000);
	start_queue(&f, 7);
	set_pte(&f, 0x80, 0xfee00000 | rights);		/* the interrupt controller */
	check_fault(&f, 0x80000, NPU_FAULT_BUS, 0x80000);
	start_queue(&f, 7);
	set_pte(&f, 0x80, 0xc0000000 | rights);		/* nothing there */
	check_fault(&f, 0x80000, NPU_FAULT_BUS, 0x80000);
	start_queue(&f, 7);
	set_pte(&f, 0x80, 0xfffff000 | rights);		/* the firmware's ROM */
	add_fill(&f, 16, 0);
	add_dma(&f, NPU_OP_STORE, 16, true);
	add_end(&f);
	submit(&f, 7, 0x80000);
	g_assert_cmpuint(wait_done(&f, 100).status, ==, NPU_FAULT_BUS);
	teardown(&f);
}

/* 2.1: nothing is read with bus mastering off; the device stays alive. */
static void test_bus_master_off(void)
{
	struct fixture f;
	uint16_t command;

	setup(&f, "");
	start_queue(&f, 7);
	command = qpci_config_readw(f.dev, PCI_COMMAND);
	qpci_config_writew(f.dev, PCI_COMMAND, command & ~PCI_COMMAND_MASTER);
	add_end(&f);
	submit(&f, 7, 0);
	wait_reg(&f, queue_reg(7, NPU_QUEUE_STATE), ~0u, NPU_QUEUE_STATE_FAULTED);
	g_assert_cmpuint(rd(&f, queue_reg(7, NPU_QUEUE_FAULT_INFO)) & NPU_FAULT_INFO_CODE_MASK,
			 ==, NPU_FAULT_BUS);
	qpci_config_writew(f.dev, PCI_COMMAND, command);
	wr(&f, queue_reg(7, NPU_QUEUE_CTRL), 0);
	start_queue(&f, 7);
	add_end(&f);
	submit(&f, 7, 0);
	g_assert_cmpuint(wait_done(&f, 100).status, ==, NPU_FAULT_NONE);
	teardown(&f);
}

/* 3.2: each rule of a ring slot. */
static void test_bad_slots(void)
{
	static const struct npu_job_entry bad[] = {
		{ .cmd_va = CMD_VA + 8, .cmd_bytes = 64, .done_addr = DONE, .seqno = 100 },
		{ .cmd_va = CMD_VA, .cmd_bytes = 0, .done_addr = DONE, .seqno = 100 },
		{ .cmd_va = CMD_VA, .cmd_bytes = 65, .done_addr = DONE, .seqno = 100 },
		{ .cmd_va = CMD_VA, .cmd_bytes = 0xffffffc0, .done_addr = DONE, .seqno = 100 },
		{ .cmd_va = CMD_VA, .cmd_bytes = 64, .flags = 1, .done_addr = DONE, .seqno = 100 },
		{ .cmd_va = CMD_VA, .cmd_bytes = 64, .bind_va = BIND_VA + 4, .bind_count = 1,
		  .done_addr = DONE, .seqno = 100 },
		{ .cmd_va = CMD_VA, .cmd_bytes = 64, .bind_va = BIND_VA, .bind_count = 33,
		  .done_addr = DONE, .seqno = 100 },
		{ .cmd_va = CMD_VA, .cmd_bytes = 64, .rsvd0 = 1, .done_addr = DONE, .seqno = 100 },
		{ .cmd_va = CMD_VA, .cmd_bytes = 64, .rsvd1 = { 0, 1 }, .done_addr = DONE, .seqno = 100 },
		{ .cmd_va = CMD_VA, .cmd_bytes = 64, .done_addr = DONE + 8, .seqno = 100 },
	};
	struct fixture f;

	setup(&f, "");
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		start_queue(&f, 1);
		submit_entry(&f, 1, &bad[i]);
		wait_reg(&f, queue_reg(1, NPU_QUEUE_STATE), ~0u, NPU_QUEUE_STATE_FAULTED);
		g_assert_cmpuint(rd(&f, queue_reg(1, NPU_QUEUE_FAULT_INFO)) &
				 NPU_FAULT_INFO_CODE_MASK, ==, NPU_FAULT_JOB);
		wr(&f, queue_reg(1, NPU_QUEUE_CTRL), 0);
	}
	teardown(&f);
}

/* 3.1, 3.3: misuse is ignored and reported. */
static void test_misuse(void)
{
	struct fixture f;

	setup(&f, "");
	wr(&f, NPU_DOORBELL_BASE, 1);
	g_assert_cmphex(rd(&f, NPU_REG_IRQ_STATUS), ==, NPU_IRQ_ERROR);
	wr(&f, NPU_REG_IRQ_STATUS, NPU_IRQ_ERROR);
	start_queue(&f, 0);
	g_assert_cmphex(rd(&f, NPU_REG_IRQ_STATUS), ==, 0);
	wr(&f, NPU_DOORBELL_BASE, 17);
	g_assert_cmphex(rd(&f, NPU_REG_IRQ_STATUS), ==, NPU_IRQ_ERROR);
	g_assert_cmpuint(rd(&f, queue_reg(0, NPU_QUEUE_TAIL)), ==, 0);
	wr(&f, NPU_REG_IRQ_STATUS, NPU_IRQ_ERROR);
	wr64(&f, queue_reg(0, NPU_QUEUE_RING), 0);
	g_assert_cmphex(rd(&f, NPU_REG_IRQ_STATUS), ==, NPU_IRQ_ERROR);
	g_assert_cmphex(rd64(&f, queue_reg(0, NPU_QUEUE_RING)), ==, RING);
	g_assert_cmpuint(rd(&f, queue_reg(0, NPU_QUEUE_STATE)), ==, NPU_QUEUE_STATE_IDLE);
	teardown(&f);
}

/* 5.3, 3.3: a job that waits for ever acknowledges invalidations and stops. */
static void test_stall_and_stop(void)
{
	struct fixture f;
	uint32_t seq;

	setup(&f, "");
	start_queue(&f, 9);
	add_stall(&f);
	add_end(&f);
	submit(&f, 9, 0);
	wait_reg(&f, queue_reg(9, NPU_QUEUE_STATE), ~0u, NPU_QUEUE_STATE_RUNNING);
	seq = rd(&f, NPU_REG_TLB_INV_SEQ);
	wr(&f, NPU_REG_TLB_INV, NPU_TLB_INV_ALL);
	wait_reg(&f, NPU_REG_TLB_ACK_SEQ, ~0u, seq + 1);
	wr(&f, queue_reg(9, NPU_QUEUE_CTRL), 0);	/* not while running */
	g_assert_cmpuint(rd(&f, queue_reg(9, NPU_QUEUE_STATE)), ==, NPU_QUEUE_STATE_RUNNING);
	wr(&f, queue_reg(9, NPU_QUEUE_CTRL), NPU_QUEUE_CTRL_ENABLE | NPU_QUEUE_CTRL_STOP);
	wait_reg(&f, queue_reg(9, NPU_QUEUE_STATE), ~0u, NPU_QUEUE_STATE_STOPPED);
	wait_reg(&f, NPU_REG_IRQ_STATUS, NPU_IRQ_STOPPED, NPU_IRQ_STOPPED);
	g_assert_cmpuint(rd(&f, queue_reg(9, NPU_QUEUE_HEAD)), ==, 0);
	g_assert_cmpuint(qtest_readq(f.qts, DONE + offsetof(struct npu_job_done, seqno)), ==, 0);
	wr(&f, queue_reg(9, NPU_QUEUE_CTRL), 0);
	start_queue(&f, 9);
	add_end(&f);
	submit(&f, 9, 0);
	g_assert_cmpuint(wait_done(&f, 100).status, ==, NPU_FAULT_NONE);
	teardown(&f);
}

static void check_after_reset(struct fixture *f)
{
	wait_reg(f, NPU_REG_STATUS, NPU_STATUS_READY, NPU_STATUS_READY);
	g_assert_cmphex(rd(f, NPU_REG_CONTROL), ==, 0);
	g_assert_cmphex(rd64(f, NPU_REG_CTX_TABLE), ==, 0);
	g_assert_cmphex(rd(f, queue_reg(4, NPU_QUEUE_STATE)), ==, NPU_QUEUE_STATE_DISABLED);
	g_assert_cmphex(rd64(f, queue_reg(4, NPU_QUEUE_RING)), ==, 0);
	g_assert_cmpuint(rd64(f, NPU_REG_COUNT_JOBS), ==, 0);
	start_queue(f, 4);
	add_end(f);
	submit(f, 4, 0);
	g_assert_cmpuint(wait_done(f, 100).status, ==, NPU_FAULT_NONE);
}

/* 2.4: reset by register while a job runs, and by the PCIe capability. */
static void test_reset_busy(void)
{
	struct fixture f;
	uint8_t cap;

	setup(&f, "");
	start_queue(&f, 4);
	add_stall(&f);
	add_end(&f);
	submit(&f, 4, 0);
	wait_reg(&f, queue_reg(4, NPU_QUEUE_STATE), ~0u, NPU_QUEUE_STATE_RUNNING);
	wr(&f, NPU_REG_CONTROL, NPU_CONTROL_RESET);
	check_after_reset(&f);

	wr(&f, queue_reg(4, NPU_QUEUE_CTRL), 0);
	start_queue(&f, 4);
	add_stall(&f);
	add_end(&f);
	submit(&f, 4, 0);
	wait_reg(&f, queue_reg(4, NPU_QUEUE_STATE), ~0u, NPU_QUEUE_STATE_RUNNING);
	cap = qpci_find_capability(f.dev, PCI_CAP_ID_EXP, 0);
	g_assert(cap);
	g_assert_cmphex(qpci_config_readl(f.dev, cap + PCI_EXP_DEVCAP) & PCI_EXP_DEVCAP_FLR, !=, 0);
	qpci_config_writew(f.dev, cap + PCI_EXP_DEVCTL, PCI_EXP_DEVCTL_BCR_FLR);
	qpci_device_enable(f.dev);
	qpci_config_writel(f.dev, PCI_BASE_ADDRESS_0, f.regs.addr);
	qpci_config_writel(f.dev, PCI_BASE_ADDRESS_1, 0);
	check_after_reset(&f);
	teardown(&f);
}

/* 2.4: the machine's own reset finds the device as power-on left it. */
static void test_system_reset(void)
{
	struct fixture f;

	setup(&f, "");
	start_queue(&f, 4);
	add_end(&f);
	submit(&f, 4, 0);
	wait_done(&f, 100);
	wait_pending(&f);
	qtest_system_reset(f.qts);
	qpci_device_enable(f.dev);
	qpci_config_writel(f.dev, PCI_BASE_ADDRESS_0, f.regs.addr);
	qpci_config_writel(f.dev, PCI_BASE_ADDRESS_1, 0);
	g_assert(!qpci_msix_pending(f.dev, VECTOR));
	check_after_reset(&f);
	teardown(&f);
}

/* A property outside its range: the device is refused and says why; the machine lives. */
static void test_refused_properties(void)
{
	static const struct { const char *name; int value; const char *text, *why; } bad[] = {
		{ "array_rows", 3, NULL, "array rows" },
		{ "array_cols", 6, NULL, "array columns" },
		{ "spm_bytes", 1000, NULL, "SPM size" },
		{ "acc_bytes", 1052672, NULL, "ACC size" },
		{ "variant", 0, "sse9", "variant 'sse9'" },
	};
	QTestState *qts = qtest_init("-M q35 -m 64 -nodefaults -device pcie-root-port,id=rp");

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		QDict *args = qdict_new();
		QDict *reply;

		qdict_put_str(args, "driver", "npu");
		qdict_put_str(args, "bus", "rp");
		if (bad[i].text)
			qdict_put_str(args, bad[i].name, bad[i].text);
		else
			qdict_put_int(args, bad[i].name, bad[i].value);
		reply = qtest_qmp(qts, "{ 'execute': 'device_add', 'arguments': %p }", args);
		g_assert(qdict_haskey(reply, "error"));
		g_assert(strstr(qdict_get_str(qdict_get_qdict(reply, "error"), "desc"),
				bad[i].why));
		qobject_unref(reply);
	}
	qtest_quit(qts);
}

/* The bridge in slot 2 passes on memory accesses to where BARs are placed. */
static void open_bridge(struct fixture *f)
{
	QPCIDevice *bridge = qpci_device_find(f->bus, QPCI_DEVFN(2, 0));

	g_assert(bridge);
	qpci_device_enable(bridge);
	qpci_config_writew(bridge, PCI_MEMORY_BASE, f->bus->mmio_alloc_ptr >> 16);
	qpci_config_writew(bridge, PCI_MEMORY_LIMIT, (f->bus->mmio_alloc_ptr + 0xffffff) >> 16);
	g_free(bridge);
}

static void power_off_slot(struct fixture *f)
{
	QPCIDevice *bridge = qpci_device_find(f->bus, QPCI_DEVFN(2, 0));
	uint8_t cap = qpci_find_capability(bridge, PCI_CAP_ID_EXP, 0);

	qpci_config_writew(bridge, cap + PCI_EXP_SLTCTL,
			   PCI_EXP_SLTCTL_PCC | PCI_EXP_SLTCTL_PWR_IND_OFF);
	g_free(bridge);
}

static unsigned int threads_of(QTestState *qts)
{
	g_autofree char *path = g_strdup_printf("/proc/%d/task", (int)qtest_pid(qts));
	GDir *dir = g_dir_open(path, 0, NULL);
	unsigned int count = 0;

	g_assert(dir);
	while (g_dir_read_name(dir))
		count++;
	g_dir_close(dir);
	return count;
}

/* Pulled out while a job runs: the core's threads are joined, the machine lives. */
static void test_unplug_busy(void)
{
	struct fixture f = { 0 };
	unsigned int before;

	f.qts = qtest_init("-M q35 -m 64 -nodefaults "
			   "-global ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off "
			   "-device pcie-root-port,id=rp,addr=02.0 "
			   "-device npu,id=npu0,bus=rp,threads=8");
	f.bus = qpci_new_pc(f.qts, NULL);
	qpci_secondary_buses_init(f.bus);
	open_bridge(&f);
	f.dev = qpci_device_find(f.bus, 1 << 8);
	g_assert(f.dev);
	qpci_device_enable(f.dev);
	f.regs = qpci_iomap(f.dev, NPU_PCI_BAR_REGS, NULL);
	start_queue(&f, 4);
	add_stall(&f);
	add_end(&f);
	submit(&f, 4, 0);
	wait_reg(&f, queue_reg(4, NPU_QUEUE_STATE), ~0u, NPU_QUEUE_STATE_RUNNING);
	before = threads_of(f.qts);
	power_off_slot(&f);
	qtest_qmp_eventwait(f.qts, "DEVICE_DELETED");
	g_assert_cmpuint(threads_of(f.qts) + 8, <=, before);
	g_assert_cmphex(qpci_config_readw(f.dev, PCI_VENDOR_ID), ==, 0xffff);
	g_free(f.dev);
	qpci_free_pc(f.bus);
	qtest_quit(f.qts);
}

/* Doorbell storms and a stalled job: the machine still answers. */
static void test_doorbell_storm(void)
{
	struct fixture f;
	QDict *reply;

	setup(&f, "");
	start_queue(&f, 4);
	add_stall(&f);
	add_end(&f);
	submit(&f, 4, 0);
	for (unsigned int i = 0; i < 20000; i++)
		wr(&f, NPU_DOORBELL_BASE + (i % NPU_QUEUES) * NPU_DOORBELL_PAGE_BYTES, i * 2654435761u);
	reply = qtest_qmp(f.qts, "{ 'execute': 'query-status' }");
	g_assert(qdict_haskey(reply, "return"));
	qobject_unref(reply);
	g_assert_cmpuint(rd(&f, NPU_REG_ID), ==, NPU_ID_VALUE);
	teardown(&f);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	qtest_add_func("/npu/reset-values", test_reset_values);
	qtest_add_func("/npu/properties", test_properties);
	qtest_add_func("/npu/access-rules", test_access_rules);
	qtest_add_func("/npu/job", test_job);
	qtest_add_func("/npu/bad-addresses", test_bad_addresses);
	qtest_add_func("/npu/bus-master-off", test_bus_master_off);
	qtest_add_func("/npu/bad-slots", test_bad_slots);
	qtest_add_func("/npu/misuse", test_misuse);
	qtest_add_func("/npu/stall-and-stop", test_stall_and_stop);
	qtest_add_func("/npu/reset-busy", test_reset_busy);
	qtest_add_func("/npu/system-reset", test_system_reset);
	qtest_add_func("/npu/refused-properties", test_refused_properties);
	qtest_add_func("/npu/unplug-busy", test_unplug_busy);
	qtest_add_func("/npu/doorbell-storm", test_doorbell_storm);
	return g_test_run();
}
