/* SPDX-License-Identifier: MIT */
/*
 * Smaller models that fail as a large one does: fewer outputs, values for
 * whole branches, fewer attributes, smaller dimensions. What is not legal any
 * more the oracle turns down.
 */
#include "rand_case.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CPU_SECONDS	60
#define WAIT_SECONDS	600
#define ROUNDS_MAX	12

void rc_limit(bool on)
{
	struct itimerval cpu = { .it_value = { .tv_sec = on ? CPU_SECONDS : 0 } };

	setitimer(ITIMER_PROF, &cpu, NULL);
	alarm(on ? WAIT_SECONDS : 0);
}

enum rc_verdict rc_try(const struct rc_case *c, const struct rc_judge *j, char why[RC_TEXT])
{
	struct {
		enum rc_verdict verdict;
		char why[RC_TEXT];
	} *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	enum rc_verdict v;
	int status = 0;
	pid_t pid;

	if (shared == MAP_FAILED)
		abort();
	shared->verdict = RC_CRASH;
	fflush(stdout);
	pid = fork();
	if (!pid) {
		struct rc_device d = { .spec = j->device->spec };
		uint64_t loose = 0, judged = 0;

		if (!freopen("/dev/null", "w", stderr))
			_exit(1);
		rc_limit(true);
		shared->verdict = rc_run(c, &d, j->folder, &loose, &judged, shared->why);
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		abort();
	v = WIFEXITED(status) ? shared->verdict : RC_CRASH;
	memcpy(why, shared->why, RC_TEXT);
	munmap(shared, sizeof(*shared));
	return v;
}

void rc_kind(enum rc_verdict verdict, const char *why, char kind[RC_TEXT])
{
	size_t n = 0;

	*kind = 0;
	if (verdict == RC_CRASH)
		return;
	while (*why && n + 1 < RC_TEXT) {
		const char *end = *why == '"' || *why == '\'' ? strchr(why + 1, *why) : NULL;

		end = *why == '[' ? strchr(why, ']') : end;
		if (end) {
			why = end + 1;
		} else if (isdigit((unsigned char)*why)) {
			why += strspn(why, strncmp(why, "0x", 2) ? "0123456789" :
						   "0123456789abcdefx");
			kind[n++] = '#';
		} else {
			kind[n++] = *why++;
		}
	}
	kind[n] = 0;
	/* Which element it is, and by how much, may change. */
	if (verdict == RC_WRONG && strstr(kind, "element"))
		*strstr(kind, "element") = 0;
}

static bool fails_alike(const struct rc_case *c, const struct rc_judge *j)
{
	char why[RC_TEXT], kind[RC_TEXT];

	if (rc_try(c, j, why) != j->verdict)
		return false;
	rc_kind(j->verdict, why, kind);
	return !strcmp(kind, j->kind);
}

/* ---- Candidates ---- */

/**
 * struct change - one way to make a model smaller
 * @kind: 'o' drop output @a but for the others, 'v' make the results of node @a
 *	inputs, 'k' make input @a an initialiser, 'n' drop what nobody takes, 'x' drop
 *	node @a, which nobody takes, 'a' drop attribute @b of node @a, 'd' make
 *	dimensions @a into @b
 * @keep: leave the nodes that nobody takes
 */
struct change {
	char kind;
	int64_t a, b;
	bool keep;
};

/* By a node, an output, or from inside of a body. */
static bool taken(const Onnx__GraphProto *g, const char *name)
{
	for (size_t n = 0; n < g->n_node; n++) {
		for (size_t i = 0; i < g->node[n]->n_input; i++)
			if (!strcmp(g->node[n]->input[i], name))
				return true;
		for (size_t a = 0; a < g->node[n]->n_attribute; a++)
			if (g->node[n]->attribute[a]->g && taken(g->node[n]->attribute[a]->g, name))
				return true;
	}
	for (size_t o = 0; o < g->n_output; o++)
		if (!strcmp(g->output[o]->name, name))
			return true;
	return false;
}

static void drop_node(Onnx__GraphProto *g, size_t n)
{
	onnx__node_proto__free_unpacked(g->node[n], NULL);
	memmove(&g->node[n], &g->node[n + 1], (g->n_node - n - 1) * sizeof(*g->node));
	g->n_node--;
}

static bool is_dead(const Onnx__GraphProto *g, size_t n)
{
	for (size_t i = 0; i < g->node[n]->n_output; i++)
		if (*g->node[n]->output[i] && taken(g, g->node[n]->output[i]))
			return false;
	return true;
}

/* Nodes that nothing depends on; a model has them in the order of their use. */
static void sweep_nodes(Onnx__GraphProto *g)
{
	for (size_t n = g->n_node; n-- > 0;)
		if (is_dead(g, n))
			drop_node(g, n);
}

/* Input @i is none any more, and has no value: names of values are those of inputs. */
static void drop_input(struct rc_case *c, size_t i)
{
	Onnx__GraphProto *g = c->model->graph;
	struct ev_env *env = &c->in;

	for (size_t k = 0; k < env->count; k++) {
		if (strcmp(env->name[k], g->input[i]->name))
			continue;
		ev_free(&env->value[k]);
		env->count--;
		memmove(&env->name[k], &env->name[k + 1], (env->count - k) * sizeof(*env->name));
		memmove(&env->value[k], &env->value[k + 1], (env->count - k) * sizeof(*env->value));
		break;
	}
	onnx__value_info_proto__free_unpacked(g->input[i], NULL);
	memmove(&g->input[i], &g->input[i + 1], (g->n_input - i - 1) * sizeof(*g->input));
	g->n_input--;
}

/* Inputs and initialisers that nothing depends on. */
static void sweep_tensors(struct rc_case *c)
{
	Onnx__GraphProto *g = c->model->graph;

	for (size_t i = 0; i < g->n_initializer; i++) {
		if (taken(g, g->initializer[i]->name))
			continue;
		onnx__tensor_proto__free_unpacked(g->initializer[i], NULL);
		memmove(&g->initializer[i], &g->initializer[i + 1],
			(g->n_initializer - i - 1) * sizeof(*g->initializer));
		g->n_initializer--;
		i--;
	}
	for (size_t i = g->n_input; i-- > 0;)
		if (!taken(g, g->input[i]->name))
			drop_input(c, i);
}

/* Add input @name, described as @x; all of it malloc()ed as the unpacker does. */
static void add_input(Onnx__GraphProto *g, const char *name, const struct ev_value *x)
{
	Onnx__TensorShapeProto__Dimension dim[REF_MAX_RANK];
	Onnx__TensorShapeProto__Dimension *dims[REF_MAX_RANK];
	Onnx__TensorShapeProto shape = ONNX__TENSOR_SHAPE_PROTO__INIT;
	Onnx__TypeProto__Tensor tensor = ONNX__TYPE_PROTO__TENSOR__INIT;
	Onnx__TypeProto type = ONNX__TYPE_PROTO__INIT;
	Onnx__ValueInfoProto info = ONNX__VALUE_INFO_PROTO__INIT;
	uint8_t packed[1024];
	size_t bytes;

	for (int i = 0; i < x->rank; i++) {
		onnx__tensor_shape_proto__dimension__init(&dim[i]);
		dim[i].value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
		dim[i].dim_value = x->dims[i];
		dims[i] = &dim[i];
	}
	shape.n_dim = (size_t)x->rank;
	shape.dim = dims;
	tensor.has_elem_type = 1;
	tensor.elem_type = x->type;
	tensor.shape = &shape;
	type.value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
	type.tensor_type = &tensor;
	info.name = (char *)(uintptr_t)name;
	info.type = &type;
	bytes = onnx__value_info_proto__pack(&info, packed);
	g->input = realloc(g->input, (g->n_input + 1) * sizeof(*g->input));
	g->input[g->n_input++] = onnx__value_info_proto__unpack(NULL, bytes, packed);
}

/* The results of node @n come as inputs with the values that they have, rounded. */
static bool cut(struct rc_case *to, const struct rc_case *from, size_t n)
{
	Onnx__GraphProto *g = to->model->graph;
	Onnx__NodeProto *node = g->node[n];
	bool any = false;

	for (size_t o = 0; o < node->n_output; o++) {
		const struct ev_value *x = ev_env_find(&from->out[0], node->output[o]);
		bool is_output = false;
		struct ev_value copy;
		const char *name;

		for (size_t i = 0; i < g->n_output; i++)
			is_output = is_output || !strcmp(g->output[i]->name, node->output[o]);
		if (!*node->output[o] || !taken(g, node->output[o]))
			continue;
		if (is_output || !x || ev_copy(&copy, x))
			return false;
		for (int64_t i = 0; i < copy.elems; i++)
			copy.v[i] = ev_round(copy.type, copy.v[i]);
		add_input(g, node->output[o], x);
		name = g->input[g->n_input - 1]->name;
		if (ev_env_set(&to->in, name, &copy))
			return false;
		any = true;
	}
	drop_node(g, n);
	return any;
}

static bool make_known(struct rc_case *to, size_t i)
{
	Onnx__GraphProto *g = to->model->graph;
	const struct ev_value *x = ev_env_find(&to->in, g->input[i]->name);
	Onnx__TensorProto t = ONNX__TENSOR_PROTO__INIT;
	int64_t dims[REF_MAX_RANK];
	uint8_t *packed;
	size_t bytes;

	t.name = g->input[i]->name;
	t.has_data_type = 1;
	t.data_type = x->type;
	memcpy(dims, x->dims, sizeof(dims));
	t.n_dims = (size_t)x->rank;
	t.dims = dims;
	t.has_raw_data = 1;
	t.raw_data.len = (size_t)x->elems * ev_type_bytes(x->type);
	t.raw_data.data = malloc(t.raw_data.len + 1);
	if (!t.raw_data.data)
		abort();
	ev_to_bytes(x, t.raw_data.data);
	bytes = onnx__tensor_proto__get_packed_size(&t);
	packed = malloc(bytes + 1);
	if (!packed)
		abort();
	onnx__tensor_proto__pack(&t, packed);
	g->initializer = realloc(g->initializer,
				 (g->n_initializer + 1) * sizeof(*g->initializer));
	g->initializer[g->n_initializer++] = onnx__tensor_proto__unpack(NULL, bytes, packed);
	free(packed);
	free(t.raw_data.data);
	drop_input(to, i);
	return true;
}

/* All dimensions @from of inputs and known tensors become @size: the first elements stay. */
static bool cut_value(struct ev_value *x, int64_t from, int64_t size)
{
	int64_t dims[REF_MAX_RANK], coord[REF_MAX_RANK] = { 0 };
	struct ev_value y;
	bool any = false;

	for (int i = 0; i < x->rank; i++) {
		dims[i] = x->dims[i] == from ? size : x->dims[i];
		any = any || x->dims[i] == from;
	}
	if (!any || ev_alloc(&y, x->type, x->rank, dims))
		return false;
	for (int64_t e = 0; e < y.elems; e++) {
		int64_t at = 0;

		for (int i = 0; i < x->rank; i++)
			at = at * x->dims[i] + coord[i];
		y.v[e] = x->v[at];
		for (int i = x->rank - 1; i >= 0; i--) {
			if (++coord[i] < dims[i])
				break;
			coord[i] = 0;
		}
	}
	ev_free(x);
	*x = y;
	return true;
}

static bool shrink_tensor(Onnx__TensorProto *t, int64_t from, int64_t size)
{
	struct ev_value x;
	bool any;

	if (ev_from_proto(&x, t))
		return false;
	any = cut_value(&x, from, size);
	if (any && t->has_raw_data) {
		memcpy(t->dims, x.dims, t->n_dims * sizeof(*t->dims));
		t->raw_data.len = (size_t)x.elems * ev_type_bytes(x.type);
		ev_to_bytes(&x, t->raw_data.data);
	}
	ev_free(&x);
	return any;
}

static bool shrink_dims(struct rc_case *to, int64_t from, int64_t size)
{
	Onnx__GraphProto *g = to->model->graph;
	bool any = false;

	for (size_t i = 0; i < g->n_input; i++) {
		struct ev_value *x = ev_env_find(&to->in, g->input[i]->name);
		Onnx__TensorShapeProto *s = g->input[i]->type->tensor_type->shape;

		if (!cut_value(x, from, size))
			continue;
		any = true;
		for (int k = 0; k < x->rank; k++)
			s->dim[k]->dim_value = x->dims[k];
	}
	for (size_t i = 0; i < g->n_initializer; i++)
		any = shrink_tensor(g->initializer[i], from, size) || any;
	for (size_t i = 0; i < g->n_node; i++)
		if (!strcmp(g->node[i]->op_type, "Constant") && g->node[i]->attribute[0]->t)
			any = shrink_tensor(g->node[i]->attribute[0]->t, from, size) || any;
	return any;
}

/* Dimensions of outputs are left to the compiler: they may have changed. */
static void forget_shapes(Onnx__GraphProto *g)
{
	for (size_t i = 0; i < g->n_output; i++) {
		if (!g->output[i]->type)
			continue;
		onnx__type_proto__free_unpacked(g->output[i]->type, NULL);
		g->output[i]->type = NULL;
	}
}

/* @from with a change, not evaluated yet; NULL when it makes no sense. */
static struct rc_case *changed(const struct rc_case *from, const struct change *how)
{
	struct rc_case *c = rc_create(from->model);
	Onnx__GraphProto *g = c ? c->model->graph : NULL;
	bool good = g;

