/* SPDX-License-Identifier: MIT */
/* npu evaluate: loss, accuracy and confusion matrix of a network on a data set. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "npu_train_graph.h"
#include "tool.h"
#include "train_net.h"

#define CLASSES_MAX	1000	/* of a matrix that is printed */

/**
 * struct evaluate - what was asked for, and what is open
 * @net: to be judged
 * @data_spec: by this
 * @model: compiled
 * @labels: index of this input; weights and parameters follow
 * @prediction: index of this output
 * @classes: of the matrix; 0: there is none
 * @matrix: how often class [truth][prediction]
 * @loss: sum over the samples
 * @correct: predictions
 */
struct evaluate {
	struct train_net net;
	const char *device, *data_spec;
	struct data *data;
	struct npu_device *dev;
	struct npu_model *model;
	struct npu_session *session;
	unsigned int labels, prediction;
	uint64_t classes;
	uint64_t *matrix;
	double loss;
	uint64_t correct;
};

static void print_help(void)
{
	puts("usage: npu evaluate MODEL --data SET --loss LOSS [OPTION...]\n\n"
	     "Prints loss, accuracy and confusion matrix of a network on a data set. MODEL is an\n"
	     "ONNX file, or a built-in network as it is before training: cnn, rnn, attention.\n\n"
	     "  --data SET      idx:IMAGES,LABELS, npy:X,Y or csv:FILE, see npu train --help\n"
	     "  --loss LOSS     sparse_categorical_crossentropy, categorical_crossentropy, mse\n"
	     "  --from-logits   the model's output is before softmax\n"
	     "  --batch N       samples of a run (32)\n"
	     "  --bind N=...    symbolic dimensions other than the batch\n"
	     "  --seed N        of a built-in network (1)\n"
	     "  --device SPEC   see npu --help\n\n"
	     "Status 0: done; 1: failed; 2: called wrongly.");
}

/* ---- Batches ---- */

/* The first of the largest. */
static uint64_t largest(const float *value, uint64_t count)
{
	uint64_t best = 0;

	for (uint64_t i = 1; i < count; i++)
		if (value[i] > value[best])
			best = i;
	return best;
}

static void count_classes(struct evaluate *e, const float *prediction, const void *labels,
			  unsigned int samples)
{
	for (uint64_t i = 0; i < samples * e->net.places; i++) {
		uint64_t truth = data_has_classes(&e->net.want) ?
				 (uint64_t)((const int32_t *)labels)[i] :
				 largest((const float *)labels + i * e->classes, e->classes);

		e->matrix[truth * e->classes + largest(prediction + i * e->classes, e->classes)]++;
	}
}

/* The last batch may be partial: samples without weight do not count. */
static int set_batch(struct evaluate *e, uint64_t first, unsigned int samples, uint64_t *index)
{
	float *weight = npu_session_map_input(e->session, e->labels + 1);
	void *labels = npu_session_map_input(e->session, e->labels);
	void *x = npu_session_map_input(e->session, 0);

	if (!weight || !labels || !x)
		return -errno;
	for (unsigned int i = 0; i < e->net.batch; i++) {
		index[i] = first + i;
		weight[i] = i < samples;
	}
	return e->data->set.read(e->data->set.ctx, index, samples, &x, labels);
}

static int run_batch(struct evaluate *e, uint64_t first, uint64_t *index)
{
	uint64_t left = e->data->set.samples - first;
	unsigned int samples = left < e->net.batch ? (unsigned int)left : e->net.batch;
	float loss, correct = 0;
	const float *prediction;
	const void *labels;
	int ret = set_batch(e, first, samples, index);

	ret = ret ? ret : npu_session_run(e->session);
	ret = ret ? ret : npu_session_get_output(e->session, 0, &loss, sizeof(loss));
	if (!ret && e->net.places)
		ret = npu_session_get_output(e->session, 1, &correct, sizeof(correct));
	if (ret)
		return tool_fail_npu();
	e->loss += (double)loss;
	e->correct += (uint64_t)correct;
	if (!e->matrix)
		return TOOL_OK;
	prediction = npu_session_map_output(e->session, e->prediction);
	labels = npu_session_map_input(e->session, e->labels);
	if (!prediction || !labels)
		return tool_fail_npu();
	count_classes(e, prediction, labels, samples);
	return TOOL_OK;
}

/* ---- Results ---- */

static void print_matrix(const struct evaluate *e)
{
	int width = snprintf(NULL, 0, "%" PRIu64, e->data->set.samples * e->net.places) + 1;

	puts("confusion matrix: a row for each true class, a column for each predicted one");
	printf("%6s", "");
	for (uint64_t k = 0; k < e->classes; k++)
		printf(" %*" PRIu64, width, k);
	for (uint64_t i = 0; i < e->classes; i++) {
		printf("\n%6" PRIu64, i);
		for (uint64_t k = 0; k < e->classes; k++)
			printf(" %*" PRIu64, width, e->matrix[i * e->classes + k]);
	}
	putchar('\n');
}

