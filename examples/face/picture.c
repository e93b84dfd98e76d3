/* SPDX-License-Identifier: MIT */
/* Pictures; see picture.h. */
#include "picture.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <png.h>
#include <sys/stat.h>

#define SIDE_MAX	16384u

bool picture_read(struct picture *p, const char *path)
{
	png_image image = { .version = PNG_IMAGE_VERSION };
	bool good = png_image_begin_read_from_file(&image, path);

	*p = (struct picture){ .rgb = NULL };
	if (good && (image.width > SIDE_MAX || image.height > SIDE_MAX)) {
		fprintf(stderr, "face: %s: larger than %u x %u pixels\n", path, SIDE_MAX, SIDE_MAX);
		png_image_free(&image);
		return false;
	}
	if (good) {
		image.format = PNG_FORMAT_RGB;
		p->width = (int)image.width;
		p->height = (int)image.height;
		p->rgb = malloc(PNG_IMAGE_SIZE(image));
		good = p->rgb && png_image_finish_read(&image, NULL, p->rgb, 0, NULL);
	}
	if (!good) {
		fprintf(stderr, "face: %s: %s\n", path, *image.message ? image.message : "no memory");
		png_image_free(&image);
		picture_free(p);
	}
	return good;
}

bool picture_write(const struct picture *p, const char *path)
{
	png_image image = {
		.version = PNG_IMAGE_VERSION,
		.width = (png_uint_32)p->width,
		.height = (png_uint_32)p->height,
		.format = PNG_FORMAT_RGB,
	};
	char *temporary = malloc(strlen(path) + sizeof(".new"));
	FILE *file = NULL;
	struct stat st;
	/* A device or a pipe stays what it is. */
	bool in_place = !stat(path, &st) && !S_ISREG(st.st_mode);
	bool good = false;

	if (temporary) {
		sprintf(temporary, "%s.new", path);
		file = fopen(in_place ? path : temporary, "wb");
	}
	if (file) {
		good = png_image_write_to_stdio(&image, file, 0, p->rgb, 0, NULL);
		good = !fclose(file) && good;
	}
	if (good && !in_place)
		good = !rename(temporary, path);
	if (!good)
		fprintf(stderr, "face: %s: %s\n", path,
			*image.message ? image.message : strerror(errno));
	if (!good && file && !in_place)
		remove(temporary);
	free(temporary);
	return good;
}

void picture_free(struct picture *p)
{
	free(p->rgb);
	p->rgb = NULL;
}

/* The square that encloses the picture: its side and its left upper corner, in pixels. */
static void square_of(const struct picture *p, double *side, double *left, double *top)
{
	*side = p->width > p->height ? p->width : p->height;
	*left = (p->width - *side) / 2;
	*top = (p->height - *side) / 2;
}

/* How much of pixel @i the interval from @from to @to covers. */
static double cover(int i, double from, double to)
{
	double low = from > i ? from : i;
	double high = to < i + 1 ? to : i + 1;

	return high > low ? high - low : 0;
}

/* Mean of the pixels that the box covers, those outside of the picture as 0. */
static void mean(const struct picture *p, double left, double top, double size, float out[3])
{
	double sum[3] = { 0 };

	for (int y = (int)floor(top); y < top + size; y++) {
		for (int x = (int)floor(left); x < left + size; x++) {
			double area = cover(x, left, left + size) * cover(y, top, top + size);

			if (x < 0 || y < 0 || x >= p->width || y >= p->height)
				continue;
			for (int c = 0; c < 3; c++)
				sum[c] += area * (p->rgb[3 * ((size_t)y * p->width + x) + c] / 127.5 - 1);
		}
	}
	for (int c = 0; c < 3; c++)
		out[c] = (float)(sum[c] / (size * size));
}

void picture_to_square(const struct picture *p, int side, float *out)
{
	double from;
	double left;
	double top;

	square_of(p, &from, &left, &top);
	for (int y = 0; y < side; y++)
		for (int x = 0; x < side; x++)
			mean(p, left + x * from / side, top + y * from / side, from / side,
			     &out[3 * (y * side + x)]);
}

void picture_from_square(const struct picture *p, double *x, double *y)
{
	double side;
	double left;
	double top;

	square_of(p, &side, &left, &top);
	*x = left + *x * side;
	*y = top + *y * side;
}

void picture_frame(struct picture *p, int left, int top, int right, int bottom, int thick)
{
	static const uint8_t green[3] = { 0, 255, 0 };

	for (int y = top; y <= bottom; y++) {
		for (int x = left; x <= right; x++) {
			bool edge = x - left < thick || right - x < thick || y - top < thick ||
				    bottom - y < thick;

			if (edge && x >= 0 && y >= 0 && x < p->width && y < p->height)
				memcpy(&p->rgb[3 * ((size_t)y * p->width + x)], green, 3);
		}
	}
}
