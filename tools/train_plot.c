/* SPDX-License-Identifier: MIT */
/* Loss and accuracy over the steps as SVG: a panel each, means of neighbouring steps. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include "tensor_file.h"
#include "tool.h"
#include "train_log.h"

#define WIDTH		800
#define PANEL_HEIGHT	280
#define LEFT		70
#define RIGHT		20
#define TOP		40
#define BOTTOM		40
#define PLOT_WIDTH	(WIDTH - LEFT - RIGHT)
#define PLOT_HEIGHT	(PANEL_HEIGHT - TOP - BOTTOM)
#define MEANS_MAX	400
#define TICKS		5

/**
 * struct panel - one of the plots
 * @top: of its area in the picture
 * @accuracy: that is plotted, not the loss
 * @low: @high: values at bottom and top
 */
struct panel {
	const char *title, *color;
	int top;
	bool accuracy;
	double low, high;
};

static double value_at(const struct train_curve *c, const struct panel *p, uint64_t i)
{
	return p->accuracy ? c->point[i].accuracy : c->point[i].loss;
}

/* The mean of the steps that fall into part @i of @means. */
static double mean_of(const struct train_curve *c, const struct panel *p, uint64_t i,
		      uint64_t means)
{
	uint64_t first = c->points * i / means, end = c->points * (i + 1) / means;
	double sum = 0;

	for (uint64_t k = first; k < end; k++)
		sum += value_at(c, p, k);
	return sum / (double)(end - first);
}

/* 1, 2 or 5 times a power of ten, not less than @least. */
static double round_up(double least)
{
	double unit = pow(10, floor(log10(least)));

	for (unsigned int i = 0; i < 3; i++)
		if (least <= unit * (i == 0 ? 1 : i == 1 ? 2 : 5))
			return unit * (i == 0 ? 1 : i == 1 ? 2 : 5);
	return 10 * unit;
}

static void set_range(const struct train_curve *c, struct panel *p, uint64_t means)
{
	double high = 0;

	p->low = 0;
	p->high = 1;
	for (uint64_t i = 0; !p->accuracy && i < means; i++)
		high = fmax(high, mean_of(c, p, i, means));
	if (high > 0)
		p->high = round_up(high / TICKS) * TICKS;
}

static void draw_axes(FILE *f, const struct train_curve *c, const struct panel *p)
{
	for (int i = 0; i <= TICKS; i++) {
		int y = p->top + PLOT_HEIGHT - PLOT_HEIGHT * i / TICKS;
		int x = LEFT + PLOT_WIDTH * i / TICKS;

		fprintf(f, "<path d=\"M%d %dH%d\" stroke=\"#ddd\"/>\n", LEFT, y, LEFT + PLOT_WIDTH);
		fprintf(f, "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">%g</text>\n", LEFT - 8, y + 4,
			p->low + (p->high - p->low) * i / TICKS);
		fprintf(f, "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">%" PRIu64 "</text>\n", x,
			p->top + PLOT_HEIGHT + 18,
			c->first + c->points * (uint64_t)i / TICKS);
	}
	fprintf(f, "<text x=\"%d\" y=\"%d\" font-weight=\"bold\">%s over steps</text>\n", LEFT,
		p->top - 12, p->title);
}

static void draw_panel(FILE *f, const struct train_curve *c, struct panel *p)
{
	uint64_t means = c->points < MEANS_MAX ? c->points : MEANS_MAX;

	set_range(c, p, means);
	draw_axes(f, c, p);
	fprintf(f, "<polyline fill=\"none\" stroke=\"%s\" stroke-width=\"1.5\" points=\"", p->color);
	for (uint64_t i = 0; i < means; i++) {
		double x = ((double)i + 0.5) / (double)means;
		double y = (mean_of(c, p, i, means) - p->low) / (p->high - p->low);

		fprintf(f, "%s%.1f,%.1f", i ? " " : "", LEFT + PLOT_WIDTH * x,
			p->top + PLOT_HEIGHT * (1 - y));
	}
	fputs("\"/>\n", f);
}

int train_plot_write(const char *path, const struct train_curve *c)
{
	struct panel panels[] = {
		{ .title = "loss", .color = "#c03030", .top = TOP },
		{ .title = "accuracy", .color = "#2060c0", .top = TOP + PANEL_HEIGHT, .accuracy = true },
	};
	unsigned int count = c->has_accuracy ? 2 : 1;
	char error[TENSOR_ERROR_BYTES];
	char *text = NULL;
	size_t bytes = 0;
	FILE *f = open_memstream(&text, &bytes);
	bool good;

	if (!f)
		return tool_fail("%s: out of memory", path);
	fprintf(f, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%u\" font-family=\"sans-serif\" font-size=\"12\">\n"
		"<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n",
		WIDTH, count * PANEL_HEIGHT);
	for (unsigned int i = 0; i < count; i++)
		draw_panel(f, c, &panels[i]);
	fputs("</svg>\n", f);
	good = !fclose(f);
	if (!good)
		tool_fail("%s: out of memory", path);
	else if (!tensor_file_write_bytes(path, NULL, 0, text, bytes, error))
		good = tool_fail("%s", error) == TOOL_OK;
	free(text);
	return good ? TOOL_OK : TOOL_FAILED;
}
