/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the fuzzers of whole devices share: an input names an image and edits
 * of it. An edit knows what it changes: it picks blocks that are in use, and
 * fields by the kind of the block, and mends the checksum afterwards; or it
 * is damage that a checksum shows. So nearly every input gets past the
 * checksums, and inputs stay as small as what they do.
 *
 * Input: u8 image, u8 flags (the fuzzer's own), then edits of EDIT_SIZE bytes:
 * u8 operation, u8 how a value is made, le16 block, le16 where in it, le16
 * value. Images are *.img in the directory "images" beside the fuzzer, in the
 * order of their names (make_images writes them).
 */
#ifndef TESTS_FUZZ_IMAGE_H
#define TESTS_FUZZ_IMAGE_H

#include "budget.h"
#include "dates.h"

#define EDIT_SIZE 8u
#define EDIT_HEAD 2u

struct base;

struct image {
	struct fake_device fake; /* the device as the edits left it */
	const struct base *base;
	uint8_t flags;
	uint32_t nr_damages; /* edits that a checksum or a read shows */
	uint32_t nr_lies;    /* edits that none shows */
	uint32_t nr_older;   /* older superblocks put back */
	uint32_t fail_write; /* number of the write to fail, or UINT32_MAX */
	struct budget budget;
};

/* Loads the image and edits it. False where the input names nothing. */
bool image_load(struct image *image, const uint8_t *data, size_t len);
void image_release(struct image *image);

/* Dates of the image before the edits; NULL where it was not sound. */
const struct dates *image_truth(const struct image *image);

/* Whether the device is shorter than it was. */
bool image_is_cut_off(const struct image *image);

/* Whether blocks are left that no commit has used as yet. */
bool image_has_room(const struct image *image);

/* The geometry before the edits. */
const struct era_geometry *image_geometry(const struct image *image);

/*
 * Aborts where more was moved than so many times the device, or more memory
 * was in use than a small device can take.
 */
void image_bound(const struct image *image, unsigned int times);

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size,
			       unsigned int seed);

#endif
