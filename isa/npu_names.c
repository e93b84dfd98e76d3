/* SPDX-License-Identifier: MIT */
/* Names and properties of codes, straight from npu_ops.h.inc and the enums. */
#include "npu_check.h"

const char *npu_op_name(unsigned int opcode)
{
	switch (opcode) {
#define NPU_OP(name, code, engine, body, cap) case code: return #name;
#include "npu_ops.h.inc"
	default: return NULL;
	}
}

enum npu_engine npu_op_engine(unsigned int opcode)
{
	switch (opcode) {
#define NPU_OP(name, code, engine, body, cap) case code: return NPU_ENGINE_##engine;
#include "npu_ops.h.inc"
	default: return NPU_ENGINES;
	}
}

uint64_t npu_op_cap(unsigned int opcode)
{
	switch (opcode) {
#define NPU_OP(name, code, engine, body, cap) case code: return NPU_CAP_##cap;
#include "npu_ops.h.inc"
	default: return 0;
	}
}

const char *npu_uop_name(unsigned int code)
{
	switch (code) {
#define NPU_UOP(name, code, nsrc, cost, cap) case code: return #name;
#include "npu_ops.h.inc"
	default: return NULL;
	}
}

unsigned int npu_uop_sources(unsigned int code)
{
	switch (code) {
#define NPU_UOP(name, code, nsrc, cost, cap) case code: return nsrc;
#include "npu_ops.h.inc"
	default: return 0;
	}
}

unsigned int npu_uop_cost(unsigned int code)
{
	switch (code) {
#define NPU_UOP(name, code, nsrc, cost, cap) case code: return cost;
#include "npu_ops.h.inc"
	default: return 0;
	}
}

uint64_t npu_uop_cap(unsigned int code)
{
	switch (code) {
#define NPU_UOP(name, code, nsrc, cost, cap) case code: return NPU_CAP_##cap;
#include "npu_ops.h.inc"
	default: return 0;
	}
}

const char *npu_rop_name(unsigned int code)
{
	switch (code) {
#define NPU_ROP(name, code) case code: return #name;
#include "npu_ops.h.inc"
	default: return NULL;
	}
}

const char *npu_dtype_name(unsigned int dtype)
{
	static const char *const name[NPU_DTYPES] = {
		[NPU_F32] = "f32",
		[NPU_I32] = "i32",
		[NPU_BF16] = "bf16",
		[NPU_F16] = "f16",
		[NPU_I8] = "i8",
		[NPU_U8] = "u8",
		[NPU_I16] = "i16",
		[NPU_BOOL] = "bool",
		[NPU_I64] = "i64",
	};

	return dtype < NPU_DTYPES ? name[dtype] : NULL;
}

const char *npu_engine_name(unsigned int engine)
{
	static const char *const name[NPU_ENGINES] = {
		[NPU_ENGINE_CP] = "CP",
		[NPU_ENGINE_DI] = "DI",
		[NPU_ENGINE_TE] = "TE",
		[NPU_ENGINE_VE] = "VE",
		[NPU_ENGINE_DO] = "DO",
	};

	return engine < NPU_ENGINES ? name[engine] : NULL;
}

const char *npu_fault_name(unsigned int code)
{
	static const char *const name[NPU_FAULT_CODES] = {
		[NPU_FAULT_NONE] = "NONE",
		[NPU_FAULT_JOB] = "JOB",
		[NPU_FAULT_CONTEXT] = "CONTEXT",
		[NPU_FAULT_CMD_END] = "CMD_END",
		[NPU_FAULT_OPCODE] = "OPCODE",
		[NPU_FAULT_UNSUPPORTED] = "UNSUPPORTED",
		[NPU_FAULT_RESERVED] = "RESERVED",
		[NPU_FAULT_OPERAND] = "OPERAND",
		[NPU_FAULT_SPM_BOUNDS] = "SPM_BOUNDS",
		[NPU_FAULT_ACC_BOUNDS] = "ACC_BOUNDS",
		[NPU_FAULT_ALIGN] = "ALIGN",
		[NPU_FAULT_SEMAPHORE] = "SEMAPHORE",
		[NPU_FAULT_LOOP] = "LOOP",
		[NPU_FAULT_MMU_UNMAPPED] = "MMU_UNMAPPED",
		[NPU_FAULT_MMU_PERM] = "MMU_PERM",
		[NPU_FAULT_MMU_PTE] = "MMU_PTE",
		[NPU_FAULT_BUS] = "BUS",
		[NPU_FAULT_CAST] = "CAST",
		[NPU_FAULT_WATCHDOG] = "WATCHDOG",
		[NPU_FAULT_DATA_RACE] = "DATA_RACE",
		[NPU_FAULT_UNINIT_READ] = "UNINIT_READ",
		[NPU_FAULT_INDEX] = "INDEX",
		[NPU_FAULT_OVERFLOW] = "OVERFLOW",
	};

	return code < NPU_FAULT_CODES ? name[code] : NULL;
}
