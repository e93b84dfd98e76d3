/* SPDX-License-Identifier: MIT */
/* npu train: a network, a data set, and what training leaves behind. */
#include <errno.h>
#include <fnmatch.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "tool.h"
#include "train_log.h"
#include "train_net.h"
#include "train_progress.h"

#define FREEZE_MAX	256
#define EXIT_SIGNAL	128	/* and the signal's number, as shells say it */

/* Options whose values are numbers; those not given are negative. */
enum number {
	RATE, MOMENTUM, BETA1, BETA2, EPSILON, WEIGHT_DECAY, CLIP_NORM,
	NUMBERS,
};

/**
 * struct train - what was asked for, and what is open
 * @net: to be trained
 * @optimizer: NPU_OPTIMIZERS: there is none of that name
 * @number: values for it
 * @freeze: patterns of parameters that are none
 * @device: or NULL
 * @data_spec: @validate_spec: data sets, the second one or NULL
 * @epochs: @steps: how long; 0 steps: all of the epochs
 * @checkpoint_steps: how often, besides the ends of epochs
 * @checkpoint: @save: @plot: files, or NULL
 * @resume: go on from the checkpoint
 * @history: @norms: a row for each step
 * @argc: @argv: as called
 */
struct train {
	struct train_net net;
	enum npu_optimizer optimizer;
	double number[NUMBERS];
	const char *freeze[FREEZE_MAX];
	unsigned int freezes;
	const char *device;
	const char *data_spec, *validate_spec;
	uint32_t epochs, steps, checkpoint_steps;
	bool shuffle, resume;
	const char *checkpoint, *save, *plot;
	struct train_log history, norms;
	struct data *data, *validation;
	struct npu_device *dev;
	struct npu_train *t;
	struct train_curve curve;
	struct train_progress progress;
	int argc;
	char **argv;
};

static volatile sig_atomic_t stop_signal;

static void print_help(void)
{
	puts("usage: npu train MODEL --data SET --loss LOSS [OPTION...]\n\n"
	     "Trains a network on the NPU. MODEL is an ONNX file, whose float initialisers are\n"
	     "the parameters, or a built-in network: cnn, rnn, attention.\n\n"
	     "  --data SET             idx:IMAGES,LABELS (bytes, seen as 0 .. 1), npy:X,Y, or\n"
	     "                         csv:FILE (the last column is the label); also gzipped\n"
	     "  --loss LOSS            sparse_categorical_crossentropy (labels are classes),\n"
	     "                         categorical_crossentropy (probabilities), mse\n"
	     "  --from-logits          the model's output is before softmax\n"
	     "  --optimizer NAME       sgd, momentum, nesterov, adam (default), adamw\n"
	     "  --lr X                 learning rate (adam 0.001, else 0.01)\n"
	     "  --momentum X           of momentum and nesterov (0.9)\n"
	     "  --beta1 X, --beta2 X, --epsilon X\n"
	     "                         of adam and adamw (0.9, 0.999, 1e-7)\n"
	     "  --weight-decay X       of adamw (0.004)\n"
	     "  --clip-norm X          largest norm of all gradients together\n"
	     "  --epochs N             how often all samples are seen (10)\n"
	     "  --steps N              end after so many steps\n"
	     "  --batch N              samples of a step (32)\n"
	     "  --no-shuffle           samples in the order of the files\n"
	     "  --validate SET         evaluate after each epoch\n"
	     "  --seed N               of order, dropout, built-in networks (1)\n"
	     "  --bind N=...           symbolic dimensions other than the batch\n"
	     "  --freeze PATTERN       leave parameters with such names alone; repeatable\n"
	     "  --history FILE.csv     step,loss,accuracy of each step\n"
	     "  --grad-norms FILE.csv  norm of each parameter's gradient in each step\n"
	     "  --plot FILE.svg        loss and accuracy\n"
	     "  --checkpoint FILE      all that is needed to go on, after each epoch\n"
	     "  --checkpoint-steps N   and after each N steps\n"
	     "  --resume               go on from the checkpoint, if it is there\n"
	     "  --save FILE.onnx       the trained network\n"
	     "  --device SPEC          see npu --help\n\n"
	     "Ctrl-C ends training after the step, with a checkpoint. Status 0: done; 1: failed;\n"
	     "2: called wrongly; 128 + N: ended by signal N.");
}

