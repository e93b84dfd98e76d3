/* SPDX-License-Identifier: MIT */
/*
 * What the fuzz targets share. A target is one file that defines the first two
 * functions; it is linked with libFuzzer (make fuzz) or with driver.c (make
 * check), and neither knows what it tests.
 */
#ifndef NPU_FUZZ_H
#define NPU_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <protobuf-c/protobuf-c.h>

/* libFuzzer's names. Try one input; 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
/* Change @data in place, which has room for @max_size; its new size. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed);
/* The same at random bytes: libFuzzer's own, or driver.c's. */
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);

/* Random numbers of one mutation; from a seed, so that runs can be repeated. */
struct fuzz_random {
	uint64_t state;
};

uint64_t fuzz_bits(struct fuzz_random *r);
/* 0 .. n - 1; 0 for n = 0. */
size_t fuzz_below(struct fuzz_random *r, size_t n);
/* A number that code has often been wrong about, or any. */
uint64_t fuzz_number(struct fuzz_random *r);

/* A claim about the code under test that does not hold ends the run. */
#define fuzz_require(claim) \
	do { if (!(claim)) fuzz_broken(__FILE__, __LINE__, #claim); } while (0)
_Noreturn void fuzz_broken(const char *file, int line, const char *claim);

/* Whether @text is what a message must be: one line that is not empty. */
bool fuzz_is_message(const char *text);

/**
 * struct fuzz_pb_words - what strings of a message are replaced by
 * @word: gives one for field @field, or NULL: no opinion
 */
struct fuzz_pb_words {
	const char *(*word)(const ProtobufCFieldDescriptor *field, struct fuzz_random *r);
};

/*
 * Change the protobuf message of @type in @data and keep the lengths of what is
 * around the change right: values, strings, whole fields that are repeated,
 * dropped, or taken from elsewhere in the message. The new size.
 */
size_t fuzz_pb_mutate(const ProtobufCMessageDescriptor *type, const struct fuzz_pb_words *words,
		      uint8_t *data, size_t size, size_t max_size, struct fuzz_random *r);

#endif
