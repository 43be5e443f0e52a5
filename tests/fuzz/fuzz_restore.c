/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * XML into the builder, as era_restore does it, onto a device that held other
 * metadata. What is accepted must pass era_check, read back as what the XML
 * says, and make the same document once more; what is refused must leave
 * nothing that is taken for whole, or the device as it was.
 *
 * The first byte says how small the device is and whether a document is
 * written; the rest is XML.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../unit/xml_trace.h"
#include "budget.h"
#include "dates.h"
#include "era/builder.h"
#include "format/xml_writer.h"

#define NR_BLOCKS 192u /* metadata blocks */
#define MAX_MOVED 16u  /* times the device, in all that is done to it */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* All that a visit says, however it was cut into batches. */
struct script {
	struct era_visitor visitor;
	uint8_t *data;
	size_t len, room;
	uint32_t era;  /* of the last writeset */
	bool unsorted; /* it was not the greatest so far */
};

static void put(struct era_visitor *v, char tag, const void *data, size_t len)
{
	struct script *script = (struct script *)v;

	if (script->len + len + 1 > script->room) {
		script->room = (script->len + len + 1) * 2;
		script->data = realloc(script->data, script->room);
		must(script->data);
	}
	if (tag)
		script->data[script->len++] = (uint8_t)tag;
	if (len)
		memcpy(script->data + script->len, data, len);
	script->len += len;
}

static int script_superblock(struct era_visitor *v,
			     const struct era_geometry *g)
{
	put(v, 'S', g, sizeof(*g));
	return 0;
}

static int script_begin(struct era_visitor *v, uint32_t era, uint32_t nr_bits)
{
	struct script *script = (struct script *)v;
	const uint32_t both[2] = { era, nr_bits };

	script->unsorted |= era < script->era;
	script->era = era;
	put(v, 'W', both, sizeof(both));
	return 0;
}

static int script_words(struct era_visitor *v, uint32_t first,
			const uint64_t *words, size_t nr)
{
	(void)first;
	put(v, 0, words, nr * sizeof(*words));
	return 0;
}

static int script_writeset_end(struct era_visitor *v)
{
	put(v, 'w', NULL, 0);
	return 0;
}

static int script_eras(struct era_visitor *v, uint32_t first,
		       const uint32_t *eras, size_t nr)
{
	(void)first;
	put(v, 0, eras, nr * sizeof(*eras));
	return 0;
}

static int script_end(struct era_visitor *v)
{
	put(v, 'E', NULL, 0);
	return 0;
}

static void script_init(struct script *script)
{
	*script =
		(struct script){ .visitor = { script_superblock, script_begin,
					      script_words, script_writeset_end,
					      script_eras, script_end } };
}

/* Reads XML from memory to a sink. */
static int read_xml(const void *xml, size_t len, struct era_visitor *sink)
{
	struct input in;
	int r = input_open_fd(&in, trace_fd(xml, len, 0), "x.xml", NULL);

	if (r)
		return r;
	r = xml_read(&in, "x.xml", sink, NULL);
	input_close(&in);
	return r;
}

static int restore(struct era_device *device, const void *xml, size_t len)
{
	struct era_builder builder;
	int r = era_builder_init(&builder, device, NULL);

	if (!r)
		r = read_xml(xml, len, &builder.visitor);
	if (!r)
		r = era_builder_commit(&builder);
	era_builder_release(&builder);
	return r;
}

/* What the target held before: metadata that must not shine through. */
static void fill_target(struct fake_device *target)
{
	static const char xml[] =
		"<superblock uuid=\"\" block_size=\"8\" nr_blocks=\"2\" "
		"current_era=\"4000000000\"><writeset era=\"3999999999\" "
		"nr_bits=\"2\"><bit block=\"0\" value=\"true\"/><bit "
		"block=\"1\" "
		"value=\"true\"/></writeset><era_array><era block=\"0\" "
		"era=\"1\"/><era block=\"1\" era=\"3999999998\"/></era_array>"
		"</superblock>";
	static struct fake_device before;

	if (!before.data) {
		fake_init(&before, NR_BLOCKS);
		must(!restore(&before.device, xml, sizeof(xml) - 1));
		must_be_clean(&before.device, 0);
	}
	memcpy(target->data, before.data,
	       target->device.nr_blocks * ERA_BLOCK_SIZE);
	/* the same once more at the far end, where nothing is written */
	for (uint64_t i = 1; i < 8; i++)
		memcpy(fake_block(target, target->device.nr_blocks - i),
		       fake_block(&before, i), ERA_BLOCK_SIZE);
}