/* ---- Steps ---- */

static void handle_signal(int number)
{
	stop_signal = number;
}

/* The first signal ends training in order, the next one at once. */
static void catch_signals(void)
{
	const struct sigaction action = {
		.sa_handler = handle_signal, .sa_flags = SA_RESTART | SA_RESETHAND,
	};

	struct sigaction old;

	/* Who starts it in the background of a script has Ctrl-C ignored. */
	if (!sigaction(SIGINT, NULL, &old) && old.sa_handler != SIG_IGN)
		sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
}

static double accuracy(const struct train *train, const struct npu_train_metrics *m)
{
	return train->net.places ?
	       (double)m->correct / (double)(m->samples * train->net.places) : 0;
}

static int write_history(struct train *train, uint64_t step, const struct npu_train_metrics *m)
{
	FILE *f = train->history.f;

	if (!f)
		return 0;
	fprintf(f, "%" PRIu64 ",%.9g,", step, m->loss);
	if (train->net.places)
		fprintf(f, "%.9g", accuracy(train, m));
	return train_log_end_row(&train->history);
}

static int write_norms(struct train *train, uint64_t step)
{
	FILE *f = train->norms.f;
	const float *norm;

	if (!f)
		return 0;
	norm = npu_train_norms(train->t);
	if (!norm)
		return -errno;
	fprintf(f, "%" PRIu64, step);
	for (int i = 0; i < npu_graph_params(train->net.graph); i++)
		fprintf(f, ",%.9g", (double)norm[i]);
	return train_log_end_row(&train->norms);
}

static int on_step(void *ctx, const struct npu_train_progress *now)
{
	struct train *train = ctx;
	uint64_t step = npu_train_steps(train->t) - 1;
	int ret = write_history(train, step, &now->last);

	ret = ret ? ret : write_norms(train, step);
	if (!ret && train->plot &&
	    !train_curve_add(&train->curve, now->last.loss, accuracy(train, &now->last)))
		ret = npu_set_error(-ENOMEM, "train: out of memory");
	if (ret)
		return ret;
	train_progress_step(&train->progress, now);
	return stop_signal && step + 1 < train->progress.end;
}

/* A row of the history that a run before this one has written. */
static void take_row(void *ctx, const char *text)
{
	struct train *train = ctx;
	double loss = 0, right = 0;

	if (sscanf(text, "%*u,%lf,%lf", &loss, &right) >= 1 && train->plot)
		train_curve_add(&train->curve, loss, right);
}

/* ---- Beginning ---- */

static int open_logs(struct train *train)
{
	uint64_t steps = npu_train_steps(train->t);
	char *header = NULL;
	size_t bytes = 0;
	FILE *f = open_memstream(&header, &bytes);
	int status;

	if (!f)
		return tool_fail("out of memory");
	fputs("step", f);
	for (int i = 0; i < npu_graph_params(train->net.graph); i++) {
		int64_t dim[NPU_GRAPH_RANK_MAX];
		const char *name;
		uint64_t first;

		npu_graph_param_info(train->net.graph, (unsigned int)i, &name, dim, &first);
		fputc(',', f);
		train_log_print_name(f, name);
	}
	fputc('\n', f);
	if (fclose(f))
		status = tool_fail("out of memory");
	else
		status = train_log_open(&train->norms, header, steps, NULL, NULL);
	free(header);
	if (status)
		return status;
	status = train_log_open(&train->history, "step,loss,accuracy\n", steps, take_row, train);
	train->curve.has_accuracy = train->net.places;
	train->curve.first = train->curve.points ? 0 : steps;
	return status;
}

static struct npu_train_options make_options(const struct train *train)
{
	struct npu_train_options o = npu_train_defaults(train->net.loss, train->optimizer);
	float *const value[NUMBERS] = {
		[RATE] = &o.learning_rate, [MOMENTUM] = &o.momentum, [BETA1] = &o.beta1,
		[BETA2] = &o.beta2, [EPSILON] = &o.epsilon, [WEIGHT_DECAY] = &o.weight_decay,
		[CLIP_NORM] = &o.clip_norm,
	};

