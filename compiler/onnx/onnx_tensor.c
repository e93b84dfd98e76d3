/* SPDX-License-Identifier: MIT */
/* Constant tensors of an ONNX model: initialisers, and values of attributes. */
#include "onnx_import.h"

#include <errno.h>
#include <inttypes.h>

const char *nc_onnx_type_name(int type)
{
	const ProtobufCEnumValue *v = protobuf_c_enum_descriptor_get_value(
		&onnx__tensor_proto__data_type__descriptor, type);

	return v ? v->name : "unknown";
}

/* Elements that are stored in the lists instead of as raw bytes. */
static int typed_data(const Onnx__TensorProto *t, enum npu_graph_dtype dtype, void *data,
		      uint64_t elems)
{
	size_t count = dtype == NPU_GRAPH_F32 ? t->n_float_data :
		       dtype == NPU_GRAPH_I64 ? t->n_int64_data : t->n_int32_data;

	if (count != elems)
		return -EINVAL;
	if (!elems)
		return 0;
	if (dtype == NPU_GRAPH_F32)
		memcpy(data, t->float_data, elems * sizeof(float));
	else if (dtype == NPU_GRAPH_I64)
		memcpy(data, t->int64_data, elems * sizeof(int64_t));
	else
		/* Narrower types are the low bytes of a word. */
		for (uint64_t i = 0; i < elems; i++)
			memcpy((char *)data + i * nc_dtype_bytes(dtype), &t->int32_data[i],
			       nc_dtype_bytes(dtype));
	return 0;
}

/* Elements that are in the model itself. */
static int internal_data(struct nc_onnx_import *im, const Onnx__TensorProto *t, const char *name,
			 const char *what, enum npu_graph_dtype dtype, uint64_t elems, void **data)
{
	size_t bytes = (size_t)elems * nc_dtype_bytes(dtype);

	/* The data's own size first: the shape alone allocates nothing. */
	if (t->has_raw_data ? t->raw_data.len != bytes :
	    elems > t->n_float_data + t->n_int32_data + t->n_int64_data)
		return refuse(im, -EINVAL, "%s \"%s\": has other data than its %" PRIu64 " elements need",
			      what, name, elems);
	*data = nc_alloc(im->g->arena, bytes);
	if (!*data)
		return nc_onnx_no_memory(im);
	if (t->has_raw_data) {
		if (bytes)
			memcpy(*data, t->raw_data.data, bytes);
	} else if (typed_data(t, dtype, *data, elems)) {
		return refuse(im, -EINVAL, "%s \"%s\": has other data than its %" PRIu64 " elements need",
			      what, name, elems);
	}
	return 0;
}

int64_t nc_onnx_tensor(struct nc_onnx_import *im, const Onnx__TensorProto *t, const char *name,
		       const char *what)
{
	int type = nc_dtype_of_onnx(t->data_type), ret;
	enum npu_graph_dtype dtype = (enum npu_graph_dtype)type;
	void *data = NULL;
	int64_t elems;
	size_t bytes;

	if (type < 0)
		return refuse(im, -ENOTSUP,
			      "%s \"%s\": element type %s is not supported; FLOAT, FLOAT16, BFLOAT16, INT8, UINT8, INT16, INT32, INT64 and BOOL are",
			      what, name, nc_onnx_type_name(t->data_type));
	if (t->n_dims > NPU_GRAPH_RANK_MAX || t->segment)
		return refuse(im, -ENOTSUP,
			      "%s \"%s\": has %zu dimensions or is in segments; at most %d, in one piece, are possible",
			      what, name, t->n_dims, NPU_GRAPH_RANK_MAX);
	elems = nc_elems(dtype, (unsigned int)t->n_dims, t->dims);
	if (elems < 0)
		return refuse(im, -EINVAL, "%s \"%s\": its dimensions are negative or too large",
			      what, name);
	bytes = (size_t)elems * nc_dtype_bytes(dtype);
	if (t->data_location == ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL || t->n_external_data)
		ret = nc_onnx_external(im, t, name, what, bytes, &data);
	else
		ret = internal_data(im, t, name, what, dtype, (uint64_t)elems, &data);
	if (ret)
		return ret;
	for (size_t i = 0; dtype == NPU_GRAPH_BOOL && i < bytes; i++)
		((uint8_t *)data)[i] = ((uint8_t *)data)[i] != 0;
	return nc_graph_const(im->g, name, dtype, (unsigned int)t->n_dims, t->dims, data);
}
