/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The images of tests/data with their truth, and what holds for metadata that
 * was made of them.
 */
#ifndef TESTS_IMAGES_H
#define TESTS_IMAGES_H

#include "../unit/fake_device.h"
#include "era/salvage.h"

struct image {
	char name[64];
	uint8_t *data;
	uint64_t nr_blocks;
	uint32_t data_block_size;
	bool sound;  /* clean or unclean */
	void *truth; /* the parsed json */
};

/* Loads all, or those named on the command line. Returns how many. */
size_t images_load(struct image **images, int argc, char **argv);
void images_free(struct image *images, size_t nr);

/* The last era of each data block, by what reads the device. */
struct dates {
	struct era_visitor visitor;
	uint32_t *eras;
	uint32_t nr;
};

void dates_release(struct dates *dates);

/* By the plain reader; false where it finds the metadata damaged. */
bool dates_read(struct dates *dates, struct era_device *device);

/* Opens a salvage with the options that the image needs. */
int salvage_image(struct era_salvage *salvage, struct era_device *device,
		  const struct image *image, bool logical,
		  struct era_report *report);

/* By salvaging. 0, or what the salvage said. */
int dates_salvage(struct dates *dates, struct era_device *device,
		  const struct image *image);

/* Whether no write of the image's truth is missing. */
bool dates_complete(const struct dates *dates, const struct image *image);

/* Whether era_check finds nothing. */
bool is_clean(struct era_device *device);

/* Prints what has failed and counts it. */
void failed(const struct image *image, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
extern unsigned int nr_failed;

/* A number below n that is the same in each run. */
uint32_t random_below(uint32_t n);

/* Environment variable name as a number, else what it is by default. */
unsigned int setting(const char *name, unsigned int by_default);

#endif