	for (unsigned int i = 0; i < NUMBERS; i++)
		if (train->number[i] >= 0)
			*value[i] = (float)train->number[i];
	o.from_logits = train->net.from_logits;
	o.gradient_norms = train->norms.path;
	o.seed = train->net.seed;
	return o;
}

/* Each pattern stands for something: else it is a slip. */
static int freeze(const struct train *train)
{
	struct npu_graph *g = train->net.graph;

	for (unsigned int i = 0; i < train->freezes; i++) {
		bool any = false;

		for (int k = 0; k < npu_graph_params(g) && !any; k++) {
			int64_t dim[NPU_GRAPH_RANK_MAX];
			const char *name;
			uint64_t first;

			npu_graph_param_info(g, (unsigned int)k, &name, dim, &first);
			any = !fnmatch(train->freeze[i], name, 0);
		}
		if (!any)
			return tool_fail("%s: has no parameter \"%s\" to freeze", train->net.model,
					 train->freeze[i]);
	}
	for (unsigned int i = 0; i < train->freezes; i++)
		npu_graph_freeze(g, train->freeze[i]);
	return TOOL_OK;
}

static int begin(struct train *train)
{
	struct npu_train_options options = make_options(train);

	if (train_net_open(&train->net) || freeze(train))
		return TOOL_FAILED;
	train->data = train_net_data(&train->net, train->data_spec);
	if (!train->data)
		return TOOL_FAILED;
	if (train->validate_spec)
		train->validation = train_net_data(&train->net, train->validate_spec);
	if (train->validate_spec && !train->validation)
		return TOOL_FAILED;
	train->dev = npu_device_open(train->device);
	if (!train->dev)
		return tool_fail_npu();
	train->t = npu_train_create(train->dev, train->net.graph, &options);
	return train->t ? TOOL_OK : tool_fail_npu();
}

static int resume(struct train *train)
{
	if (!train->resume)
		return TOOL_OK;
	if (access(train->checkpoint, F_OK) && errno == ENOENT) {
		printf("checkpoint %s is not there yet: training begins\n", train->checkpoint);
		return TOOL_OK;
	}
	if (npu_train_load_checkpoint(train->t, train->checkpoint))
		return tool_fail_npu();
	printf("checkpoint %s: after step %" PRIu64 "\n", train->checkpoint,
	       npu_train_steps(train->t));
	return TOOL_OK;
}

static void print_start(const struct train *train, uint64_t epoch_steps)
{
	printf("model      %s: %d parameters of %" PRIu64 " elements\n", train->net.model,
	       npu_graph_params(train->net.graph), npu_graph_param_elems(train->net.graph));
	printf("data       %" PRIu64 " samples: %" PRIu64 " steps of %u in an epoch\n",
	       train->data->set.samples, epoch_steps, train->net.batch);
	printf("memory     %" PRIu64 " KiB of the device\n", npu_train_memory_bytes(train->t) >> 10);
	fflush(stdout);
}

/* ---- Files ---- */

/* Whether anything can be written beside @path, before hours are spent on it. */
static int check_folder(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *folder = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
	int err = !folder || access(folder, W_OK) ? errno : 0;

	free(folder);
	return err ? tool_fail("%s: cannot be written: %s", path, strerror(err)) : TOOL_OK;
}

/* No file may take the place of what is read, or of another one. */
static int check_outputs(const struct train *train)
{
	const char *const path[] = {
		train->history.path, train->norms.path, train->plot, train->checkpoint, train->save,
	};
	const unsigned int count = sizeof(path) / sizeof(path[0]);

	for (unsigned int i = 0; i < count; i++) {
		if (!path[i])
			continue;
		if (check_folder(path[i]))
			return TOOL_FAILED;
		if (tool_same_file(path[i], train->net.model))
			return tool_fail("%s: is the model; give the result another file", path[i]);
		for (unsigned int k = 0; k < i; k++)
			if (path[k] && (!strcmp(path[i], path[k]) ||
					tool_same_file(path[i], path[k])))
				return tool_fail("%s: is to hold two results; give each a file of its own",
						 path[i]);
	}
	return TOOL_OK;
}

