/* SPDX-License-Identifier: MIT */
/*
 * face: finds the faces in a photo with BlazeFace on the NPU.
 *
 *	face MODEL.onnx PHOTO.png OUT.png [DEVICE]
 *
 * Before the run, the photo is made smaller on the host, and values from -1 to
 * 1 of it; the network, from there to its scores and boxes, runs on the NPU.
 * What they mean is worked out on the host again: each cell of two grids has
 * some anchors in its middle, and each anchor a score and the distance to the
 * box of a face.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <npu.h>

#include "picture.h"

#define SIDE		256	/* pixels of the network's input */
#define VALUES		16	/* of an anchor: box, and six points in the face */
#define FACES_MAX	64
#define SCORE_MIN	0.75
#define OVERLAP_MAX	0.3

/**
 * struct face - one that was found, in parts of the square
 * @x: its middle
 * @y: its middle
 * @width: of its box
 * @height: of its box
 * @score: how sure the network is, 0 to 1
 */
struct face {
	double x;
	double y;
	double width;
	double height;
	double score;
};

/* The network has two grids; their scores come first, then their boxes. */
static const struct {
	int cells;	/* in a row and in a column */
	int anchors;	/* in a cell */
} grid[2] = { { 16, 2 }, { 8, 6 } };

static int by_score(const void *a, const void *b)
{
	const struct face *one = a;
	const struct face *other = b;

	return (one->score < other->score) - (one->score > other->score);
}

/* Part that two boxes have in common. */
static double overlap(const struct face *a, const struct face *b)
{
	double width = fmin(a->x + a->width / 2, b->x + b->width / 2) -
		       fmax(a->x - a->width / 2, b->x - b->width / 2);
	double height = fmin(a->y + a->height / 2, b->y + b->height / 2) -
			fmax(a->y - a->height / 2, b->y - b->height / 2);
	double common = width > 0 && height > 0 ? width * height : 0;

	return common / (a->width * a->height + b->width * b->height - common);
}

static int decode(int g, const float *score, const float *box, struct face *face, int faces)
{
	for (int i = 0; i < grid[g].cells * grid[g].cells * grid[g].anchors; i++) {
		const float *v = &box[VALUES * i];
		int cell = i / grid[g].anchors;
		double sure = 1 / (1 + exp(-(double)score[i]));

		if (sure < SCORE_MIN || faces == FACES_MAX)
			continue;
		face[faces++] = (struct face){
			.x = (cell % grid[g].cells + 0.5) / grid[g].cells + v[0] / SIDE,
			.y = (cell / grid[g].cells + 0.5) / grid[g].cells + v[1] / SIDE,
			.width = v[2] / SIDE,
			.height = v[3] / SIDE,
			.score = sure,
		};
	}
	return faces;
}

/* Of boxes that overlap, the one that is surest. */
static int keep_best(struct face *face, int faces)
{
	int kept = 0;

	qsort(face, (size_t)faces, sizeof(*face), by_score);
	for (int i = 0; i < faces; i++) {
		int k = 0;

		while (k < kept && overlap(&face[i], &face[k]) < OVERLAP_MAX)
			k++;
		if (k == kept)
			face[kept++] = face[i];
	}
	return kept;
}

/* Whether the model is one that this program knows how to read. */
static int check_model(const struct npu_model *model)
{
	struct npu_tensor_info info;
	uint64_t want[4];

	for (int g = 0; g < 2; g++) {
		want[g] = (uint64_t)(grid[g].cells * grid[g].cells * grid[g].anchors) * sizeof(float);
		want[g + 2] = want[g] * VALUES;
	}
	if (npu_model_inputs(model) != 1 || npu_model_outputs(model) != 4)
		return -1;
	npu_model_input_info(model, 0, &info);
	if (info.type != NPU_TYPE_F32 || info.bytes != SIDE * SIDE * 3 * sizeof(float))
		return -1;
	for (unsigned int i = 0; i < 4; i++) {
		npu_model_output_info(model, i, &info);
		if (info.type != NPU_TYPE_F32 || info.bytes != want[i])
			return -1;
	}
	return 0;
}

/* Run the network on @photo; how many faces, or -1. */
static int find_faces(struct npu_session *s, const struct picture *photo, struct face *face)
{
	float *input = npu_session_map_input(s, 0);
	const float *output[4];
	int faces = 0;

	if (!input)
		return -1;
	picture_to_square(photo, SIDE, input);
	if (npu_session_run(s))
		return -1;
	for (unsigned int i = 0; i < 4; i++) {
		output[i] = npu_session_map_output(s, i);
		if (!output[i])
			return -1;
	}
	for (int g = 0; g < 2; g++)
		faces = decode(g, output[g], output[g + 2], face, faces);
	return keep_best(face, faces);
}

static void show(const struct face *face, struct picture *photo)
{
	double left = face->x - face->width / 2;
	double top = face->y - face->height / 2;
	double right = face->x + face->width / 2;
	double bottom = face->y + face->height / 2;

	picture_from_square(photo, &left, &top);
	picture_from_square(photo, &right, &bottom);
	printf("face      score %.4f, from %.1f, %.1f to %.1f, %.1f\n", face->score, left, top, right,
	       bottom);
	picture_frame(photo, (int)left, (int)top, (int)right, (int)bottom,
		      photo->width / 200 + 1);
}

static int run(struct npu_session *s, struct picture *photo, const char *out)
{
	struct face face[FACES_MAX];
	struct npu_counters c;
	int faces = find_faces(s, photo, face);

	if (faces < 0 || npu_session_get_counters(s, &c)) {
		fprintf(stderr, "face: %s\n", npu_error());
		return 1;
	}
	for (int i = 0; i < faces; i++)
		show(&face[i], photo);
	printf("on the NPU: %llu descriptors, %llu multiply-accumulates, %llu cycles\n",
	       (unsigned long long)c.descriptors, (unsigned long long)c.macs,
	       (unsigned long long)c.cycles);
	if (!faces) {
		fputs("face: found none\n", stderr);
		return 1;
	}
	return !picture_write(photo, out);
}

int main(int argc, char **argv)
{
	struct npu_session *session = NULL;
	struct npu_model *model = NULL;
	struct npu_device *dev = NULL;
	struct picture photo;
	int status = 1;

	if (argc < 4 || argc > 5) {
		fputs("usage: face MODEL.onnx PHOTO.png OUT.png [DEVICE]\n", stderr);
		return 2;
	}
	if (!picture_read(&photo, argv[2]))
		return 1;
	dev = npu_device_open(argc > 4 ? argv[4] : NULL);
	if (dev)
		model = npu_model_open(dev, argv[1], NULL);
	if (model && check_model(model)) {
		fprintf(stderr, "face: %s: not the BlazeFace of %d x %d pixels\n", argv[1], SIDE, SIDE);
	} else {
		if (model)
			session = npu_session_create(model);
		if (session)
			status = run(session, &photo, argv[3]);
		else
			fprintf(stderr, "face: %s\n", npu_error());
	}
	npu_session_destroy(session);
	npu_model_close(model);
	npu_device_close(dev);
	picture_free(&photo);
	return status;
}