	for (size_t i = 0; good && i < g->n_input; i++) {
		const struct ev_value *x = ev_env_find(&from->in, g->input[i]->name);
		struct ev_value copy;

		good = x && !ev_copy(&copy, x) && !ev_env_set(&c->in, g->input[i]->name, &copy);
	}
	if (good && how->kind == 'o') {
		good = g->n_output > 1 && (size_t)how->a < g->n_output;
		if (good) {
			onnx__value_info_proto__free_unpacked(g->output[how->a], NULL);
			memmove(&g->output[how->a], &g->output[how->a + 1],
				(g->n_output - (size_t)how->a - 1) * sizeof(*g->output));
			g->n_output--;
		}
	} else if (good && how->kind == 'v') {
		good = cut(c, from, (size_t)how->a);
	} else if (good && how->kind == 'k') {
		good = make_known(c, (size_t)how->a);
	} else if (good && how->kind == 'a') {
		Onnx__NodeProto *n = g->node[how->a];

		good = strcmp(n->op_type, "Constant");
		if (good) {
			onnx__attribute_proto__free_unpacked(n->attribute[how->b], NULL);
			memmove(&n->attribute[how->b], &n->attribute[how->b + 1],
				(n->n_attribute - (size_t)how->b - 1) * sizeof(*n->attribute));
			n->n_attribute--;
		}
	} else if (good && how->kind == 'd') {
		good = shrink_dims(c, how->a, how->b);
	} else if (good && how->kind == 'x') {
		good = is_dead(g, (size_t)how->a);
		if (good)
			drop_node(g, (size_t)how->a);
	}
	if (good) {
		forget_shapes(g);
		if (!how->keep)
			sweep_nodes(g);
		sweep_tensors(c);
	} else {
		rc_destroy(c);
		c = NULL;
	}
	return c;
}

/* Take the change if the model then fails as before. */
static bool attempt(struct rc_case **c, const struct rc_judge *j, char kind, int64_t a, int64_t b)
{
	struct change how = { kind, a, b, j->keep && kind != 'n' };
	struct rc_case *next = time(NULL) < j->end ? changed(*c, &how) : NULL;
	char why[RC_TEXT];

	if (!next)
		return false;
	if (rc_evaluate(next, why) || !fails_alike(next, j)) {
		rc_destroy(next);
		return false;
	}
	rc_destroy(*c);
	*c = next;
	return true;
}

static bool fewer_nodes(struct rc_case **c, const struct rc_judge *j)
{
	bool any = false;

	for (int64_t o = (int64_t)(*c)->model->graph->n_output - 1; o >= 0; o--)
		any = attempt(c, j, 'o', o, 0) || any;
	for (int64_t n = (int64_t)(*c)->model->graph->n_node - 1; n >= 0; n--)
		if (n < (int64_t)(*c)->model->graph->n_node)
			any = (j->keep && attempt(c, j, 'x', n, 0)) ||
			      attempt(c, j, 'v', n, 0) || any;
	return any;
}

static bool smaller_dims(struct rc_case **c, const struct rc_judge *j)
{
	int64_t tried[64];
	size_t count = 0;
	bool any = false;

	for (size_t i = 0; i < (*c)->in.count; i++)
		for (int k = 0; k < (*c)->in.value[i].rank && count < 64; k++)
			tried[count++] = (*c)->in.value[i].dims[k];
	for (size_t i = 0; i < (*c)->model->graph->n_initializer; i++)
		for (size_t k = 0; k < (*c)->model->graph->initializer[i]->n_dims && count < 64; k++)
			tried[count++] = (*c)->model->graph->initializer[i]->dims[k];
	for (size_t i = 0; i < count; i++) {
		bool again = false;

		for (size_t k = 0; k < i; k++)
			again = again || tried[k] == tried[i];
		for (int64_t d = tried[i], to = 1; !again && d > 1;) {
			if (attempt(c, j, 'd', d, to)) {
				any = true;
				d = to;
				to = 1;
			} else if (to * 2 < d) {
				to *= 2;
			} else if (to < d - 1) {
				to = d - 1;
			} else {
				break;
			}
		}
	}
	return any;
}

static bool less_else(struct rc_case **c, const struct rc_judge *j)
{
	bool any = false;

	for (size_t n = 0; n < (*c)->model->graph->n_node; n++)
		for (int64_t a = (int64_t)(*c)->model->graph->node[n]->n_attribute - 1; a >= 0; a--)
			if (n < (*c)->model->graph->n_node)
				any = attempt(c, j, 'a', (int64_t)n, a) || any;
	return any;
}

struct rc_case *rc_shrink(struct rc_case *c, const struct rc_judge *judge)
{
	struct rc_judge with_dead = *judge, *j = &with_dead;
	bool more = true;

	/* If it is a node that nobody takes which fails, these have to stay. */
	j->keep = !attempt(&c, j, 'n', 0, 0);
	for (int round = 0; more && round < ROUNDS_MAX; round++) {
		more = fewer_nodes(&c, j);
		more = smaller_dims(&c, j) || more;
		more = less_else(&c, j) || more;
	}
	return c;
}
