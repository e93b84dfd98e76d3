/* SPDX-License-Identifier: MIT */
/*
 * The transformers of tests/models as ONNX files, with random inputs.
 *
 *	net_make bert OUT.onnx			12 layers, 768 wide, for 128 tokens
 *	net_make gpt OUT.onnx STEPS		all steps at once
 *	net_make gpt_step OUT.onnx		one step, with a cache
 *	net_make sentence DIR SEED		BERT's inputs: DIR/input_I.bin
 *	net_make prompt DIR STEPS		GPT's first tokens: DIR/token.bin
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "transformer.h"

#define SEED		1u
#define BERT_STEPS	128
/* Tokens at the end that are not looked at. */
#define BERT_UNUSED	20
#define PATH_BYTES	4096

static void die(const char *what, const char *why)
{
	fprintf(stderr, "net_make: %s: %s\n", what, why);
	exit(1);
}

static void write_input(const char *dir, unsigned int index, const int64_t *value, size_t count)
{
	char path[PATH_BYTES];
	FILE *f;

	snprintf(path, sizeof(path), "%s/input_%u.bin", dir, index);
	f = fopen(path, "wb");
	if (!f || fwrite(value, sizeof(*value), count, f) != count || fclose(f))
		die(path, "cannot be written");
}

static void make_sentence(const char *dir, uint32_t seed)
{
	int64_t token[BERT_STEPS], type[BERT_STEPS], keep[BERT_STEPS];

	for (int i = 0; i < BERT_STEPS; i++) {
		seed = seed * 1664525u + 1013904223u;
		token[i] = seed / 4 % (uint32_t)bert_base.vocabulary;
		type[i] = i > BERT_STEPS / 2;
		keep[i] = i < BERT_STEPS - BERT_UNUSED;
	}
	write_input(dir, 0, token, BERT_STEPS);
	write_input(dir, 1, type, BERT_STEPS);
	write_input(dir, 2, keep, BERT_STEPS);
}

static void make_prompt(const char *dir, int64_t steps)
{
	char path[PATH_BYTES];
	FILE *f;

	snprintf(path, sizeof(path), "%s/token.bin", dir);
	f = fopen(path, "wb");
	for (int64_t i = 0; f && i < steps; i++) {
		const int64_t token = (i * 271 + 28) % gpt_small.vocabulary;

		fwrite(&token, sizeof(token), 1, f);
	}
	if (!f || fclose(f))
		die(path, "cannot be written");
}

static void make_model(const char *name, const char *path, int64_t steps)
{
	const bool bert = !strcmp(name, "bert");
	struct npu_graph *g = NULL;
	struct transformer t;

	if (transformer_init(&t, bert ? &bert_base : &gpt_small, SEED))
		die(name, "out of memory");
	if (bert)
		g = transformer_bert(&t, BERT_STEPS);
	else if (!strcmp(name, "gpt"))
		g = transformer_gpt(&t, steps);
	else if (!strcmp(name, "gpt_step"))
		g = transformer_gpt_step(&t);
	transformer_free(&t);
	if (!g)
		die(name, "there is no such network, or no memory for it");
	if (npu_graph_write_onnx(g, path))
		die(path, npu_graph_error(g));
	npu_graph_destroy(g);
}

int main(int argc, char **argv)
{
	if (argc == 4 && !strcmp(argv[1], "sentence"))
		make_sentence(argv[2], (uint32_t)strtoul(argv[3], NULL, 0));
	else if (argc == 4 && !strcmp(argv[1], "prompt"))
		make_prompt(argv[2], strtol(argv[3], NULL, 0));
	else if (argc == 3 || (argc == 4 && !strcmp(argv[1], "gpt")))
		make_model(argv[1], argv[2], argc == 4 ? strtol(argv[3], NULL, 0) : 0);
	else
		die("usage", "see the top of net_make.c");
	return 0;
}