static int check_inputs(const struct train *train)
{
	const char *const path[] = {
		train->history.path, train->norms.path, train->plot, train->checkpoint, train->save,
	};

	for (unsigned int i = 0; i < sizeof(path) / sizeof(path[0]); i++)
		if (path[i] && (data_has_file(train->data, path[i]) ||
				(train->validation && data_has_file(train->validation, path[i]))))
			return tool_fail("%s: is a data set; give the result another file", path[i]);
	return TOOL_OK;
}

static int save_model(const struct train *train)
{
	if (!train->save)
		return TOOL_OK;
	if (npu_train_update_graph(train->t))
		return tool_fail_npu();
	if (npu_graph_write_onnx_batch(train->net.graph, train->save, "N"))
		return tool_fail("%s", npu_graph_error(train->net.graph));
	printf("saved      %s\n", train->save);
	return TOOL_OK;
}

/* ---- Running ---- */

/* A word that a shell takes as it is. */
static void print_word(const char *word)
{
	if (*word && !word[strspn(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:,=+@%")]) {
		fputs(word, stderr);
		return;
	}
	fputc('\'', stderr);
	for (; *word; word++)
		if (*word == '\'')
			fputs("'\\''", stderr);
		else
			fputc(*word, stderr);
	fputc('\'', stderr);
}

static int explain_stop(const struct train *train)
{
	fprintf(stderr, "npu: ended by signal %d after step %" PRIu64, (int)stop_signal,
		npu_train_steps(train->t));
	if (!train->checkpoint) {
		fputs("; nothing is kept without --checkpoint\n", stderr);
		return EXIT_SIGNAL + stop_signal;
	}
	fputs("; go on with: npu", stderr);
	for (int i = 0; i < train->argc; i++) {
		fputc(' ', stderr);
		print_word(train->argv[i]);
	}
	fputs(train->resume ? "\n" : " --resume\n", stderr);
	return EXIT_SIGNAL + stop_signal;
}

static int fit(struct train *train, uint64_t epoch_steps)
{
	const struct npu_fit fit = {
		.data = &train->data->set,
		.validation = train->validation ? &train->validation->set : NULL,
		.epochs = train->epochs,
		.max_steps = train->steps,
		.shuffle = train->shuffle,
		.checkpoint = train->checkpoint,
		.checkpoint_steps = train->checkpoint_steps,
		.on_step = on_step,
		.ctx = train,
	};
	int ret;

	train->progress.places = train->net.places;
	train->progress.end = epoch_steps * train->epochs;
	if (train->steps && train->steps < train->progress.end)
		train->progress.end = train->steps;
	catch_signals();
	train_progress_begin(&train->progress);
	ret = npu_train_fit(train->t, &fit);
	train_progress_end(&train->progress);
	fflush(stdout);
	if (ret > 0)
		return explain_stop(train);
	return ret ? tool_fail_npu() : TOOL_OK;
}

static int run(struct train *train)
{
	uint64_t epoch_steps;
	int status;

	if (check_outputs(train) || begin(train) || check_inputs(train) || resume(train) ||
	    open_logs(train))
		return TOOL_FAILED;
	epoch_steps = (train->data->set.samples + train->net.batch - 1) / train->net.batch;
	print_start(train, epoch_steps);
	status = fit(train, epoch_steps);
	if (train->plot && train->curve.points && train_plot_write(train->plot, &train->curve) &&
	    !status)
		status = TOOL_FAILED;
	return status ? status : save_model(train);
}

/* ---- Options ---- */

#define LONG_OPTIONS \
	{ "data", required_argument, NULL, 'd' }, \
	{ "validate", required_argument, NULL, 'v' }, \
	{ "loss", required_argument, NULL, 'l' }, \
	{ "from-logits", no_argument, NULL, 'L' }, \
	{ "optimizer", required_argument, NULL, 'o' }, \
	{ "epochs", required_argument, NULL, 'e' }, \
	{ "steps", required_argument, NULL, 'S' }, \
	{ "batch", required_argument, NULL, 'b' }, \
	{ "checkpoint-steps", required_argument, NULL, 'C' }, \
	{ "no-shuffle", no_argument, NULL, 'n' }, \
	{ "seed", required_argument, NULL, 's' }, \
	{ "bind", required_argument, NULL, 'B' }, \
	{ "freeze", required_argument, NULL, 'f' }, \
	{ "history", required_argument, NULL, 'H' }, \
	{ "grad-norms", required_argument, NULL, 'g' }, \
	{ "plot", required_argument, NULL, 'p' }, \
	{ "checkpoint", required_argument, NULL, 'c' }, \
	{ "resume", no_argument, NULL, 'r' }, \
	{ "save", required_argument, NULL, 'w' }, \
	{ "device", required_argument, NULL, 'D' }, \
	{ "help", no_argument, NULL, 'h' }

#define FIRST_NUMBER	0x100	/* values of long options that are numbers */

static const char *const number_names[NUMBERS] = {
	[RATE] = "lr", [MOMENTUM] = "momentum", [BETA1] = "beta1", [BETA2] = "beta2",
	[EPSILON] = "epsilon", [WEIGHT_DECAY] = "weight-decay", [CLIP_NORM] = "clip-norm",
};

static int parse_number(struct train *train, int c)
{
	int which = c - FIRST_NUMBER;

	if (!tool_parse_double(optarg, &train->number[which]))
		return tool_usage("train", "train: --%s %s is not a number from 0 up",
				  number_names[which], optarg);
	return TOOL_OK;
}

static int parse_count(const char *name, uint32_t *count)
{
	if (tool_parse_u32(optarg, count) && *count)
		return TOOL_OK;
	return tool_usage("train", "train: --%s %s is not a positive number", name, optarg);
}

static int parse_optimizer(struct train *train)
{
	static const char *const name[NPU_OPTIMIZERS] = {
		[NPU_OPTIMIZER_SGD] = "sgd", [NPU_OPTIMIZER_MOMENTUM] = "momentum",
		[NPU_OPTIMIZER_NESTEROV] = "nesterov", [NPU_OPTIMIZER_ADAM] = "adam",
		[NPU_OPTIMIZER_ADAMW] = "adamw",
	};
	unsigned int i = 0;

	while (i < NPU_OPTIMIZERS && strcmp(name[i], optarg))
		i++;
	if (i == NPU_OPTIMIZERS)
		return tool_usage("train", "train: there is no optimizer %s; sgd, momentum, nesterov, adam and adamw are",
				  optarg);
	train->optimizer = (enum npu_optimizer)i;
	return TOOL_OK;
}

static int parse_word(struct train *train, int c)
{
	switch (c) {
	case 'l':
		train->net.loss = train_net_loss(optarg);
		if (train->net.loss == NPU_LOSSES)
			return tool_usage("train", "train: there is no loss %s", optarg);
		return TOOL_OK;
	case 'o':
		return parse_optimizer(train);
	case 'e':
		return parse_count("epochs", &train->epochs);
	case 'S':
		return parse_count("steps", &train->steps);
	case 'b':
		return parse_count("batch", &train->net.batch);
	case 'C':
		return parse_count("checkpoint-steps", &train->checkpoint_steps);
	case 's':
		if (!tool_parse_u32(optarg, &train->net.seed))
			return tool_usage("train", "train: --seed %s is not a number", optarg);
		return TOOL_OK;
	default:
		if (train->freezes == FREEZE_MAX)
			return tool_usage("train", "train: more than %d patterns to freeze", FREEZE_MAX);
		train->freeze[train->freezes++] = optarg;
		return TOOL_OK;
	}
}

static int parse_option(struct train *train, int c)
{
	switch (c) {
	case 'd': train->data_spec = optarg; return TOOL_OK;
	case 'v': train->validate_spec = optarg; return TOOL_OK;
	case 'L': train->net.from_logits = true; return TOOL_OK;
	case 'n': train->shuffle = false; return TOOL_OK;
	case 'B': train->net.bind = optarg; return TOOL_OK;
	case 'H': train->history.path = optarg; return TOOL_OK;
	case 'g': train->norms.path = optarg; return TOOL_OK;
	case 'p': train->plot = optarg; return TOOL_OK;
	case 'c': train->checkpoint = optarg; return TOOL_OK;
	case 'r': train->resume = true; return TOOL_OK;
	case 'w': train->save = optarg; return TOOL_OK;
	case 'D': train->device = optarg; return TOOL_OK;
	default: return c >= FIRST_NUMBER ? parse_number(train, c) : parse_word(train, c);
	}
}

/* Options that do not fit each other. */
static int check_options(const struct train *train)
{
	static const unsigned int users[NUMBERS] = {
		[RATE] = ~0u, [CLIP_NORM] = ~0u,
		[MOMENTUM] = 1u << NPU_OPTIMIZER_MOMENTUM | 1u << NPU_OPTIMIZER_NESTEROV,
		[BETA1] = 1u << NPU_OPTIMIZER_ADAM | 1u << NPU_OPTIMIZER_ADAMW,
		[BETA2] = 1u << NPU_OPTIMIZER_ADAM | 1u << NPU_OPTIMIZER_ADAMW,
		[EPSILON] = 1u << NPU_OPTIMIZER_ADAM | 1u << NPU_OPTIMIZER_ADAMW,
		[WEIGHT_DECAY] = 1u << NPU_OPTIMIZER_ADAMW,
	};

	for (unsigned int i = 0; i < NUMBERS; i++)
		if (train->number[i] >= 0 && !(users[i] >> train->optimizer & 1))
			return tool_usage("train", "train: the optimizer does not use --%s",
					  number_names[i]);
	if (!train->data_spec)
		return tool_usage("train", "train: a data set is needed: --data");
	if (train->net.loss == NPU_LOSSES)
		return tool_usage("train", "train: a loss is needed: --loss");
	if (!train->checkpoint && (train->resume || train->checkpoint_steps))
		return tool_usage("train", "train: a file is needed for that: --checkpoint");
	if (train->net.from_logits && train->net.loss == NPU_LOSS_MSE)
		return tool_usage("train", "train: --from-logits is for crossentropy");
	return TOOL_OK;
}

static int parse_options(struct train *train, int argc, char **argv)
{
	static const struct option options[] = {
		LONG_OPTIONS,
		{ "lr", required_argument, NULL, FIRST_NUMBER + RATE },
		{ "momentum", required_argument, NULL, FIRST_NUMBER + MOMENTUM },
		{ "beta1", required_argument, NULL, FIRST_NUMBER + BETA1 },
		{ "beta2", required_argument, NULL, FIRST_NUMBER + BETA2 },
		{ "epsilon", required_argument, NULL, FIRST_NUMBER + EPSILON },
		{ "weight-decay", required_argument, NULL, FIRST_NUMBER + WEIGHT_DECAY },
		{ "clip-norm", required_argument, NULL, FIRST_NUMBER + CLIP_NORM },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, ":d:h", options, NULL)) != -1) {
		int status;

		if (c == '?' || c == ':')
			return tool_bad_option("train", argv, c);
		if (c == 'h') {
			print_help();
			return -1;
		}
		status = parse_option(train, c);
		if (status)
			return status;
	}
	if (argc - optind != 1)
		return tool_usage("train", "train: one model is needed");
	train->net.model = argv[optind];
	return check_options(train);
}

int cmd_train(int argc, char **argv)
{
	struct train *train = calloc(1, sizeof(*train));
	int status;

	if (!train)
		return tool_fail("out of memory");
	*train = (struct train){
		.net = { .batch = 32, .seed = 1, .loss = NPU_LOSSES },
		.optimizer = NPU_OPTIMIZER_ADAM, .epochs = 10, .shuffle = true,
		.argc = argc, .argv = argv,
	};
	for (unsigned int i = 0; i < NUMBERS; i++)
		train->number[i] = -1;
	status = parse_options(train, argc, argv);
	if (status == TOOL_OK)
		status = run(train);
	if (train_log_close(&train->history) + train_log_close(&train->norms) && !status)
		status = TOOL_FAILED;
	npu_train_destroy(train->t);
	npu_device_close(train->dev);
	data_close(train->data);
	data_close(train->validation);
	train_net_close(&train->net);
	free(train->curve.point);
	free(train);
	return status < 0 ? TOOL_OK : status;
}
