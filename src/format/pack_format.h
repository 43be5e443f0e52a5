/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The file format of thin_metadata_pack, version 3: numbers shared by the
 * packer and the unpacker. doc/pack.md describes it in words.
 *
 * A header of four le64 (magic, version, block size, blocks of the device),
 * then chunks to the end of the file: le64 length, and that many bytes, which
 * begin with one zlib stream. The stream inflates to records, each the le64
 * number of a block and instructions that make its 4096 bytes.
 */
#ifndef FORMAT_PACK_FORMAT_H
#define FORMAT_PACK_FORMAT_H

#include <stdint.h>

#include "era/superblock.h"

#define PACK_VERSION 3

#define PACK_HEADER_SIZE 32u /* bytes */
#define PACK_HEADER_VERSION 8
#define PACK_HEADER_BLOCK_SIZE 16
#define PACK_HEADER_NR_BLOCKS 24

/* Between a chunk's zlib stream and a second one, of damaged blocks. */
#define PACK_DAMAGED_MAGIC UINT64_C(0x64616d6167656421) /* "!degamad" */

/*
 * Largest device packed or unpacked: 1 TiB, where metadata never uses more
 * than 15.9 GiB. It bounds what a hostile header can ask for: a set of blocks
 * of 32 MiB.
 */
#define PACK_MAX_BLOCKS (UINT64_C(1) << 28)

/*
 * Most bytes of instructions for one block. The longest that either suite
 * writes are under 8 KiB: 14 bytes for each word of a shifted run.
 */
#define PACK_RECORD_MAX (64u * 1024)

#define PACK_MAX_THREADS 8 /* that pack or unpack it */

#define PACK_WORDS (ERA_BLOCK_SIZE / 8)
#define PACK_SHIFT 24 /* bits of the lower half of a shifted word */

/*
 * An instruction is a byte, the tag in its upper nibble, and operands. The
 * machine has one register, base, zero at the start of a block.
 */
enum pack_tag {
	PACK_SET,	  /* base = operand of nibble bytes; emit it */
	PACK_POS,	  /* base += nibble; emit */
	PACK_POS_W,	  /* base += operand of nibble bytes; emit */
	PACK_NEG,	  /* base -= nibble; emit */
	PACK_NEG_W,	  /* base -= operand of nibble bytes; emit */
	PACK_CONST,	  /* emit base nibble times */
	PACK_CONST_8,	  /* emit base (nibble << 8 | byte) times */
	PACK_COUNT,	  /* do the next instruction nibble times */
	PACK_COUNT_8,	  /* do the next (nibble << 8 | byte) times */
	PACK_LIT,	  /* emit the next nibble bytes */
	PACK_LIT_W,	  /* length in an operand of nibble bytes; emit them */
	PACK_SHIFTED_RUN, /* n = (nibble << 8 | byte); two runs of n words
			   * follow; emit first << 24 | second & 0xffffff */
};

#endif
