/* SPDX-License-Identifier: MIT */
/* Graphs: values by name, nodes in order. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ev_priv.h"

struct ev_value *ev_env_find(const struct ev_env *env, const char *name)
{
	for (size_t i = 0; i < env->count; i++)
		if (!strcmp(env->name[i], name))
			return &env->value[i];
	return env->outer ? ev_env_find(env->outer, name) : NULL;
}

static struct ev_value *find_own(struct ev_env *env, const char *name)
{
	struct ev_value *x = ev_env_find(env, name);

	return x >= env->value && x < env->value + env->count ? x : NULL;
}

int ev_env_set(struct ev_env *env, const char *name, struct ev_value *value)
{
	struct ev_value *old = find_own(env, name);

	if (!old && env->count == env->room) {
		size_t room = env->room ? 2 * env->room : 32;
		const char **names = realloc(env->name, room * sizeof(*names));
		struct ev_value *values;

		if (names)
			env->name = names;
		values = realloc(env->value, room * sizeof(*values));
		if (values)
			env->value = values;
		if (!names || !values) {
			ev_free(value);
			return -ENOMEM;
		}
		env->room = room;
	}
	if (old) {
		ev_free(old);
		*old = *value;
	} else {
		env->name[env->count] = name;
		env->value[env->count++] = *value;
	}
	memset(value, 0, sizeof(*value));
	return 0;
}

void ev_env_free(struct ev_env *env)
{
	while (env->count)
		ev_free(&env->value[--env->count]);
	free(env->name);
	free(env->value);
	memset(env, 0, sizeof(*env));
}

static int run_node(const struct ev_block *b, const Onnx__NodeProto *node, struct ev_env *env,
		    struct ev_noise *noise, char why[256])
{
	struct ev_call c = { .node = node, .opset = b->opset, .model = b->model, .outer = env,
			     .caller = b->caller };
	int ret = 0;

	if (node->n_input > EV_MAX_IO || node->n_output > EV_MAX_IO)
		return -EINVAL;
	c.ins = (unsigned int)node->n_input;
	c.outs = (unsigned int)node->n_output;
	for (unsigned int i = 0; i < c.ins; i++) {
		c.in[i] = *node->input[i] ? ev_env_find(env, node->input[i]) : NULL;
		if (*node->input[i] && !c.in[i]) {
			snprintf(why, 256, "%s: nothing gives \"%s\"", node->op_type,
				 node->input[i]);
			return -EINVAL;
		}
	}
	ret = ev_call_run(&c, noise);
	if (ret)
		snprintf(why, 256, "%s: %s", node->op_type,
			 *c.why ? c.why : ret == -ERANGE ? "out of range" : "not legal");
	for (unsigned int i = 0; i < c.outs && !ret; i++) {
		if (!*node->output[i])
			continue;
		if (!c.out[i].v) {
			snprintf(why, 256, "%s: has no output %u", node->op_type, i);
			ret = -EINVAL;
		}
		ret = ret ? ret : ev_env_set(env, node->output[i], &c.out[i]);
	}
	ev_call_free(&c);
	return ret;
}

int ev_block_run(const struct ev_block *b, struct ev_env *env, struct ev_noise *noise,
		 char why[256])
{
	int ret = 0;

	*why = 0;
	for (size_t i = 0; i < b->initializers && !ret; i++) {
		const char *name = b->initializer[i]->name;
		struct ev_value x;

		if (find_own(env, name))
			continue;
		ret = ev_from_proto(&x, b->initializer[i]);
		if (ret)
			snprintf(why, 256, "initializer %s is not legal", name);
		ret = ret ? ret : ev_env_set(env, name, &x);
	}
	for (size_t i = 0; i < b->nodes && !ret; i++)
		ret = run_node(b, b->node[i], env, noise, why);
	return ret;
}

int ev_graph_run(const Onnx__ModelProto *model, struct ev_env *env, struct ev_noise *noise,
		 char why[256])
{
	const Onnx__GraphProto *g = model->graph;
	struct ev_block block = { .node = g->node, .nodes = g->n_node,
				  .initializer = g->initializer,
				  .initializers = g->n_initializer, .opset = 1, .model = model };

	for (size_t i = 0; i < model->n_opset_import; i++)
		if (!model->opset_import[i]->domain || !*model->opset_import[i]->domain)
			block.opset = model->opset_import[i]->version;
	return ev_block_run(&block, env, noise, why);
}
