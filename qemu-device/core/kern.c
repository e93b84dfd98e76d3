/* SPDX-License-Identifier: MIT */
/* Which kernels the host can run. */
#include "kern.h"

#ifdef __x86_64__
static bool have_avx2(void)
{
	return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

static bool have_avx512(void)
{
	return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
	       __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
	       have_avx2();
}
#endif

static bool have_scalar(void)
{
	return true;
}

/* Best first. */
static const struct {
	enum npu_core_variant variant;
	const struct npu_kern *kern;
	bool (*available)(void);
} variants[] = {
#ifdef __x86_64__
	{ NPU_CORE_VARIANT_AVX512, &npu_kern_avx512, have_avx512 },
	{ NPU_CORE_VARIANT_AVX2, &npu_kern_avx2, have_avx2 },
#endif
	{ NPU_CORE_VARIANT_SCALAR, &npu_kern_scalar, have_scalar },
};

const struct npu_kern *npu_kern_get(enum npu_core_variant variant)
{
	for (size_t i = 0; i < sizeof(variants) / sizeof(variants[0]); i++)
		if ((variant == NPU_CORE_VARIANT_AUTO || variant == variants[i].variant) &&
		    variants[i].available())
			return variants[i].kern;
	return NULL;
}

bool npu_core_variant_available(enum npu_core_variant variant)
{
	return npu_kern_get(variant) != NULL;
}
