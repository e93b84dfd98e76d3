/* SPDX-License-Identifier: MIT */
/* Inside the ONNX reader: the model being read, and who reads which part. */
#ifndef NPU_COMPILER_ONNX_IMPORT_H
#define NPU_COMPILER_ONNX_IMPORT_H

#include <string.h>

#include "onnx.h"
#include "onnx.pb-c.h"

/* Functions of a model may call each other this deep. */
#define NC_ONNX_CALLS_MAX	16
/* Entries of lists that are searched each time: attributes of a node, opsets. */
#define NC_ONNX_LIST_MAX	256u
/* A name for an optional input of a function that the caller does not give. */
#define NC_ONNX_ABSENT		(NC_NONE - 1)

struct nc_onnx_file;
struct nc_onnx_function;

/* A name that something in the model gives to a tensor. */
struct nc_onnx_def {
	const char *name;
	uint32_t tensor;	/* NC_NONE until it is computed */
};

/* A symbolic dimension, and the first input at hand that has it. */
struct nc_onnx_dim {
	const char *name;
	int64_t value;
	const char *input;
};

/**
 * struct nc_onnx_import - one model, one call of a function in it, or one run of a
 *	branch or loop body, being read
 * @model: all of it
 * @functions: of the model, sorted
 * @calls: of functions so far, shared by all parts of the model
 * @graph: its graph
 * @opset: of ai.onnx, that the nodes here use
 * @def: everything here that has a name, sorted by name
 * @folder: of the file, open; or NC_ONNX_NO_FOLDER
 * @files: those beneath it that have been read, shared by all parts of the model
 * @bind: the user's dimensions, "N=1,seq=28"
 * @batch: the first dimension of all inputs, or 0
 * @dim: what inputs at hand say about others
 * @enclosing: whose names are seen here too, or NULL
 * @outer: where the call is, or NULL
 * @function: what is called
 * @call: the node that calls it
 * @depth: calls and bodies around this one
 */
struct nc_onnx_import {
	struct npu_graph *g;
	const Onnx__ModelProto *model;
	const struct nc_onnx_function *functions;
	size_t function_count;
	uint32_t *calls;
	const Onnx__GraphProto *graph;
	int64_t opset;
	struct nc_onnx_def *def;
	uint32_t defs;
	int folder;
	struct nc_onnx_file **files;
	const char *bind;
	int64_t batch;
	struct nc_onnx_dim *dim;
	uint32_t dims;
	const struct nc_onnx_import *enclosing;
	struct nc_onnx_import *outer;
	const Onnx__FunctionProto *function;
	const Onnx__NodeProto *call;
	unsigned int depth;
};

#define refuse(im, err, ...)	nc_error(&(im)->g->diag, err, __VA_ARGS__)

/* onnx_import.c */
int nc_onnx_no_memory(struct nc_onnx_import *im);
/* Names are collected, then sorted, then looked up. */
int nc_onnx_add_def(struct nc_onnx_import *im, const char *what, const char *name);
int nc_onnx_sort_defs(struct nc_onnx_import *im);
/* All of im->graph's names, and its initialisers' tensors. */
int nc_onnx_collect(struct nc_onnx_import *im);
int nc_onnx_initializers(struct nc_onnx_import *im);
struct nc_onnx_def *nc_onnx_find(const struct nc_onnx_import *im, const char *name);
/* The name now stands for @tensor, or the error that it is. */
int nc_onnx_define(struct nc_onnx_import *im, const char *name, int64_t tensor);
/* The version of ai.onnx, or -1. */
int64_t nc_onnx_opset(Onnx__OperatorSetIdProto *const *set, size_t count);
int nc_onnx_check_opset(struct nc_onnx_import *im);

/* onnx_dims.c */
/* @bind is "name=number" separated by commas, and nothing else. */
int nc_onnx_check_bind(struct nc_onnx_import *im);
/* Names that no input has are a slip of the caller's. */
int nc_onnx_check_bind_used(struct nc_onnx_import *im);
/* Fill in @dim; what is given for inputs must agree. */
int nc_onnx_learn_dims(struct nc_onnx_import *im);
/* Rank and dimensions of input @name. */
int nc_onnx_shape(struct nc_onnx_import *im, const char *name,
		  const Onnx__TensorShapeProto *shape, unsigned int *rank, int64_t *dim);

/* onnx_tensor.c */
const char *nc_onnx_type_name(int type);
/* A constant; @what names it in messages: 'initialiser "w"'. */
int64_t nc_onnx_tensor(struct nc_onnx_import *im, const Onnx__TensorProto *t, const char *name,
		       const char *what);

/* onnx_external.c */
/* The elements of @t, which are in another file: @bytes to @data. */
int nc_onnx_external(struct nc_onnx_import *im, const Onnx__TensorProto *t, const char *name,
		     const char *what, size_t bytes, void **data);

/* onnx_params.c */
/* Float initialisers become parameters. */
int nc_onnx_params(struct nc_onnx_import *im);

/* onnx_file.c */
/* The file appears whole or not at all; 0, or -errno with a message. */
int nc_onnx_write_file(struct nc_diag *diag, const Onnx__ModelProto *model, const char *path);

/* onnx_node.c */
int nc_onnx_node(struct nc_onnx_import *im, const Onnx__NodeProto *p, size_t number);
/* A message before there is a graph node; as nc_node_error(). */
int nc_onnx_refuse_node(struct nc_onnx_import *im, const Onnx__NodeProto *p, size_t number,
			int err, const char *rule, const char *what);

/* onnx_function.c */
int nc_onnx_index_functions(struct nc_onnx_import *im);
/* The function of the model that @p calls, or NULL. */
const Onnx__FunctionProto *nc_onnx_function(const struct nc_onnx_import *im,
					    const Onnx__NodeProto *p);
/* Its nodes instead of @p. */
int nc_onnx_call(struct nc_onnx_import *im, const Onnx__FunctionProto *f,
		 const Onnx__NodeProto *p, size_t number);
/*
 * What @a stands for: itself, or the caller's attribute that it refers to. NULL
 * and 0 when the caller has none.
 */
int nc_onnx_resolve(struct nc_onnx_import *im, const Onnx__AttributeProto *a,
		    const Onnx__AttributeProto **value);

/* onnx_control.c */
int nc_onnx_if(struct nc_onnx_import *im, const Onnx__NodeProto *p, size_t number);
int nc_onnx_loop(struct nc_onnx_import *im, const Onnx__NodeProto *p, size_t number);
int nc_onnx_scan_node(struct nc_onnx_import *im, const Onnx__NodeProto *p, size_t number);

static inline const char *nc_onnx_text(const char *s)
{
	return s ? s : "";
}

/* onnx_training.c */
bool nc_onnx_is_training(const char *domain);
/* Version 1 of that domain is imported. */
bool nc_onnx_has_training(const Onnx__ModelProto *model);
/* NULL when the domain has no such operator; not Gradient, which is no node like others. */
const struct nc_op *nc_onnx_training_op(const char *type);
int nc_onnx_gradient(struct nc_onnx_import *im, const Onnx__NodeProto *p, size_t number);

/* The domain of the operators that we know. */
static inline bool nc_onnx_ours(const char *domain)
{
	return !domain || !*domain || !strcmp(domain, "ai.onnx");
}

#endif
