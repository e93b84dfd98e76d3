/* SPDX-License-Identifier: MIT */
/*
 * What a register access or a job leaves to do once the lock is dropped:
 * interrupts, log lines, TLB invalidations. Owns the rule for vector 0 (HW 2.5).
 */
#include <stdarg.h>
#include <stdio.h>
#include "core.h"

void npu_irq_event_locked(struct npu_core *core, uint32_t bits, struct npu_fx *fx)
{
	uint32_t fresh = bits & ~core->irq_status;

	core->irq_status |= bits;
	if (fresh & core->irq_enable)
		fx->vectors |= 1u << 0;
}

__attribute__((format(printf, 3, 0)))
static void fx_vlog(struct npu_fx *fx, enum npu_core_log level, const char *format, va_list args)
{
	if (fx->logged)
		return;
	fx->logged = true;
	fx->level = level;
	vsnprintf(fx->text, sizeof(fx->text), format, args);
}

void npu_fx_log(struct npu_fx *fx, enum npu_core_log level, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fx_vlog(fx, level, format, args);
	va_end(args);
}

void npu_fx_error_locked(struct npu_core *core, struct npu_fx *fx, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fx_vlog(fx, NPU_CORE_LOG_GUEST_ERROR, format, args);
	va_end(args);
	npu_irq_event_locked(core, NPU_IRQ_ERROR, fx);
}

static void fx_raise(struct npu_core *core, uint32_t vectors)
{
	for (unsigned int v = 0; v < NPU_VECTORS; v++)
		if (vectors >> v & 1)
			core->ops.irq(core->opaque, v);
}

static void fx_print(struct npu_core *core, struct npu_fx *fx)
{
	if (fx->logged)
		core->ops.log(core->opaque, fx->level, fx->text);
	fx->logged = false;
}

void npu_fx_flush(struct npu_core *core, struct npu_fx *fx)
{
	fx_print(core, fx);
	fx_raise(core, fx->vectors);
	if (fx->tlb)
		npu_tlb_try_service(core);
	*fx = (struct npu_fx){ .vectors = 0 };
}

void npu_fx_flush_job(struct npu_core *core, struct npu_fx *fx)
{
	fx_print(core, fx);
	pthread_mutex_lock(&core->bus_lock);
	if (atomic_load(&core->generation) == fx->generation)
		fx_raise(core, fx->vectors);
	npu_bus_leave(core);
	*fx = (struct npu_fx){ .vectors = 0 };
}
