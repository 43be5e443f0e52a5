/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Loading images and judging what became of them.
 */
#include "config.h"

#include <glob.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "era/check.h"
#include "era/reader.h"
#include "images.h"

#ifndef TEST_DATA
#define TEST_DATA "tests/data"
#endif

unsigned int nr_failed;

void failed(const struct image *image, const char *fmt, ...)
{
	va_list ap;

	nr_failed++;
	printf("FAILED: %s: ", image->name);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
}

uint32_t random_below(uint32_t n)
{
	static uint64_t state = UINT64_C(0x9e3779b97f4a7c15);

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t)(state >> 33) % n;
}

unsigned int setting(const char *name, unsigned int by_default)
{
	const char *value = getenv(name);

	return value ? (unsigned int)atoi(value) : by_default;
}

static void load(struct image *image, const char *path)
{
	size_t len = strlen(path) - strlen(".json"), size = 0, room = 1 << 20;
	const char *base = strrchr(path, '/') + 1, *state;
	char packed[4096];
	gzFile file;
	int n;

	snprintf(image->name, sizeof(image->name), "%.*s",
		 (int)(path + len - base), base);
	image->truth = json_load_file(path, 0, NULL);
	snprintf(packed, sizeof(packed), "%.*s.img.gz", (int)len, path);
	file = gzopen(packed, "rb");
	if (!image->truth || !file) {
		printf("cannot read %s\n", path);
		exit(1);
	}
	do {
		room *= 2;
		image->data = realloc(image->data, room);
		n = gzread(file, image->data + size, (unsigned)(room - size));
		size += n > 0 ? (size_t)n : 0;
	} while (n > 0 && size == room);
	gzclose(file);
	image->nr_blocks = size / ERA_BLOCK_SIZE;
	image->data_block_size = (uint32_t)json_integer_value(
		json_object_get(image->truth, "block_size"));
	state = json_string_value(json_object_get(image->truth, "state"));
	image->sound = !strcmp(state, "clean") || !strcmp(state, "unclean");
}

/* All, unless some are named; a large one only where it is. */
static bool is_wanted(const struct image *image, int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (!strcmp(argv[i], image->name))
			return true;
	return argc < 2 && !json_object_get(image->truth, "large");
}

size_t images_load(struct image **images, int argc, char **argv)
{
	const char *directory = getenv("ERA_TEST_DATA");
	char pattern[4096];
	size_t nr = 0;
	glob_t found;

	snprintf(pattern, sizeof(pattern), "%s/*.json",
		 directory ? directory : TEST_DATA);
	if (glob(pattern, 0, NULL, &found)) {
		printf("no images in %s\n", pattern);
		exit(1);
	}
	*images = calloc(found.gl_pathc, sizeof(**images));
	for (size_t i = 0; i < found.gl_pathc; i++) {
		struct image *image = &(*images)[nr];

		load(image, found.gl_pathv[i]);
		if (is_wanted(image, argc, argv)) {
			nr++;
			continue;
		}
		images_free(image, 1);
		*image = (struct image){ .data = NULL };
	}
	globfree(&found);
	return nr;
}

/* The array itself stays where it is part of one: nr then counts from 0. */
void images_free(struct image *images, size_t nr)
{
	for (size_t i = 0; i < nr; i++) {
		free(images[i].data);
		json_decref(images[i].truth);
	}
}

static int take_superblock(struct era_visitor *visitor,
			   const struct era_geometry *geometry)
{
	struct dates *dates = (struct dates *)visitor;

	dates->nr = geometry->nr_blocks;
	dates->eras = calloc(dates->nr + 1u, sizeof(*dates->eras));
	return dates->eras ? 0 : -1;
}

static int take_eras(struct era_visitor *visitor, uint32_t first,
		     const uint32_t *eras, size_t nr)
{
	struct dates *dates = (struct dates *)visitor;

	memcpy(dates->eras + first, eras, nr * sizeof(*eras));
	return 0;
}

static int take_end(struct era_visitor *visitor)
{
	(void)visitor;
	return 0;
}

static void dates_init(struct dates *dates)
{
	*dates = (struct dates){ .visitor = { .superblock = take_superblock,
					      .eras = take_eras,
					      .end = take_end } };
}

void dates_release(struct dates *dates)
{
	free(dates->eras);
	dates->eras = NULL;
}

bool dates_read(struct dates *dates, struct era_device *device)
{
	struct era_metadata md;
	int r;

	dates_init(dates);
	if (era_metadata_open(&md, device, false, NULL, NULL))
		return false;
	r = era_read_logical(&md, &dates->visitor);
	era_metadata_release(&md);
	return !r;
}

int salvage_image(struct era_salvage *salvage, struct era_device *device,
		  const struct image *image, bool logical,
		  struct era_report *report)
{
	struct era_salvage_options options = { .logical = logical };

	/* what an operator would know, wherever it is asked for */
	options.geometry.data_block_size = image->data_block_size;
	return era_salvage_open(salvage, device, &options, report);
}

int dates_salvage(struct dates *dates, struct era_device *device,
		  const struct image *image)
{
	struct era_salvage salvage;
	int r;

	dates_init(dates);
	r = salvage_image(&salvage, device, image, true, NULL);
	if (r)
		return r;
	r = era_salvage_read(&salvage, &dates->visitor);
	era_salvage_close(&salvage);
	return r;
}

bool dates_complete(const struct dates *dates, const struct image *image)
{
	json_t *checks = json_object_get(image->truth, "checks"), *check;
	size_t i, k;

	json_array_foreach(checks, i, check)
	{
		uint32_t era =
			(uint32_t)json_integer_value(json_array_get(check, 0));
		json_t *range;

		json_array_foreach(json_array_get(check, 1), k, range)
		{
			uint32_t block = (uint32_t)json_integer_value(
				json_array_get(range, 0));
			uint32_t end = (uint32_t)json_integer_value(
				json_array_get(range, 1));

			for (; block < end; block++)
				if (block >= dates->nr ||
				    dates->eras[block] < era)
					return false;
		}
	}
	return true;
}

bool is_clean(struct era_device *device)
{
	struct era_report quiet = { .problem = NULL };

	return !era_check(device, 0, &quiet) && !quiet.nr[ERA_FATAL] &&
	       !quiet.nr[ERA_NON_FATAL];
}
