/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the unit tests use of Criterion, for architectures that it has not been
 * ported to, such as big-endian ones: found as <criterion/criterion.h> where
 * CRITERION_CFLAGS says so. Each test runs in a process of its own.
 */
#ifndef PLAIN_CRITERION_H
#define PLAIN_CRITERION_H

/* as for Criterion's own: no warnings of what its macros expand to */
#pragma GCC system_header

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define PLAIN_SKIPPED 77
/* Criterion's timeouts are for real machines, not for emulated ones. */
#define PLAIN_SLOWNESS 10

struct plain_options {
	void (*init)(void);
	void (*fini)(void);
	unsigned int timeout; /* seconds */
};

struct plain_test {
	const char *suite;
	const char *name;
	void (*run)(void);
	struct plain_options own;
	const struct plain_options *common;
	struct plain_test *next;
};

static struct plain_test *plain_tests;

static inline void plain_register(struct plain_test *test)
{
	struct plain_test **at = &plain_tests;

	while (*at)
		at = &(*at)->next;
	*at = test;
}

__attribute__((format(printf, 4, 5))) __attribute__((noreturn)) static inline void
plain_fail(const char *file, int line, const char *what, const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "%s:%d: %s:", file, line, what);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	_exit(1);
}

__attribute__((noreturn)) static inline void
plain_run(const struct plain_test *test)
{
	const struct plain_options *own = &test->own, *common = test->common;
	void (*init)(void) = own->init ? own->init : common->init;
	void (*fini)(void) = own->fini ? own->fini : common->fini;

	alarm((own->timeout ? own->timeout : common->timeout) *
	      PLAIN_SLOWNESS);
	if (init)
		init();
	test->run();
	if (fini)
		fini();
	exit(0);
}

int main(void)
{
	unsigned int nr = 0, nr_passed = 0, nr_failed = 0, nr_crashed = 0;

	for (struct plain_test *test = plain_tests; test; test = test->next) {
		int status = -1;
		pid_t pid = fork();

		if (!pid)
			plain_run(test);
		waitpid(pid, &status, 0);
		if (WIFEXITED(status) && WEXITSTATUS(status) == PLAIN_SKIPPED)
			continue;
		nr++;
		if (!status)
			nr_passed++;
		else if (WIFEXITED(status))
			nr_failed++;
		else
			nr_crashed++;
		if (status)
			fprintf(stderr, "%s::%s failed: status %#x\n",
				test->suite, test->name, (unsigned int)status);
	}
	fprintf(stderr,
		"[====] Synthesis: Tested: %u | Passing: %u | Failing: %u | Crashing: %u\n",
		nr, nr_passed, nr_failed, nr_crashed);
	return nr != nr_passed;
}

#define TestSuite(suite, ...)                                                  \
	static const struct plain_options plain_##suite = { __VA_ARGS__ }

/* All zero where no TestSuite() says more. */
#define Test(suite_, name_, ...)                                               \
	static const struct plain_options plain_##suite_;                      \
	static void plain_run_##suite_##_##name_(void);                        \
	static struct plain_test plain_##suite_##_##name_ = {                  \
		.suite = #suite_,                                              \
		.name = #name_,                                                \
		.run = plain_run_##suite_##_##name_,                           \
		.own = { __VA_ARGS__ },                                        \
		.common = &plain_##suite_,                                     \
	};                                                                     \
	__attribute__((constructor)) static void                               \
	plain_register_##suite_##_##name_(void)                                \
	{                                                                      \
		plain_register(&plain_##suite_##_##name_);                     \
	}                                                                      \
	static void plain_run_##suite_##_##name_(void)

#define plain_check(condition, what, ...)                                      \
	do {                                                                   \
		if (!(condition))                                              \
			plain_fail(__FILE__, __LINE__, what, " " __VA_ARGS__); \
	} while (0)

#define cr_skip_test(...) _exit(PLAIN_SKIPPED)
#define cr_assert_fail(...) plain_check(0, "fail", __VA_ARGS__)
#define cr_assert(c, ...) plain_check(c, #c, __VA_ARGS__)
#define cr_assert_not(c, ...) plain_check(!(c), "not " #c, __VA_ARGS__)
#define cr_assert_null(p, ...) plain_check(!(p), "null " #p, __VA_ARGS__)
#define cr_assert_not_null(p, ...) plain_check(p, "not null " #p, __VA_ARGS__)
#define cr_assert_eq(a, b, ...) plain_check((a) == (b), #a " == " #b, __VA_ARGS__)
#define cr_assert_neq(a, b, ...) plain_check((a) != (b), #a " != " #b, __VA_ARGS__)
#define cr_assert_lt(a, b, ...) plain_check((a) < (b), #a " < " #b, __VA_ARGS__)
#define cr_assert_leq(a, b, ...) plain_check((a) <= (b), #a " <= " #b, __VA_ARGS__)
#define cr_assert_gt(a, b, ...) plain_check((a) > (b), #a " > " #b, __VA_ARGS__)
#define cr_assert_geq(a, b, ...) plain_check((a) >= (b), #a " >= " #b, __VA_ARGS__)
#define cr_assert_str_eq(a, b, ...) \
	plain_check(!strcmp(a, b), #a " == " #b, __VA_ARGS__)
#define cr_assert_str_neq(a, b, ...) \
	plain_check(strcmp(a, b), #a " != " #b, __VA_ARGS__)
#define cr_assert_str_empty(a, ...) \
	plain_check(!*(a), "empty " #a, __VA_ARGS__)
#define cr_assert_arr_eq(a, b, size, ...) \
	plain_check(!memcmp(a, b, size), #a " == " #b, __VA_ARGS__)

#endif
