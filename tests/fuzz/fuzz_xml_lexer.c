/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Holds the XML lexer to libxml2: whatever the bytes, both make the same
 * calls to the sink, or both refuse. The first byte
 * says in pieces of which size the input arrives.
 *
 *   clang -g -O1 -fsanitize=fuzzer,address,undefined ... fuzz_xml_lexer.c
 *   ./fuzz_xml_lexer -dict=tests/fuzz/xml.dict -max_len=4096 CORPUS \
 *       tests/fuzz/xml_seeds
 */
#include "config.h"

#include "../unit/xml_trace.h"
#include "budget.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct budget budget;
	size_t piece;

	if (!len)
		return 0;
	budget_begin(&budget, NULL);
	/* 0: all at once; else large enough to fit a socket's queue */
	piece = data[0] % 4 ? 0 : 16u + data[0];
	if (trace_compare(data + 1, len - 1, piece))
		abort();
	budget_end(&budget, 0, BUDGET_MEMORY);
	return 0;
}
