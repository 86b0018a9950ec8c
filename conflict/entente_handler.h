/* entente_handler.h: a handler of conflicts as a shared object, in C, C++ or anything that speaks
 * C.
 *
 * A plug-in exports one function, entente_handler_v1(), which answers a description of itself. The
 * gateway calls open() once, then decide() for each conflict, then close(). HANDLERS.md has
 * complete examples.
 *
 * decide() must be a pure function of the conflict: every gateway calls it with the same bytes, and
 * all must decide alike. No clock, no chance, no files, nothing kept from call to call.
 *
 * Ownership: what the host passes is the host's, and valid until the call returns. What the plug-in
 * passes to a function of the host is copied before that function returns.
 * Threads:   one call at a time per open(); not always from the same thread.
 * Errors:    decide() answers 0 after it called one of the answers, or another number after fail().
 *            No exception may leave a function of the plug-in.
 * Where:     in a process of its own that can compute and nothing else: it has 256 MiB of memory
 * and no files, sockets, processes or threads, in open() as in decide(). `trusted: true` in the
 * topology file loads it into the gateway instead.
 *
 * Versions:  structures grow at the end only, and functions are never taken away. Each structure
 * that can grow begins with its size as its maker knew it: a field is there if it lies below.
 *            entente_text and entente_value never change.
 */
#ifndef ENTENTE_HANDLER_H
#define ENTENTE_HANDLER_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What this header describes. A gateway refuses a plug-in whose number is larger than its own. */
#define ENTENTE_HANDLER_ABI 1u

/* Bytes with a length; not terminated by a zero. */
typedef struct entente_text {
  const char* bytes;
  size_t size;
} entente_text;

enum entente_type {
  ENTENTE_NULL = 0,
  ENTENTE_INTEGER = 1,
  ENTENTE_REAL = 2, /* never NaN */
  ENTENTE_TEXT = 3, /* UTF-8 */
  ENTENTE_BLOB = 4
};

/* One value of a column. */
typedef struct entente_value {
  uint32_t type;     /* enum entente_type */
  uint32_t reserved; /* 0 */
  int64_t integer;   /* ENTENTE_INTEGER */
  double real;       /* ENTENTE_REAL */
  entente_text text; /* ENTENTE_TEXT, ENTENTE_BLOB */
} entente_value;

/* Columns in the order of their names; keys in key order. */
typedef struct entente_row {
  size_t size; /* of this structure */
  size_t count;
  const entente_text* names;
  const entente_value* values;
} entente_row;

typedef struct entente_sibling {
  size_t size;            /* of this structure */
  entente_text dc;        /* where it was written */
  uint64_t hlc;           /* its stamp: 48 bits of Unix milliseconds, 16 bits of counter */
  const entente_row* row; /* NULL: it deleted the row */
} entente_sibling;

typedef struct entente_conflict {
  size_t size;       /* of this structure */
  entente_text kind; /* insert-insert, update-update, update-delete, delete-delete */
  entente_text table;
  entente_text column; /* the column or group that conflicts; empty: the whole row */
  const entente_row* key;
  const entente_row* base;                /* what both sides started from; NULL if nobody knows */
  size_t count;                           /* of siblings, at least two */
  const entente_sibling* const* siblings; /* oldest first */
} entente_conflict;

/* How a plug-in answers. Of several answers the last one counts; set() adds to a row. */
typedef struct entente_host {
  size_t size;  /* of this structure */
  uint32_t abi; /* of the gateway */
  uint32_t reserved;
  void* call; /* pass it to each function below */
  /* One column of the row that is the answer. Columns that are not set come from the newest
   * sibling that has a row. */
  void (*set)(void* call, entente_text column, const entente_value* value);
  void (*pick)(void* call, size_t sibling); /* this sibling, counted from 0 */
  void (*erase)(void* call);                /* no row */
  void (*keep)(void* call); /* nobody can decide: the conflict stays open, SQL shows the newest */
  void (*hold)(void* call); /* nobody may see the row until somebody resolves it */
  void (*fail)(void* call, entente_text why); /* it cannot be decided by this handler */
} entente_host;

/* How a plug-in is told its configuration, and says that it cannot work with it. */
typedef struct entente_opening {
  size_t size;  /* of this structure */
  uint32_t abi; /* of the gateway */
  uint32_t reserved;
  entente_text config; /* JSON, as in the topology file; empty if it says nothing */
  void* call;
  void (*fail)(void* call, entente_text why);
} entente_opening;

typedef struct entente_handler {
  size_t size;  /* of this structure */
  uint32_t abi; /* ENTENTE_HANDLER_ABI */
  uint32_t reserved;
  /* Both may be NULL. open() answers 0 and may leave something for decide() in *self; another
   * number after fail(). */
  int (*open)(const entente_opening* opening, void** self);
  void (*close)(void* self);
  int (*decide)(void* self, const entente_conflict* conflict, const entente_host* host);
} entente_handler;

#if defined(__GNUC__)
#define ENTENTE_EXPORT __attribute__((visibility("default")))
#else
#define ENTENTE_EXPORT
#endif

/* The one symbol that a plug-in exports. What it answers lives as long as the plug-in. */
ENTENTE_EXPORT const entente_handler* entente_handler_v1(void);

#ifdef __cplusplus
}
#endif

#endif
