/* SPDX-License-Identifier: MIT */
/*
 * Search of tile sizes. From the whole operation, dimensions are halved: while
 * a tile does not fit, the one that costs least time and eases the pressure;
 * then any one, as long as the modelled time falls. Deterministic, and a few
 * hundred evaluations at most.
 */
#include "nc.h"

#include <string.h>

#define FITS	1024

/* Half of a tile, in whole granules, so that the pieces come out even. */
static uint32_t halve(const struct nc_search *s, unsigned int i, uint32_t tile)
{
	uint32_t granule = s->granule[i] ? s->granule[i] : 1;
	uint32_t pieces = (uint32_t)npu_ceil_div(s->full[i], tile) * 2;
	uint32_t half = (uint32_t)npu_ceil_div(npu_ceil_div(s->full[i], pieces), granule) * granule;

	if (half >= tile)
		half = tile > granule ? (tile - 1) / granule * granule : tile;
	return half;
}

/* One halving that fits less badly, the fastest of those; false if there is none. */
static bool ease(struct nc_search *s, struct nc_cost *at)
{
	struct nc_cost best = { 0 };
	unsigned int dim = s->dims;

	for (unsigned int i = 0; i < s->dims; i++) {
		uint32_t keep = s->tile[i];
		struct nc_cost c;

		s->tile[i] = halve(s, i, keep);
		if (s->tile[i] != keep) {
			c = s->cost(s->arg, s->tile);
			if (c.pressure < at->pressure &&
			    (dim == s->dims || c.cycles < best.cycles)) {
				best = c;
				dim = i;
			}
		}
		s->tile[i] = keep;
	}
	if (dim == s->dims)
		return false;
	s->tile[dim] = halve(s, dim, s->tile[dim]);
	*at = best;
	return true;
}

static bool improve(struct nc_search *s, struct nc_cost *at)
{
	struct nc_cost best = *at;
	unsigned int dim = s->dims;

	for (unsigned int i = 0; i < s->dims; i++) {
		uint32_t keep = s->tile[i];

		s->tile[i] = halve(s, i, keep);
		if (s->tile[i] != keep) {
			struct nc_cost c = s->cost(s->arg, s->tile);

			if (c.pressure <= FITS && c.cycles < best.cycles) {
				best = c;
				dim = i;
			}
		}
		s->tile[i] = keep;
	}
	if (dim == s->dims)
		return false;
	s->tile[dim] = halve(s, dim, s->tile[dim]);
	*at = best;
	return true;
}

bool nc_search(struct nc_search *s)
{
	struct nc_cost at;

	memcpy(s->tile, s->full, sizeof(s->tile));
	at = s->cost(s->arg, s->tile);
	while (at.pressure > FITS)
		if (!ease(s, &at))
			return false;
	while (improve(s, &at))
		;
	return true;
}