static void read_device(struct era_device *device, struct era_visitor *sink)
{
	struct era_metadata md;

	must(!era_metadata_open(&md, device, false, NULL, NULL));
	must(!era_read(&md, sink));
	era_metadata_release(&md);
}

static char *read_file(const char *path, size_t *len)
{
	FILE *file = fopen(path, "rb");
	size_t room = 1 << 16;
	char *data = NULL;

	must(file);
	*len = 0;
	do {
		room *= 2;
		data = realloc(data, room);
		must(data);
		*len += fread(data + *len, 1, room - *len, file);
	} while (*len == room);
	fclose(file);
	return data;
}

/* A dump of the device, restored and dumped again: the same bytes. */
static void compare_documents(struct era_device *device, bool compact)
{
	char directory[] = "/tmp/fuzz_restore.XXXXXX";
	char path[64];
	struct xml_writer *writer = malloc(sizeof(*writer));
	char *documents[2];
	size_t lens[2];

	must(writer);
	must(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/x.xml", directory);
	for (int i = 0; i < 2; i++) {
		struct output out;

		must(!output_open(&out, path, NULL));
		xml_writer_init(writer, &out, compact);
		read_device(device, &writer->visitor);
		must(!output_finish(&out));
		documents[i] = read_file(path, &lens[i]);
		must(!restore(device, documents[i], lens[i]));
		must_be_clean(device, 0);
	}
	must(lens[0] == lens[1] &&
	     !memcmp(documents[0], documents[1], lens[0]));
	free(documents[0]);
	free(documents[1]);
	free(writer);
	unlink(path);
	rmdir(directory);
}

/* The same bytes, whatever their order. */
static bool is_shuffle(const struct script *a, const struct script *b)
{
	size_t nr[256] = { 0 };

	for (size_t i = 0; i < a->len; i++)
		nr[a->data[i]]++;
	for (size_t i = 0; i < b->len; i++)
		nr[b->data[i]]--;
	for (size_t i = 0; i < 256; i++)
		if (nr[i])
			return false;
	return a->len == b->len;
}

/* Writesets may come in any order, and are put into that of their eras. */
static void compare_device(struct era_device *device, const void *xml,
			   size_t len)
{
	struct script said, kept;

	script_init(&said);
	script_init(&kept);
	must(!read_xml(xml, len, &said.visitor));
	read_device(device, &kept.visitor);
	must(!kept.unsorted && is_shuffle(&said, &kept));
	must(said.unsorted || !memcmp(said.data, kept.data, said.len));
	free(said.data);
	free(kept.data);
}

/* Not a byte was written, or nothing there is taken for metadata. */
static void judge_refused(struct fake_device *target)
{
	struct era_superblock sb;

	if (target->nr_calls[FAKE_WRITE] + target->nr_calls[FAKE_DISCARD])
		must(era_superblock_read(&sb, &target->device, 0, NULL));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct fake_device target;
	struct budget budget;
	int r;

	if (!len)
		return 0;
	fake_init(&target, data[0] % 4 ? NR_BLOCKS : 16u + data[0] / 4);
	fill_target(&target);
	budget_begin(&budget, &target.device);
	r = restore(&target.device, data + 1, len - 1);
	if (r) {
		judge_refused(&target);
	} else {
		must_be_clean(&target.device, 0);
		compare_device(&target.device, data + 1, len - 1);
		if (data[0] % 4 == 3)
			compare_documents(&target.device, data[0] & 4);
	}
	budget_end(&budget,
		   MAX_MOVED * target.device.nr_blocks * ERA_BLOCK_SIZE,
		   BUDGET_MEMORY);
	fake_release(&target);
	return 0;
}
