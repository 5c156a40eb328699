/*
 * Gathers pages in the layout that Linux has for it, for the benchmark beside this file to compare with.
 *
 * What is kept of Linux is what costs time: eight pages in the gather itself, then lists of 510 from a pool, at most 19 of
 * them, each full one slot early; the range and the level noted for each page; a count of gathers under way that is
 * raised and lowered by locked instructions; a page that finds no room makes the caller flush. Once the page is put
 * on the list by a function of its own, as there, and once inlined.
 *
 * The instructions of a flush are left out. What stands for it is a call of a function that does nothing, as where
 * instructions reach every CPU, and in the last column what is done around the instructions where CPUs are interrupted and
 * none but this one has the space: a generation is raised, by a locked instruction, and found to be the next one here.
 *
 * Prints, for each number of pages: the number, and nanoseconds a page of clearing entries without gathering anything,
 * of the two ways to put it on the list, and of the second with generations.
 */
#define _POSIX_C_SOURCE 200809L
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define OUT_OF_LINE __attribute__((noinline))
#define INLINED static inline __attribute__((always_inline))

enum { BUNDLE = 8, LISTS = 19, IN_LIST = 510, IN_TABLE = 512, SHIFT = 12, SMALL = 8192 };

struct list {
	struct list *next;
	unsigned int used, most;
	uint64_t pages[];
};

struct space {
	uint64_t gathers;
	uint64_t top;
	uint64_t generation;
	uint64_t cpus;
};

struct gather {
	struct space *space;
	uint64_t start, end;
	unsigned int whole : 1, tables : 1, leaf : 1, second : 1, third : 1;
	unsigned int lists;
	struct list *active;
	struct list bundle;
	uint64_t in_bundle[BUNDLE];
};

/* The pool that lists come from. */
static struct list *pool[LISTS + 1];
static unsigned int pooled;

static struct list *take_list(void)
{
	return pooled ? pool[--pooled] : malloc(4096);
}

static void give_list(struct list *list)
{
	pool[pooled++] = list;
}

/* What flushes and what takes the pages: nothing to see for who calls them. */
static volatile uint64_t flushes, sum;

static void flush_nothing(struct space *space, uint64_t start, uint64_t end, unsigned int levels)
{
	(void)space, (void)start, (void)end, (void)levels;
	flushes++;
}

/* What the CPU has loaded, and how far it has followed. */
static struct space *volatile loaded;
static volatile uint64_t followed;

static void flush_next(struct space *space, uint64_t start, uint64_t end, unsigned int levels)
{
	uint64_t next = __atomic_add_fetch(&space->generation, 1, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&space->cpus, __ATOMIC_RELAXED) & ~(uint64_t)1)
		abort();
	if (loaded == space && followed + 1 == next)
		followed = next;
	flush_nothing(space, start, end, levels);
}

static void sum_up(uint64_t *pages, unsigned int count)
{
	uint64_t all = 0;
	for (unsigned int i = 0; i < count; i++)
		all += pages[i];
	sum += all;
}

typedef void flush_function(struct space *, uint64_t, uint64_t, unsigned int);
static flush_function *volatile flush;
static void (*volatile take_pages)(uint64_t *, unsigned int) = sum_up;

static void nothing_noted(struct gather *gather)
{
	gather->start = gather->whole ? ~(uint64_t)0 : gather->space->top;
	gather->end = gather->whole ? ~(uint64_t)0 : 0;
	gather->tables = gather->leaf = gather->second = gather->third = 0;
}

OUT_OF_LINE void begin(struct gather *gather, struct space *space)
{
	gather->space = space;
	gather->whole = 0;
	gather->bundle.next = NULL;
	gather->bundle.used = 0;
	gather->bundle.most = BUNDLE;
	gather->active = &gather->bundle;
	gather->lists = 0;
	nothing_noted(gather);
	__atomic_fetch_add(&space->gathers, 1, __ATOMIC_SEQ_CST);
}

static void flush_noted(struct gather *gather)
{
	if (!(gather->tables | gather->leaf | gather->second | gather->third))
		return;
	flush(gather->space, gather->start, gather->end, gather->leaf | gather->second << 1 | gather->third << 2);
	nothing_noted(gather);
}

OUT_OF_LINE void flush_all(struct gather *gather)
{
	flush_noted(gather);
	for (struct list *list = &gather->bundle; list && list->used; list = list->next) {
		take_pages(list->pages, list->used);
		list->used = 0;
	}
	gather->active = &gather->bundle;
}

OUT_OF_LINE void end(struct gather *gather)
{
	if (__atomic_load_n(&gather->space->gathers, __ATOMIC_RELAXED) > 1) {
		gather->whole = 1;
		nothing_noted(gather);
		gather->tables = 1;
	}
	flush_all(gather);
	for (struct list *next, *list = gather->bundle.next; list; list = next) {
		next = list->next;
		give_list(list);
	}
	gather->bundle.next = NULL;
	__atomic_fetch_sub(&gather->space->gathers, 1, __ATOMIC_SEQ_CST);
}

