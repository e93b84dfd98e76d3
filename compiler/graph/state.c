/* SPDX-License-Identifier: MIT */
/*
 * A graph as it was before passes changed it: it can be compiled again, for
 * another purpose, or written to a file.
 */
#include "graph.h"

#include <errno.h>
#include <stdlib.h>

int nc_graph_save(struct npu_graph *g, struct nc_graph_state *s)
{
	s->graph = *g;
	s->tensor = calloc(g->tensors ? g->tensors : 1, sizeof(*s->tensor));
	if (!s->tensor)
		return nc_error(&g->diag, -ENOMEM, "graph \"%s\": out of memory", g->name);
	for (uint32_t i = 0; i < g->tensors; i++)
		s->tensor[i] = *g->tensor[i];
	return 0;
}

void nc_graph_restore(struct npu_graph *g, struct nc_graph_state *s)
{
	/* The message stays; the list of tensors may have moved, and what is in it has not. */
	s->graph.diag = g->diag;
	s->graph.tensor = g->tensor;
	s->graph.tensor_room = g->tensor_room;
	*g = s->graph;
	for (uint32_t i = 0; i < g->tensors; i++)
		*g->tensor[i] = s->tensor[i];
	for (uint32_t i = 0; i < g->nodes; i++)
		g->node[i]->index = i;
	free(s->tensor);
}

void nc_graph_params_known(struct npu_graph *g)
{
	for (uint32_t i = 0; i < g->params; i++)
		g->tensor[g->param[i]]->data = g->tensor[g->param[i]]->init;
}
