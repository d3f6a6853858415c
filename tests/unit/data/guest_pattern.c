/* SPDX-License-Identifier: Apache-2.0 */
/* Writes one block for each "NODE INCARNATION SEQUENCE BLOCK" of its input, by the agent's pattern.c. */
#include <inttypes.h>
#include <stdio.h>

#include "agent.h"

int main(void)
{
	unsigned char block[BLOCK_BYTES];
	struct stamp stamp;

	pattern_init();
	while (scanf("%" SCNu16 " %" SCNu16 " %" SCNu64 " %" SCNu64, &stamp.node,
		     &stamp.incarnation, &stamp.sequence, &stamp.block) == 4) {
		pattern_fill(block, &stamp);
		fwrite(block, sizeof(block), 1, stdout);
	}
	return 0;
}
