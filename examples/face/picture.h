/* SPDX-License-Identifier: MIT */
/* Pictures: PNG files in and out, to the square that a network takes, boxes drawn. */
#ifndef PICTURE_H
#define PICTURE_H

#include <stdbool.h>
#include <stdint.h>

/**
 * struct picture - 8 bits of red, green and blue for each pixel, row by row
 * @width: in pixels
 * @height: in pixels
 * @rgb: malloc()ed
 */
struct picture {
	int width;
	int height;
	uint8_t *rgb;
};

/* False after a message on stderr. */
bool picture_read(struct picture *p, const char *path);
/* The file appears whole or not at all. */
bool picture_write(const struct picture *p, const char *path);
void picture_free(struct picture *p);

/*
 * The whole picture in the middle of a square of @side x @side pixels, with
 * values from -1 to 1; what it does not fill is 0.
 */
void picture_to_square(const struct picture *p, int side, float *out);
/* Where pixel (x, y) of such a square, whose side counts as 1, is in the picture. */
void picture_from_square(const struct picture *p, double *x, double *y);

/* A frame @thick pixels wide; what is outside of the picture is left out. */
void picture_frame(struct picture *p, int left, int top, int right, int bottom, int thick);

#endif
