/*
 * Gathers pages in Linux's layout, for comparison with the runtime.
 *
 * This keeps the parts of Linux's gather that take time: eight slots in the gather itself, then lists of 510 from a pool,
 * at most 19 of them, each of which counts as full one slot early; the range and the level recorded for each page or
 * folio; a count of gathers in progress that is incremented and decremented by locked instructions; a caller that
 * flushes when there is no room for a page. A folio takes two slots: its first page, and the number of its pages. Linux
 * adds a page to the list by a separate function; here that function is inlined, which is a little faster.
 *
 * There are three flushes: a call of a function that does nothing, to measure the gather alone; and what Linux does
 * around the instructions, which are left out, if they reach every CPU (arm64) and if other CPUs are interrupted
 * (x86-64). No other CPU has the space active here. As in Linux, a teardown on x86-64 clears entries without a locked
 * instruction.
 *
 * Reads requests from standard input, one a line:
 *
 *     time SHAPE PAGES FLUSH ROUNDS    writes the nanoseconds of each round, on one line
 *     count SHAPE PAGES FLUSH          runs one round in counted_work, for a profiler that counts its instructions
 *
 * SHAPE is p (pages), f (folios of 16 pages), t (teardown), s (pages, while another CPU does the same in the same space)
 * or x (locked exchanges, without a gather). PAGES is the number of pages in one gather. FLUSH is 0 (nothing), 1 (arm64)
 * or 2 (x86-64). The entries are filled again between rounds.
 */
#define _POSIX_C_SOURCE 200809L
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define OUT_OF_LINE __attribute__((noinline))
#define INLINED static inline __attribute__((always_inline))

enum { BUNDLE = 8, LISTS = 19, IN_LIST = 510, IN_TABLE = 512, SHIFT = 12, SMALL = 8192, IN_FOLIO = 16 };

/* Marks a slot of a folio: the next slot has the number of its pages. */
static const uint64_t FOLIO = 1ull << 63;

struct list {
	struct list *next;
	unsigned int used, most;
	uint64_t pages[];
};

