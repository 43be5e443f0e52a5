/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The machine that the instructions of pack_format.h are for.
 */
#include "config.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "base/endian.h"
#include "format/pack_decode.h"
#include "format/pack_format.h"

/* What is left to read, shared by a machine and the one of a shifted run. */
struct code {
	const uint8_t *at;
	const uint8_t *end;
};

struct machine {
	struct code *code;
	uint8_t *out;
	uint8_t *out_end;
	uint64_t base;
	bool shifted; /* these are the halves of a shifted run */
};

/* A little-endian number of width bytes. */
static int get_operand(struct code *code, unsigned int width, uint64_t *n)
{
	if (width != 1 && width != 2 && width != 4 && width != 8)
		return -EINVAL;
	if ((size_t)(code->end - code->at) < width)
		return -ENODATA;
	*n = 0;
	for (unsigned int i = 0; i < width; i++)
		*n |= (uint64_t)code->at[i] << i * 8;
	code->at += width;
	return 0;
}

/* A count of twelve bits, of which nibble is the upper four. */
static int get_count(struct code *code, unsigned int nibble, size_t *n)
{
	if (code->at == code->end)
		return -ENODATA;
	*n = (size_t)nibble << 8 | *code->at++;
	return 0;
}

/* Emits count words, base growing by delta (mod 2^64) before each. */
static int emit(struct machine *m, uint64_t delta, size_t count)
{
	if (count > (size_t)(m->out_end - m->out) / 8)
		return -EINVAL;
	while (count--) {
		m->base += delta;
		put_le64(m->out, m->base);
		m->out += 8;
	}
	return 0;
}

static int emit_set(struct machine *m, unsigned int width, size_t count)
{
	int r = get_operand(m->code, width, &m->base);

	return r ? r : emit(m, 0, count);
}

static int emit_steps(struct machine *m, unsigned int width, bool down,
		      size_t count)
{
	uint64_t delta;
	int r = get_operand(m->code, width, &delta);

	return r ? r : emit(m, down ? -delta : delta, count);
}

static int emit_literal(struct machine *m, uint64_t len)
{
	if (len > (uint64_t)(m->out_end - m->out))
		return -EINVAL;
	if (len > (uint64_t)(m->code->end - m->code->at))
		return -ENODATA;
	memcpy(m->out, m->code->at, (size_t)len);
	m->out += len;
	m->code->at += len;
	return 0;
}

static int emit_wide_literal(struct machine *m, unsigned int width)
{
	uint64_t len;
	int r = get_operand(m->code, width, &len);

	return r ? r : emit_literal(m, len);
}

static int emit_const_8(struct machine *m, unsigned int nibble)
{
	size_t n;
	int r = get_count(m->code, nibble, &n);

	return r ? r : emit(m, 0, n);
}

static int run(struct machine *m);

/* One of the two runs of words; base goes on from one to the next. */
static int run_half(struct machine *m, uint8_t *words, size_t nr)
{
	struct machine half = { .code = m->code,
				.out = words,
				.out_end = words + nr * 8,
				.base = m->base,
				.shifted = true };
	int r = run(&half);

	m->base = half.base;
	return r;
}

static int emit_shifted(struct machine *m, unsigned int nibble)
{
	uint8_t high[ERA_BLOCK_SIZE], low[ERA_BLOCK_SIZE];
	size_t nr;
	int r = get_count(m->code, nibble, &nr);

	if (r)
		return r;
	if (m->shifted || nr > (size_t)(m->out_end - m->out) / 8)
		return -EINVAL;
	r = run_half(m, high, nr);
	if (!r)
		r = run_half(m, low, nr);
	if (r)
		return r;
	for (size_t i = 0; i < nr; i++) {
		uint64_t mask = (UINT64_C(1) << PACK_SHIFT) - 1;

		put_le64(m->out, get_le64(high + i * 8) << PACK_SHIFT |
					 (get_le64(low + i * 8) & mask));
		m->out += 8;
	}
	return 0;
}

/* Instructions that take a count from the one before. */
static int step_counted(struct machine *m, enum pack_tag tag,
			unsigned int nibble, size_t count)
{
	switch (tag) {
	case PACK_SET:
		return emit_set(m, nibble, count);
	case PACK_POS:
		return emit(m, nibble, count);
	case PACK_POS_W:
		return emit_steps(m, nibble, false, count);
	case PACK_NEG:
		return emit(m, -(uint64_t)nibble, count);
	case PACK_NEG_W:
		return emit_steps(m, nibble, true, count);
	default:
		return -EINVAL;
	}
}

/* Instructions that do not; the Rust suite stops at a count before them. */
static int step_plain(struct machine *m, enum pack_tag tag, unsigned int nibble)
{
	switch (tag) {
	case PACK_CONST:
		return emit(m, 0, nibble);
	case PACK_CONST_8:
		return emit_const_8(m, nibble);
	case PACK_LIT:
		return emit_literal(m, nibble);
	case PACK_LIT_W:
		return emit_wide_literal(m, nibble);
	case PACK_SHIFTED_RUN:
		return emit_shifted(m, nibble);
	default:
		return step_counted(m, tag, nibble, 1);
	}
}

/* One instruction, with the count before it if there is one. */
static int step(struct machine *m)
{
	uint8_t byte = *m->code->at++;
	enum pack_tag tag = byte >> 4;
	unsigned int nibble = byte & 15;
	size_t count = nibble;
	int r = 0;

	if (tag != PACK_COUNT && tag != PACK_COUNT_8)
		return step_plain(m, tag, nibble);
	if (tag == PACK_COUNT_8)
		r = get_count(m->code, nibble, &count);
	if (r)
		return r;
	if (m->code->at == m->code->end)
		return -ENODATA;
	byte = *m->code->at++;
	tag = byte >> 4;
	nibble = byte & 15;
	if (count == 1)
		return step_plain(m, tag, nibble);
	return step_counted(m, tag, nibble, count);
}

static int run(struct machine *m)
{
	while (m->out < m->out_end) {
		int r;

		if (m->code->at == m->code->end)
			return -ENODATA;
		r = step(m);
		if (r)
			return r;
	}
	return 0;
}

ssize_t pack_decode(uint8_t block[ERA_BLOCK_SIZE], const uint8_t *data,
		    size_t len)
{
	struct code code = { data, data + len };
	struct machine m = { .code = &code,
			     .out = block,
			     .out_end = block + ERA_BLOCK_SIZE };
	int r = run(&m);

	return r ? r : code.at - data;
}
