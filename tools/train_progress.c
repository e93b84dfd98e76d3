/* SPDX-License-Identifier: MIT */
/* How far training is; see train_progress.h. */
#include <inttypes.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>
#include "train_progress.h"

#define BAR_CHARS	20
#define DRAW_S		0.1

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void train_progress_begin(struct train_progress *p)
{
	p->on_terminal = isatty(STDOUT_FILENO);
	p->start_s = p->step_s = now_s();
}

static double rate(uint64_t count, double seconds)
{
	return seconds > 0 ? (double)count / seconds : 0;
}

static void print_metrics(const struct train_progress *p, const struct npu_train_metrics *m,
			  const char *what)
{
	printf("  %sloss %.4f", what, m->loss);
	if (p->places)
		printf("  %saccuracy %.4f", what,
		       (double)m->correct / (double)(m->samples * p->places));
}

static void print_left(double seconds)
{
	unsigned long left = (unsigned long)(seconds + 0.5);

	if (left >= 3600)
		printf("  %lu:%02lu:%02lu left", left / 3600, left / 60 % 60, left % 60);
	else
		printf("  %lu:%02lu left", left / 60, left % 60);
}

static void draw_bar(struct train_progress *p, const struct npu_train_progress *now)
{
	uint64_t done = now->epoch * now->steps + now->step + 1;
	int filled = (int)((now->step + 1) * BAR_CHARS / now->steps);
	double t = now_s();

	if (t - p->drawn_s < DRAW_S && !now->epoch_ended)
		return;
	p->drawn_s = t;
	printf("\repoch %u/%u [", now->epoch + 1, now->epochs);
	for (int i = 0; i < BAR_CHARS; i++)
		putchar(i < filled ? '=' : i == filled ? '>' : ' ');
	printf("] %" PRIu64 "/%" PRIu64 "  %.0f samples/s", now->step + 1, now->steps,
	       rate(p->epoch_samples, p->epoch_s));
	print_metrics(p, &now->sum, "");
	print_left((double)(p->end - done) * (t - p->start_s) / (double)p->steps);
	printf("\x1b[K");
}

void train_progress_step(struct train_progress *p, const struct npu_train_progress *now)
{
	if (!now->validation || !p->epoch_samples) {
		p->epoch_samples += now->last.samples;
		p->epoch_s += now_s() - p->step_s;
	}
	p->steps++;
	if (p->on_terminal) {
		draw_bar(p, now);
	} else if (now->epoch_ended) {
		printf("epoch %u/%u  %.0f samples/s", now->epoch + 1, now->epochs,
		       rate(p->epoch_samples, p->epoch_s));
		print_metrics(p, &now->sum, "");
	}
	if (now->epoch_ended) {
		if (now->validation)
			print_metrics(p, now->validation, "validation ");
		putchar('\n');
		p->epoch_samples = 0;
		p->epoch_s = 0;
	}
	fflush(stdout);
	p->step_s = now_s();
}

void train_progress_end(struct train_progress *p)
{
	if (p->on_terminal && p->epoch_samples)
		putchar('\n');
}