struct space {
	uint64_t gathers;
	uint64_t top;
	uint64_t tag;
	uint64_t generation;
	uint64_t cpus;
	void *notifiers;
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

/* The pool that lists come from, one for each CPU. */
static _Thread_local struct list *pool[LISTS + 1];
static _Thread_local unsigned int pooled;

static struct list *take_list(void)
{
	return pooled ? pool[--pooled] : malloc(4096);
}

static void give_list(struct list *list)
{
	pool[pooled++] = list;
}

/* The functions that flush and that take the pages: the compiler does not see which ones. */
static _Thread_local volatile uint64_t flushes, sum;

/* Flushes addresses whose entries map 1 << shift bytes each, all of one level; level 0 is any level. */
typedef void flush_function(struct space *, uint64_t start, uint64_t end, unsigned int shift, unsigned int level, int tables);

static void flush_nothing(struct space *space, uint64_t start, uint64_t end, unsigned int shift, unsigned int level, int tables)
{
	(void)space, (void)start, (void)end, (void)shift, (void)level, (void)tables;
	flushes++;
}

/* Replaces an instruction, or a barrier that only concerns hardware. */
INLINED void issue(uint64_t operand)
{
	__asm__ volatile("" : : "r"(&operand) : "memory");
}

static void (*volatile call_notifiers)(struct space *, uint64_t start, uint64_t end);

INLINED void notify(struct space *space, uint64_t start, uint64_t end)
{
	if (space->notifiers)
		call_notifiers(space, start, end);
}

/* The features of the machine: constant, like code that was patched at boot. */
static const int has_level_hint = 1, has_two_views = 0;

static void flush_arm64(struct space *space, uint64_t start, uint64_t end, unsigned int shift, unsigned int level, int tables)
{
	(void)tables;
	enum { MOST_BYTES_SHIFT = 21, GRANULE = 1 };
	uint64_t bytes = 1ull << shift;
	uint64_t tag = __atomic_load_n(&space->tag, __ATOMIC_RELAXED) & 0xffff;
	start &= -bytes;
	end = (end + bytes - 1) & -bytes;
	if (end - start >= 1ull << MOST_BYTES_SHIFT) {
		issue(0);
		issue(tag << 48);
		issue(0);
		notify(space, start, end);
		return;
	}
	issue(0);
	for (uint64_t va = start; va < end; va += bytes) {
		uint64_t operand = va >> SHIFT & ((1ull << 44) - 1);
		if (has_level_hint && level)
			operand = (operand & ~(15ull << 44)) | (uint64_t)(GRANULE << 2 | level) << 44;
		issue(operand | tag << 48);
		if (has_two_views)
			issue(operand | (tag | 1) << 48);
	}
	notify(space, start, end);
	issue(0);
}

enum { SLOTS = 6, MOST_ENTRIES = 33 };

/* What the CPU has loaded, with its generation; and what it sends to other CPUs for a flush. */
static _Thread_local struct {
	struct space *loaded;
	uint64_t slot;
	struct {
		struct space *space;
		uint64_t followed;
	} slots[SLOTS];
	int lazy;
	unsigned int number;
	uint64_t entries;
	struct {
		struct space *space;
		uint64_t start, end, generation;
		unsigned int shift, sender;
		int tables;
	} asked;
} volatile cpu;

static void flush_x86_64(struct space *space, uint64_t start, uint64_t end, unsigned int shift, unsigned int level, int tables)
{
	(void)level;
	if ((end - start) >> shift > MOST_ENTRIES)
		start = 0, end = ~0ull;
	uint64_t generation = __atomic_add_fetch(&space->generation, 1, __ATOMIC_SEQ_CST);
	cpu.asked.space = space;
	cpu.asked.start = start;
	cpu.asked.end = end;
	cpu.asked.shift = shift;
	cpu.asked.tables = tables;
	cpu.asked.generation = generation;
	cpu.asked.sender = cpu.number;
	if (__atomic_load_n(&space->cpus, __ATOMIC_RELAXED) & ~(1ull << cpu.number))
		abort();
	if (cpu.loaded == space) {
		uint64_t slot = cpu.slot, followed = cpu.slots[slot].followed;
		uint64_t now = __atomic_load_n(&space->generation, __ATOMIC_RELAXED);
		if (cpu.lazy)
			abort();
		if (generation > followed && followed != now) {
			if (cpu.asked.end != ~0ull && generation == followed + 1 && generation == now) {
				uint64_t bytes = 1ull << shift, entries = 0;
				for (uint64_t va = start; va < end; va += bytes, entries++) {
					issue(va);
					if (has_two_views)
						issue(va | 1);
				}
				cpu.entries += entries;
			} else {
				issue(slot);
			}
			cpu.slots[slot].followed = now;
		}
	}
	notify(space, start, end);
}

static void sum_up(uint64_t *pages, unsigned int count)
{
	uint64_t all = 0;
	for (unsigned int i = 0; i < count; i++) {
		all += pages[i];
		if (__builtin_expect(pages[i] & FOLIO, 0))
			all += pages[++i];
	}
	sum += all;
}

static flush_function *volatile flush_by;
static void (*volatile take_pages)(uint64_t *, unsigned int) = sum_up;

static void reset_range(struct gather *gather)
{
	gather->start = gather->whole ? ~(uint64_t)0 : gather->space->top;
	gather->end = gather->whole ? ~(uint64_t)0 : 0;
	gather->tables = gather->leaf = gather->second = gather->third = 0;
}

OUT_OF_LINE void begin(struct gather *gather, struct space *space, int whole)
{
	gather->space = space;
	gather->whole = whole;
	gather->bundle.next = NULL;
	gather->bundle.used = 0;
	gather->bundle.most = BUNDLE;
	gather->active = &gather->bundle;
	gather->lists = 0;
	reset_range(gather);
	__atomic_fetch_add(&space->gathers, 1, __ATOMIC_SEQ_CST);
}

static void flush_recorded(struct gather *gather)
{
	if (!(gather->tables | gather->leaf | gather->second | gather->third))
		return;
	unsigned int only = gather->leaf + gather->second + gather->third == 1;
	flush_by(gather->space, gather->start, gather->end,
		 gather->leaf ? SHIFT : gather->second ? SHIFT + 9 : gather->third ? SHIFT + 18 : SHIFT,
		 !only ? 0 : gather->leaf ? 3 : gather->second ? 2 : 1, gather->tables);
	reset_range(gather);
}

OUT_OF_LINE void flush_all(struct gather *gather)
{
	flush_recorded(gather);
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
		reset_range(gather);
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

/* Keeps the pages that one or several entries mapped. Returns whether the caller must flush. */
INLINED int keep(struct gather *gather, uint64_t page, unsigned int pages)
{
	struct list *list = gather->active;
	if (pages > 1) {
		list->pages[list->used++] = page | FOLIO;
		list->pages[list->used++] = pages;
	} else {
		list->pages[list->used++] = page;
	}
	return list->used >= list->most - 1 && !next_list(gather);
}

INLINED void note(struct gather *gather, uint64_t va, unsigned int pages)
{
	uint64_t end = va + ((uint64_t)pages << SHIFT);
	if (va < gather->start)
		gather->start = va;
	if (end > gather->end)
		gather->end = end;
	gather->leaf = 1;
}

/* Clears an entry, and returns what was in it. */
INLINED uint64_t clear_entry(struct gather *gather, uint64_t *entry, int plain_at_teardown)
{
	if (plain_at_teardown && gather->whole) {
		uint64_t was = __atomic_load_n(entry, __ATOMIC_RELAXED);
		__atomic_store_n(entry, 0, __ATOMIC_RELAXED);
		return was;
	}
	return __atomic_exchange_n(entry, 0, __ATOMIC_RELAXED);
}

/*
 * Clears entries of one table, some at a time: those of one page, or of one folio. Returns how many, and whether a flush
 * is required before the next entry.
 */
#define CLEAR(name, pages, plain_at_teardown) \
	OUT_OF_LINE uint64_t name(struct gather *gather, uint64_t *entries, uint64_t count, uint64_t va, int *full) \
	{ \
		for (uint64_t i = 0; i < count; i += pages, va += (uint64_t)pages << SHIFT) { \
			if (!(__atomic_load_n(&entries[i], __ATOMIC_RELAXED) & 1)) \
				continue; \
			uint64_t was = clear_entry(gather, &entries[i], plain_at_teardown); \
			for (unsigned int j = 1; j < pages; j++) \
				was |= clear_entry(gather, &entries[i + j], plain_at_teardown); \
			note(gather, va, pages); \
			if (keep(gather, was >> SHIFT, pages)) { \
				*full = 1; \
				return i + pages; \
			} \
		} \
		return count; \
	}
CLEAR(clear, 1, 0)
CLEAR(clear_folios, IN_FOLIO, 0)
CLEAR(clear_x86_64, 1, 1)
CLEAR(clear_folios_x86_64, IN_FOLIO, 1)

typedef uint64_t clear_function(struct gather *, uint64_t *, uint64_t, uint64_t, int *);

INLINED void unmap(struct space *space, uint64_t *entries, uint64_t first, uint64_t count, clear_function *clear, int whole)
{
	struct gather gather;
	begin(&gather, space, whole);
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

/* The locked instruction alone, which both sides need. */
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

static void fill(uint64_t *entries, uint64_t count)
{
	for (uint64_t i = 0; i < count; i++)
		entries[i] = (i + 1) << SHIFT | 1;
}

/* One round: gathers of some pages each. */
struct work {
	char shape;
	uint64_t pages, gathers;
	unsigned int flush;
	uint64_t *entries;
	struct space *space;
};

OUT_OF_LINE void counted_work(const struct work *work)
{
	static clear_function *const by_flush[][3] = {
		{ clear, clear, clear_x86_64 },
		{ clear_folios, clear_folios, clear_folios_x86_64 },
	};
	clear_function *chosen = by_flush[work->shape == 'f'][work->flush];
	for (uint64_t i = 0; i < work->gathers; i++)
		if (work->shape == 'x')
			exchange(work->entries, i * work->pages, work->pages);
		else
			unmap(work->space, work->entries, i * work->pages, work->pages, chosen, work->shape == 't');
}

static volatile int stop;

/* What the other CPU does, until it is stopped. */
static void *in_same_space(void *work)
{
	enum { TURN = 64 };
	static _Alignas(4096) uint64_t entries[TURN];
	struct work turn = *(struct work *)work;
	turn.gathers = TURN / turn.pages;
	turn.entries = entries;
	while (!stop) {
		fill(entries, TURN);
		counted_work(&turn);
	}
	return NULL;
}

int main(void)
{
	static flush_function *const flushes_by[] = { flush_nothing, flush_arm64, flush_x86_64 };
	static _Alignas(128) struct space space;
	char command[8];
	struct work work = { .space = &space };
	unsigned long long pages;
	while (scanf("%7s %c %llu %u", command, &work.shape, &pages, &work.flush) == 4) {
		unsigned int rounds = 1;
		if (command[0] == 't' && scanf("%u", &rounds) != 1)
			return 1;
		work.pages = pages;
		work.gathers = pages < SMALL && work.shape != 't' ? SMALL / pages : 1;
		uint64_t all = work.gathers * pages;
		work.entries = aligned_alloc(4096, (all * 8 + 4095) / 4096 * 4096);
		if (!work.entries)
			return 1;
		space = (struct space){ .top = 1ull << 47, .tag = 7, .cpus = 1 };
		cpu.loaded = work.shape == 't' ? NULL : &space;
		cpu.slots[0].followed = 0;
		flush_by = flushes_by[work.flush];
		pthread_t other;
		stop = 0;
		if (work.shape == 's' && pthread_create(&other, NULL, in_same_space, &work))
			return 1;
		for (unsigned int round = 0; round < rounds; round++) {
			fill(work.entries, all);
			double start = now();
			counted_work(&work);
			if (command[0] == 't')
				printf("%.1f ", now() - start);
		}
		stop = 1;
		if (work.shape == 's')
			pthread_join(other, NULL);
		printf("\n");
		fflush(stdout);
		free(work.entries);
	}
	return 0;
}