static int next_list(struct gather *gather)
{
	struct list *list = gather->active->next;
	if (!list) {
		if (gather->lists == LISTS || !(list = take_list()))
			return 0;
		gather->lists++;
		list->next = NULL;
		list->used = 0;
		list->most = IN_LIST;
		gather->active->next = list;
	}
	gather->active = list;
	return 1;
}

/* Whether the caller has to flush. */
INLINED int keep(struct gather *gather, uint64_t page)
{
	struct list *list = gather->active;
	list->pages[list->used++] = page;
	return list->used >= list->most - 1 && !next_list(gather);
}

OUT_OF_LINE int keep_out_of_line(struct gather *gather, uint64_t page)
{
	return keep(gather, page);
}

INLINED void note(struct gather *gather, uint64_t va)
{
	if (va < gather->start)
		gather->start = va;
	if (va + (1 << SHIFT) > gather->end)
		gather->end = va + (1 << SHIFT);
	gather->leaf = 1;
}

/* Clears entries of one table; returns how many, and whether a flush is wanted before the next. */
#define CLEAR(name, keep) \
	OUT_OF_LINE uint64_t name(struct gather *gather, uint64_t *entries, uint64_t count, uint64_t va, int *full) \
	{ \
		for (uint64_t i = 0; i < count; i++, va += 1 << SHIFT) { \
			if (!(__atomic_load_n(&entries[i], __ATOMIC_RELAXED) & 1)) \
				continue; \
			uint64_t was = __atomic_exchange_n(&entries[i], 0, __ATOMIC_RELAXED); \
			note(gather, va); \
			if (keep(gather, was >> SHIFT)) { \
				*full = 1; \
				return i + 1; \
			} \
		} \
		return count; \
	}
CLEAR(clear, keep)
CLEAR(clear_out_of_line, keep_out_of_line)

typedef uint64_t clear_function(struct gather *, uint64_t *, uint64_t, uint64_t, int *);

INLINED void unmap(struct space *space, uint64_t *entries, uint64_t first, uint64_t count, clear_function *clear)
{
	struct gather gather;
	begin(&gather, space);
	while (count) {
		uint64_t left = IN_TABLE - first % IN_TABLE;
		int full = 0;
		uint64_t cleared = clear(&gather, entries + first, count < left ? count : left, first << SHIFT, &full);
		if (full)
			flush_all(&gather);
		first += cleared;
		count -= cleared;
	}
	end(&gather);
}

/* The locked instruction alone, which nobody can do without. */
INLINED void exchange(uint64_t *entries, uint64_t first, uint64_t count)
{
	uint64_t all = 0;
	for (uint64_t i = first; i < first + count; i++)
		all += __atomic_exchange_n(&entries[i], 0, __ATOMIC_RELAXED);
	sum += all;
}

static double now(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1e9 + time.tv_nsec;
}

/* Nanoseconds a page, of the best of some rounds; between them the entries are filled again. */
INLINED double best(uint64_t pages, uint64_t *entries, clear_function *clear, flush_function *flush_by)
{
	struct space space = { .top = (uint64_t)1 << 47, .cpus = 1 };
	uint64_t gathers = pages < SMALL ? SMALL / pages : 1, all = gathers * pages;
	double least = 1e18;
	flush = flush_by;
	loaded = &space;
	followed = 0;
	for (uint64_t round = 0; round < 4 + 400000 / all; round++) {
		for (uint64_t i = 0; i < all; i++)
			entries[i] = (i + 1) << SHIFT | 1;
		double start = now();
		for (uint64_t i = 0; i < gathers; i++)
			if (clear)
				unmap(&space, entries, i * pages, pages, clear);
			else
				exchange(entries, i * pages, pages);
		double taken = (now() - start) / all;
		least = taken < least ? taken : least;
	}
	return least;
}

int main(void)
{
	static const uint64_t sizes[] = { 1, 8, 100, 10000, 1000000 };
	uint64_t *entries = aligned_alloc(4096, 8000000 / 4096 * 4096 + 4096);
	if (!entries)
		return 1;
	for (unsigned int i = 0; i < sizeof sizes / sizeof *sizes; i++)
		printf("%llu %.3f %.3f %.3f %.3f\n", (unsigned long long)sizes[i],
		       best(sizes[i], entries, NULL, flush_nothing),
		       best(sizes[i], entries, clear_out_of_line, flush_nothing),
		       best(sizes[i], entries, clear, flush_nothing),
		       best(sizes[i], entries, clear, flush_next));
	return 0;
}
