/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The sum of what is allocated, and its greatest value.
 */
#include "config.h"

#include <stdatomic.h>
#include <stdio.h>

#include "budget.h"
#include "dates.h"

/* Of the sanitizers' runtime; not there where coverage is measured. */
__attribute__((weak)) int __sanitizer_install_malloc_and_free_hooks(
	void (*malloc_hook)(const volatile void *p, size_t size),
	void (*free_hook)(const volatile void *p));
__attribute__((weak)) size_t
__sanitizer_get_allocated_size(const volatile void *p);

/* whatever else libFuzzer keeps comes and goes, too: so it is signed */
static atomic_llong in_use, peak;

static void take(const volatile void *p, size_t size)
{
	long long now =
		atomic_fetch_add(&in_use, (long long)size) + (long long)size;
	long long before = atomic_load(&peak);

	(void)p;
	while (now > before &&
	       !atomic_compare_exchange_weak(&peak, &before, now))
		;
}

static void give_back(const volatile void *p)
{
	if (p)
		atomic_fetch_sub(&in_use,
				 (long long)__sanitizer_get_allocated_size(p));
}

static void count_moved(void *arg, uint64_t n)
{
	((struct budget *)arg)->nr_moved += n;
}

void budget_begin(struct budget *budget, struct era_device *device)
{
	static bool hooked;

	if (!hooked && __sanitizer_install_malloc_and_free_hooks)
		__sanitizer_install_malloc_and_free_hooks(take, give_back);
	hooked = true;
	*budget = (struct budget){ .nr_moved = 0 };
	atomic_store(&in_use, 0);
	atomic_store(&peak, 0);
	if (device) {
		device->moved = count_moved;
		device->moved_arg = budget;
	}
}

void budget_end(const struct budget *budget, uint64_t max_moved,
		size_t max_memory)
{
	if (budget->nr_moved > max_moved || peak > (long long)max_memory)
		fprintf(stderr, "moved %llu bytes of %llu, in use %lld\n",
			(unsigned long long)budget->nr_moved,
			(unsigned long long)max_moved, (long long)peak);
	must(budget->nr_moved <= max_moved);
	must(peak <= (long long)max_memory);
}
