/* An auction's row: the highest bid wins. Of equal bids the first one made. In C:
 *
 *   cc -shared -fPIC -O2 -Iconflict -o libhighest_bid.so conf/handlers/highest_bid.c
 *
 *   handlers: {highest_bid: {plugin: libhighest_bid.so}}
 *   tables:   {auctions: {policy: handler, handler: highest_bid, granularity: row}}
 *
 * Needs a column `bid` of integers. A deleted auction stays deleted.
 */
#include <string.h>

#include "entente_handler.h"

static entente_text text(const char *words) {
  const entente_text out = {words, strlen(words)};
  return out;
}

/* The column's value; NULL if the row has no such column. */
static const entente_value *column(const entente_row *row, const char *name) {
  for (size_t i = 0; i < row->count; ++i) {
    if (row->names[i].size == strlen(name) &&
        memcmp(row->names[i].bytes, name, row->names[i].size) == 0) {
      return &row->values[i];
    }
  }
  return NULL;
}

static int decide(void *self, const entente_conflict *conflict, const entente_host *host) {
  const entente_value *best = NULL;
  size_t winner = 0;
  (void)self;
  for (size_t i = 0; i < conflict->count; ++i) {
    const entente_row *row = conflict->siblings[i]->row;
    if (!row) {
      host->erase(host->call);
      return 0;
    }
    const entente_value *bid = column(row, "bid");
    if (!bid) {
      host->fail(host->call, text("the table has no column bid"));
      return 1;
    }
    if (bid->type == ENTENTE_INTEGER && (!best || bid->integer > best->integer)) {
      best = bid;
      winner = i;
    }
  }
  if (best) {
    host->pick(host->call, winner);
  } else {
    host->keep(host->call); /* no bid is a number: somebody must look */
  }
  return 0;
}

const entente_handler *entente_handler_v1(void) {
  static const entente_handler handler = {sizeof(entente_handler), ENTENTE_HANDLER_ABI, 0, NULL,
                                          NULL, decide};
  return &handler;
}