static void print_results(const struct evaluate *e)
{
	uint64_t samples = e->data->set.samples, places = samples * e->net.places;

	printf("samples    %" PRIu64 "\n", samples);
	printf("loss       %.6g\n", e->loss / (double)samples);
	if (!e->net.places)
		return;
	printf("accuracy   %.4f (%" PRIu64 " of %" PRIu64 ")\n", (double)e->correct / (double)places,
	       e->correct, places);
	if (e->matrix)
		print_matrix(e);
	else
		printf("no confusion matrix: more than %d classes\n", CLASSES_MAX);
}

/* ---- Running ---- */

static int open_session(struct evaluate *e)
{
	const struct npu_step step = {
		.loss = e->net.loss, .from_logits = e->net.from_logits,
	};
	float *params;

	e->dev = npu_device_open(e->device);
	e->model = e->dev ? npu_model_from_step(e->dev, e->net.graph, &step) : NULL;
	e->session = e->model ? npu_session_create(e->model) : NULL;
	if (!e->session)
		return tool_fail_npu();
	e->labels = npu_model_inputs(e->model) - 3;
	e->prediction = npu_model_outputs(e->model) - 1;
	params = npu_session_map_input(e->session, e->labels + 2);
	if (!params)
		return tool_fail_npu();
	npu_graph_get_params(e->net.graph, params);
	return TOOL_OK;
}

static int run(struct evaluate *e)
{
	const struct npu_tensor_info *y = &e->net.want.output;
	int status = TOOL_OK;
	uint64_t *index;

	if (train_net_open(&e->net))
		return TOOL_FAILED;
	e->data = train_net_data(&e->net, e->data_spec);
	if (!e->data || open_session(e))
		return TOOL_FAILED;
	if (e->net.places && y->dim[y->rank - 1] <= CLASSES_MAX) {
		e->classes = (uint64_t)y->dim[y->rank - 1];
		e->matrix = calloc(e->classes * e->classes, sizeof(*e->matrix));
		if (!e->matrix)
			return tool_fail("out of memory");
	}
	index = calloc(e->net.batch, sizeof(*index));
	if (!index)
		return tool_fail("out of memory");
	for (uint64_t first = 0; !status && first < e->data->set.samples; first += e->net.batch)
		status = run_batch(e, first, index);
	free(index);
	if (!status)
		print_results(e);
	return status;
}

/* ---- Options ---- */

static int parse_option(struct evaluate *e, int c)
{
	switch (c) {
	case 'd':
		e->data_spec = optarg;
		return TOOL_OK;
	case 'l':
		e->net.loss = train_net_loss(optarg);
		if (e->net.loss == NPU_LOSSES)
			return tool_usage("evaluate", "evaluate: there is no loss %s", optarg);
		return TOOL_OK;
	case 'L':
		e->net.from_logits = true;
		return TOOL_OK;
	case 'b':
		if (!tool_parse_u32(optarg, &e->net.batch) || !e->net.batch)
			return tool_usage("evaluate", "evaluate: --batch %s is not a positive number", optarg);
		return TOOL_OK;
	case 's':
		if (!tool_parse_u32(optarg, &e->net.seed))
			return tool_usage("evaluate", "evaluate: --seed %s is not a number", optarg);
		return TOOL_OK;
	case 'B':
		e->net.bind = optarg;
		return TOOL_OK;
	default:
		e->device = optarg;
		return TOOL_OK;
	}
}

static int parse_options(struct evaluate *e, int argc, char **argv)
{
	static const struct option options[] = {
		{ "data", required_argument, NULL, 'd' },
		{ "loss", required_argument, NULL, 'l' },
		{ "from-logits", no_argument, NULL, 'L' },
		{ "batch", required_argument, NULL, 'b' },
		{ "bind", required_argument, NULL, 'B' },
		{ "seed", required_argument, NULL, 's' },
		{ "device", required_argument, NULL, 'D' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, ":d:h", options, NULL)) != -1) {
		int status;

		if (c == '?' || c == ':')
			return tool_bad_option("evaluate", argv, c);
		if (c == 'h') {
			print_help();
			return -1;
		}
		status = parse_option(e, c);
		if (status)
			return status;
	}
	if (argc - optind != 1)
		return tool_usage("evaluate", "evaluate: one model is needed");
	if (!e->data_spec)
		return tool_usage("evaluate", "evaluate: a data set is needed: --data");
	if (e->net.loss == NPU_LOSSES)
		return tool_usage("evaluate", "evaluate: a loss is needed: --loss");
	if (e->net.from_logits && e->net.loss == NPU_LOSS_MSE)
		return tool_usage("evaluate", "evaluate: --from-logits is for crossentropy");
	e->net.model = argv[optind];
	return TOOL_OK;
}

int cmd_evaluate(int argc, char **argv)
{
	struct evaluate *e = calloc(1, sizeof(*e));
	int status;

	if (!e)
		return tool_fail("out of memory");
	e->net = (struct train_net){ .batch = 32, .seed = 1, .loss = NPU_LOSSES };
	status = parse_options(e, argc, argv);
	if (status == TOOL_OK)
		status = run(e);
	npu_session_destroy(e->session);
	npu_model_close(e->model);
	npu_device_close(e->dev);
	data_close(e->data);
	train_net_close(&e->net);
	free(e->matrix);
	free(e);
	return status < 0 ? TOOL_OK : status;
}
